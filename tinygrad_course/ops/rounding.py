"""Staircases: floor, ceil, round, trunc, sign. Where they are flat the gradient is 0, and so it is on their edges."""

import numpy as np

from ..function import Function
from ..modes import where
from .convert import numpy_names

__all__ = ["floor", "ceil", "trunc", "fix", "round", "frac", "sign", "sgn"]
METHODS = __all__  # of Tensor
IN_PLACE = __all__


class Floor(Function):
    """z = ⌊x⌋, the largest integer ≤ x;  ∂z/∂x = 0."""

    __slots__ = ()

    def forward(self, x):
        return np.floor(x)

    def backward(self, dz):
        return np.zeros_like(dz)

    def backward_on_tape(self, dz):
        return dz.new_zeros(dz.shape)


class Ceil(Floor):
    """z = ⌈x⌉, the smallest integer ≥ x;  ∂z/∂x = 0."""

    __slots__ = ()

    def forward(self, x):
        return np.ceil(x)


class Trunc(Floor):
    """z = x without its fraction;  ∂z/∂x = 0."""

    __slots__ = ()

    def forward(self, x):
        return np.trunc(x)


class Round(Floor):
    """z = the nearest number with some decimals, of two the even one;  ∂z/∂x = 0."""

    __slots__ = ("decimals",)

    def __init__(self, decimals):
        self.decimals = decimals

    def forward(self, x):
        return np.round(x, self.decimals)


class Sign(Floor):
    """z = 1, 0 or -1, and 0 for nan;  ∂z/∂x = 0."""

    __slots__ = ()

    def forward(self, x):
        return ((x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)) if x.dtype.kind != "b" else x.copy()


def _rounded(x, operation):
    """Integers are round already."""
    return operation(x) if x._data.dtype.kind == "f" else x.clone()


def floor(x):
    """The largest integer ≤ x."""
    return _rounded(x, Floor())


def ceil(x):
    """The smallest integer ≥ x."""
    return _rounded(x, Ceil())


def trunc(x):
    """x without its fraction: the next integer towards 0."""
    return _rounded(x, Trunc())


@numpy_names
def round(x, *, decimals=0):
    """The nearest number with `decimals` decimals; halves go to the even neighbour."""
    return _rounded(x, Round(decimals))


def frac(x):
    """The fraction x - trunc(x), of x's sign, with gradient 1."""
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}frac: expected a floating tensor, got {x._data.dtype}")
    return x - trunc(x)


def sign(x):
    """1 for positive numbers, -1 for negative ones, 0 for 0 and nan."""
    return Sign()(x)


fix, sgn = trunc, sign
