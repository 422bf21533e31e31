"""What `explain` reads off a small graph: its numbers, its local derivatives, its paths, and names for all of them."""

import itertools
import math
import re
from typing import NamedTuple

import numpy as np

from tinygrad_course.base import TensorBase
from tinygrad_course.function import Function, sum_to_shape
from tinygrad_course.modes import Observer

from . import explain_text
from .graph.rules import factor_value, rule_of

MOST_OPERATIONS, MOST_NUMBERS, MOST_PATHS = 48, 16, 200  # what can be read on a page


class Quantity(NamedTuple):
    """A node of the graph: its name, operation ("leaf", "data" for what is no operation), value, and ∂L/∂ itself."""

    name: str
    op: str
    operands: tuple  # indices of quantities; None for an absent operand
    value: np.ndarray | None
    gradient: np.ndarray | None
    words: str  # what backward does here


class Local(NamedTuple):
    """A local derivative ∂target/∂source: the operand's slot, the Jacobian (numbers of the target × of the source),
    and its formula in x, y, z for elementwise operations, None where there is none."""

    source: int
    target: int
    slot: int
    jacobian: np.ndarray
    factor: str | None


class Path(NamedTuple):
    """One way from the loss to a variable: the local derivatives on it, loss first, and their product."""

    steps: tuple  # indices of `Local`s
    product: np.ndarray


class Values(Observer):
    """Keeps the numbers of a small graph as it runs."""

    def __init__(self):
        self.outputs, self.inputs, self._constants = {}, {}, {}

    def forward(self, node, inputs, output):
        if len(self.outputs) <= 10 * MOST_OPERATIONS and output._data.size <= MOST_NUMBERS:
            self.outputs[node.order] = np.array(output._data)
            self.inputs[node.order] = inputs
            for tensor, edge in zip(inputs, node.edges, strict=True):
                if tensor is not None and edge is None and tensor._data.size <= MOST_NUMBERS:
                    self._constants.setdefault(id(tensor), tensor)

    def recovered(self, node, inputs, output):
        """Take in what was found of an operation that ran before; inputs: its constants, as tensors."""
        self.inputs[node.order] = inputs
        self._constants.update((id(t), t) for t in inputs if t is not None and t._data.size <= MOST_NUMBERS)
        if output is not None:
            self.outputs[node.order] = np.array(output)

    def constants(self, names, taken):
        """(name, value) of the operands that are data, in the order of `constant_index`."""
        known = {}
        for name, tensor in (names or {}).items():
            if id(tensor) in self._constants and id(tensor) not in known:
                known[id(tensor)] = _unique(name, taken)
        for number, tensor in enumerate(self._constants.values()):
            value = np.array(tensor._data)
            plain = explain_text.number(value) if value.size == 1 else f"c{explain_text.subscript(number + 1)}"
            yield known.get(id(tensor), plain), value

    def constant_index(self, tensor):
        return list(self._constants).index(id(tensor)) if id(tensor) in self._constants else None


def check_size(vertices):
    operations = [vertex for vertex in vertices if isinstance(vertex, Function)]
    shapes = [(math.prod(vertex.shape), tuple(vertex.shape)) for vertex in vertices]
    if min(shapes)[0] == 0:
        raise ValueError(f"there is nothing to explain: a tensor of shape {min(shapes)[1]} holds no numbers")
    largest = max(shapes)
    if len(operations) > MOST_OPERATIONS or largest[0] > MOST_NUMBERS:
        what = f"{len(operations)} operations, the largest tensor of shape {largest[1]}"
        raise ValueError(
            f"explain writes out at most {MOST_OPERATIONS} operations on at most {MOST_NUMBERS} numbers each; "
            f"this one has {what}: viz.gradient_flow draws it"
        )


def locals_of(vertices, place):
    """The Jacobian of every operand, by the tape's own backward of each unit gradient."""
    found = []
    for index, node in enumerate(vertices):
        if not isinstance(node, Function):
            continue
        size = math.prod(node.shape)
        rows = {}
        for unit in range(size):
            dz = np.zeros(size, dtype=_dtype(vertices))
            dz[unit] = 1.0
            try:
                contributions = node.backward(dz.reshape(node.shape))
            except RuntimeError as error:
                raise freed(error) from None
            contributions = contributions if type(contributions) is tuple else (contributions,)
            for slot, (edge, c) in enumerate(zip(node.edges, contributions, strict=True)):
                if edge is not None and c is not None:
                    rows.setdefault(slot, []).append(sum_to_shape(np.asarray(c), edge.shape).ravel().copy())
        found += [Local(place[node.edges[slot]], index, slot, np.array(r), None) for slot, r in rows.items()]
    return found


def _dtype(vertices):
    return next(vertex._data.dtype for vertex in vertices if isinstance(vertex, TensorBase))


