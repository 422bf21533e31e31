"""The graph model: what there is to draw, before anyone knows how. Built from a trace, operation by operation."""

import math
from dataclasses import dataclass, field

from .skips import find_highways
from .stats import Statistics

_ALIAS_FROM = 5  # uses of a data leaf from which it is drawn once per use: long fan-outs make a picture unreadable
_SMALL_GRAPH = 60  # operations up to which a learner's own variables are nodes, as in a scalar expression


@dataclass
class Parameter:
    """A parameter, shown as a row of the operation that reads it."""

    name: str
    shape: tuple
    count: int
    rms: float | None  # of its values
    gradient_rms: float | None
    requires_grad: bool
    leaf: int  # index in the trace: tells shared parameters from distinct ones
    rate: float | None = None  # the optimizer's learning rate, where an optimizer is known

    @property
    def update_ratio(self):
        """RMS(lr · g) / RMS(w), the relative size of a step of plain gradient descent; None where one is not known.

        About 10^-3 is healthy (Karpathy); momentum and adaptive optimizers make steps of another size.
        """
        if self.rate is None or self.gradient_rms is None or not self.rms:
            return None
        return self.rate * self.gradient_rms / self.rms


@dataclass
class Node:
    """A node of the picture: an operation, an input, or a group of operations.

    value: log10(RMS of the gradient at its output / RMS of the reference), None where there is none; then `mark`
    says why: "zero", "none" (no gradient arrived), "nan", "inf", "data" (none was wanted). "" with a value.
    hidden: names of what a group holds; strip: their values, in order, or those of the repeats of a fold.
    """

    id: str
    name: str
    op: str
    scope: str
    kind: str  # "operation", "input", "leaf", "module", "block", "group"
    shape: tuple
    dtype: str | None
    parameters: tuple = ()
    multiply_adds: int = 0
    saved_bytes: int | None = None  # of arrays that it, and nothing before it, keeps for backward; None: not known
    activation: Statistics | None = None
    gradient: Statistics | None = None
    wants_gradient: bool = True
    is_merge: bool = False  # a skip arrives here
    is_loss: bool = False
    hidden: tuple = ()
    strip: tuple = ()
    repeats: int = 1  # of a fold: how many blocks it stands for
    shared: bool = False  # of a fold: whether its repeats share their parameters
    skips_inside: int = 0
    constants: tuple = ()
    value: float | None = None
    mark: str = "none"
    is_first_bad: bool = False  # the first NaN or Inf that backward met
    is_first_bad_output: bool = False  # the first NaN or Inf that forward made
    is_reference: bool = False
    is_neutral: bool = False  # a lone number beside tensors (the loss): its RMS is not to be compared with theirs
    fold: int | None = None  # which fold it stands in: nodes of one fold make up the block that repeats
    members: tuple = ()  # indices of the vertices of the operation level that it stands for
    details: object = None  # `Details` of an operation recorded with record(details=True)
    outputs: tuple = ()  # of these, the one whose output is the node's; in a fold, one for each repeat
    agreement: object = None  # `Agreement` of the contributions that meet at its output, where there are several
    use: tuple = ()  # (which, of how many) of a leaf that is drawn once per use; its gradient is that of them all

    @property
    def grad_rms(self):
        """RMS of the gradient that arrived at the output; None without one."""
        return None if self.gradient is None else self.gradient.rms

    @property
    def act_rms(self):
        """RMS of the output; None if it was not seen."""
        return None if self.activation is None else self.activation.rms

    @property
    def parameter_count(self):
        return sum(parameter.count for parameter in {p.leaf: p for p in self.parameters}.values())


