"""What interpolation and averages over windows have in common: numbers that mix neighbours along an axis.

As a matrix, such a mixture is 0 but for a band, and the gradient goes back along the same band read the other way.
"""

import math

import numpy as np

from ..function import Function
from ..kernels import resample as kernels
from .convert import contiguous


class Mix(Function):
    """z_i = Σ_j w_ij x_j along each of the last axes;  ∂L/∂x_j = Σ_i w_ij ∂L/∂z_i."""

    __slots__ = ("bands",)  # for each of those axes: the band of w, and the band of its transpose

    def forward(self, x):
        return _mixed(x, [band for band, _ in self.bands])

    def backward(self, dz):
        return _mixed(dz, [band for _, band in self.bands])

    backward_on_tape = Function.linear_on_tape


def _mixed(x, some):
    """x with its last axes mixed, one after the other: rows are long as long as the last axis has many numbers."""
    x, axes = contiguous(x), list(enumerate(some, x.ndim - len(some)))
    grows = math.prod([first.size for first, _, _ in some]) > math.prod(x.shape[x.ndim - len(some) :])
    for axis, band in reversed(axes) if grows else axes:
        x = kernels.mix(x, axis, *band)
    return x


def bands(output, source, weights, after, before):
    """The band of w (after, before), and that of its transpose. `weights` stand at the places (output, source) of w.

    A band is (first, count, table): number i mixes count_i numbers from first_i on, with the weights of row i.
    """
    return _band(output, source, weights, after), _band(source, output, weights, before)


def _band(output, source, weights, size):
    first, last = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    np.minimum.at(first, output, source)
    np.maximum.at(last, output, source)
    first = np.minimum(first, last + 1)  # nothing is mixed where nothing is named
    count = last - first + 1
    table = np.zeros((size, max(count.max(initial=0), 1)), weights.dtype)
    np.add.at(table, (output, source - first[output]), weights)
    return first, count, table