def freed(error):
    if "freed" not in str(error):
        return error
    return RuntimeError("the graph of this loss has been freed by loss.backward(): call explain before it, or pass a "
                        "function that makes the loss")  # fmt: skip


def paths_of(vertices, local_derivatives):
    """{leaf: its paths}, the product of Jacobians along each."""
    into = {}
    for number, local in enumerate(local_derivatives):
        into.setdefault(local.target, []).append(number)
    paths = {index: [] for index, vertex in enumerate(vertices) if isinstance(vertex, TensorBase)}
    stack, count = [(len(vertices) - 1, (), np.ones((1, 1)))], 0
    while stack:
        index, steps, product = stack.pop()
        if index in paths:
            count += 1
            if count > MOST_PATHS:
                raise ValueError(
                    f"this graph has more than {MOST_PATHS} paths from the loss to its variables: too many to be read; "
                    "viz.gradient_flow draws it, viz.path_spectrum counts them"
                )
            paths[index].append(Path(steps, product.reshape(vertices[index].shape)))
            continue
        for number in reversed(into.get(index, ())):
            local = local_derivatives[number]
            stack.append((local.source, (*steps, number), product @ local.jacobian))
    return paths


def gradients_of(vertices, local_derivatives):
    """∂L/∂ every quantity, by the sums of the chain rule."""
    sums = {len(vertices) - 1: np.ones((1, 1))}
    for local in sorted(local_derivatives, key=lambda local: -local.target):
        if local.target in sums:
            sums[local.source] = sums.get(local.source, 0.0) + sums[local.target] @ local.jacobian
    return [sums[i].reshape(vertex.shape) if i in sums else None for i, vertex in enumerate(vertices)]


def values_of(vertices, place, watcher, loss):
    """The value of each vertex, None if nobody saw it, and the indices of its operands."""
    values, operands = [], []
    for index, vertex in enumerate(vertices):
        if isinstance(vertex, TensorBase):
            values.append(np.array(vertex._data))
            operands.append(())
            continue
        seen = np.array(loss._data) if index == len(vertices) - 1 else watcher.outputs.get(vertex.order)
        values.append(seen)
        ends = []
        for slot, edge in enumerate(vertex.edges):
            if edge is not None:
                ends.append(place[edge])
            elif vertex.order in watcher.inputs and watcher.inputs[vertex.order][slot] is not None:
                number = watcher.constant_index(watcher.inputs[vertex.order][slot])
                ends.append(None if number is None else len(vertices) + number)
            else:
                ends.append(None)
        operands.append(tuple(ends))
    return values, operands


def names_of(vertices, model, names, loss):
    """A name of its own for each vertex: the given one, the parameter's, or x₁, … and z₁, …; the loss is L."""
    behind = set(vertices)
    given, taken = {}, set()
    for name, tensor in (*(names or {}).items(), *(model.named_parameters() if model is not None else ())):
        vertex = None if not isinstance(tensor, TensorBase) else tensor if tensor.node is None else tensor.node
        if vertex is not None and vertex in behind and vertex not in given:
            given[vertex] = _unique(name, taken)
    fresh = {letter: map(f"{letter}{{}}".format, map(explain_text.subscript, itertools.count(1))) for letter in "xz"}
    found = []
    for index, vertex in enumerate(vertices):
        name = given.get(vertex)
        if name is None and index == loss:
            name = "L" if "L" not in taken else "loss"
        if name is None:
            letter = "z" if isinstance(vertex, Function) else "x"
            name = next(candidate for candidate in fresh[letter] if candidate not in taken)
        found.append(name)
    return found


def _unique(name, taken):
    """A name on one line that no other has; it is taken from then on."""
    name = plain = " ".join(str(name).split()) or "?"
    again = 1
    while name in taken:
        again += 1
        name = f"{plain} ({again})"
    taken.add(name)
    return name


def with_formula(local, quantities):
    """The formula of an elementwise local derivative, if it gives the number that backward gives."""
    target = quantities[local.target]
    factors = rule_of(target.op).factors
    if local.slot >= len(factors) or local.jacobian.size != 1:
        return local
    values = {"z": target.value}
    for letter, operand in zip("xy", target.operands, strict=False):
        values[letter] = None if operand is None else quantities[operand].value
    numbers = {letter: float(value.reshape(())) for letter, value in values.items() if value is not None}
    factor = factors[local.slot]
    needed = set(re.findall(r"(?<![A-Za-zα-ω])[xyz](?![A-Za-zα-ω(])", factor))
    found = factor_value(factor, **numbers) if needed <= set(numbers) else None
    exact = float(local.jacobian.reshape(()))
    if found is None or not math.isclose(found, exact, rel_tol=1e-5, abs_tol=1e-7):
        return local
    return local._replace(factor=factor)
