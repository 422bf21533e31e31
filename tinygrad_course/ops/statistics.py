"""Variance and standard deviation."""

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..modes import where
from . import large
from .convert import numpy_names
from .reduce import Mean, dims_of, opened
from .select import choose

__all__ = ["var", "std", "var_mean", "std_mean"]
METHODS = __all__  # of Tensor


class Var(Function):
    """z = Σ (x - x̄)² / (n - correction) over some axes;  ∂z/∂x = 2 (x - x̄) / (n - correction)."""

    __slots__ = ("axes", "correction", "count", "keepdim")

    def __init__(self, axes, correction, keepdim):
        self.axes, self.correction, self.keepdim = axes, correction, keepdim

    def forward(self, x):
        self.saved = (x,)
        return self._variance(x)

    def _variance(self, x):
        self.count = int(np.prod([x.shape[axis] for axis in self.axes], dtype=np.int64))
        distance = self._distance(x)
        total = large.sum_axes(large.mul(distance, distance), self.axes, self.keepdim)
        return np.divide(total, max(self.count - self.correction, 0), dtype=x.dtype)

    def backward(self, dz):
        (x,) = self.saved
        return self._slope(dz, x)

    def _slope(self, dz, x):
        weight = float(np.divide(2.0, self.count - self.correction))  # infinite for one number
        return large.mul(self._distance(x), opened(dz, self.axes, self.keepdim, x.shape) * weight)

    def _distance(self, x):
        if isinstance(x, TensorBase):
            return x - x.mean(axis=self.axes, keepdims=True)
        mean = np.divide(large.sum_axes(x, self.axes, True), self.count, dtype=x.dtype)
        return large.sub(x, mean)


class Std(Var):
    """z = √Var(x) over some axes;  ∂z/∂x = (x - x̄) / ((n - correction) z), taken as 0 where z = 0."""

    __slots__ = ()

    def forward(self, x):
        z = np.sqrt(self._variance(x))
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = self.saved
        return self._slope(choose(z == 0, 0, dz / (2 * z)), x)


def _arguments(name, x, dim, unbiased, keepdim, correction):
    """The axes, the correction and keepdim: `var(dim, unbiased)` and `var(unbiased)` are PyTorch's old ways."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}{name} needs a floating tensor, got {x._data.dtype}; convert it with .float()")
    if unbiased is not None:
        correction = int(unbiased)
    return dims_of(dim, x), 1 if correction is None else correction, keepdim


@numpy_names
def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Σ (x - x̄)² / (n - correction) over `dim` (an int or several; all by default).

    `correction` is 1 by default, Bessel's; `unbiased=False` is correction 0. nan if n ≤ correction.
    """
    return Var(*_arguments("var", x, dim, unbiased, keepdim, correction))(x)


@numpy_names
def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """√var, with gradient 0 where all numbers are equal. The arguments are those of `var`."""
    return Std(*_arguments("std", x, dim, unbiased, keepdim, correction))(x)


@numpy_names
def var_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Variance and mean. The arguments are those of `var`."""
    axes, correction, keepdim = _arguments("var_mean", x, dim, unbiased, keepdim, correction)
    return Var(axes, correction, keepdim)(x), Mean(axes, keepdim)(x)


@numpy_names
def std_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Standard deviation and mean. The arguments are those of `var`."""
    axes, correction, keepdim = _arguments("std_mean", x, dim, unbiased, keepdim, correction)
    return Std(axes, correction, keepdim)(x), Mean(axes, keepdim)(x)
