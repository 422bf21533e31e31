"""A few numbers in place of an array: what a recorder keeps of an activation, a gradient or a contribution."""

import math
from typing import NamedTuple

import numpy as np

_SMALL, _LARGE = 1e-24, 1e30  # a sum of squares outside may have lost digits in float32: measure again, scaled


class Statistics(NamedTuple):
    """Numbers that describe an array.

    rms: √(mean of squares), nan or inf where the array holds one; largest: max |a|; zeros: share of exact
    zeros, 0 to 1; not_finite: how many NaN or Inf; size: how many numbers; value: the number itself, with its
    sign, where there is only one.
    """

    rms: float
    largest: float
    zeros: float
    not_finite: int
    size: int
    value: float | None = None

    @property
    def norm(self):
        """L2 norm, √size · rms."""
        return math.sqrt(self.size) * self.rms


def root_mean_square(array):
    """√(mean of squares) of a float array, without overflow or underflow on the way; 0.0 for an empty one."""
    if array.size == 0:
        return 0.0
    flat = array.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.dot(flat, flat))
    if _SMALL < total < _LARGE:
        return math.sqrt(total / flat.size)
    largest = float(np.max(np.abs(flat)))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = flat.astype(np.float64) / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)) / flat.size)


def measure(array, rms=None):
    """`Statistics` of an array (of known RMS); None if it holds no floating-point numbers (labels, indices, masks)."""
    if array.dtype.kind != "f":
        return None
    size = array.size
    if size == 0:
        return Statistics(0.0, 0.0, 0.0, 0, 0)
    rms = root_mean_square(array) if rms is None else rms
    largest = float(max(array.max(), -array.min()))
    not_finite = 0 if math.isfinite(rms) else int(size - np.count_nonzero(np.isfinite(array)))
    value = float(array.reshape(())) if size == 1 else None
    return Statistics(rms, largest, 1.0 - int(np.count_nonzero(array)) / size, not_finite, size, value)
