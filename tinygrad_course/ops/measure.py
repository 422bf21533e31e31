"""Lengths and soft maxima: norms, distances, logsumexp."""

import math

import numpy as np

from ..base import TensorBase, array_of
from ..function import Function
from ..kernels import activation as kernels
from ..modes import where
from . import convert
from .convert import numpy_names
from .reduce import dims_of, opened
from .select import choose

__all__ = ["logsumexp", "norm", "dist"]
METHODS = __all__  # of Tensor


class LogSumExp(Function):
    """z = ln Σ e^x over some axes, without overflow;  ∂z/∂x = e^(x - z), the softmax."""

    __slots__ = ("axes", "keepdim")
    name = "logsumexp"

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        high = np.max(x, axis=self.axes, keepdims=True, initial=-np.inf)
        high = np.where(np.isfinite(high), high, 0)
        powers = kernels.exp(convert.contiguous(x - high))
        z = np.log(powers.sum(axis=self.axes, keepdims=True)) + high
        z = z if self.keepdim else z.squeeze(self.axes)
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = self.saved
        dz, z = (opened(a, self.axes, self.keepdim, x.shape) for a in (dz, z))
        below = x - z
        return (np.exp(below) if isinstance(below, TensorBase) else kernels.exp(convert.contiguous(below))) * dz


class VectorNorm(Function):
    """z = (Σ |x|^p)^(1/p) over some axes;  ∂z/∂x = x |x|^(p-2) / z^(p-1), 0 at x = 0.

    p = ∞ and -∞ are the largest and the smallest |x|, whose holders share the gradient; p = 0 counts what is not 0.
    """

    __slots__ = ("axes", "keepdim", "p")

    def __init__(self, p, axes, keepdim):
        self.p, self.axes, self.keepdim = p, axes, keepdim

    def forward(self, x):
        if self.p == 2:
            z = np.sqrt((x * x).sum(axis=self.axes, keepdims=self.keepdim))
        elif self.p == 0:
            z = (x != 0).sum(axis=self.axes, keepdims=self.keepdim, dtype=x.dtype)
        elif math.isinf(self.p):
            z = np.max(np.abs(x), axis=self.axes, keepdims=self.keepdim, initial=0) if self.p > 0 else np.min(
                np.abs(x), axis=self.axes, keepdims=self.keepdim)  # fmt: skip
        else:
            z = (np.abs(x) ** self.p).sum(axis=self.axes, keepdims=self.keepdim) ** (1 / self.p)
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = self.saved
        dz, z = (opened(a, self.axes, self.keepdim, x.shape) for a in (dz, z))
        p = self.p
        if p == 2:
            return x * choose(z == 0, 0, dz / z)
        sign, size = np.sign(x), np.abs(x)
        if p == 0:
            return dz * (sign * 0)
        if p == 1:
            return dz * sign
        if math.isinf(p):
            holders = array_of(size) == array_of(z)
            return dz * (sign * (holders / holders.sum(axis=self.axes, keepdims=True)).astype(x.dtype))
        slope = sign * size ** (p - 1) if p < 2 else x * size ** (p - 2)
        if p < 1:
            slope = choose(x == 0, 0, slope)
            return dz * slope * z ** (1 - p)
        return slope * choose(z == 0, 0, dz / z ** (p - 1))


@numpy_names
def logsumexp(x, dim, keepdim=False):
    """ln Σ e^x over `dim` (an int or several), without overflow."""
    return LogSumExp(dims_of(dim, x), keepdim)(convert.floating(x))


@numpy_names
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(Σ |x|^ord)^(1/ord) over `dim` (an int or several; all by default); any number `ord`, or ±∞, or 0."""
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}norm: expected a floating tensor, got {x._data.dtype}; convert it with .float()")
    x = x if dtype is None else convert.cast(x, dtype)
    axes = dims_of(dim, x)
    if (ord < 0 or ord == math.inf) and not all(x._data.shape[axis] for axis in axes):
        raise RuntimeError(f"{where()}norm: the norm of order {ord} of shape {x._data.shape} over {dim} has no numbers")
    return VectorNorm(ord, axes, keepdim)(x)


@numpy_names
def norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    """The length of x as a vector over `dim` (all by default): p is its order, "fro" the Euclidean 2."""
    if isinstance(p, str):
        if p != "fro":
            raise NotImplementedError(f'{where()}norm: p must be a number or "fro", not {p!r}')
        p = 2
    return vector_norm(x, 2 if p is None else p, dim, keepdim, dtype=dtype)


def dist(x, other, p=2):
    """The norm of x - other."""
    return vector_norm(x - other, p)
