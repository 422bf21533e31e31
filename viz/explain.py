"""`explain`: the chain rule of a small graph, written out: local derivatives, the product along each path, the sum.

    w, x, b = (tensor(v, requires_grad=True) for v in (0.5, 2.0, -1.0))
    print(viz.explain(lambda: (w * x + b).sigmoid(), names={"w": w, "x": x, "b": b}))

Every step of the walk is a local derivative ∂z/∂x with a formula and a number; a way from the loss to a variable is a
product of them, and the gradient is the sum over all ways. For small tensors the derivatives are Jacobians.
"""

import itertools
import math
import re
from typing import NamedTuple

import numpy as np

import tinygrad_course
from tinygrad_course import engine

from . import explain_text
from .graph.rules import factor_value, rule_of
from .graph.source import check_model, check_names, loss_from
from .graph.spectrum import vertices_behind

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


class Explanation:
    """The chain rule of a graph. `print` shows `text()`; `latex()` for a paper; `data()` for a page, as plain JSON.

    quantities, locals: lists of `Quantity` (each behind what it reads) and `Local`; paths: {index of a variable: list
    of `Path`}; gradients: {name of the variable: the sum over its paths}; error: the largest difference between these
    sums and what backward computes, relative to the latter; orders: place of each quantity on the tape's clock.
    """

    orders = ()

    def __init__(self, quantities, local_derivatives, paths, loss, error):
        self.quantities, self.locals, self.paths, self.loss, self.error = (
            quantities, local_derivatives, paths, loss, error,
        )  # fmt: skip
        self.gradients = {quantities[leaf].name: total(ways) for leaf, ways in paths.items()}

    def text(self):
        return explain_text.as_text(self)

    def latex(self):
        """Equations for `align*`, to be read by LaTeX or MathJax."""
        return explain_text.as_latex(self)

    def data(self):
        """Everything as dicts, lists, strings and numbers."""
        return explain_text.as_data(self)

    __str__ = text

    def _repr_latex_(self):
        return f"\\begin{{align*}}\n{self.latex()}\n\\end{{align*}}"

    def __repr__(self):
        ways = sum(len(ways) for ways in self.paths.values())
        return f"<Explanation of {len(self.locals)} local derivatives along {ways} paths>"


def total(ways):
    """Σ of the products, in the variable's own shape."""
    return sum(way.product for way in ways)


def explain(loss, model=None, *, names=None):
    """Write out the chain rule of a small graph: an `Explanation`, whose sums are `.grad`.

    loss: a function that makes the loss (then every number is known), or a loss whose graph is alive.
    model: names the parameters; names: {"w": w, …} names other tensors, `names=locals()` will do.

    Raises TypeError for another source, RuntimeError for a loss without a graph or with a freed one, ValueError for a
    graph that is too large to be read: more than 48 operations, 16 numbers in a tensor, or 200 paths.
    """
    check_model(model)
    check_names(names)
    watcher = Values()
    with engine.observe(watcher):
        loss = loss_from(loss, "explain")
    return explanation_of(loss, watcher, model, names)


def explanation_of(loss, watcher, model=None, names=None):
    """`explain` of a loss whose graph is alive; `watcher` has seen it being made, or has seen nothing."""
    vertices = vertices_behind(loss.node)
    _check_size(vertices)
    place = {vertex: index for index, vertex in enumerate(vertices)}
    with tinygrad_course.no_grad():
        local_derivatives = _locals(vertices, place)
    paths = _paths(vertices, local_derivatives)
    values, operands = _values(vertices, place, watcher, loss)
    gradients = _gradients(vertices, local_derivatives)
    known = _names(vertices, model, names, len(vertices) - 1)
    quantities = [
        Quantity(known[i], vertex.name if isinstance(vertex, engine.Function) else "leaf", operands[i], values[i],
                 gradients[i], rule_of(vertex.name).words if isinstance(vertex, engine.Function) else "")
        for i, vertex in enumerate(vertices)
    ]  # fmt: skip
    quantities += [Quantity(name, "data", (), value, None, "") for name, value in watcher.constants(names)]
    with_formulas = [_with_formula(local, quantities) for local in local_derivatives]
    leaves = [vertices[leaf] for leaf in paths]
    try:
        exact = tinygrad_course.grad(loss, leaves, retain_graph=True)
    except RuntimeError as error:
        raise _freed(error) from None
    errors = [
        float(np.abs(total(ways) - g._data).max(initial=0.0)) / max(float(np.abs(g._data).max(initial=0.0)), 1e-300)
        for ways, g in zip(paths.values(), exact, strict=True)
    ]  # fmt: skip
    found = Explanation(quantities, with_formulas, paths, len(vertices) - 1, max(errors, default=0.0))
    found.orders = tuple(vertex.order for vertex in vertices)
    return found


