"""What a small graph did, gathered as the tape tells it and not yet looked at; `repeat.py` says why."""

from operator import itemgetter

import numpy as np

from tinygrad_course.base import array_of, owner_of
from tinygrad_course.function import ALONE, holders
from tinygrad_course.kernels import activation
from tinygrad_course.modes import is_grad_enabled
from tinygrad_course.ops.convert import contiguous

from .details import Look, line_outside
from .stats import NO_NUMBERS, measure_all
from .trace import bytes_saved

ROOM = 4 << 20  # bytes that what is gathered may keep alive
_QUICKLY_COPIED = 1 << 16  # bytes of data that are sooner copied than measured alone
_WHOSE = itemgetter(1)
_OBJECTS = 200  # bytes, at least, of an operation's own objects


class Gathered:
    """What a small graph did, as the tape told it: nothing has been looked at but what may change.

    ran: (node, inputs, output, array of the output) of each operation; went: (node, gradient, contributions) of each
    that backward has reached; began: what it began with; totals: {leaf: (its gradient, …)}, when backward is through.

    `forward` is told of what does not go to `ran` by itself; `went` is what an observer's `begin_backward` returns.
    What does not fit goes to `full`, a method like `forward`. `thorough`: lines of the program are gathered, too, if
    there are to be details. `read`: the numbers of leaves, and the indices of outputs, that backward reads in all steps
    to one of which this one will be like (see `Pattern`).
    """

    __slots__ = ("began", "constants", "leaf_of", "lines", "looks", "made", "ran", "rows", "saved", "savers", "totals",
                 "went", "_details", "_full", "_read", "_room")  # fmt: skip

    def __init__(self, full, details=False, thorough=True, read=((), ())):
        self._details, self.looks = details, []  # details of the first outputs, as far as they have been looked at
        self.lines = [] if details and thorough else None  # of the program, one for each operation
        self.saved = self.savers = None  # what operations keep for backward (see `note_saved`)
        self.ran, self.went, self.began, self.totals = [], [], None, None
        self.rows = {}  # index of an operation -> the row of its output, if that has been measured
        self.leaf_of = {}  # id of a leaf -> (tensor, array of its numbers or None, row or None, -1 - its own number)
        self.made = {}  # id of an output that is not on the tape -> index of its operation
        # The index of each operation looked at; then of each operand without gradient: None, the index of its
        # operation, or -1 - its leaf's.
        self.constants = []
        self._full, self._room, self._read = full, ROOM, read

    def forward(self, node, inputs, output):
        data = output._data
        self._room -= data.nbytes + _OBJECTS
        if self._room < 0:
            self._full(node, inputs, output)
            return
        if output._viewed or (False in node.needs and node.reads_constants(inputs)):
            self._look(node, inputs, output)
        else:
            self.ran.append((node, inputs, output, data))
        if self.lines is not None:
            self.lines.append(line_outside())

    def _look(self, node, inputs, output):
        """Take in an operation whose numbers, or those that it read, may change."""
        self.constants.append(len(self.ran))
        for edge, tensor in zip(node.edges, inputs):
            if edge is None:
                place = None if tensor is None else self.made.get(id(tensor))
                self.constants.append(self._see(tensor, node) if place is None and tensor is not None else place)
        if output.node is not node:
            self.made[id(output)] = len(self.ran)
        data = output._data
        if output._viewed and (self._details or not self._backward_reads(1, len(self.ran))):
            # The caller may write there at any time. Details are looked at later than numbers.
            if self._details or data.nbytes <= _QUICKLY_COPIED:
                data = data.copy()
            else:
                (self.rows[len(self.ran)],) = measure_all([data])
        self.ran.append((node, inputs, output, data))

    def _see(self, tensor, node=None):
        """-1 - the number of a leaf that somebody reads, who sees what its numbers are now. Who saves its array, or a
        view of it, will see in backward what they are then: the same, or the gradients are wrong."""
        known = self.leaf_of.get(id(tensor))
        if known is None:
            data, array, row = tensor._data, None, None
            self._room -= data.nbytes
            if tensor.node is None and type(tensor).__name__ != "Parameter":
                if data.dtype.kind != "f":
                    row = NO_NUMBERS
                elif self._backward_reads(0, len(self.leaf_of)) or _is_saved(data, node):
                    array = data
                elif data.nbytes <= _QUICKLY_COPIED:
                    array = data.copy()
                else:
                    (row,) = measure_all([data])
            known = self.leaf_of[id(tensor)] = tensor, array, row, -1 - len(self.leaf_of)
        return known[3]

    def _backward_reads(self, kind, number):
        """Whether it is to be expected of a leaf (0) or an output (1). Nothing is saved where gradients are off."""
        return number in self._read[kind] and is_grad_enabled()

    def alone_sees_input_of(self, node):
        """As `modes.Observer` says: two of the references to what made its first input are ours, and two of those to
        that, the second with the inputs of the node, which has run here, too."""
        ran, first = self.ran, self.ran[0][0].order if self.ran else 0
        place, own = node.edges[0].order - first, node.order - first
        if not 0 <= place < own < len(ran) or ran[place][0] is not node.edges[0] or ran[own][0] is not node:
            return False
        return holders(ran[place], 0) == ALONE + 2 and holders(ran[place], 2) == ALONE + 1

    def masked(self):
        """{node: the gradient there}, of those to which backward handed one down whose mask they are to apply."""
        outputs = {node: data for node, _, _, data in self.ran if node.masks_later}
        return {
            record[0].edges[0]: activation.relu_backward(contiguous(record[1]), outputs[record[0]])
            for record in self.went
            if _passes_on(*record)
        }

    def note_saved(self):
        """Note what operations keep for backward, as long as they do.

        saved: bytes of each. savers: {number of a leaf: an operation that saved all its memory}, and the same of
        outputs that are views of others, by their index.
        """
        kept = {}
        self.saved = [bytes_saved(node, inputs, kept) for node, inputs, *_ in self.ran]
        savers = [node for (node, *_), count in zip(self.ran, self.saved) if count is not None]
        saver = {_extent(array): node for node in savers for array in node.saved if type(array) is np.ndarray}
        saver.pop(None, None)
        leaves = {-1 - number: tensor for tensor, *_, number in self.leaf_of.values()}
        outputs = {place: output for place, (_, _, output, _) in enumerate(self.ran) if output._viewed}
        self.savers = [
            {number: saver[extent] for number, one in some.items() if (extent := _extent(one._data)) in saver}
            for some in (leaves, outputs)
        ]

    def shows_what_was_given(self):
        """Whether a leaf's gradient lies in the memory of one that backward was given, where the caller may write."""
        totals = self.totals.values()
        if all(map(_WHOSE, totals)):  # nearly always
            return False
        given = self._given()
        return any([id(owner_of(array_of(gradient))) in given for gradient, ours in totals if not ours])

    def copy_what_was_given(self):
        """Keep copies, where backward went, of gradients that lie in the memory of one that it was given."""
        given = self._given()
        self.went = [
            (node, gradient.copy() if id(owner_of(gradient)) in given else gradient, contributions)
            for node, gradient, contributions in self.went
        ]

    def _given(self):
        return {id(owner_of(gradient)) for gradient in self.began[1]}

    def settle(self):
        """Measure what has been shown: somebody has got hold of an array, and may write there."""
        for node, *_ in self.ran:
            for edge in node.edges:
                if edge is not None and not edge.order and type(edge).__name__ != "Parameter":
                    self._see(edge)
        for key, row in self.seen().items():
            tensor, _, _, number = self.leaf_of[key]
            self.leaf_of[key] = tensor, None, row, number
        late = [place for place in range(len(self.ran)) if place not in self.rows]
        self.rows |= zip(late, measure_all([self.ran[place][3] for place in late]))
        if self._details:
            self.looks += [Look().at_output(node, data) for node, _, _, data in self.ran[len(self.looks) :]]

    def seen(self):
        """{id of a leaf: its row of numbers}, of the leaves that have been looked at."""
        rows = {key: row for key, (_, _, row, _) in self.leaf_of.items() if row is not None}
        arrays = {key: array for key, (_, array, _, _) in self.leaf_of.items() if array is not None}
        return rows | dict(zip(arrays, measure_all(arrays.values())))


def with_masks(record, masked):
    """What the tape said of a node, (node, gradient, contributions), with the gradients of `Gathered.masked`."""
    node, gradient, contributions = record
    if masked and _passes_on(*record):
        contributions = (masked[node.edges[0]],)
    return node, masked.get(node, gradient), contributions


def _passes_on(node, gradient, contributions):
    """Whether a node that backward went through left it to the one before to mask the gradient."""
    return node.masks_later and contributions[0] is gradient


def _is_saved(data, node):
    return node is not None and any([one is data for one in node.saved])


def _extent(array):
    """(address, bytes) of the memory that an array shows; None if that has gaps or another order than the array."""
    return (array.__array_interface__["data"][0], array.nbytes) if array.flags.c_contiguous else None