@dataclass
class Edge:
    """An operand: forward from `source` to `target`, whose input number `slot` it is.

    rms: RMS of the contribution that the target sends back along this edge, None without one.
    share: ‖contribution‖ / Σ‖contributions‖ over all edges that leave the source, where there are several;
    agreement: how these go together; derivative: ∂target/∂source where both are numbers and it is known, as text.
    """

    source: str
    target: str
    slot: int
    rms: float | None = None
    share: float | None = None
    is_skip: bool = False
    maker: int = -1  # the vertex of the operation level that it leaves,
    reader: int = -1  # and the one that it enters
    agreement: object = None
    derivative: str | None = None


@dataclass
class Vertex:
    """A node of the operation level, with its operands as (slot, index of the source vertex, RMS of contribution)."""

    node: Node
    order: int  # of execution; the leaf's first use for a leaf
    operands: list = field(default_factory=list)
    is_operation: bool = True
    is_sum: bool = True  # whether its gradient is the sum of the contributions: no hook and no loss of its own
    derivatives: dict = field(default_factory=dict)  # slot -> local derivative, of an operation on numbers
    leaf: int | None = None  # its index in the trace: tells the copies of a leaf that is drawn once per use


def build(trace):
    """The operation level: a list of `Vertex` in topological order, and the set of (vertex, slot) that are skips.

    Parameters become rows of the operation that reads them; constants of one number too; other leaves are nodes,
    drawn once per use if they are used often.
    """
    drawn = trace.ancestors(trace.roots) if trace.roots else set(trace.operations)
    # Layers that did not reach the loss are worth seeing (no gradient!); the arithmetic of a metric is not.
    for order in sorted(trace.operations):
        operation = trace.operations[order]
        if operation.scope and any(s is not None and s.operation in drawn for s in operation.sources):
            drawn.add(order)
    operations = [trace.operations[order] for order in sorted(drawn)]
    vertices, place, leaf_place, unnamed = [], {}, {}, {}
    rows_of_variables = len(operations) > _SMALL_GRAPH
    roots = set(trace.roots) or ({operations[-1].order} if operations else set())
    for operation in operations:
        vertex = Vertex(_operation_node(operation), operation.order)
        vertex.node.is_loss = operation.order in roots and bool(trace.roots)
        vertex.is_sum = operation.order not in trace.hooked and operation.order not in trace.roots
        parameters, constants = [], []
        for slot, source in enumerate(operation.sources):
            if source is None:
                continue
            rms = operation.contributions[slot]
            if source.operation is not None:
                if source.operation in place:
                    vertex.operands.append((slot, place[source.operation], rms))
                continue
            leaf = trace.leaves[source.leaf]
            if leaf.is_parameter or (rows_of_variables and leaf.requires_grad):
                parameters.append(_parameter(leaf, source.leaf, operation, slot))
            elif leaf.size == 1 and not leaf.requires_grad and leaf.name is None and operation.name != "embedding":
                constants.append(leaf.activation.value if leaf.activation else None)
            else:
                often = leaf.uses >= _ALIAS_FROM
                index = None if often else leaf_place.get(source.leaf)
                if index is None:
                    index = leaf_place[source.leaf] = len(vertices)
                    name = leaf.name or unnamed.setdefault(source.leaf, _unnamed(leaf, operation, unnamed))
                    vertices.append(
                        Vertex(_leaf_node(leaf, name), operation.order, is_operation=False, leaf=source.leaf)
                    )
                vertex.operands.append((slot, index, rms))
        vertex.node.parameters, vertex.node.constants = tuple(parameters), tuple(constants)
        vertex.node.multiply_adds = _multiply_adds(trace, operation)
        vertex.node.saved_bytes = operation.saved_bytes
        place[operation.order] = len(vertices)
        vertices.append(vertex)
    _number_uses(vertices)
    data = _shared_data(vertices)
    highways = find_highways(
        [v.node.op if v.is_operation else "" for v in vertices],
        [_gradient_sources(vertices, v, data) for v in vertices],
        [2 if v.node.parameters else 1 for v in vertices],
        data,
        [v.node.shape for v in vertices],
    )
    for highway in highways:
        vertices[highway.merge].node.is_merge = True
    skips = {edge for highway in highways for edge in highway.edges}
    return vertices, skips


