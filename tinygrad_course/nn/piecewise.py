"""Piecewise linear activations as layers."""

import numpy as np

from .. import ops
from ..modes import where
from .activation import InPlace
from .linear import Linear
from .module import Module, Parameter


class ReLU6(InPlace):
    """y = min(max(x, 0), 6): bounded, so that few bits do for it (MobileNet)."""

    def forward(self, x):
        return ops.relu6(x)


class LeakyReLU(InPlace):
    """y = x where x > 0, else a x, a = `negative_slope`: no unit dies. gain √(2/(1 + a²)).

    PyTorch's slope is 0.01; CS231n writes 0.1 on one slide and 0.01 on another.
    """

    def __init__(self, negative_slope=1e-2, inplace=False):
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, x):
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """y = x where x > 0, else a x, with a learned from 0.25 on: ∂L/∂a = Σ x dy over x ≤ 0 (He et al. 2015).

    One a for all, or with `num_parameters` = C one for each channel of x (N, C, …).
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(num_parameters, init, dtype or np.float32))

    def reset_parameters(self):
        """All slopes `init` again."""
        self.weight.data[...] = self.init

    def forward(self, x):
        return ops.prelu(x, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class RReLU(InPlace):
    """LeakyReLU whose slopes are drawn from [lower, upper) in training; in eval mode, their mean (Xu et al. 2015)."""

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__(inplace)
        self.lower, self.upper = lower, upper

    def forward(self, x):
        return ops.rrelu(x, self.lower, self.upper, self.training)

    def extra_repr(self):
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Threshold(InPlace):
    """y = x where x > `threshold`, else `value`."""

    def __init__(self, threshold, value, inplace=False):
        super().__init__(inplace)
        self.threshold, self.value = threshold, value

    def forward(self, x):
        return ops.threshold(x, self.threshold, self.value)

    def extra_repr(self):
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class Hardtanh(InPlace):
    """y = min(max(x, min_val), max_val)."""

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False):
        super().__init__(inplace)
        if not min_val < max_val:
            raise AssertionError(f"Hardtanh: min_val must be less than max_val, got {min_val} and {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x):
        return ops.hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Hardsigmoid(InPlace):
    """y = min(max(x + 3, 0), 6) / 6."""

    def forward(self, x):
        return ops.hardsigmoid(x)

    def extra_repr(self):
        return ""


class Hardswish(InPlace):
    """y = x · hardsigmoid(x) (MobileNetV3)."""

    def forward(self, x):
        return ops.hardswish(x)

    def extra_repr(self):
        return ""


class Hardshrink(Module):
    """y = x, but 0 where |x| ≤ λ."""

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, x):
        return ops.hardshrink(x, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Softshrink(Hardshrink):
    """y = x drawn towards 0 by λ: x - λ above λ, x + λ below -λ, 0 between."""

    def forward(self, x):
        return ops.softshrink(x, self.lambd)


class Maxout(Module):
    """y = max_i (w_i x + b_i), the largest of `pieces` linear functions: x (…, in_features) → y (…, out_features).

    With two pieces it has twice a linear layer's parameters, and the ReLU layer is the one whose second piece is 0.
    (Goodfellow et al. 2013.)
    """

    def __init__(self, in_features, out_features, pieces=2, bias=True, dtype=None):
        super().__init__()
        if pieces < 1:
            raise ValueError(f"{where()}Maxout: pieces must be at least 1, got {pieces}")
        self.pieces = pieces
        self.linear = Linear(in_features, out_features * pieces, bias, dtype=dtype)  # row o·pieces + i is w_i of unit o

    def forward(self, x):
        return ops.maxout(self.linear(x), self.pieces)

    def extra_repr(self):
        return f"pieces={self.pieces}"
