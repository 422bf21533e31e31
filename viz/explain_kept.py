"""The numbers of a small graph that ran before anyone looked: from what it has kept for backward.

A saved array is an operand or the output of its operation; what was not saved is computed again from the operands; and
the constant of a sum, which backward does not need, is what the sum lacks.
"""

import numpy as np

from tinygrad_course.base import TensorBase, tensor_of
from tinygrad_course.function import Function


def recover(vertices, loss, watcher):
    """Fill in the outputs and the constants that `watcher`, a `Values`, has not seen, as far as they can be found."""
    arrays, constants = _saved(vertices)
    arrays[loss.node] = loss._data
    for vertex in vertices:
        if isinstance(vertex, TensorBase):
            arrays[vertex] = vertex._data
        elif vertex.order not in watcher.outputs:
            operands = [constants.get((vertex, i)) if e is None else arrays.get(e) for i, e in enumerate(vertex.edges)]
            if vertex not in arrays and vertex.replayable and all(operand is not None for operand in operands):
                arrays[vertex] = _again(vertex, operands)
            if vertex in arrays:
                _add_missing(vertex, operands, arrays[vertex])
            watcher.recovered(vertex, [
                None if array is None or edge is not None else tensor_of(np.asarray(array))
                for array, edge in zip(operands, vertex.edges, strict=True)
            ], arrays.get(vertex))  # fmt: skip


def _saved(vertices):
    """({vertex: its value}, {(node, slot): value of a constant}), of what the nodes have saved."""
    arrays, constants = {}, {}
    for node in vertices:
        for array in node.saved if isinstance(node, Function) else ():
            if not isinstance(array, np.ndarray) or id(array) not in node.origins:
                continue
            slot = node.origins.index(id(array))
            if slot == len(node.edges):
                arrays[node] = array
            elif node.edges[slot] is None:
                constants[node, slot] = array
            else:
                arrays[node.edges[slot]] = array
    return arrays, constants


def _again(node, operands):
    """What the operation gave: forward once more, and what it had saved in its place again."""
    saved = node.saved
    try:
        with np.errstate(all="ignore"):  # it has warned once
            return np.asarray(node.forward(*[operand.copy() for operand in operands]))
    finally:
        node.saved = saved


def _add_missing(node, operands, z):
    """The missing operand of a sum or a difference, as one number where it is one."""
    missing = [slot for slot, operand in enumerate(operands) if operand is None]
    if node.name not in ("add", "sub") or len(missing) != 1:
        return
    x, y = operands
    if missing[0] == 0:
        found = z - y if node.name == "add" else z + y
    else:
        found = z - x if node.name == "add" else x - z
    one = found.reshape(-1)[:1]
    same = np.allclose(found, one, rtol=1e-5, atol=float(np.abs(z).max()) * np.finfo(z.dtype).eps)
    operands[missing[0]] = one.reshape(()) if same else found
