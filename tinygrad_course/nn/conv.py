"""Convolution layers. The transposed ones are in `conv_transpose.py`."""

import numpy as np

from .. import ops
from ..ops.conv import convolve, numbers
from .linear import reset_uniform
from .module import Module, Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Convolution(Module):
    """What convolution layers share: a weight, a bias, and the numbers that say how the filters move."""

    dims = 2
    transposed = False
    output_padding = ()

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 padding_mode="zeros", device=None, dtype=None):  # fmt: skip
        super().__init__()
        name, dims = type(self).__name__, self.dims
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels={in_channels} and out_channels={out_channels} must be multiples of "
                f"groups={groups}"
            )
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"{name}: padding must be an int, a pair, 'same' or 'valid', got {padding!r}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = numbers(kernel_size, dims, f"{name}: kernel_size", 1)
        self.stride = numbers(stride, dims, f"{name}: stride", 1)
        self.dilation = numbers(dilation, dims, f"{name}: dilation", 1)
        self.padding = padding if isinstance(padding, str) else numbers(padding, dims, f"{name}: padding", 0)
        self.padding_mode = padding_mode
        if padding == "same" and max(self.stride) > 1:
            raise ValueError(f"{name}: padding='same' is for stride 1 only, got stride {self.stride}")
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(np.empty((*channels, *self.kernel_size), dtype or np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, dtype or np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        reset_uniform(self.weight, self.bias)

    def _padded(self, x):
        """(x, the padding that is left to the convolution): zeros need no copy of x, the other modes do."""
        if self.padding_mode == "zeros":
            return x, self.padding
        total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        if self.padding == "same":
            widths = [(t // 2, t - t // 2) for t in total]
        else:
            widths = [(p, p) for p in ((0,) * self.dims if self.padding == "valid" else self.padding)]
        return ops.pad(x, [n for pair in reversed(widths) for n in pair], self.padding_mode), 0

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value and value != (usual,) * self.dims:
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv1d(Convolution):
    """1-d convolution (cross-correlation) of x (N, in_channels, L) or (in_channels, L): y (N, out_channels, L').

    L' = ⌊(L + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1. See Conv2d.
    """

    dims = 1

    def forward(self, x, relu=False):
        x, padding = self._padded(x)
        how = self.stride, padding, self.dilation, self.groups
        return convolve("conv1d", 1, x, self.weight, self.bias, *how, relu)


class Conv2d(Convolution):
    """2-d convolution (cross-correlation) of x (N, in_channels, H, W): y (N, out_channels, H', W').

    H' = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1, W' likewise. Sizes are an int or a pair;
    `padding` may be "same" or "valid", and `padding_mode` fills it with "zeros", or by "reflect", "replicate" or
    "circular" (see `ops.pad`). `groups` = in_channels makes the convolution depthwise. Weight (out_channels,
    in_channels/groups, KH, KW) and bias start uniform in ±1/√fan_in, as in PyTorch. One image (C, H, W) is as good.
    """

    dims = 2

    def forward(self, x, relu=False):
        x, padding = self._padded(x)
        how = self.stride, padding, self.dilation, self.groups
        return convolve("conv2d", 2, x, self.weight, self.bias, *how, relu)
