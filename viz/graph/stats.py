"""A few numbers in place of an array: what a recorder keeps of an activation, a gradient or a contribution."""

import functools
import math
from typing import NamedTuple

import numpy as np

_ROOM = 128  # rows of a table to begin with
_MOST_WAITING = 1 << 20  # bytes of arrays that wait to be measured
COLUMNS, _SIZE = 6, 5
NO_NUMBERS = (math.nan,) * 5 + (-1.0,)
SMALL = 1 << 14  # bytes of an array that is sooner copied than measured alone


class Statistics(NamedTuple):
    """Numbers that describe an array.

    rms: √(mean of squares), nan or inf where the array holds one; largest: max |a|; zeros: share of exact
    zeros, 0 to 1; not_finite: how many NaN or Inf; size: how many numbers; value: the number itself, with its
    sign, where there is only one; mean: their mean.
    """

    rms: float
    largest: float
    zeros: float
    not_finite: int
    size: int
    value: float | None = None
    mean: float = 0.0

    @property
    def norm(self):
        """L2 norm, √size · rms."""
        return math.sqrt(self.size) * self.rms

    @property
    def std(self):
        """Standard deviation, √(rms² - mean²)."""
        return math.sqrt(max(0.0, self.rms * self.rms - self.mean * self.mean)) if self.not_finite == 0 else math.nan


class Table:
    """Statistics of many arrays, a row of plain numbers each, made into objects only when someone asks.

    The columns are those of `tinygrad_course.kernels.statistics`. Arrays wait for each other, and one call of a kernel
    measures them all: to call it takes longer than to look at a thousand numbers. While they wait they must not
    change, and they are kept; so whoever adds them calls `settle` before they change or are to be let go of. Many
    bytes do not wait. Where Numba is missing, NumPy measures.
    """

    __slots__ = ("_bytes", "_given", "rows", "used", "waiting")

    def __init__(self):
        self.rows = np.empty((_ROOM, COLUMNS))
        self.used = 0  # rows that are given away; the last of them to those who wait
        self.waiting = []
        self._given = []  # (row, its numbers) of what was measured elsewhere
        self._bytes = 0

    @classmethod
    def of(cls, rows):
        """A table that begins with these rows."""
        table = cls()
        table.rows, table.used = rows, len(rows)
        return table

    def add(self, array):
        """The number of the row for an array that no one changes before `settle` is called."""
        self.waiting.append(array)
        number = self.used
        self.used = number + 1
        self._bytes = waiting = self._bytes + array.nbytes
        if waiting > _MOST_WAITING:
            self.settle()
        return number

    def add_all(self, arrays):
        """The first of the rows, one after the other, for several arrays; some may be None."""
        first = self.used
        self.waiting.extend(arrays)
        self.used = first + len(arrays)
        return first

    def add_now(self, array):
        """The same for an array that may change at any time."""
        if array.nbytes <= SMALL:
            return self.add(array.copy())
        number = self.add(array)
        self.settle()
        return number

    def settle(self):
        """Measure all that wait, and let go of them."""
        arrays = self.waiting
        if not arrays:
            return
        given, self._given = self._given, []
        self._measure_all(arrays)
        for number, numbers in given:
            self.rows[number] = numbers

    def _measure_all(self, arrays):
        first = self.used - len(arrays)
        self.waiting, self._bytes = [], 0
        if self.used > len(self.rows):
            self._grow(first)
        _measure_all(arrays, self.rows, first)

    def _grow(self, measured):
        rows = np.empty((max(2 * len(self.rows), self.used), COLUMNS))
        rows[:measured] = self.rows[:measured]
        self.rows = rows

    def put(self, known):
        """A row for `Statistics` that are known; -1 for None."""
        if known is None:
            return -1
        zeros = round(known.zeros * known.size)
        return self.give((known.rms, known.largest, known.mean * known.size, zeros, known.not_finite, known.size))

    def give(self, numbers):
        """A row for numbers that are a row of another table."""
        number = self.add_all([None])
        self._given.append((number, numbers))
        return number

    def __getitem__(self, number):
        """`Statistics` of a row; None for row -1, and for an array that holds no floating-point numbers."""
        if number < 0:
            return None
        self.settle()
        rms, largest, total, zeros, not_finite, size = self.rows[number].tolist()
        if size <= 0:
            return None if size < 0 else Statistics(0.0, 0.0, 0.0, 0, 0)
        value = total if size == 1 else None
        return Statistics(rms, largest, zeros / size, int(not_finite), int(size), value, total / size)


@functools.cache
def kernels():
    """The module of the kernels that measure, None where they cannot be used."""
    try:
        from tinygrad_course.kernels import objects, statistics
    except ImportError:
        return None
    return statistics if objects.READABLE else None


def _kernel():
    """The function that measures many arrays: Numba's, or where it cannot be used, NumPy."""
    return _by_numpy if kernels() is None else kernels().measure_many


def _by_numpy(arrays, table, first):
    """What the kernel does, in NumPy: its oracle, and its stand-in."""
    for number, array in enumerate(arrays, first):
        wide = None if array is None else np.asarray(array)
        table[number] = NO_NUMBERS if wide is None or wide.dtype.kind != "f" else _numbers(wide)


def _numbers(array):
    wide = array.astype(np.float64)
    not_finite = int(wide.size - np.count_nonzero(np.isfinite(wide)))
    with np.errstate(over="ignore", invalid="ignore"):
        largest = math.inf if not_finite else float(np.abs(wide).max(initial=0.0))
        total = float(wide.sum())
    return root_mean_square(wide), largest, total, wide.size - np.count_nonzero(wide), not_finite, wide.size


def root_mean_square(array):
    """√(mean of squares) of a float array, without overflow or underflow on the way; 0.0 for an empty one."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = flat / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)) / flat.size)


def _measure_all(arrays, rows, first):
    """Describe arrays, some of which may be None, in `rows` from `first` on."""
    if not _kernel()(arrays, rows, first):
        return
    for number, array in enumerate(arrays, first):
        if array is None or rows[number, _SIZE] >= 0.0:
            continue
        array = np.asarray(array)  # NumPy's scalars are none; and the kernel does not know all arrays
        if array.dtype.kind != "f":
            rows[number] = NO_NUMBERS
        elif array.dtype.char in "fd":
            _kernel()([np.array(array, array.dtype.char)], rows, number)
        else:
            _by_numpy([array], rows, number)


def measure_all(arrays):
    """Rows as those of a `Table`, of several arrays; some may be None."""
    arrays = list(arrays)
    rows = np.empty((len(arrays), COLUMNS))
    _measure_all(arrays, rows, 0)
    return rows


def measure(array):
    """`Statistics` of one array; None if it holds no floating-point numbers (labels, indices, masks)."""
    table = Table()
    return table[table.add(np.asarray(array))]
