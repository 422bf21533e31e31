"""Steps that are alike: what a small graph does is gathered, and looked at as a whole when backward is through.

The steps of a training run mostly do the same operations with other numbers. Then the records of an earlier step,
the `Pattern`, serve for the later one, the `Repeat`, too: only orders, rows of the table and the data are others. To
find that out takes a few comparisons of whole lists, which Python does much faster than a loop over operations.
"""

import weakref
from itertools import chain
from operator import attrgetter, itemgetter
from typing import NamedTuple

import numpy as np

from .stats import Table
from .steps import Step, Structure
from .trace import Trace

_ROOM = 4 << 20  # bytes that what is gathered may keep alive
_NEAR = 1 << 21  # bytes of arrays that are measured together
_OBJECTS = 200  # bytes, at least, of an operation's own objects
_KIND, _FORM = attrgetter("name", "scope", "needs"), attrgetter("shape", "dtype")
_EDGES, _ORDER, _HOOKS = attrgetter("edges"), attrgetter("order"), attrgetter("hooks")
_NODE, _GRADIENT, _CONTRIBUTIONS = map(itemgetter, range(3))


class Gathered:
    """What a small graph did, as the tape told it: nothing has been looked at but what may change.

    ran: (node, inputs, output, array of the output) of each operation; went: (node, gradient, contributions) of each
    that backward has reached; began: what it began with; totals: {leaf: its gradient}, when backward is through.
    """

    __slots__ = ("began", "constants", "leaves", "made", "ran", "rows", "table", "totals", "went", "_chunk",
                 "_done", "_next", "_room", "edges", "first", "known")  # fmt: skip

    def __init__(self):
        self.ran, self.went, self.began, self.totals = [], [], None, None
        self.table = Table()
        self.rows = []  # of the outputs that have been measured already
        self.leaves = {}  # id of a tensor that no operation made -> (the tensor, its row or -1, -1 - its number)
        self.made = {}  # id of an output that is not on the tape -> index of its operation
        self.known = None  # the signature, once it has been asked for
        self.constants = []  # of each operand without gradient: None, the index of its operation, or -1 - its leaf's
        self._room, self._next = _ROOM, _ROOM - _NEAR
        self.first = 0  # row of the first contribution
        self._done = 0  # how many operations' contributions have been measured
        self._chunk = 0  # after how many to do so again

    def add(self, node, inputs, output):
        """Take in an operation; False if it does not fit."""
        data = output._data
        self._room -= data.nbytes + _OBJECTS
        if self._room < 0 or self.began is not None:
            return False
        if False in node.needs:
            for edge, tensor in zip(node.edges, inputs):
                if edge is None:
                    place = None if tensor is None else self.made.get(id(tensor))
                    self.constants.append(self._see(tensor) if place is None and tensor is not None else place)
        if output.node is not node:
            self.made[id(output)] = len(self.ran)
        # The memory of a view may be the caller's, who may write there at any time.
        self.ran.append((node, inputs, output, data.copy() if output._viewed else data))
        if self._room < self._next:
            self._measure_outputs()
        return True

    def begin(self, outputs, gradients):
        """Backward begins. What has been shown until now is measured."""
        self.began = outputs, gradients
        self._measure_outputs()
        self.first = self.table.used
        shown = _ROOM - self._room
        self._chunk = max(1, len(self.ran) * _NEAR // (2 * shown)) if shown else 1

    def send(self, node, gradient, contributions):
        """Backward has reached a node."""
        went = self.went
        went.append((node, gradient, contributions))
        if len(went) - self._done >= self._chunk:
            self.measure_sent()

    def _measure_outputs(self):
        datas = [data for *_, data in self.ran[len(self.rows) :]]
        first = self.table.add_all(datas)
        self.rows += range(first, first + len(datas))
        self.table.settle()
        self._next = self._room - _NEAR

    def measure_sent(self):
        """Measure the contributions that have not been."""
        for _, _, contributions in self.went[self._done :]:
            self.table.add_all(contributions)
        self._done = len(self.went)
        self.table.settle()

    def _see(self, tensor):
        """-1 - the number of a leaf, measured when it is first read."""
        known = self.leaves.get(id(tensor))
        if known is None:
            measured = tensor.node is None and type(tensor).__name__ != "Parameter"
            row = self.table.add_now(tensor._data) if measured else -1
            known = self.leaves[id(tensor)] = tensor, row, -1 - len(self.leaves)
            self._room -= tensor._data.nbytes
        return known[2]

    def settle(self):
        """Measure what has been shown: somebody has got hold of an array, and may write there."""
        for node, *_ in self.ran:
            for edge in node.edges:
                if edge is not None and not edge.order:
                    self._see(edge)
        self._measure_outputs()

    def seen(self):
        """{id of a leaf: its row of numbers}, of the leaves that have been measured; and those of the first outputs."""
        self.table.settle()
        rows = self.table.rows
        return {key: rows[row] for key, (_, row, _) in self.leaves.items() if row >= 0}, rows[self.rows]

    def signature(self):
        """What is the same in steps that are alike, as lists; None if this cannot be like another one."""
        if not self.went or self.totals is None:
            return None
        nodes, _, _, datas = zip(*self.ran) if self.ran else ((),) * 4
        place_of = dict(zip(nodes, range(len(nodes)))).get
        reached = list(map(_NODE, self.went))
        visited, roots = list(map(place_of, reached)), [place_of(output.node) for output in self.began[0]]
        if None in visited or None in roots or list(map(_HOOKS, reached)).count(None) < len(reached):
            return None
        self.edges = list(chain.from_iterable(map(_EDGES, nodes)))
        kinds, forms = list(map(_KIND, nodes)), list(map(_FORM, datas))
        self.known = kinds, forms, list(map(place_of, self.edges)), visited, roots, self.constants
        return self.known


class Pattern:
    """A step whose records serve for those that are like it. `of` makes one, or says None.

    signature: as `Gathered.signature` gives it. trace: the records of the step. structure: a `steps.Structure`.
    """

    def __init__(self, signature, trace, structure):
        self.signature, self.trace, self.structure = signature, trace, structure
        _, _, _, self.visited, self.roots, _ = signature

    @classmethod
    def of(cls, gathered, trace, structure):
        """The pattern of a step that was gathered and then recorded in `trace`; None if it holds more than the step."""
        if gathered.known is None or list(trace.records) != [node.order for node, *_ in gathered.ran]:
            return None
        pattern = cls(gathered.known, trace, structure)
        sources = list(chain.from_iterable(record[5] for record in trace.records.values()))
        places = gathered.known[2]
        pattern.slots, pattern.indices = [], []  # where an operand is a leaf on the tape, and which
        for slot, (edge, place) in enumerate(zip(gathered.edges, places, strict=True)):
            if edge is not None and place is None:
                if edge.order:
                    return None  # an operation of an older graph
                pattern.slots.append(slot)
                pattern.indices.append(-1 - sources[slot])
        pattern.others = [trace.leaf_index(tensor) for tensor, _, _ in gathered.leaves.values()]
        pattern.totals = [trace.leaf_index(leaf) for leaf in gathered.totals]
        if None in pattern.others or None in pattern.totals:
            return None
        records = trace.leaf_records
        pattern.references = [records[index].reference for index in pattern.indices]
        if not set(pattern.totals) <= set(pattern.indices):
            return None
        pattern.order_of_totals = [pattern.indices.index(index) for index in pattern.totals]
        pattern._lay_out(gathered)
        # Variables of the caller's have numbers of their own in every step.
        pattern.variables = {i for i in pattern.indices if not records[i].is_parameter}
        return pattern

    def _lay_out(self, gathered):
        """Which number in the list of all arrays that a step shows is what: see `Repeat`.

        What arrives where one contribution goes is this contribution.
        """
        self.forward = self.visited[::-1]
        self.sent, self.met, self.several, came = [], [], [], {}
        number = 0
        for node, _, contributions in gathered.went:
            self.sent.append(list(range(number, number + len(contributions))))
            for edge, contribution in zip(node.edges, contributions):
                if contribution is not None:
                    came.setdefault(edge, []).append(number)
                number += 1
        self.count_sent = number
        self.seeds = list(range(number, number + len(self.roots)))
        number += len(self.roots)
        for output, seed in zip(gathered.began[0], self.seeds):
            came.setdefault(output.node, []).append(seed)
        self.arrived, self.rows_of_totals = [], []
        for k, (node, *_) in enumerate(gathered.went):
            if len(came[node]) > 1:
                self.met.append(k)
            self.arrived.append(came[node][0] if len(came[node]) == 1 else number + len(self.met) - 1)
        number += len(self.met)
        for k, leaf in enumerate(gathered.totals):
            if len(came[leaf]) > 1:
                self.several.append(k)
            self.rows_of_totals.append(came[leaf][0] if len(came[leaf]) == 1 else number + len(self.several) - 1)

    def repeat(self, gathered, names):
        """The `Repeat` that was gathered, whose signature is the same; None if its leaves are others."""
        edges = gathered.edges
        leaves = [id(edges[slot]) for slot in self.slots]
        if leaves != [id(reference()) for reference in self.references]:
            return None
        if len(gathered.leaves) != len(self.others):  # a look has shown variables
            return None
        if list(map(id, gathered.totals)) != [leaves[k] for k in self.order_of_totals]:
            return None
        gathered.measure_sent()
        new = {}  # index of a leaf -> what is known of it in this step
        table, records = gathered.table, self.trace.leaf_records
        for index, (tensor, row, _) in zip(self.others, gathered.leaves.values(), strict=True):
            record = records[index]
            if record.is_parameter:
                if record.reference() is not tensor:
                    return None
            elif row < 0 or record.requires_grad != tensor._requires_grad:
                return None
            elif index not in self.variables:
                data = tensor._data
                new[index] = weakref.ref(tensor), names.get(id(tensor)), data.shape, data.dtype, row
        for index in self.variables:
            record, tensor = records[index], records[index].reference()
            known, data = gathered.leaves.get(id(tensor)), tensor._data
            row = table.add(data) if known is None else known[1]
            new[index] = record.reference, record.name, data.shape, data.dtype, row
        return Repeat(self, gathered, new)


class Repeat:
    """A step that was like a pattern: its numbers. `trace` makes the `Trace` of it when somebody asks for it."""

    def __init__(self, pattern, gathered, leaves):
        self.pattern, self.leaves, self.table = pattern, leaves, gathered.table
        self.rows, self.first = gathered.rows, gathered.first  # of the outputs; of the first contribution
        self.orders = [node.order for node, *_ in gathered.ran]
        self.made = [(weakref.ref(gathered.ran[place][2]), place) for place in gathered.made.values()]
        totals = list(gathered.totals.values())
        self.then = self.table.add_all([  # the rows that follow, after those of leaves
            *gathered.began[1], *[gathered.went[k][1] for k in pattern.met], *[totals[k] for k in pattern.several]
        ])  # fmt: skip
        self.table.settle()

    def row(self, number):
        """The row of a number that `Pattern` gives what backward showed."""
        return number + (self.first if number < self.pattern.count_sent else self.then - self.pattern.count_sent)

    def step(self, loss):
        """Its `LaterStep`."""
        pattern, rms = self.pattern, self.table.rows[: self.table.used, 0].copy()
        return LaterStep(
            loss, pattern.structure, rms, pattern.arrived, pattern.forward,
            self.rows, self.first, self.then, pattern.count_sent,
        )  # fmt: skip

    def trace(self):
        """Its `Trace`, as if it had been recorded operation by operation."""
        pattern, like, orders = self.pattern, self.pattern.trace, self.orders
        records = list(like.leaf_records)
        for index, (reference, name, shape, dtype, row) in self.leaves.items():
            records[index] = records[index]._replace(
                reference=reference, name=name, shape=shape, dtype=dtype, row=row
            )
        trace = Trace((records, {id(r.reference()): (r.reference, i, r.requires_grad) for i, r in enumerate(records)}))
        trace.table = self.table
        order_of = dict(zip(like.records, orders, strict=True))
        for order, row, record in zip(orders, self.rows, like.records.values(), strict=True):
            _, name, scope, shape, dtype, sources, on_tape, _, _ = record
            sources = [source if source is None or source < 0 else order_of[source] for source in sources]
            trace.records[order] = order, name, scope, shape, dtype, sources, on_tape, row, _gone
        for place, arrived, sent in zip(pattern.visited, pattern.arrived, pattern.sent, strict=True):
            trace.passed[orders[place]] = self.row(arrived), list(map(self.row, sent))
        for index, row in zip(pattern.totals, pattern.rows_of_totals, strict=True):
            trace.leaf_gradients[index] = self.row(row)
        trace.roots = [orders[place] for place in pattern.roots]
        trace.seeds = dict(zip(trace.roots, map(self.row, pattern.seeds), strict=True))
        for reference, place in self.made:
            if reference() is not None:
                trace.remember_output(reference(), orders[place])
        return trace


class LaterStep(NamedTuple):
    """All that is needed to make a `Step`, which takes its time."""

    loss: float | None
    structure: Structure
    rms: np.ndarray  # of all arrays
    arrived: list  # the number of the gradient of each operation that backward reached, as `Pattern` counts,
    forward: list  # and the operations themselves, in forward order
    rows: list  # of the outputs
    first: int
    then: int
    count_sent: int

    def now(self):
        gradients = [n + (self.first if n < self.count_sent else self.then - self.count_sent) for n in self.arrived]
        activations = [self.rows[place] for place in self.forward]
        return Step(self.loss, self.structure, *self.rms[[gradients[::-1], activations]])


def _gone():
    """In place of a weak reference: backward is through, and nobody needs to know whether the node still lives."""
