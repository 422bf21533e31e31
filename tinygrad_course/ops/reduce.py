"""Reductions: many numbers become few. Backward spreads the gradient over what was reduced."""

import numpy as np

from .. import engine
from ..engine import Function, where

__all__ = ["argmax", "argmin", "mean", "sum"]
METHODS = __all__  # of Tensor


def normalize_dims(dim, ndim, name="dim"):
    """`dim` (an int, several, or None for all) as a tuple of axes from 0 on.

    IndexError for one out of range, RuntimeError for one named twice: PyTorch's types.
    """
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if isinstance(dim, int | np.integer) else tuple(dim)
    axes = []
    for d in dims:
        if not -max(ndim, 1) <= d < max(ndim, 1):
            raise IndexError(
                f"{where()}{name}={d} is out of range for {ndim} dimensions: [{-max(ndim, 1)}, {max(ndim, 1) - 1}]"
            )
        axes.append(int(d) % max(ndim, 1))
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"{where()}{name}={dims} names a dimension twice")
    return tuple(axes) if ndim else ()


class Sum(Function):
    """z = Σ x over some axes;  ∂z/∂x = 1: every summand gets the gradient of its sum."""

    __slots__ = ("axes", "input_shape", "keepdim")

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        self.input_shape = x.shape
        return x.sum(axis=self.axes, keepdims=self.keepdim, dtype=x.dtype if x.dtype.kind == "f" else np.int64)

    def backward(self, dz):
        return _spread(dz, self.axes, self.keepdim, self.input_shape)


class Mean(Function):
    """z = (1/n) Σ x over some axes;  ∂z/∂x = 1/n."""

    __slots__ = ("axes", "input_shape", "keepdim")

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        self.input_shape = x.shape
        return np.divide(x.sum(axis=self.axes, keepdims=self.keepdim), self._count(), dtype=x.dtype)

    def backward(self, dz):
        return _spread(dz / max(self._count(), 1), self.axes, self.keepdim, self.input_shape)

    def _count(self):
        count = 1
        for axis in self.axes:
            count *= self.input_shape[axis]
        return count


def _spread(dz, axes, keepdim, shape):
    """dz, one number per group that was reduced, repeated over the group: a view of `shape`."""
    if not keepdim:
        dz = np.asarray(dz).reshape([1 if axis in axes else size for axis, size in enumerate(shape)])
    return np.broadcast_to(dz, shape)


def sum(x, dim=None, keepdim=False):
    """Σ x over `dim` (an int or several; all by default). Integers and bools are summed as int64."""
    return Sum(_dims(dim, x), keepdim)(x)


def mean(x, dim=None, keepdim=False):
    """Mean over `dim` (an int or several; all by default); nan for an empty tensor."""
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}mean needs a floating tensor, got {x._data.dtype}; convert it with .float()")
    return Mean(_dims(dim, x), keepdim)(x)


def _dims(dim, x):
    """No dimension, `()`, is all of them, as in PyTorch."""
    return normalize_dims(None if dim == () or dim == [] else dim, x._data.ndim)


def argmax(x, dim=None, keepdim=False):
    """Position of the largest number: in the flattened tensor, or along `dim`. The first one wins."""
    return _position(np.argmax, x, dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    """Position of the smallest number: in the flattened tensor, or along `dim`. The first one wins."""
    return _position(np.argmin, x, dim, keepdim)


def _position(find, x, dim, keepdim):
    if dim is not None:
        (dim,) = normalize_dims(dim, x._data.ndim) or (None,)
    return engine._tensor_class(np.asarray(find(x._data, axis=dim, keepdims=keepdim), dtype=np.int64))

