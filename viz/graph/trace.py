"""Records of one graph: what ran, what it read, and the numbers measured on the way. No arrays, no tensors.

While a recorder watches, a trace is plain tuples and rows of a table, for every microsecond counts there. Whoever
reads `operations` or `leaves` gets objects, made then.
"""

import copy
import weakref
from collections import Counter
from typing import NamedTuple

import numpy as np

from tinygrad_course.function import FREED

from .details import Details
from .stats import Table


class Source(NamedTuple):
    """Where an operand comes from: `operation` is the order of the operation that made it, else `leaf` its index."""

    operation: int | None
    leaf: int | None


class LeafRecord(NamedTuple):
    """What is known of a tensor that no operation made, when it is first read. `row` describes its numbers."""

    reference: weakref.ref
    name: str | None
    is_parameter: bool
    shape: tuple
    dtype: object
    requires_grad: bool
    row: int  # -1: not measured


class Leaf:
    """A tensor that no recorded operation made: a parameter, data, a variable of the learner's, a constant."""

    __slots__ = ("activation", "dtype", "gradient", "is_parameter", "name", "rate", "requires_grad", "shape", "uses")

    def __init__(self, record, activation, gradient, uses, rate=None):
        self.name, self.is_parameter = record.name, record.is_parameter
        self.shape, self.dtype, self.requires_grad = record.shape, str(record.dtype), record.requires_grad
        self.activation, self.gradient, self.uses = activation, gradient, uses
        self.rate = rate  # the optimizer's learning rate, None if it has none for this leaf

    @property
    def size(self):
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class Operation:
    """One operation that ran. `sources[i]` is where operand i came from, None for an absent or unknown one.

    `activation` and `gradient` are `Statistics` of the output and of the gradient that arrived at it (None where
    there is none); `sent[i]` is the `Statistics` of what went back along operand i, or None, and `contributions[i]`
    its RMS. `saved_bytes`: of the arrays that it, and no earlier operation, keeps for backward; None if unknown.
    `multiply_adds`: where the operation counts its own, which shapes alone do not tell (einsum); else None.
    """

    __slots__ = ("activation", "contributions", "details", "dtype", "gradient", "multiply_adds", "name", "order",
                 "saved_bytes", "scope", "sent", "shape", "sources", "wants_gradient")  # fmt: skip

    def __init__(self, order, name, scope, shape, dtype, sources, wants_gradient):
        self.order, self.name, self.scope = order, name, scope
        self.shape, self.dtype, self.sources = shape, None if dtype is None else str(dtype), sources
        self.wants_gradient = wants_gradient
        self.activation = self.gradient = self.saved_bytes = self.multiply_adds = None
        self.details = Details()
        self.sent = self.contributions = (None,) * len(sources)


