"""A few numbers in place of an array: what a recorder keeps of an activation, a gradient or a contribution."""

import linecache
import math
import os
import sys
from typing import NamedTuple

import numpy as np

import tinygrad_course

_ROOM = 512  # rows of a table to begin with
_LOWEST, _OCTAVES = -48, 64  # of a histogram: |x| from 2^-48 to 2^16
_MOST_SAMPLES = 65_536  # numbers that a histogram looks at
_SATURATED = 0.97  # |tanh|: where its derivative is below 6 % of the largest; a sigmoid is at (1 ± 0.97)/2 then


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

    The columns are those of `tinygrad_course.kernels.statistics`, whose one pass over an array fills a row. Where
    Numba is missing, NumPy does. (Small arrays that wait for each other and are measured in one call take no less time:
    what the call saves, the copy costs.)
    """

    __slots__ = ("rows", "used")
    _loops = None  # dtype's letter -> (kernel, kernel for large arrays, what is large)

    def __init__(self):
        self.rows = np.empty((_ROOM, 6))
        self.used = 0
        if Table._loops is None:
            Table._loops = _loops()

    def add(self, array):
        """Measure an array; the number of its row, or -1 if it holds no floating-point numbers."""
        loop = Table._loops.get(array.dtype.char)
        if loop is None:
            if array.dtype.kind != "f":
                return -1
            loop = (_by_numpy,) * 2 + (math.inf,)
        number = self.used
        self.used = number + 1
        if number >= len(self.rows):
            self._grow()
        serial, parallel, large = loop
        (serial if array.size < large else parallel)(array.ravel("K"), self.rows, number)
        return number

    def _grow(self):
        rows = np.empty((max(2 * len(self.rows), self.used), self.rows.shape[1]))
        rows[: len(self.rows)] = self.rows
        self.rows = rows

    def put(self, known):
        """A row for `Statistics` that are known; -1 for None."""
        if known is None:
            return -1
        number = self.add(np.zeros(0))
        zeros = round(known.zeros * known.size)
        self.rows[number] = known.rms, known.largest, known.mean * known.size, zeros, known.not_finite, known.size
        return number

    def __getitem__(self, number):
        """`Statistics` of a row, None for row -1."""
        if number < 0:
            return None
        rms, largest, total, zeros, not_finite, size = self.rows[number].tolist()
        if size == 0:
            return Statistics(0.0, 0.0, 0.0, 0, 0)
        value = total if size == 1 else None
        return Statistics(rms, largest, zeros / size, int(not_finite), int(size), value, total / size)


def _loops():
    """The kernel for each dtype."""
    try:
        from tinygrad_course.kernels import statistics as kernels

        single = (kernels.measure_32, kernels.measure_32_parallel, kernels.SERIAL_BELOW)
        return {"f": single, "d": (kernels.measure_64, kernels.measure_64, math.inf)}
    except ImportError:
        return {}


def _by_numpy(flat, table, number):
    """What the kernels do, in NumPy: their oracle, and their stand-in."""
    wide = flat.astype(np.float64)
    not_finite = int(flat.size - np.count_nonzero(np.isfinite(wide)))
    with np.errstate(over="ignore", invalid="ignore"):
        largest = math.inf if not_finite else float(np.abs(wide).max(initial=0.0))
        total = float(wide.sum())
    zeros = flat.size - int(np.count_nonzero(flat))
    table[number] = root_mean_square(wide), largest, total, zeros, not_finite, flat.size


def root_mean_square(array):
    """√(mean of squares) of a float array, without overflow or underflow on the way; 0.0 for an empty one."""
    flat = np.asarray(array, dtype=np.float64).ravel()
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = flat / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)) / flat.size)


def measure(array):
    """`Statistics` of one array; None if it holds no floating-point numbers (labels, indices, masks)."""
    table = Table()
    return table[table.add(np.asarray(array))]


# ------------------------------------------------------------------------------------ on demand


class Details(NamedTuple):
    """What a second look at an operation finds, in `record(details=True)`.

    source: the line of the caller's program that ran it, as ("net.py", 12, "h = self.conv(x)"), None if there is
    none; output, gradient: `Histogram`s or None; dead: share of units (features, channels) of a relu that are 0 for the
    whole batch; saturated: share of the outputs of a tanh or sigmoid at which its derivative is below 6 % of its
    largest; None for other operations.
    """

    output: tuple | None = None
    gradient: tuple | None = None
    dead: float | None = None
    saturated: float | None = None
    source: tuple | None = None


def look_closer(name, data):
    """`Details` of an output, made by the operation of this name."""
    line = _line_outside()
    if data.dtype.kind != "f":
        return Details(source=line)
    dead = dead_share(data) if name == "relu" else None
    saturated = saturated_share(data, name) if name in ("tanh", "sigmoid") else None
    return Details(histogram(data), None, dead, saturated, line)


_LIBRARY = os.path.dirname(os.path.abspath(tinygrad_course.__file__)) + os.sep
_MODELS = os.path.join(_LIBRARY, "models", "")  # whole networks, written as a learner writes hers
_VIZ = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _line_outside():
    """(file, line, text) of the innermost line that runs and belongs to a net, not to the library's machinery."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_MODELS) or not path.startswith((_LIBRARY, _VIZ)):
            text = linecache.getline(path, frame.f_lineno, frame.f_globals).strip()
            return os.path.basename(path), frame.f_lineno, text
        frame = frame.f_back
    return None


class Histogram(NamedTuple):
    """How often each size occurs: counts of |x| in [2^k, 2^(k+1)) for k = lowest, lowest + 1, …, by sign.

    Numbers outside are counted at the ends; `zeros` apart. Large arrays are sampled evenly.
    """

    lowest: int
    negative: tuple
    positive: tuple
    zeros: int


def histogram(array):
    """`Histogram` of an array in octaves, cut to those that occur; None if it has no finite numbers."""
    if array.dtype.kind != "f":
        return None
    flat = array.ravel("K")
    flat = flat[:: max(1, flat.size // _MOST_SAMPLES)]
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return None
    exponents = np.clip(np.frexp(flat)[1] - 1 - _LOWEST, 0, _OCTAVES - 1)
    positive = np.bincount(exponents[flat > 0], minlength=_OCTAVES)
    negative = np.bincount(exponents[flat < 0], minlength=_OCTAVES)
    found = np.flatnonzero(positive + negative)
    first, last = (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)
    counts = tuple(negative[first:last].tolist()), tuple(positive[first:last].tolist())
    return Histogram(_LOWEST + first, *counts, int(np.count_nonzero(flat == 0)))


def dead_share(array):
    """Share of units that are 0 for the whole batch: features of (N, F, …), or channels of (N, C, H, W)."""
    if array.ndim < 2 or not array.size:
        return None
    alive = np.any(array != 0, axis=tuple(axis for axis in range(array.ndim) if axis != 1))
    return 1.0 - float(np.count_nonzero(alive)) / alive.size


def saturated_share(array, name):
    """Share of a tanh's or sigmoid's outputs near their ends."""
    if not array.size:
        return None
    sizes = np.abs(array if name == "tanh" else 2.0 * array - 1.0)
    return float(np.count_nonzero(sizes > _SATURATED)) / array.size
