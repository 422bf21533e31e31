"""Fully connected layers."""

import math

import numpy as np

from .. import ops
from . import init
from .module import Module, Parameter


class Linear(Module):
    """y = x Wᵀ + b for x (…, in_features): y (…, out_features).

    W (out_features, in_features) and b start uniform in ±1/√in_features, as in PyTorch. Note that this is
    Var W = 1/(3 in_features): a deep ReLU net so initialized loses 5/6 of its mean square a layer; see `nn.init`.
    """

    def __init__(self, in_features, out_features, bias=True, dtype=None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), dtype or np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_features, dtype or np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw W and b anew."""
        reset_uniform(self.weight, self.bias)

    def forward(self, x):
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def reset_uniform(weight, bias):
    """Weight and bias uniform in ±1/√fan_in (PyTorch's start for linear and convolution layers)."""
    if weight._data.size:
        init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init.fans(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)