class Trace:
    """The operations of one graph by their order, and the leaves they read.

    records: order -> (order, name, scope, shape, dtype, sources, on_tape, row of its output, alive). A source is
        the order of the operation that made it (> 0), -1 - the leaf's index, or None.
    passed: order -> (row of the gradient that arrived, rows of what was sent), of the backward pass.
    leaves: the parameters that are known from the graph before, as `known_parameters` returns them.

    leaf_indices: id of a leaf's tensor -> (weak reference, index, whether it required a gradient). The reference tells
        whether it is still that one.
    """

    def __init__(self, leaves=None):
        self.table = Table()
        self.records, self.passed = {}, {}
        self.leaf_records, self.leaf_indices = leaves or ([], {})
        self.leaf_gradients = [-1] * len(self.leaf_records)
        self.hooked = set()  # orders of the operations at whose output a hook may have changed the gradient
        self.rates = {}  # index of a leaf -> learning rate
        self.roots = []  # orders of the operations from which backward started
        self.seeds = {}  # order of a root -> row of the gradient it was given
        self.saved_bytes, self.multiply_adds, self.details = {}, {}, {}  # by order, the last as `Look`s
        self._made = {}  # id(tensor without gradient) -> (weak reference, order)
        self._settled = None

    def leaf_index(self, tensor):
        """Index of this leaf, None if it has not been seen since it was last frozen or thawed."""
        known = self.leaf_indices.get(id(tensor))
        if known is not None and known[0]() is tensor and known[2] == tensor._requires_grad:
            return known[1]
        return None

    def add_leaf(self, record, tensor):
        index = len(self.leaf_records)
        self.leaf_indices[id(tensor)] = record.reference, index, record.requires_grad
        self.leaf_records.append(record)
        self.leaf_gradients.append(-1)
        return index

    def known_parameters(self):
        """The parameters among the leaves, (records, indices), the same in every step of a run."""
        living = [record for record in self.leaf_records if record.is_parameter and record.reference() is not None]
        records = list({id(one.reference()): one for one in living}.values())  # the last of one frozen or thawed since
        places = {id(one.reference()): (one.reference, i, one.requires_grad) for i, one in enumerate(records)}
        return records, places

    def measure_parameters(self):
        """Measure the parameters while their model is sure to be alive."""
        for index, record in enumerate(self.leaf_records):
            tensor = record.reference()
            if record.row < 0 and record.is_parameter and tensor is not None:
                self.leaf_records[index] = record._replace(row=self.table.add(tensor._data))
        self.table.settle()  # the next step of an optimizer changes them

    def set_rates(self, groups, rates):
        """Give the leaves in an optimizer's parameter groups the learning rates of these groups."""
        rate_of = {id(p): rate for group, rate in zip(groups, rates, strict=False) for p in group["params"]}
        for index, record in enumerate(self.leaf_records):
            tensor = record.reference()
            if id(tensor) in rate_of:
                self.rates[index] = rate_of[id(tensor)]

    def made_by(self, tensor):
        """Order of the operation that made a tensor which is not on the tape, None if none was seen."""
        entry = self._made.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def remember_output(self, tensor, order):
        self._made[id(tensor)] = (weakref.ref(tensor), order)

    def forget_gradients(self):
        """Another backward pass goes through these operations: what is shown is one pass, the last."""
        self.passed, self.hooked, self.roots, self.seeds = {}, set(), [], {}
        self.leaf_gradients = [-1] * len(self.leaf_records)

    def ancestors(self, orders):
        """The operations behind `orders`, these included."""
        seen = {order for order in orders if order in self.records}
        stack = list(seen)
        while stack:
            for source in self.records[stack.pop()][5]:
                if source is not None and source > 0 and source not in seen and source in self.records:
                    seen.add(source)
                    stack.append(source)
        return seen

    def sweep(self):
        """Forget what nobody can reach any more: the operations that lead to no living tensor."""
        kept = self.ancestors([order for order, record in self.records.items() if record[8]() is not None])
        self.records = {order: record for order, record in self.records.items() if order in kept}
        self._made = {key: entry for key, entry in self._made.items() if entry[0]() is not None}

    def snapshot(self):
        """A copy to which nothing is added when the graph goes on."""
        other = copy.copy(self)
        other.records, other.leaf_records = self.records.copy(), self.leaf_records.copy()
        other.saved_bytes, other.multiply_adds = self.saved_bytes.copy(), self.multiply_adds.copy()
        other.details = self.details.copy()
        return other

    def without_tensors(self):
        """A copy that refers to nothing alive, to be kept in a file."""
        self.table.settle()
        settled = self._as_objects()  # parameters are measured while they live
        other = copy.copy(self)
        other.records = {order: (*record[:8], None) for order, record in self.records.items()}
        other.leaf_records = [record._replace(reference=None) for record in self.leaf_records]
        other.leaf_indices, other._made = {}, {}
        other._settled = (None, *settled)
        return other

    # ------------------------------------------------------------------------------------ as objects

    @property
    def operations(self):
        """{order: `Operation`}, made when first asked for after a change."""
        return self._as_objects()[0]

    @property
    def leaves(self):
        """List of `Leaf`."""
        return self._as_objects()[1]

    def _as_objects(self):
        if self._settled is None or self._settled[0] not in (None, self._stamp()):
            operations = {order: self._operation(record) for order, record in self.records.items()}
            uses = Counter(source for record in self.records.values() for source in record[5] if source is not None)
            leaves = [self._leaf(index, record, uses[-1 - index]) for index, record in enumerate(self.leaf_records)]
            self._settled = self._stamp(), operations, leaves
        return self._settled[1:]

    def _stamp(self):
        return len(self.records), self.table.used, len(self.roots), len(self.saved_bytes), len(self.rates)

    def _operation(self, record):
        order, name, scope, shape, dtype, sources, on_tape, row, _ = record
        ends = tuple([None if s is None else Source(s, None) if s > 0 else Source(None, -1 - s) for s in sources])
        operation = Operation(order, name, scope, shape, dtype, ends, on_tape)
        operation.activation = self.table[row]
        if order in self.passed:
            arrived, sent = self.passed[order]
            operation.gradient = self.table[arrived]
            operation.sent = tuple([self.table[number] for number in sent])
            operation.contributions = tuple([None if s is None else s.rms for s in operation.sent])
        operation.saved_bytes, operation.multiply_adds = self.saved_bytes.get(order), self.multiply_adds.get(order)
        if order in self.details:
            operation.details = self.details[order].details()
        return operation

    def _leaf(self, index, record, uses):
        activation = self.table[record.row]
        if activation is None and record.is_parameter:  # measured now, as long as it lives
            tensor = record.reference()
            if tensor is not None:
                activation = self.table[self.table.add(tensor._data)]
        gradient, rate = self.table[self.leaf_gradients[index]], self.rates.get(index)
        return Leaf(record, activation, gradient, uses, rate)


def bytes_saved(node, inputs, kept):
    """Bytes of the arrays that an operation keeps for backward, and none before it; parameters live anyway. None if it
    has let go of them.

    kept: {id of what owns an array's memory: weak reference to the node that keeps it}, to which its own are added.
    """
    total, saved = 0, getattr(node, "saved", ())
    if saved is FREED:  # by a backward pass in another thread
        return None
    for array in saved:
        if not isinstance(array, np.ndarray):
            continue
        owner = array if array.base is None else array.base
        if not _is_learned(array, inputs) and not _keeps(kept.get(id(owner)), owner):
            kept[id(owner)] = weakref.ref(node)
            total += array.nbytes
    return total


def _is_learned(array, inputs):
    for tensor in inputs:
        if tensor is not None and tensor._data is array:
            return tensor.node is None and tensor._requires_grad
    return False


def _keeps(reference, owner):
    """Whether a node still lives and keeps an array of this owner: another may have got its id since."""
    node = None if reference is None else reference()
    if node is None or node.saved is FREED:
        return False
    return any([one is owner or one.base is owner for one in node.saved if isinstance(one, np.ndarray)])