def _number_uses(vertices):
    """Say on each copy of a leaf which it is, and of how many."""
    copies = {}
    for vertex in vertices:
        if vertex.leaf is not None:
            copies.setdefault(vertex.leaf, []).append(vertex.node)
    for nodes in copies.values():
        for number, node in enumerate(nodes, 1):
            node.use = (number, len(nodes)) if len(nodes) > 1 else ()


def _shared_data(vertices):
    """The data that several operands read: a first block's highway may begin there, though no gradient returns."""
    readers = {}
    for vertex in vertices:
        for _, index, _ in vertex.operands:
            if not vertices[index].node.wants_gradient:
                readers[index] = readers.get(index, 0) + 1
    return {index for index, count in readers.items() if count > 1}


def _gradient_sources(vertices, vertex, data):
    """Operands by slot, None for those that lead to data only, unless they are `data` themselves."""
    width = 1 + max((slot for slot, _, _ in vertex.operands), default=-1)
    sources = [None] * width
    for slot, index, _ in vertex.operands:
        if vertices[index].node.wants_gradient or index in data:
            sources[slot] = index
    return sources


def _operation_node(operation):
    return Node(
        "", operation.scope or operation.name, operation.name, operation.scope, "operation", operation.shape,
        operation.dtype, activation=operation.activation, gradient=operation.gradient,
        wants_gradient=operation.wants_gradient, details=operation.details,
    )  # fmt: skip


def _leaf_node(leaf, name):
    kind = "leaf" if leaf.requires_grad else "input"
    return Node(
        "", name, kind, "", kind, leaf.shape, leaf.dtype, activation=leaf.activation,
        gradient=leaf.gradient, wants_gradient=leaf.requires_grad,
    )  # fmt: skip


def _parameter(leaf, index, operation, slot):
    name = leaf.name or ("weight" if len(leaf.shape) >= 2 else "bias" if slot == 2 else f"operand {slot + 1}")
    if operation.scope and name.startswith(operation.scope + "."):
        name = name[len(operation.scope) + 1 :]
    rms = leaf.activation.rms if leaf.activation else None
    gradient = leaf.gradient.rms if leaf.gradient else None
    return Parameter(name, leaf.shape, leaf.size, rms, gradient, leaf.requires_grad, index, leaf.rate)


def _unnamed(leaf, operation, unnamed):
    """Leaves nobody named are "input", "input 2", … in order of use; integers that a table is asked for "indices"."""
    word = "variable" if leaf.requires_grad else "indices" if operation.name == "embedding" else "input"
    same = sum(1 for name in unnamed.values() if name.split()[0] == word)
    return f"{word} {same + 1}" if same else word


def _multiply_adds(trace, operation):
    """Multiply-adds of a convolution, a linear layer, a matrix product or an einsum; 0 for what costs next to nothing.

    A weight W of shape (out, …) is read once for each number of the output, of which it makes W.size/out products;
    that of a transposed convolution, (in, …), once for each number of the input.
    """
    if operation.multiply_adds is not None:
        return operation.multiply_adds
    first, second = ([_shape(trace, source) for source in operation.sources] + [None, None])[:2]
    if operation.name == "matmul":
        return math.prod(operation.shape) * first[-1] if first else 0
    if operation.name not in ("linear", "conv2d", "conv_transpose2d") or not second or not second[0]:
        return 0
    read = first if operation.name == "conv_transpose2d" else operation.shape
    return 0 if read is None else math.prod(read) * (math.prod(second) // second[0])


def _shape(trace, source):
    """Shape of what an operand reads, None if it is not known."""
    if source is None:
        return None
    made = trace.leaves[source.leaf] if source.operation is None else trace.operations.get(source.operation)
    return None if made is None else made.shape
