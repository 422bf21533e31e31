"""A second look at an operation: histograms, units that are dead or saturated, the line of the program."""

import linecache
import os
import sys
from typing import NamedTuple

import numpy as np

import tinygrad_course

_LOWEST, _OCTAVES = -48, 64  # of a histogram: |x| from 2^-48 to 2^16
_MOST_SAMPLES = 65_536  # numbers that a histogram looks at
_SATURATED = 0.97  # |tanh|: where its derivative is below 6 % of the largest; a sigmoid is at (1 ± 0.97)/2 then


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
