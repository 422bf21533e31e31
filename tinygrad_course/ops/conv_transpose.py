"""Transposed convolution: what the gradient of a convolution does to an image, as a layer that makes it larger."""

import numpy as np

from ..modes import where
from .arrange import pad
from .conv import (
    ConvTranspose2d,
    as_images,
    check_bias,
    check_groups,
    check_operands,
    from_images,
    numbers,
)
from .convert import cast
from .shape import reshape

__all__ = ["conv_transpose1d", "conv_transpose2d"]
METHODS = []  # of Tensor


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of `conv1d`: x (N, C, L) or (C, L), weight (C, O/groups, K), bias (O); output (N, O, L') with
    L' = (L - 1)·stride - 2·padding + dilation·(K - 1) + output_padding + 1."""
    return _spread("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of `conv2d`: ⟨conv2d(y, W), x⟩ = ⟨y, conv_transpose2d(x, W)⟩.

    Each pixel of x (N, C, H, W) or (C, H, W) adds its multiple of weight (C, O/groups, KH, KW) to the output
    (N, O, H', W'), H' = (H - 1)·stride - 2·padding + dilation·(KH - 1) + output_padding + 1. `padding` cuts rows and
    columns off; `output_padding`, less than stride or dilation, chooses among the sizes that `conv2d` of this stride
    takes to H.
    """
    return _spread("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _spread(name, dims, x, weight, bias, stride, padding, output_padding, groups, dilation):
    check_operands(name, dims, x, weight, bias)
    a, w = x._data, weight._data
    stride, dilation = numbers(stride, dims, "stride", 1), numbers(dilation, dims, "dilation", 1)
    padding, extra = numbers(padding, dims, "padding", 0), numbers(output_padding, dims, "output_padding", 0)
    kernel_size = w.shape[2:]
    check_groups(name, groups, w.shape[0], "input")
    if a.shape[-dims - 1] != w.shape[0]:
        raise RuntimeError(
            f"{where()}{name}: input of shape {a.shape} has {a.shape[-dims - 1]} channels, but weight of shape "
            f"{w.shape} expects {w.shape[0]}: a transposed convolution's weight begins with its input channels"
        )
    check_bias(name, bias, weight, w.shape[1] * groups)
    if min(kernel_size) < 1:
        raise RuntimeError(f"{where()}{name}: kernel size must be at least 1, got {tuple(kernel_size)}")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise RuntimeError(
            f"{where()}{name}: output_padding {extra} must be less than the stride {stride} or the dilation {dilation}"
        )
    size = output_size(a.shape[-dims:], kernel_size, stride, padding, extra, dilation)
    if min(size) < 1:
        raise RuntimeError(
            f"{where()}{name}: padding {padding} leaves nothing of the output: its size would be {size} for an input "
            f"of {a.shape[-dims:]} and kernel {tuple(kernel_size)}"
        )
    if a.dtype.kind != "f":  # exact, as long as no sum is beyond 2^53
        real = [None if t is None else cast(t, np.float64) for t in (x, weight, bias)]
        return cast(_spread(name, dims, *real, stride, padding, extra, groups, dilation).round(), a.dtype)
    if any(e >= s for e, s in zip(extra, stride, strict=True)):  # no convolution takes such a size to x's
        return _spread_then_pad(name, dims, x, weight, bias, stride, padding, extra, groups, dilation)
    if dims == 1:
        size, stride, padding, dilation = (1, *size), (1, *stride), (0, *padding), (1, *dilation)
    node = ConvTranspose2d(size, stride, tuple((p, p) for p in padding), dilation, groups)
    return from_images(node(as_images(x, dims), as_images(weight, dims), bias), dims, a.ndim)


def _spread_then_pad(name, dims, x, weight, bias, stride, padding, extra, groups, dilation):
    """The whole of the output first; then `padding` is cut off, and `extra` added at the end."""
    y = _spread(name, dims, x, weight, None, stride, 0, 0, groups, dilation)
    y = pad(y, [n for p, e in zip(reversed(padding), reversed(extra), strict=True) for n in (-p, e - p)])
    return y if bias is None else y + reshape(bias, (-1, *(1,) * dims))


def output_size(size, kernel_size, stride, padding, output_padding, dilation):
    """Height and width, or length, of a transposed convolution's output."""
    return tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, e, d in zip(size, kernel_size, stride, padding, output_padding, dilation, strict=True)
    )
