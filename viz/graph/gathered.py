"""What a small graph did, gathered as the tape tells it and not yet looked at; `repeat.py` says why."""

from itertools import chain
from operator import itemgetter

from .stats import Table

ROOM = 4 << 20  # bytes that what is gathered may keep alive
_NEAR = 1 << 21  # bytes of arrays that are measured together
_FEW = 1 << 19  # bytes of outputs that are measured when backward is through
_OBJECTS = 200  # bytes, at least, of an operation's own objects
_DATA, _SENT = itemgetter(3), itemgetter(2)


class Gathered:
    """What a small graph did, as the tape told it: nothing has been looked at but what may change.

    ran: (node, inputs, output, array of the output) of each operation; went: (node, gradient, contributions) of each
    that backward has reached; began: what it began with; totals: {leaf: its gradient}, when backward is through.

    `forward`, `backward` and `leaves` are an observer's. What does not fit goes to `full`, a method like `forward`.
    """

    __slots__ = ("began", "constants", "first", "leaf_of", "made", "ran", "rows", "table", "totals", "went", "_chunk",
                 "_done", "_full", "_next", "_room", "_stop")  # fmt: skip

    def __init__(self, full):
        self.ran, self.went, self.began, self.totals = [], [], None, None
        self.table = Table()
        self.rows = []  # of the outputs that wait to be measured, or have been
        self.leaf_of = {}  # id of a tensor that no operation made -> (the tensor, its row or -1, -1 - its number)
        self.made = {}  # id of an output that is not on the tape -> index of its operation
        self.constants = []  # of each operand without gradient: None, the index of its operation, or -1 - its leaf's
        self._full, self._room, self._next = full, ROOM, ROOM - _NEAR
        self.first = 0  # row of the first contribution
        self._done = 0  # how many operations' contributions have been measured
        self._stop = self._chunk = 0  # after how many to do so again, and again

    def forward(self, node, inputs, output):
        data = output._data
        self._room -= data.nbytes + _OBJECTS
        if self._room < self._next or output._viewed or False in node.needs:
            self._look(node, inputs, output, data)
        else:
            self.ran.append((node, inputs, output, data))

    def _look(self, node, inputs, output, data):
        """Take in an operation whose numbers, or those that it read, may change; or many bytes."""
        if self._room < 0:
            self._full(node, inputs, output)
            return
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

    def begin(self, outputs, gradients):
        """Backward begins."""
        self.began = outputs, gradients
        self._show_outputs()
        self.first = self.table.used
        shown = ROOM - self._room
        if shown > _FEW:
            self.table.settle()
        self._stop = self._chunk = max(1, len(self.ran) * _NEAR // (2 * shown)) if shown else 1

    def backward(self, node, gradient, contributions):
        went = self.went
        went.append((node, gradient, contributions))
        if len(went) >= self._stop:
            self._stop += self._chunk
            self.show_sent()
            self.table.settle()

    def leaves(self, gradients):
        self.totals = gradients

    def _show_outputs(self):
        """Give the outputs that have none a row of the table."""
        first, last = len(self.rows), len(self.ran)
        self.rows += range(self.table.used, self.table.used + last - first)
        self.table.add_all(list(map(_DATA, self.ran[first:])))

    def _measure_outputs(self):
        self._show_outputs()
        self.table.settle()
        self._next = self._room - _NEAR

    def show_sent(self):
        """Give the contributions that have none a row of the table."""
        went, self._done = self.went[self._done :], len(self.went)
        self.table.add_all(list(chain.from_iterable(map(_SENT, went))))

    def _see(self, tensor):
        """-1 - the number of a leaf, measured when it is first read."""
        known = self.leaf_of.get(id(tensor))
        if known is None:
            row, data = -1, tensor._data
            if tensor.node is None and type(tensor).__name__ != "Parameter":
                row = self.table.add_now(data) if data.dtype.kind == "f" else self.table.add_all([None])
            known = self.leaf_of[id(tensor)] = tensor, row, -1 - len(self.leaf_of)
            self._room -= data.nbytes
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
        return {key: rows[row] for key, (_, row, _) in self.leaf_of.items() if row >= 0}, rows[self.rows]
