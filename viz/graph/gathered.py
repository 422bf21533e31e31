"""What a small graph did, gathered as the tape tells it and not yet looked at; `repeat.py` says why."""

from itertools import chain
from operator import attrgetter, itemgetter

from .stats import Table

_ROOM = 4 << 20  # bytes that what is gathered may keep alive
_NEAR = 1 << 21  # bytes of arrays that are measured together
_OBJECTS = 200  # bytes, at least, of an operation's own objects
_KIND, _FORM = attrgetter("name", "scope", "needs"), attrgetter("shape", "dtype")
_EDGES, _HOOKS, _NODE = attrgetter("edges"), attrgetter("hooks"), itemgetter(0)


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
