"""Steps that are alike: what a small graph does is gathered, and looked at as a whole when backward is through.

The steps of a training run mostly do the same operations with other numbers. Then the records of an earlier step,
the `Pattern`, serve for the later one, the `Repeat`, too: only orders, numbers and the data are others. To find that
out, and to measure all arrays, takes one call of a kernel (`tinygrad_course.kernels.alike`).
"""

import functools
import weakref
from collections import Counter
from itertools import chain
from operator import attrgetter, itemgetter

import numpy as np

from tinygrad_course.base import array_of
from tinygrad_course.function import Function

from .details import Look
from .gathered import with_masks
from .stats import COLUMNS, NO_NUMBERS, Table, kernels, measure_all
from .steps import History
from .trace import Trace

_NODE, _ORDER = itemgetter(0), attrgetter("order")
_PRESENT, _ABSENT, _LATER, _MASKED, _APART = range(5)  # as in `kernels.alike`


class Pattern:
    """A step whose records serve for those that are like it. `of` makes one, or says None.

    trace: the records of the step. history: what is kept of the steps that are like it. read: the numbers of leaves,
    and the indices of outputs, whose memory backward reads: whoever writes there before that gets wrong gradients.

    The rows of numbers of such a step are, in this order, of: the outputs; the contributions; gradients that are a
    sum (`met`); those that backward was given (`seeds`); sums at leaves (`several`); leaves without gradient (`looked`)
    and with (`variables`), of which the parameters are the same tensors in each step, and are not measured.
    What arrives where one contribution goes is this contribution. If that is a leaf, nobody needs its numbers but of
    the last step: `later` has, by their place among the sums, the rows that are filled then.
    """

    @classmethod
    def of(cls, gathered, trace, structure):
        """The pattern of a step that was gathered and then recorded in `trace`; None if it holds more than the step."""
        ran, went, roots = gathered.ran, gathered.went, [output.node for output in gathered.began[0]]
        nodes = [node for node, *_ in ran]
        edges = dict.fromkeys(edge for node in nodes for edge in node.edges if edge is not None)
        place_of = {node: place for place, node in enumerate(nodes)}
        if list(trace.records) != list(map(_ORDER, nodes)) or gathered.totals is None:
            return None
        if not {*roots, *map(_NODE, went), *(edge for edge in edges if edge.order)} <= set(nodes):
            return None
        self = cls()
        # Where what runs later goes on from this graph, it is recorded in the same trace.
        self.trace, self.constants = trace.snapshot(), gathered.constants
        reached = set(map(_NODE, went))
        self.read = [{place for place, saver in some.items() if saver in reached} for some in gathered.savers]
        self.visited, self.roots = [[place_of[node] for node in some] for some in (map(_NODE, went), roots)]
        leaves = [edge for edge in edges if not edge.order]
        indices, self.totals = [list(map(trace.leaf_index, some)) for some in (leaves, gathered.totals)]
        self.looked = [trace.leaf_index(tensor) for tensor, *_ in gathered.leaf_of.values()]
        if None in [*indices, *self.looked, *self.totals]:
            return None
        records = trace.leaf_records
        self.variables = [i for i in indices if not records[i].is_parameter]  # the caller's: new numbers in each step
        self._lay_out(gathered)
        # Of a `Step`, in forward order: rows of the gradients and of the outputs.
        self.history = History(structure, [self.arrived[::-1], self.visited[::-1]])
        self.plan = _plan_of(gathered, self.met)
        self.later = {k: row for k, row in enumerate(self.rows_of_totals) if k not in self.several}
        sums = list(gathered.totals.values())
        self.bytes_later = sum([array_of(sums[k][0]).nbytes for k in self.later])
        # What the plan knows by its address is to live as long as the pattern; but leaves are not kept alive.
        self._kept = [(type(node), node.scope) for node in nodes]
        self._alive = alive = [True]
        self._leaves = [weakref.ref(leaf, lambda _: alive.clear()) for leaf in leaves]
        return None if self.plan is None else self

    def _lay_out(self, gathered):
        """Which row is of what."""
        reached, totals = list(map(_NODE, gathered.went)), list(gathered.totals)
        self.sent, row_of, arrivals = [], {}, Counter(output.node for output in gathered.began[0])
        row = len(gathered.ran)
        for node, _, contributions in gathered.went:
            self.sent.append(range(row, row + len(contributions)))
            for edge, contribution in zip(node.edges, contributions):
                if contribution is not None:
                    row_of[edge] = row
                    arrivals[edge] += 1
                row += 1
        self.met = [k for k, node in enumerate(reached) if arrivals[node] > 1]
        self.several = [k for k, leaf in enumerate(totals) if arrivals[leaf] > 1]
        sums = [reached[k] for k in self.met]
        self.seeds = range(row + len(sums), row + len(sums) + len(self.roots))
        row_of |= {output.node: seed for output, seed in zip(gathered.began[0], self.seeds)}
        row_of |= {node: row + k for k, node in enumerate(sums)}
        row_of |= {totals[k]: row for row, k in enumerate(self.several, self.seeds.stop)}
        self.arrived, self.rows_of_totals = [[row_of[end] for end in ends] for ends in (reached, totals)]
        self.first_shape = gathered.ran[0][3].shape
        self.size, self.first_leaf = len(gathered.ran), self.seeds.stop + len(self.several)
        self.count = self.first_leaf + len(self.looked) + len(self.variables)
        # Two tables of rows, one for the last step, one for the next.
        self._tables = [np.empty((self.count, COLUMNS)) for _ in range(2)]
        self._counts = len(self.looked), len(self.roots), len(self.totals)
        # Of each leaf that is looked at: index, row, reference if it is a parameter, and whether it wants a gradient.
        records = [(index, self.trace.leaf_records[index]) for index in self.looked]
        self._known = [
            (index, row, record.reference if record.is_parameter else None, record.requires_grad)
            for row, (index, record) in enumerate(records, self.first_leaf)
        ]
        self._kernels = kernels()
        self._room = None if self._kernels is None else self._kernels.room(self.count)

    def may_fit(self, gathered):
        """Whether a first look finds nothing else: as many operations, and an output of the same shape."""
        return len(gathered.ran) == self.size and gathered.ran[0][3].shape == self.first_shape

    def repeat(self, gathered, names):
        """The `Repeat` that was gathered; None if it is not like this pattern."""
        ran, totals, looked, (roots, seeds) = gathered.ran, gathered.totals, gathered.leaf_of.values(), gathered.began
        if not self._alive or totals is None or len(ran) != self.size or gathered.constants != self.constants:
            return None
        if (len(looked), len(roots), len(totals)) != self._counts:
            return None
        for root, place in zip(roots, self.roots):
            if root.node is not ran[place][0]:
                return None
        leaves = {}  # index of a leaf that is another one in this step, or has other numbers -> what is known of it
        others, known, sums = [*seeds], [], list(totals.values())
        if self.several:
            others += [array_of(sums[k][0]) for k in self.several]
        for (index, row, parameter, wants), (tensor, array, measured, _) in zip(self._known, looked):
            if parameter is not None:
                if parameter() is not tensor:
                    return None
            elif (array is None and measured is None) or tensor._requires_grad != wants:
                return None
            else:
                data = tensor._data
                leaves[index] = weakref.ref(tensor), names.get(id(tensor)), data.shape, data.dtype, row
            others.append(array)
            if measured is not None and measured is not NO_NUMBERS:  # which None gets, too
                known.append((row, measured))
        row, records = self.first_leaf + len(looked), self.trace.leaf_records
        for index in self.variables:
            reference, data = records[index].reference, records[index].reference()._data
            if index not in leaves:
                leaves[index] = reference, records[index].name, data.shape, data.dtype, row
            others.append(data)
            row += 1
        rows = self._measure(gathered, others)
        if rows is None:
            return None
        for row, measured in known:
            rows[row] = measured
        self._tables.reverse()
        return Repeat(self, gathered, leaves, rows, sums)

    def _measure(self, gathered, others):
        """The rows of what was gathered; None if it is not alike."""
        rows, measured = self._tables[1], False
        if self._kernels is None:
            plan = _plan_of(gathered, self.met)
            if plan is None or not np.array_equal(plan, self.plan):
                return None
        else:
            lists = gathered.ran, gathered.went, others
            alike, measured = self._kernels.measure_if_alike(*lists, self.plan, *self._room, rows)
            if not alike:
                return None
        if not measured:
            went, masked = gathered.went, gathered.masked()
            sent = chain.from_iterable([with_masks(record, masked)[2] for record in went])
            outputs, sums = [record[3] for record in gathered.ran], [went[k][1] for k in self.met]
            arrays = [*outputs, *sent, *sums, *others]
            for row in self.later.values():
                arrays[row] = None
            rows[:] = measure_all(arrays)
        for place, row in gathered.rows.items():  # of what may have changed since
            rows[place] = row
        return rows


