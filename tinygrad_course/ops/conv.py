"""Convolution: slide a filter over an image. A cross-correlation, as everywhere in deep learning (no flip)."""

import numpy as np

from ..engine import Function, where
from ..kernels import conv as kernels
from .convert import contiguous, expect_tensor

__all__ = ["conv2d"]
METHODS = []  # of Tensor


class Conv2d(Function):
    """Y[n,o,i,j] = b[o] + Σ_{c,u,v} W[o,c,u,v] X[n, c, i·s + u·d - p, j·s + v·d - p].

    ∂L/∂W correlates X with dY, ∂L/∂X spreads dY through W (a transposed convolution), ∂L/∂b sums dY.
    """

    __slots__ = ("dilation", "groups", "padding", "shapes_of", "stride")
    name = "conv2d"

    def __init__(self, stride, padding, dilation, groups):
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x, weight, bias):
        self.saved = (x if self.needs[1] else None, weight if self.needs[0] else None)
        self.shapes_of = x.shape, weight.shape
        return kernels.conv2d_forward(
            contiguous(x), contiguous(weight), None if bias is None else contiguous(bias),
            self.stride, self.padding, self.dilation, self.groups,
        )  # fmt: skip

    def backward(self, dy):
        x, weight = self.saved
        x_shape, weight_shape = self.shapes_of
        how = self.stride, self.padding, self.dilation, self.groups
        dy = contiguous(dy)
        dx = dweight = None
        if self.needs[0]:
            dx = kernels.conv2d_input_grad(dy, contiguous(weight), x_shape, *how)
        if self.needs[1]:
            dweight = kernels.conv2d_weight_grad(dy, contiguous(x), weight_shape, *how)
        return dx, dweight, kernels.bias_grad(dy) if self.needs[2] else None


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """2-d convolution of x (N, C, H, W), or one image (C, H, W), with weight (O, C/groups, KH, KW), bias (O).

    `stride`, `padding`, `dilation` are an int or a pair (height, width); `padding` may be "valid" (none) or
    "same" (output size = input size; stride 1 only). Output (N, O, H', W') with
    H' = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1.
    """
    expect_tensor(x, "conv2d")
    a, w = x._data, weight._data
    if w.ndim != 4:
        raise RuntimeError(f"{where()}conv2d: weight must be (out, in/groups, height, width), got shape {w.shape}")
    if a.ndim not in (3, 4):
        raise RuntimeError(
            f"{where()}conv2d: expected an input of shape (N, C, H, W) or (C, H, W), got {a.shape}"
            + ("; add the channel with x.unsqueeze(0)" if a.ndim == 2 else "")
        )
    stride, dilation = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    padding = padding_pairs(padding, w.shape[2:], stride, dilation)
    check_channels("conv2d", a.shape, w.shape, groups)
    if a.dtype != w.dtype:
        raise RuntimeError(
            f"{where()}conv2d: input is {a.dtype} but weight is {w.dtype}; convert the input with .to(tg.{w.dtype})"
        )
    if a.dtype.kind != "f":
        raise RuntimeError(f"{where()}conv2d: expected floating tensors, got {a.dtype}; convert them with .float()")
    if bias is not None and (bias._data.shape != w.shape[:1] or bias._data.dtype != w.dtype):
        raise RuntimeError(
            f"{where()}conv2d: bias of shape {bias._data.shape} and {bias._data.dtype} for {w.shape[0]} output channels "
            f"and weight of {w.dtype}"
        )
    check_fits("conv2d", a.shape[-2:], w.shape[2:], padding, dilation)
    if a.ndim == 3:
        return conv2d(x.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    return Conv2d(stride, padding, dilation, groups)(x, weight, bias)


def pair(value, name, least):
    """An int or two ints as a pair of ints ≥ `least`."""
    two = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(two) == 1:
        two *= 2
    if len(two) != 2 or not all(isinstance(v, int | np.integer) for v in two):
        raise RuntimeError(f"{where()}{name} must be an int or a pair of ints, got {value!r}")
    if min(two) < least:
        raise RuntimeError(f"{where()}{name} must be at least {least}, got {value!r}")
    return int(two[0]), int(two[1])


def padding_pairs(padding, kernel_size, stride, dilation):
    """Padding as ((top, bottom), (left, right)). "same" puts an odd row or column at the bottom or right."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise RuntimeError(f"{where()}padding must be an int, a pair, 'valid' or 'same', got {padding!r}")
        if stride != (1, 1):
            raise RuntimeError(f"{where()}padding='same' is for stride 1 only, got stride {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, tuple) and len(padding) == 2 and isinstance(padding[0], tuple):
        return padding
    height, width = pair(padding, "padding", 0)
    return (height, height), (width, width)


def check_channels(name, x_shape, weight_shape, groups):
    """The input's channels are those the weight was made for."""
    if not isinstance(groups, int | np.integer) or groups < 1:
        raise RuntimeError(f"{where()}{name}: groups must be an int of at least 1, got {groups!r}")
    channels = x_shape[-3]
    if channels != weight_shape[1] * groups:
        raise RuntimeError(
            f"{where()}{name}: input of shape {x_shape} has {channels} channels, but weight of shape {weight_shape} "
            f"with groups={groups} expects {weight_shape[1] * groups}"
        )
    if weight_shape[0] % groups:
        raise RuntimeError(f"{where()}{name}: {weight_shape[0]} output channels are not divisible by groups={groups}")


def check_fits(name, size, kernel_size, padding, dilation):
    """The filter is not larger than the padded image."""
    padded = [s + p[0] + p[1] for s, p in zip(size, padding, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    if any(k < 1 for k in kernel_size):
        raise RuntimeError(f"{where()}{name}: kernel size must be at least 1, got {tuple(kernel_size)}")
    if any(r > p for r, p in zip(reach, padded, strict=True)):
        raise RuntimeError(
            f"{where()}{name}: the kernel ({reach[0]} x {reach[1]}, dilation included) is larger than the padded "
            f"input ({padded[0]} x {padded[1]}); use a larger image, a smaller kernel or more padding"
        )
