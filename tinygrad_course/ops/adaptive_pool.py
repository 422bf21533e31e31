"""Adaptive pooling: as many windows as give the size that is asked for.

Output i of O, along an axis of n numbers, pools those from ⌊i n / O⌋ up to ⌈(i + 1) n / O⌉: PyTorch's rule. Where O
does not divide n the windows differ by one in size, and neighbours may share a number.
"""

import functools
import math

import numpy as np

from ..base import tensor_of
from ..kernels import pool as kernels
from ..modes import where
from .bands import Mix, bands
from .conv import SHAPES, as_images, from_images
from .convert import contiguous, expect_tensor
from .pool import AvgPool2d, MaxPool2d, check_images

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"]
METHODS = []  # of Tensor


class AdaptiveAvgPool(Mix):
    """y_i = mean of x from ⌊i n / O⌋ up to ⌈(i + 1) n / O⌉;  ∂L/∂x_j sums ∂L/∂y_i / size over the windows around j."""

    __slots__ = ("size",)
    name = "adaptive_avg_pool"

    def __init__(self, size):
        self.size = size  # of the last axes of y

    def forward(self, x):
        before = x.shape[x.ndim - len(self.size) :]
        self.bands = [_bands(n, o, x.dtype.type) for n, o in zip(before, self.size, strict=True)]
        return Mix.forward(self, x)


class AdaptiveMaxPool2d(MaxPool2d):
    """y = max over each window;  the gradient goes to the place that won (the first one, if several tie)."""

    __slots__ = ()
    replayable = True
    name = "adaptive_max_pool2d"

    def forward(self, x):
        self.input_shape = x.shape
        y, winner = kernels.max_windows(contiguous(x), *self.windows)
        self.saved = (winner,)
        if self.keep:
            self.winner = winner
        return y


def window_bounds(size, output_size):
    """Where the windows of an adaptive pool begin, and where they end."""
    i = np.arange(output_size)
    return i * size // max(output_size, 1), -(-(i + 1) * size // max(output_size, 1))


@functools.lru_cache
def _bands(before, after, real):
    """What each of the `after` means of an axis takes of its `before` numbers."""
    begin, end = window_bounds(before, after)
    size = end - begin
    members = [np.arange(*window) for window in zip(begin, end, strict=True)]
    return bands(np.repeat(np.arange(after), size), np.concatenate([*members, np.arange(0)]),
                 np.repeat(1 / size, size).astype(real), after, before)  # fmt: skip


def adaptive_avg_pool1d(input, output_size):
    """Mean over `output_size` windows of x (N, C, L) or (C, L)."""
    return _mean("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Mean over as many windows of x (N, C, H, W) or (C, H, W) as give `output_size` (an int or a pair; None keeps a
    size). `adaptive_avg_pool2d(x, 1)` is the mean of each plane: global average pooling."""
    return _mean("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """Maximum over `output_size` windows of x (N, C, L) or (C, L)."""
    return _max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """Maximum over as many windows of x (N, C, H, W) or (C, H, W) as give `output_size` (an int or a pair; None keeps
    a size); with `return_indices` also the maxima's places in the plane."""
    return _max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def _mean(name, dims, x, output_size):
    size = _size(name, dims, x, output_size)
    images = as_images(x, dims)
    window = _equal_windows(images, size)
    if window:
        node = AvgPool2d(window, window, (0, 0), size, True, None)
    else:
        node = AdaptiveAvgPool(size)
    return from_images(node(images), dims, x._data.ndim)


def _max(name, dims, x, output_size, return_indices):
    size = _size(name, dims, x, output_size)
    images, ndim = as_images(x, dims), x._data.ndim
    window = _equal_windows(images, size)
    if window:
        node = MaxPool2d(return_indices, window, window, (0, 0), (1, 1), size)
    else:
        bounds = [window_bounds(n, o) for n, o in zip(images._data.shape[2:], size, strict=True)]
        node = AdaptiveMaxPool2d(return_indices, *bounds)
    y = from_images(node(images), dims, ndim)
    if not return_indices:
        return y
    return y, from_images(tensor_of(node.winner.astype(np.int64)), dims, ndim)


def _size(name, dims, x, output_size):
    """The output's height and width; a signal has height 1."""
    expect_tensor(x, name)
    shape = x._data.shape
    several = (output_size,) * dims if output_size is None or isinstance(output_size, int | np.integer) else output_size
    if not isinstance(several, list | tuple) or not all(o is None or isinstance(o, int | np.integer) for o in several):
        raise TypeError(f"{where()}{name}: output_size must be an int, None or {dims} of them, got {output_size!r}")
    if len(several) != dims:
        raise RuntimeError(f"{where()}{name}: output_size must be an int, None or {dims} of them, got {output_size!r}")
    if len(shape) <= dims and several is output_size:
        raise ValueError(f"{where()}{name}: expected an input {SHAPES[dims]}, got shape {shape}")
    check_images(name, dims, x)
    wanted = tuple(n if o is None else int(o) for o, n in zip(several, shape[-dims:], strict=True))
    if min(wanted) < 0:
        raise RuntimeError(f"{where()}{name}: output_size must not be negative, got {output_size!r}")
    if x._data.dtype.kind != "f":
        raise NotImplementedError(f"{where()}{name}: not for {x._data.dtype}; convert the input with .float()")
    return (1,) * (2 - dims) + wanted


def _equal_windows(x, size):
    """The size of the windows if they are all equal and none overlaps, else None."""
    spatial = x._data.shape[2:]
    if not math.prod(size) or any(n % o for n, o in zip(spatial, size, strict=True)):
        return None
    return tuple(n // o for n, o in zip(spatial, size, strict=True))