class Repeat:
    """A step that was like a pattern: its numbers. `trace` makes the `Trace` of it when somebody asks for it, after a
    call of `look_closer`."""

    __slots__ = ("leaves", "looks", "made", "orders", "pattern", "rows", "_totals")

    def __init__(self, pattern, gathered, leaves, rows, totals):
        ran = gathered.ran
        self.pattern, self.leaves, self.rows, self.looks = pattern, leaves, rows, ()
        self._totals = totals  # gradients of leaves, not measured yet
        first, last = ran[0][0].order, ran[-1][0].order
        one_by_one = last - first == len(ran) - 1  # they grow
        self.orders = range(first, last + 1) if one_by_one else [record[0].order for record in ran]
        made = gathered.made
        self.made = [(weakref.ref(ran[place][2]), place) for place in made.values()] if made else ()

    def look_closer(self, gathered):
        """Look, once, at the leaves, and at the details of what was gathered, if it is not None: at what nobody needs
        but of the last step, and at arrays which are still what they were."""
        totals, self._totals = self._totals, ()
        later = self.pattern.later
        for row, numbers in zip(later.values(), measure_all([array_of(totals[k][0]) for k in later])):
            self.rows[row] = numbers
        if gathered is not None:
            self._look_at_details(gathered)

    def _look_at_details(self, gathered):
        before = self.pattern.trace.details.values()
        later = gathered.ran[len(gathered.looks) :]
        self.looks = [*gathered.looks, *[Look().at_output(node, data) for node, _, _, data in later]]
        for look, like in zip(self.looks, before):
            look.line = like.line
        for place, (_, gradient, _) in zip(self.pattern.visited, gathered.went):
            self.looks[place].at_gradient(gradient)

    def step(self, loss):
        """What `History.step` makes its `Step` of, when somebody asks for it."""
        return self.pattern.history, loss, self.rows[:, 0].copy()

    def trace(self):
        """Its `Trace`, as if it had been recorded operation by operation."""
        pattern, like, orders = self.pattern, self.pattern.trace, self.orders
        records = list(like.leaf_records)
        for index, (reference, name, shape, dtype, row) in self.leaves.items():
            records[index] = records[index]._replace(
                reference=reference, name=name, shape=shape, dtype=dtype, row=row
            )
        trace = Trace((records, {id(r.reference()): (r.reference, i, r.requires_grad) for i, r in enumerate(records)}))
        trace.table = Table.of(self.rows.copy())
        order_of = dict(zip(like.records, orders, strict=True))
        for row, (order, record) in enumerate(zip(orders, like.records.values(), strict=True)):
            _, name, scope, shape, dtype, sources, on_tape, _, _ = record
            sources = [source if source is None or source < 0 else order_of[source] for source in sources]
            trace.records[order] = order, name, scope, shape, dtype, sources, on_tape, row, _gone
        for place, arrived, sent in zip(pattern.visited, pattern.arrived, pattern.sent, strict=True):
            trace.passed[orders[place]] = arrived, list(sent)
        for index, row in zip(pattern.totals, pattern.rows_of_totals, strict=True):
            trace.leaf_gradients[index] = row
        trace.roots = [orders[place] for place in pattern.roots]
        trace.seeds = dict(zip(trace.roots, pattern.seeds, strict=True))
        trace.details = dict(zip(orders, self.looks))
        trace.saved_bytes = {order: like.saved_bytes[old] for old, order in order_of.items() if old in like.saved_bytes}
        trace.multiply_adds = {order_of[old]: count for old, count in like.multiply_adds.items()}
        for reference, place in self.made:
            if reference() is not None:
                trace.remember_output(reference(), orders[place])
        return trace


