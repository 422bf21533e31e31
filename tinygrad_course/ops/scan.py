"""Running sums, products and maxima along a dimension."""

import collections
import math

import numpy as np

from ..base import TensorBase, array_of, tensor_of
from ..function import Function
from ..kernels import scan as kernels
from . import convert
from .convert import numpy_names
from .extrema import Pick
from .reduce import in_dtype, normalize_dims
from .select import choose

__all__ = ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"]
METHODS = __all__  # of Tensor
FEW = 1_000  # numbers
IN_PLACE = ["cumsum", "cumprod"]


class CumSum(Function):
    """z_i = Σ_{j≤i} x_j along an axis;  ∂L/∂x_j = Σ_{i≥j} ∂L/∂z_i: the running sum from the other end."""

    __slots__ = ("axis", "from_end")
    name = "cumsum"

    def __init__(self, axis, from_end=False):
        self.axis, self.from_end = axis, from_end

    def forward(self, x):
        return _running_sums(x, self.axis, self.from_end)

    def backward(self, dz):
        return _running_sums(dz, self.axis, not self.from_end)

    backward_on_tape = Function.linear_on_tape


def _suffix_sums(x, axis):
    if isinstance(x, TensorBase):
        return CumSum(axis, from_end=True)(x)
    return _running_sums(x, axis, from_end=True)


def _running_sums(x, axis, from_end):
    """Of an array. Few numbers, and integers, are NumPy's, which is quick to call."""
    if x.dtype.kind == "f" and x.size >= FEW:
        x, size = convert.contiguous(x), x.shape[axis]
        rows = x.reshape(math.prod(x.shape[:axis]), size, math.prod(x.shape[axis + 1 :]))
        return kernels.running_sums(rows, from_end).reshape(x.shape)
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if from_end else np.cumsum(x, axis)


class CumProd(Function):
    """z_i = Π_{j≤i} x_j along an axis;  ∂L/∂x_j = Σ_{i≥j} ∂L/∂z_i z_i / x_j, if nothing is 0."""

    __slots__ = ("axis",)
    name = "cumprod"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        z = np.cumprod(x, self.axis)
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = self.saved
        if array_of(x).all():
            return _suffix_sums(dz * z, self.axis) / x
        # ∂z_i/∂x_j is the running product of x with 1 in the place of x_j, from i = j on.
        x, dz = x.swapaxes(0, self.axis), dz.swapaxes(0, self.axis)
        size, ones = len(x), [1] * (x.ndim - 1)
        own = np.eye(size, dtype=bool).reshape(size, size, *ones)
        after = np.triu(np.ones((size, size), bool)).reshape(size, size, *ones)
        products = choose(own, 1, x[None]).cumprod(axis=1)
        return choose(after, products * dz[None], 0).sum(axis=1).swapaxes(0, self.axis)


@numpy_names
def cumsum(x, dim, *, dtype=None):
    """z_i = x_0 + … + x_i along `dim`. Integers and bools are summed as int64."""
    return _along(CumSum, x, dim, dtype)


@numpy_names
def cumprod(x, dim, *, dtype=None):
    """z_i = x_0 · … · x_i along `dim`. Integers and bools are multiplied as int64."""
    return _along(CumProd, x, dim, dtype)


def _along(operation, x, dim, dtype):
    x = in_dtype(x, dtype)
    if x._data.dtype.kind != "f":
        x = convert.cast(x, np.int64)
    axes = normalize_dims(dim, x._data.ndim)
    return operation(axes[0])(x) if axes else x.clone()


def logcumsumexp(x, dim):
    """z_i = ln(e^x_0 + … + e^x_i) along `dim`, without overflow."""
    axes = normalize_dims(dim, x._data.ndim)
    if not axes or not x._data.size:
        return x.clone()
    (axis,) = axes
    size = x._data.shape[axis]
    x = x.swapaxes(axis, -1)
    before = np.tril(np.ones((size, size), bool))
    return choose(before, x.unsqueeze(-2), -np.inf).logsumexp(-1).swapaxes(axis, -1)


def cummax(x, dim):
    """The largest of x_0, …, x_i along `dim` and its index, the last of several: (values, indices)."""
    return _running("cummax", np.greater_equal, x, dim)


def cummin(x, dim):
    """The smallest of x_0, …, x_i along `dim` and its index, the last of several: (values, indices)."""
    return _running("cummin", np.less_equal, x, dim)


def _running(name, wins, x, dim):
    axes = normalize_dims(dim, x._data.ndim)
    if not axes:
        indices, values = np.zeros((), np.int64), x.clone()
    else:
        array = np.moveaxis(x._data, axes[0], 0)
        indices = np.zeros(array.shape, np.int64)
        for i in range(1, len(array)):
            best = np.take_along_axis(array, indices[i - 1 : i], 0)[0]
            indices[i] = np.where(wins(array[i], best) | np.isnan(array[i]), i, indices[i - 1])
        indices = np.moveaxis(indices, 0, axes[0])
        values = PickMany(indices, axes[0])(x)
    return collections.namedtuple(name, ["values", "indices"])(values, tensor_of(indices))


class PickMany(Pick):
    """z_i = x at index_i along an axis;  the gradients of those that chose the same number are added."""

    __slots__ = ()

    def backward(self, dz):
        dx = np.zeros(dz.shape, dz.dtype)
        places = list(np.ogrid[tuple(slice(n) for n in dz.shape)])
        places[self.axis] = self.indices
        np.add.at(dx, tuple(places), dz)
        return dx
