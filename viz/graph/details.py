"""A second look at an operation: histograms, units that are dead or saturated, the line of the program."""

import functools
import linecache
import os
import sys
from typing import NamedTuple

import numpy as np

import tinygrad_course

_LOWEST, _OCTAVES = -48, 64  # of a histogram: |x| from 2^-48 to 2^16
_RUN, _RUNS = 32, 128  # a histogram looks at so many numbers side by side, at so many places: each costs a wait
_GOLDEN = (5**0.5 - 1) / 2
# Of operations with an upper and a lower end: a, b such that a y + b is between -1 and 1, and where it is saturated:
# |tanh| from 0.97 on, where its derivative is below 6 % of the largest, and straight lines at their ends.
_CURVED = {"tanh": (1.0, 0.0, 0.97), "sigmoid": (2.0, -1.0, 0.97)}
_STRAIGHT = {"hardsigmoid": (0.0, 1.0), "relu6": (-6.0, 6.0)}  # of relu6 the upper end: zeros are its units' matter
_AT_THE_END = 1.0 - 1e-6


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


class Look:
    """What was found, as counts, until somebody asks for the `Details`.

    line: (path, number) of the line of the program that ran the operation, None if it is not known. shares: of dead and
    of saturated units.
    """

    __slots__ = ("gradient", "line", "output", "shares")

    def __init__(self, line=None):
        self.output, self.gradient, self.line, self.shares = None, None, line, (None, None)

    def at_output(self, node, data):
        """Look at the output of an operation."""
        if data.dtype.kind == "f":
            ends = _ends(node)
            dead = dead_share(data) if node.name in ("relu", "relu6") else None
            self.output, self.shares = _count(data), (dead, ends and share_beyond(data, *ends))
        return self

    def at_gradient(self, gradient):
        if gradient.dtype.kind == "f":
            self.gradient = _count(gradient)

    def details(self):
        line = self.line and _text(*self.line)
        return Details(_histogram(self.output), _histogram(self.gradient), *self.shares, line)


_LIBRARY = os.path.dirname(os.path.abspath(tinygrad_course.__file__)) + os.sep
_MODELS = os.path.join(_LIBRARY, "models", "")  # whole networks, written as a learner writes hers
_VIZ = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def line_outside():
    """(path, line) of the innermost line that runs and belongs to a net, not to the library's machinery."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if _is_outside(path):
            return path, frame.f_lineno
        frame = frame.f_back
    return None


@functools.cache
def _is_outside(path):
    return path.startswith(_MODELS) or not path.startswith((_LIBRARY, _VIZ))


def _text(path, number):
    return os.path.basename(path), number, linecache.getline(path, number).strip()


class Histogram(NamedTuple):
    """How often each size occurs: counts of |x| in [2^k, 2^(k+1)) for k = lowest, lowest + 1, …, by sign.

    Numbers outside are counted at the ends; `zeros` apart. Of an array of more than 4,096 numbers so many are counted,
    in runs of 32 from all over it.
    """

    lowest: int
    negative: tuple
    positive: tuple
    zeros: int


@functools.cache
def _kernels():
    """The kernels, None where Numba is missing."""
    try:
        from tinygrad_course.kernels import histogram
    except ImportError:
        return None
    return histogram


def _count(array):
    """How many numbers of a float array are in each octave: of the negative, of the positive, zeros, not finite."""
    flat = array.ravel("K")
    begins, length = _runs(flat.size)
    if _kernels() is None or flat.dtype.char not in "fd":
        return _count_by_numpy(np.concatenate([flat[begin : begin + length] for begin in begins]))
    counts = np.zeros(2 * _OCTAVES + 2, np.int32)
    _kernels().count_octaves(flat, begins, length, counts)
    return counts


@functools.lru_cache(maxsize=64)
def _runs(size):
    """Where the runs of numbers begin that a histogram looks at, and their length: all of a small array.

    There is one run in each of _RUNS equal parts, at a place of its own in it: at equal distances they would see the
    same corner of each image.
    """
    if size <= _RUN * _RUNS:
        return np.zeros(1, np.int64), size
    part = np.arange(_RUNS)
    place = part * _GOLDEN % 1.0  # evenly distributed, and never the same again
    return ((part + place) * (size - _RUN) / _RUNS).astype(np.int64), _RUN


def _count_by_numpy(flat):
    finite = flat[np.isfinite(flat)]
    exponents = np.clip(np.frexp(finite)[1] - 1 - _LOWEST, 0, _OCTAVES - 1)
    signs = [np.bincount(exponents[chosen], minlength=_OCTAVES) for chosen in (finite < 0, finite > 0)]
    return np.concatenate([*signs, [np.count_nonzero(finite == 0), flat.size - finite.size]])


def _histogram(counts):
    """`Histogram` of what was counted, cut to the octaves that occur; None if there were no finite numbers."""
    if counts is None or not counts[:-1].any():
        return None
    negative, positive, (zeros, _) = np.split(counts, [_OCTAVES, 2 * _OCTAVES])
    found = np.flatnonzero(negative + positive)
    first, last = (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)
    return Histogram(_LOWEST + first, *(tuple(part[first:last].tolist()) for part in (negative, positive)), int(zeros))


def dead_share(array):
    """Share of units that are 0 for the whole batch: features of (N, F, …), or channels of (N, C, H, W)."""
    if array.ndim < 2 or not array.size:
        return None
    units = array.reshape(*array.shape[:2], -1)
    if _kernels() is None:
        return float(np.count_nonzero(~units.any((0, 2)))) / units.shape[1]
    return _kernels().count_dead(np.ascontiguousarray(units)) / units.shape[1]


def _ends(node):
    """(a, b, limit): an output y is saturated if |a y + b| > limit. None for an operation without ends."""
    if node.name in _CURVED:
        return _CURVED[node.name]
    low, high = (node.low, node.high) if node.name == "hardtanh" else _STRAIGHT.get(node.name, (0.0, 0.0))
    return (2.0 / (high - low), -(high + low) / (high - low), _AT_THE_END) if high > low else None


def share_beyond(array, scale, shift, limit):
    """Share of the numbers with |scale · y + shift| > limit."""
    if not array.size:
        return None
    if _kernels() is None:
        return float(np.count_nonzero(np.abs(scale * array + shift) > limit)) / array.size
    return _kernels().count_beyond(array.ravel("K"), scale, shift, limit) / array.size
