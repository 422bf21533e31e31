"""Steps that are alike: what a small graph does is gathered, and looked at as a whole when backward is through.

The steps of a training run mostly do the same operations with other numbers. Then the records of an earlier step,
the `Pattern`, serve for the later one, the `Repeat`, too: only orders, rows of the table and the data are others. To
find that out takes a few comparisons of whole lists, which Python does much faster than a loop over operations.
"""

import weakref
from itertools import chain
from operator import attrgetter, is_, itemgetter
from typing import NamedTuple

import numpy as np

from .steps import Step
from .trace import Trace

_SCOPE, _FORM = attrgetter("scope"), attrgetter("shape", "dtype")
_EDGES, _HOOKS, _ORDER = attrgetter("edges"), attrgetter("hooks"), attrgetter("order")
_NODE, _DATA = itemgetter(0), itemgetter(3)


class Pattern:
    """A step whose records serve for those that are like it. `of` makes one, or says None.

    trace: the records of the step. structure: a `steps.Structure`.
    """

    @classmethod
    def of(cls, gathered, trace, structure):
        """The pattern of a step that was gathered and then recorded in `trace`; None if it holds more than the step."""
        nodes = [node for node, *_ in gathered.ran]
        edges = list(chain.from_iterable(map(_EDGES, nodes)))
        leaves = [edge for edge in dict.fromkeys(edges) if edge is not None and not edge.order]
        place_of = {end: place for place, end in enumerate([None, *nodes, *leaves])}
        self = cls()
        self.trace, self.structure, self.constants = trace, structure, gathered.constants
        self.kinds = _kinds(gathered, nodes)
        reached, roots = list(map(_NODE, gathered.went)), [output.node for output in gathered.began[0]]
        places = [list(map(place_of.get, ends)) for ends in (edges, reached, roots)]
        older = list(trace.records) != list(map(_ORDER, nodes)) or None in [*chain.from_iterable(places), *roots]
        if older or gathered.totals is None or any(map(_HOOKS, reached)):
            return None
        self.ends, self.visits, self.starts = [_picker(places) for places in places]
        self.visited, self.roots = ([place - 1 for place in places] for places in places[1:])
        self.indices = [trace.leaf_index(leaf) for leaf in leaves]
        self.others = [trace.leaf_index(tensor) for tensor, _, _ in gathered.leaf_of.values()]
        self.totals = [trace.leaf_index(leaf) for leaf in gathered.totals]
        if None in self.indices or None in self.others or not set(self.totals) <= set(self.indices):
            return None
        records = trace.leaf_records
        self.references = [records[index].reference for index in self.indices]
        self.sums = _picker([self.indices.index(index) for index in self.totals])
        # Variables of the caller's have numbers of their own in every step.
        self.variables = {i for i in self.indices if not records[i].is_parameter}
        self._lay_out(gathered)
        return self

    def _lay_out(self, gathered):
        """Which number in the list of all arrays that a step shows is what: see `Repeat`.

        What arrives where one contribution goes is this contribution.
        """
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

    def fits(self, gathered):
        """Whether what was gathered did the same."""
        went, totals, roots = gathered.went, gathered.totals, gathered.began[0]
        sizes = len(went), len(roots), totals and len(totals), len(gathered.leaf_of)
        if sizes != (len(self.visited), len(self.roots), len(self.totals), len(self.others)):  # a look shows variables
            return False
        nodes, reached = list(map(_NODE, gathered.ran)), list(map(_NODE, went))
        if gathered.constants != self.constants or _kinds(gathered, nodes) != self.kinds:
            return False
        leaves = [reference() for reference in self.references]
        ends = [None, *nodes, *leaves]
        return (
            all(map(is_, chain.from_iterable(map(_EDGES, nodes)), self.ends(ends)))
            and all(map(is_, reached, self.visits(ends)))
            and all(map(is_, [output.node for output in roots], self.starts(ends)))
            and all(map(is_, totals, self.sums(leaves)))
            and not any(map(_HOOKS, reached))
        )

    def repeat(self, gathered, names):
        """The `Repeat` that was gathered, which fits; None if what it reads is of another kind."""
        gathered.show_sent()
        new = {}  # index of a leaf -> what is known of it in this step
        table, records = gathered.table, self.trace.leaf_records
        for index, (tensor, row, _) in zip(self.others, gathered.leaf_of.values(), strict=True):
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
            known, data = gathered.leaf_of.get(id(tensor)), tensor._data
            row = table.add(data) if known is None else known[1]
            new[index] = record.reference, record.name, data.shape, data.dtype, row
        return Repeat(self, gathered, new)


class Repeat:
    """A step that was like a pattern: its numbers. `trace` makes the `Trace` of it when somebody asks for it."""

    def __init__(self, pattern, gathered, leaves):
        self.pattern, self.leaves, self.table = pattern, leaves, gathered.table
        self.rows, self.first = gathered.rows, gathered.first  # of the outputs; of the first contribution
        self.orders = list(map(_ORDER, map(_NODE, gathered.ran)))
        self.made = [(weakref.ref(gathered.ran[place][2]), place) for place in gathered.made.values()]
        totals = list(gathered.totals.values())
        self.then = self.table.add_all([  # the rows that follow, after those of leaves
            *gathered.began[1], *[gathered.went[k][1] for k in pattern.met], *[totals[k] for k in pattern.several]
        ])  # fmt: skip
        self.table.settle()

    def row(self, number):
        """The row of a number that `Pattern` gives what backward showed."""
        return _row(number, self.first, self.then, self.pattern.count_sent)

    def step(self, loss):
        """Its `LaterStep`."""
        rms = self.table.rows[: self.table.used, 0].copy()
        return LaterStep(loss, self.pattern, rms, self.rows, self.first, self.then)

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


def _kinds(gathered, nodes):
    """What ran, where, and what came out."""
    return list(map(type, nodes)), list(map(_SCOPE, nodes)), list(map(_FORM, map(_DATA, gathered.ran)))


def _picker(places):
    """A function that picks these places of a list."""
    return itemgetter(*places) if len(places) > 1 else lambda items: [items[place] for place in places]


class LaterStep(NamedTuple):
    """All that is needed to make a `Step`, which takes its time."""

    loss: float | None
    pattern: Pattern
    rms: np.ndarray  # of all arrays
    rows: list  # of the outputs
    first: int
    then: int

    def now(self):
        pattern = self.pattern
        gradients = [_row(number, self.first, self.then, pattern.count_sent) for number in reversed(pattern.arrived)]
        activations = [self.rows[place] for place in reversed(pattern.visited)]
        return Step(self.loss, pattern.structure, *self.rms[[gradients, activations]])


def _row(number, first, then, count_sent):
    """The row of a number as `Pattern` counts: the contributions lie from row `first` on, what follows from `then`."""
    return number + (first if number < count_sent else then - count_sent)


def _gone():
    """In place of a weak reference: backward is through, and nobody needs to know whether the node still lives."""
