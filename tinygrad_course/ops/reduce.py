"""Reductions: many numbers become few. Backward spreads the gradient over what was reduced."""

import numpy as np

from ..base import TensorBase, array_of, tensor_of
from ..function import Function
from ..modes import where
from . import convert, large
from .convert import numpy_names
from .select import choose
from .select import where as choice

__all__ = ["sum", "nansum", "mean", "nanmean", "prod", "any", "all", "count_nonzero"]
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
    replayable = True

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        self.input_shape = x.shape
        if x.dtype.kind == "f":
            return large.sum_axes(x, self.axes, self.keepdim)
        return x.sum(axis=self.axes, keepdims=self.keepdim, dtype=np.int64)

    def backward(self, dz):
        return _spread(dz, self.axes, self.keepdim, self.input_shape)

    backward_on_tape = Function.linear_on_tape


class Mean(Function):
    """z = (1/n) Σ x over some axes;  ∂z/∂x = 1/n."""

    __slots__ = ("axes", "input_shape", "keepdim")
    replayable = True

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        self.input_shape = x.shape
        return np.divide(large.sum_axes(x, self.axes, self.keepdim), self._count(), dtype=x.dtype)

    def backward(self, dz):
        return _spread(dz / max(self._count(), 1), self.axes, self.keepdim, self.input_shape)

    backward_on_tape = Function.linear_on_tape

    def _count(self):
        count = 1
        for axis in self.axes:
            count *= self.input_shape[axis]
        return count


class Prod(Function):
    """z = Π x along an axis;  ∂z/∂x_i = Π_{j≠i} x_j, which is z / x_i unless there are zeros."""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        z = x.prod(axis=self.axis, keepdims=True)
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = self.saved
        if array_of(x).all():
            return dz * z / x
        return dz * self._others(x).prod(axis=1).swapaxes(0, self.axis)

    def _others(self, x):
        """n copies of x's n slices along the axis, the i-th copy with 1 in the place of slice i."""
        x = x.swapaxes(0, self.axis)
        own = np.eye(len(x), dtype=bool).reshape(len(x), len(x), *[1] * (x.ndim - 1))
        return choose(own, 1, x[None])


def _spread(dz, axes, keepdim, shape):
    """dz, one number per group that was reduced, repeated over the group: a view of `shape`."""
    return np.broadcast_to(opened(dz, axes, keepdim, shape), shape)


def opened(z, axes, keepdim, shape):
    """The result z (array or tensor) of reducing `shape` over `axes`, with those axes back, of size 1."""
    return z if keepdim else z.reshape(tuple([1 if axis in axes else size for axis, size in enumerate(shape)]))


@numpy_names
def sum(x, dim=None, keepdim=False, *, dtype=None):
    """Σ x over `dim` (an int or several; all by default). Integers and bools are summed as int64."""
    return Sum(dims_of(dim, x), keepdim)(in_dtype(x, dtype))


@numpy_names
def nansum(x, dim=None, keepdim=False, *, dtype=None):
    """Σ x over `dim` (an int or several; all by default), nan counted as 0."""
    return sum(choice(np.isnan(x._data), 0, x), dim, keepdim, dtype=dtype)


@numpy_names
def mean(x, dim=None, keepdim=False, *, dtype=None):
    """Mean over `dim` (an int or several; all by default); nan for an empty tensor."""
    x = in_dtype(x, dtype)
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}mean needs a floating tensor, got {x._data.dtype}; convert it with .float()")
    return Mean(dims_of(dim, x), keepdim)(x)


@numpy_names
def nanmean(x, dim=None, keepdim=False, *, dtype=None):
    """Mean over `dim` of the numbers that are not nan."""
    count = sum(tensor_of(~np.isnan(x._data)), dim, keepdim)
    return nansum(x, dim, keepdim, dtype=dtype) / count


@numpy_names
def prod(x, dim=None, keepdim=False, *, dtype=None):
    """Π x over the dimension `dim`, or all. Integers and bools are multiplied as int64."""
    x = in_dtype(x, dtype)
    if x._data.dtype.kind != "f":
        return in_dtype(_prod(convert.cast(x, np.int64), dim, keepdim), dtype)
    return _prod(x, dim, keepdim)


def _prod(x, dim, keepdim):
    ndim = x._data.ndim
    if dim is None or not ndim:
        normalize_dims(dim, ndim)
        return Prod(0)(x.reshape(x._data.size)).reshape((1,) * ndim if keepdim else ())
    if not isinstance(dim, int | np.integer):
        raise TypeError(f"{where()}prod: dim must be one integer, got {dim!r}")
    (axis,) = normalize_dims(dim, ndim)
    z = Prod(axis)(x)
    return z if keepdim else z.squeeze(axis)


@numpy_names
def any(x, dim=None, keepdim=False):
    """Whether some number over `dim` (an int or several; all by default) is not 0."""
    return _truth(np.any, x, dim, keepdim)


@numpy_names
def all(x, dim=None, keepdim=False):
    """Whether no number over `dim` (an int or several; all by default) is 0."""
    return _truth(np.all, x, dim, keepdim)


def _truth(quantifier, x, dim, keepdim):
    result = np.asarray(quantifier(x._data, axis=normalize_dims(dim, x._data.ndim), keepdims=keepdim))
    return tensor_of(result.astype(np.uint8) if x._data.dtype == np.uint8 else result)


@numpy_names
def count_nonzero(x, dim=None):
    """How many numbers over `dim` (an int or several; all by default) are not 0."""
    return tensor_of(np.asarray((x._data != 0).sum(axis=dims_of(dim, x)), np.int64))


def dims_of(dim, x):
    """`dim` as a tuple of axes of x. No dimension, `()`, is all of them, as in PyTorch."""
    if isinstance(dim, TensorBase):
        dim = dim.tolist()
    return normalize_dims(None if dim == () or dim == [] else dim, x._data.ndim)


def in_dtype(x, dtype):
    return x if dtype is None else convert.cast(x, dtype)