class Values(engine.Observer):
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

    def constants(self, names):
        """(name, value) of the operands that are data, in the order of `constant_index`."""
        known = {id(tensor): name for name, tensor in (names or {}).items()}
        for number, tensor in enumerate(self._constants.values()):
            value = np.array(tensor._data)
            plain = explain_text.number(value) if value.size == 1 else f"c{explain_text.subscript(number + 1)}"
            yield known.get(id(tensor), plain), value

    def constant_index(self, tensor):
        return list(self._constants).index(id(tensor)) if id(tensor) in self._constants else None


def _check_size(vertices):
    operations = [vertex for vertex in vertices if isinstance(vertex, engine.Function)]
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


def _locals(vertices, place):
    """The Jacobian of every operand, by the tape's own backward of each unit gradient."""
    found = []
    for index, node in enumerate(vertices):
        if not isinstance(node, engine.Function):
            continue
        size = math.prod(node.shape)
        rows = {}
        for unit in range(size):
            dz = np.zeros(size, dtype=_dtype(vertices))
            dz[unit] = 1.0
            try:
                contributions = node.backward(dz.reshape(node.shape))
            except RuntimeError as error:
                raise _freed(error) from None
            contributions = contributions if type(contributions) is tuple else (contributions,)
            for slot, (edge, c) in enumerate(zip(node.edges, contributions, strict=True)):
                if edge is not None and c is not None:
                    rows.setdefault(slot, []).append(engine.sum_to_shape(np.asarray(c), edge.shape).ravel().copy())
        found += [Local(place[node.edges[slot]], index, slot, np.array(r), None) for slot, r in rows.items()]
    return found


def _dtype(vertices):
    return next(vertex._data.dtype for vertex in vertices if isinstance(vertex, engine.TensorBase))


def _freed(error):
    if "freed" not in str(error):
        return error
    return RuntimeError("the graph of this loss has been freed by loss.backward(): call explain before it, or pass a "
                        "function that makes the loss")  # fmt: skip


def _paths(vertices, local_derivatives):
    """{leaf: its paths}, the product of Jacobians along each."""
    into = {}
    for number, local in enumerate(local_derivatives):
        into.setdefault(local.target, []).append(number)
    paths = {index: [] for index, vertex in enumerate(vertices) if isinstance(vertex, engine.TensorBase)}
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


def _gradients(vertices, local_derivatives):
    """∂L/∂ every quantity, by the sums of the chain rule."""
    sums = {len(vertices) - 1: np.ones((1, 1))}
    for local in sorted(local_derivatives, key=lambda local: -local.target):
        if local.target in sums:
            sums[local.source] = sums.get(local.source, 0.0) + sums[local.target] @ local.jacobian
    return [sums[i].reshape(vertex.shape) if i in sums else None for i, vertex in enumerate(vertices)]


def _values(vertices, place, watcher, loss):
    """The value of each vertex, None if nobody saw it, and the indices of its operands."""
    values, operands = [], []
    for index, vertex in enumerate(vertices):
        if isinstance(vertex, engine.TensorBase):
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


def _names(vertices, model, names, loss):
    """A name for each vertex: the given one, the parameter's, or x₁, x₂, … and z₁, z₂, …; the loss is L."""
    given = {}
    for name, tensor in (names or {}).items():
        if isinstance(tensor, engine.TensorBase):
            given.setdefault(tensor if tensor.node is None else tensor.node, " ".join(str(name).split()))
    for name, parameter in model.named_parameters() if model is not None else ():
        given.setdefault(parameter, name)
    taken = set(given.values())
    fresh = {letter: map(f"{letter}{{}}".format, map(explain_text.subscript, itertools.count(1))) for letter in "xz"}
    found = []
    for index, vertex in enumerate(vertices):
        name = given.get(vertex)
        if name is None and index == loss:
            name = "L" if "L" not in taken else "loss"
        if name is None:
            letter = "z" if isinstance(vertex, engine.Function) else "x"
            name = next(candidate for candidate in fresh[letter] if candidate not in taken)
        found.append(name)
    return found


def _with_formula(local, quantities):
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
