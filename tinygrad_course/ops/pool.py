"""Pooling: each window of an image becomes one number. A signal (N, C, L) is an image of height 1."""

import math

import numpy as np

from ..base import tensor_of
from ..function import Adjoint, Function
from ..kernels import pool as kernels
from ..modes import where
from .conv import SHAPES, as_images, from_images, numbers
from .convert import cast, contiguous, expect_tensor

__all__ = ["avg_pool1d", "avg_pool2d", "lp_pool1d", "lp_pool2d", "max_pool1d", "max_pool2d"]
METHODS = []  # of Tensor


class Winners(Function):
    """z = x at one place of each window's plane;  the gradient of a window goes to its place.

    A maximum is this operation once the winners are known, so its second derivatives are this one's.
    """

    __slots__ = ("input_shape", "places")

    def __init__(self, places):
        self.places = places  # (N, C, H', W'), places in the plane H · W; -1 for a window that holds nothing

    def forward(self, x):
        self.input_shape = x.shape
        places = self.places.reshape(*x.shape[:2], math.prod(self.places.shape[2:]))
        z = np.take_along_axis(x.reshape(*x.shape[:2], math.prod(x.shape[2:])), places.clip(0), 2)
        z = z.reshape(self.places.shape)
        z[self.places < 0] = 0
        return z

    def backward(self, dz):
        return kernels.max_pool2d_backward(contiguous(dz), self.places, self.input_shape)

    backward_on_tape = Function.linear_on_tape


class MaxPool2d(Function):
    """y = max over each window;  the gradient goes to the place that won (the first one, if several tie)."""

    __slots__ = ("input_shape", "keep", "windows", "winner")
    replayable = True
    name = "max_pool2d"

    def __init__(self, keep, *windows):
        self.keep = keep  # whether the winners' places are asked for
        self.windows = windows  # kernel size, stride, padding, dilation, output size

    def forward(self, x):
        self.input_shape = x.shape
        y, winner = kernels.max_pool2d_forward(contiguous(x), *self.windows)
        self.saved = (winner,)
        if self.keep:
            self.winner = winner
        return y

    def backward(self, dy):
        (winner,) = self.saved
        return kernels.max_pool2d_backward(contiguous(dy), winner, self.input_shape)

    def backward_on_tape(self, dy):
        winners = Winners(self.saved[0])
        winners.input_shape = self.input_shape
        return Adjoint(winners)(dy)


