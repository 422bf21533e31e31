"""Convolution layers."""

import numpy as np

from .. import ops
from ..ops.conv import pair
from .linear import reset_uniform
from .module import Module, Parameter


class Conv2d(Module):
    """2-d convolution (cross-correlation) of x (N, in_channels, H, W): y (N, out_channels, H', W').

    H' = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1, W' likewise. Sizes are an int or a pair;
    `padding` may be "same" or "valid". Weight (out_channels, in_channels/groups, KH, KW) and bias start uniform
    in ±1/√fan_in, as in PyTorch.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 padding_mode="zeros", dtype=None):  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f"Conv2d: padding_mode must be 'zeros', got {padding_mode!r}")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: in_channels={in_channels} and out_channels={out_channels} must be multiples of groups={groups}"
            )
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"Conv2d: padding must be an int, a pair, 'same' or 'valid', got {padding!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, "Conv2d: kernel_size", 1)
        self.stride = pair(stride, "Conv2d: stride", 1)
        self.dilation = pair(dilation, "Conv2d: dilation", 1)
        self.padding = padding if isinstance(padding, str) else pair(padding, "Conv2d: padding", 0)
        if padding == "same" and self.stride != (1, 1):
            raise ValueError(f"Conv2d: padding='same' is for stride 1 only, got stride {self.stride}")
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(np.empty(shape, dtype or np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, dtype or np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        reset_uniform(self.weight, self.bias)

    def forward(self, x):
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self):
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding not in ((0, 0), "valid"):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + (", bias=False" if self.bias is None else "")
