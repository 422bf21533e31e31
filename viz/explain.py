"""`explain`: the chain rule of a small graph, written out: local derivatives, the product along each path, the sum.

    w, x, b = (tensor(v, requires_grad=True) for v in (0.5, 2.0, -1.0))
    print(viz.explain(lambda: (w * x + b).sigmoid(), names={"w": w, "x": x, "b": b}))

Every step of the walk is a local derivative ∂z/∂x with a formula and a number; a way from the loss to a variable is a
product of them, and the gradient is the sum over all ways. For small tensors the derivatives are Jacobians.
"""

import numpy as np

import tinygrad_course
from tinygrad_course.function import Function
from tinygrad_course.modes import observe

from . import explain_text
from .explain_graph import (
    Quantity,
    Values,
    check_size,
    freed,
    gradients_of,
    locals_of,
    names_of,
    paths_of,
    values_of,
    with_formula,
)
from .explain_kept import recover
from .graph.aside import gradients_aside, refuse_hooks
from .graph.rules import rule_of
from .graph.source import check_model, check_names, loss_from
from .graph.spectrum import vertices_behind


class Explanation:
    """The chain rule of a graph. `print` shows `text()`; `latex()` for a paper; `data()` for a page, as plain JSON.

    quantities, locals: lists of `Quantity` (each behind what it reads) and `Local`; paths: {index of a variable: list
    of `Path`}; gradients: {name of the variable: the sum over its paths}; error: the largest difference between these
    sums and what backward computes, relative to the latter; differing: indices of the variables where it is more than
    rounding, for a backward that is no derivative; orders: place of each quantity on the tape's clock.
    """

    orders = ()
    differing = frozenset()

    def __init__(self, quantities, local_derivatives, paths, loss, error):
        self.quantities, self.locals, self.paths, self.loss, self.error = (
            quantities, local_derivatives, paths, loss, error,
        )  # fmt: skip
        self.gradients = {quantities[leaf].name: total(ways) for leaf, ways in paths.items()}

    def put_on(self, vertices):
        """Write the local derivatives that are one number to the operations of a graph model, for their edges."""
        operations = {vertex.order: vertex for vertex in vertices if vertex.is_operation}
        for local in self.locals:
            if local.jacobian.size == 1 and self.orders[local.target] in operations:
                operations[self.orders[local.target]].derivatives[local.slot] = explain_text.number(local.jacobian)

    def text(self):
        return explain_text.as_text(self)

    def latex(self):
        """Equations for `align*`, to be read by LaTeX or MathJax."""
        return explain_text.as_latex(self)

    def data(self):
        """Everything as dicts, lists, strings and numbers; what JSON has no number for is "nan", "inf" or "-inf"."""
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
    graph that is too large to be read (more than 48 operations, 16 numbers in a tensor, or 200 paths) or has gradient
    hooks, which may do what no chain rule says.
    """
    check_model(model)
    check_names(names)
    watcher = Values()
    with observe(watcher):
        loss = loss_from(loss, "explain")
    return explanation_of(loss, watcher, model, names)


def explanation_of(loss, watcher, model=None, names=None):
    """`explain` of a loss whose graph is alive; `watcher` has seen it being made, or has seen nothing."""
    vertices = vertices_behind(loss.node)
    check_size(vertices)
    parameters = model.named_parameters() if model is not None else ()
    refuse_hooks(vertices, "explain", [*(names or {}).items(), *parameters])
    place = {vertex: index for index, vertex in enumerate(vertices)}
    with tinygrad_course.no_grad():
        local_derivatives = locals_of(vertices, place)
    paths = paths_of(vertices, local_derivatives)
    recover(vertices, loss, watcher)
    values, operands = values_of(vertices, place, watcher, loss)
    gradients = gradients_of(vertices, local_derivatives)
    known = names_of(vertices, model, names, len(vertices) - 1)
    quantities = [
        Quantity(known[i], vertex.name if isinstance(vertex, Function) else "leaf", operands[i], values[i],
                 gradients[i], rule_of(vertex.name).words if isinstance(vertex, Function) else "")
        for i, vertex in enumerate(vertices)
    ]  # fmt: skip
    quantities += [Quantity(name, "data", (), value, None, "") for name, value in watcher.constants(names, set(known))]
    with_formulas = [with_formula(local, quantities) for local in local_derivatives]
    leaves = [vertices[leaf] for leaf in paths]
    try:
        exact = gradients_aside(loss, leaves)
    except RuntimeError as error:
        raise freed(error) from None
    errors = {leaf: _error(total(ways), g._data) for (leaf, ways), g in zip(paths.items(), exact, strict=True)}
    found = Explanation(quantities, with_formulas, paths, len(vertices) - 1, max(errors.values(), default=0.0))
    found.differing = frozenset(
        leaf for leaf, g in zip(paths, exact, strict=True) if errors[leaf] > np.sqrt(np.finfo(g._data.dtype).eps)
    )
    found.orders = tuple(vertex.order for vertex in vertices)
    return found


def _error(found, exact):
    """The largest difference by the largest number; two that are both NaN, or the same Inf, do not differ."""
    same = (found == exact) | (np.isnan(found) & np.isnan(exact))
    with np.errstate(invalid="ignore"):
        largest = float(np.where(same, 0.0, np.abs(found - exact)).max(initial=0.0))
    size = float(np.abs(exact[np.isfinite(exact)]).max(initial=0.0))
    return largest / max(size, 1e-300) if np.isfinite(largest) else np.inf