class AvgPool2d(Function):
    """y = mean over each window;  every place of a window gets 1/size of its gradient."""

    __slots__ = ("input_shape", "output_size", "window")
    replayable = True
    name = "avg_pool2d"

    def __init__(self, kernel_size, stride, padding, output_size, count_include_pad, divisor_override):
        self.output_size = output_size
        self.window = kernel_size, stride, padding, count_include_pad, divisor_override

    def forward(self, x):
        self.input_shape = x.shape
        kernel_size, stride, padding, count_include_pad, divisor = self.window
        return kernels.avg_pool2d_forward(
            contiguous(x), kernel_size, stride, padding, self.output_size, count_include_pad, divisor
        )

    def backward(self, dy):
        return kernels.avg_pool2d_backward(contiguous(dy), self.input_shape, *self.window)

    backward_on_tape = Function.linear_on_tape


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Maximum over windows of x (N, C, L) or (C, L); see `max_pool2d`."""
    return _max("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Maximum over windows of x (N, C, H, W) or (C, H, W); `stride` is `kernel_size` if not given.

    H' = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1; ⌈…⌉ with `ceil_mode`, as long as the
    last window begins inside the image or its left padding. Padding counts as -inf. With `return_indices` a pair:
    the maxima, and their places row · W + column in the plane, for `max_unpool2d`.
    """
    return _max("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Mean over windows of x (N, C, L) or (C, L); see `avg_pool2d`."""
    return _mean("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Mean over windows of x (N, C, H, W) or (C, H, W); `stride` is `kernel_size` if not given.

    Zeros of the padding count in the divisor unless `count_include_pad` is False; `divisor_override` replaces it.
    """
    return _mean("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ xᵖ)^(1/p) over windows of x (N, C, L) or (C, L), p = `norm_type`: p = 1 is the sum, p → ∞ the maximum."""
    return _norm(avg_pool1d, 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ xᵖ)^(1/p) over windows of x (N, C, H, W) or (C, H, W), p = `norm_type`."""
    return _norm(avg_pool2d, 2, input, norm_type, kernel_size, stride, ceil_mode)


def _max(name, dims, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    kernel_size, stride, padding = _windows(name, dims, x, kernel_size, stride, padding)
    dilation = numbers(dilation, dims, "dilation", 1)
    size = _output_size(name, x, kernel_size, stride, padding, dilation, ceil_mode)
    if x._data.dtype == np.bool_ or (dims == 1 and x._data.dtype.kind != "f"):
        raise NotImplementedError(f"{where()}{name}: not for {x._data.dtype}; convert the input with .float()")
    windows = [pair if dims == 2 else (one, *pair)
               for one, pair in ((1, kernel_size), (1, stride), (0, padding), (1, dilation), (1, size))]  # fmt: skip
    images, ndim = as_images(x, dims), x._data.ndim
    node = MaxPool2d(return_indices or x._data.dtype.kind != "f", *windows)
    if x._data.dtype.kind != "f":  # the kernel compares real numbers; the integers themselves are then looked up
        node(cast(images, np.float64))
        y = Winners(node.winner)(images)
    else:
        y = node(images)
    y = from_images(y, dims, ndim)
    if not return_indices:
        return y
    return y, from_images(tensor_of(node.winner.astype(np.int64)), dims, ndim)


def _mean(name, dims, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    kernel_size, stride, padding = _windows(name, dims, x, kernel_size, stride, padding)
    if divisor_override is not None and divisor_override == 0:
        raise RuntimeError(f"{where()}{name}: divisor_override must not be zero")
    size = _output_size(name, x, kernel_size, stride, padding, (1,) * dims, ceil_mode)
    dtype = x._data.dtype
    if dtype.kind != "f":
        if dtype != np.int64:
            raise NotImplementedError(f"{where()}{name}: not for {dtype}; convert the input with .float()")
        x = cast(x, np.float64)
    if dims == 1:
        kernel_size, stride, padding, size = (1, *kernel_size), (1, *stride), (0, *padding), (1, *size)
    node = AvgPool2d(kernel_size, stride, padding, size, bool(count_include_pad), divisor_override)
    return cast(from_images(node(as_images(x, dims)), dims, x._data.ndim), dtype)


def _norm(average, dims, x, norm_type, kernel_size, stride, ceil_mode):
    window = numbers(kernel_size, dims, "kernel_size", 1)
    sums = average(x**norm_type, window, stride, 0, ceil_mode) * math.prod(window)
    return (sums.sign() * sums.abs().relu()) ** (1.0 / norm_type)  # PyTorch's formula: nan, not inf, is the slope at 0


def check_images(name, dims, x):
    """x is (N, C, H, W) or (C, H, W), for one dimension (N, C, L) or (C, L), and only N may be 0."""
    expect_tensor(x, name)
    shape = x._data.shape
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(f"{where()}{name}: expected an input {SHAPES[dims]}, got shape {shape}")
    if 0 in shape[len(shape) - dims - 1 :]:
        raise RuntimeError(f"{where()}{name}: only the batch may be empty, got shape {shape} for {SHAPES[dims]}")


def _windows(name, dims, x, kernel_size, stride, padding):
    kernel_size = numbers(kernel_size, dims, "kernel_size", 1)
    stride = kernel_size if stride is None or stride == () or stride == [] else numbers(stride, dims, "stride", 1)
    padding = numbers(padding, dims, "padding", 0)
    if any(p > k // 2 for p, k in zip(padding, kernel_size, strict=True)):
        raise RuntimeError(
            f"{where()}{name}: padding {padding} is more than half of the kernel size {kernel_size}, so that some "
            "windows would hold nothing but padding"
        )
    check_images(name, dims, x)
    return kernel_size, stride, padding


def _output_size(name, x, kernel_size, stride, padding, dilation, ceil_mode):
    sizes = []
    spatial = x._data.shape[-len(kernel_size) :]
    for size, k, s, p, d in zip(spatial, kernel_size, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:  # the last window would begin in the right padding
            count -= 1
        if count < 1:
            raise RuntimeError(
                f"{where()}{name}: the kernel {kernel_size} is larger than the padded input: input {spatial}, padding "
                f"{padding}; use a larger image, a smaller kernel or more padding"
            )
        sizes.append(count)
    return tuple(sizes)