@functools.cache
def _places():
    """What the kernel has to know of objects; a plan begins with it."""
    if kernels() is None:
        return ()
    from tinygrad_course.kernels.alike import places

    return places(Function)


def _plan_of(gathered, met):
    """What has to be the same in a step that is alike, as numbers (see `kernels.alike`); None if it has hooks."""
    ran, went = gathered.ran, gathered.went
    arrivals = Counter(edge for node, _, some in went for edge, one in zip(node.edges, some) if one is not None)
    place_of = {id(node): place for place, (node, *_) in enumerate(ran)}
    plan = [*_places(), len(ran), len(went), len(met)]
    for node, _, _, array in ran:
        plan += id(type(node)), id(node.scope), id(array.dtype), array.ndim, *array.shape, len(node.edges)
        plan += [place_of.get(id(edge), id(edge)) for edge in node.edges]
    for node, gradient, contributions in went:
        if node.hooks is not None or id(node) not in place_of:
            return None
        plan += place_of[id(node)], len(contributions)
        for edge, contribution in zip(node.edges, contributions):
            if contribution is None:
                plan.append(_ABSENT)
            elif not edge.order and arrivals[edge] == 1:
                plan.append(_LATER)
            elif node.masks_later:
                plan.append(_MASKED if contribution is gradient else _APART)
            else:
                plan.append(_PRESENT)
    return np.array([*plan, *met], np.int64)


def _gone():
    """In place of a weak reference: backward is through, and nobody needs to know whether the node still lives."""
