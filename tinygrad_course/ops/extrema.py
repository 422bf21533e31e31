"""The largest, the smallest, the middle: which number it is, and where it stands.

Where several numbers are equal, a reduction of one dimension with indices gives the whole gradient to the one that
the index names; `amax`, `amin` and reductions to one number share it evenly.
"""

import collections
import math

import numpy as np

from ..base import TensorBase, array_of, tensor_of
from ..function import Function
from ..kernels import reduce as kernels
from ..kernels.buffers import LARGE
from ..modes import where
from .convert import contiguous, numpy_names
from .large import MANY
from .reduce import dims_of, normalize_dims, opened
from .select import maximum, minimum

__all__ = ["max", "min", "amax", "amin", "aminmax", "argmax", "argmin", "median", "nanmedian", "mode"]
METHODS = __all__  # of Tensor

_RESULTS = {name: collections.namedtuple(name, ["values", "indices"]) for name in ("max", "min", "median", "mode")}
_RESULTS["nanmedian"] = collections.namedtuple("nanmedian", ["values", "indices"])
_AMinMax = collections.namedtuple("aminmax", ["min", "max"])


class AMax(Function):
    """z = the largest x over some axes;  all that equal it share the gradient evenly."""

    __slots__ = ("axes", "keepdim")
    name = "amax"
    find = staticmethod(np.max)

    def __init__(self, axes, keepdim):
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x):
        z = np.asarray(self.find(x, axis=self.axes, keepdims=self.keepdim))
        self.saved = x, z
        return z

    def backward(self, dz):
        x, z = map(array_of, self.saved)
        z = opened(z, self.axes, self.keepdim, x.shape)
        count = math.prod([x.shape[axis] for axis in self.axes])
        if type(dz) is np.ndarray and x.size >= MANY and self.axes == tuple(range(x.ndim - len(self.axes), x.ndim)):
            rows = contiguous(x).reshape(x.size // count, count)  # what was reduced are neighbours
            return kernels.share(contiguous(dz).reshape(-1), z.reshape(-1), rows).reshape(x.shape)
        winners = (x == z) | (np.isnan(x) & np.isnan(z))
        share = (winners / winners.sum(axis=self.axes, keepdims=True)).astype(x.dtype)
        return opened(dz, self.axes, self.keepdim, x.shape) * share


class AMin(AMax):
    """z = the smallest x over some axes;  all that equal it share the gradient evenly."""

    __slots__ = ()
    name = "amin"
    find = staticmethod(np.min)


class Median(AMax):
    """z = the lower median of all x;  all that equal it share the gradient evenly."""

    __slots__ = ()
    name = "median"

    @staticmethod
    def find(x, axis, keepdims):
        return x.ravel()[int(_middle(x.ravel(), 0))] if x.size else np.asarray(np.nan, x.dtype)


class Pick(Function):
    """z = x at one index along an axis;  the number that stands there takes the gradient."""

    __slots__ = ("axis", "indices", "size")

    def __init__(self, indices, axis):
        self.indices, self.axis = indices, axis

    def forward(self, x):
        self.size = x.shape[self.axis]
        return np.take_along_axis(x, self.indices, self.axis)

    def backward(self, dz):
        shape = list(dz.shape)
        shape[self.axis] = self.size
        dx = np.zeros(shape, dz.dtype)
        np.put_along_axis(dx, self.indices, dz, self.axis)
        return dx

    backward_on_tape = Function.linear_on_tape


class Max(Pick):
    """z = the largest x along an axis;  the first of them takes the gradient."""

    __slots__ = ()


class Min(Pick):
    """z = the smallest x along an axis;  the first of them takes the gradient."""

    __slots__ = ()


def _picked(name, operation, find, x, dim, keepdim):
    """The values and the indices that `find(array, axis)` names, as a named tuple."""
    axes = normalize_dims(dim, x._data.ndim)
    vector = x if axes else x.reshape(1)
    (axis,) = axes or (0,)
    if not vector._data.shape[axis]:
        raise IndexError(f"{where()}{name}: dimension {dim} of shape {x._data.shape} has size 0")
    array = vector._data
    if array.nbytes >= LARGE and axis != array.ndim - 1:  # rows are searched several times as fast as columns
        array, axis_of_search = contiguous(np.moveaxis(array, axis, -1)), -1
    else:
        axis_of_search = axis
    indices = np.asarray(find(array, axis_of_search), np.int64)
    values = operation(np.expand_dims(indices, axis), axis)(vector)
    if not axes or not keepdim:
        return _RESULTS[name](values.squeeze(axis), tensor_of(indices))
    return _RESULTS[name](values, tensor_of(np.expand_dims(indices, axis)))


def _not_empty(name, x, axes):
    for axis in axes:
        if not x._data.shape[axis]:
            raise IndexError(f"{where()}{name}: dimension {axis} of shape {x._data.shape} has size 0")


@numpy_names
def max(x, dim=None, keepdim=False, *, other=None):
    """The largest number; or of each slice along `dim`, as a named tuple (values, indices); or `maximum(x, other)`.

    nan is larger than every number. RuntimeError for an empty tensor, IndexError for an empty dimension.
    """
    if isinstance(dim, TensorBase) or other is not None:
        return maximum(x, dim if other is None else other)
    if dim is None:
        return _all_of("max", AMax, x)
    return _picked("max", Max, np.argmax, x, dim, keepdim)


@numpy_names
def min(x, dim=None, keepdim=False, *, other=None):
    """The smallest number; or of each slice along `dim`, as a named tuple (values, indices); or `minimum(x, other)`.

    nan is smaller than every number. RuntimeError for an empty tensor, IndexError for an empty dimension.
    """
    if isinstance(dim, TensorBase) or other is not None:
        return minimum(x, dim if other is None else other)
    if dim is None:
        return _all_of("min", AMin, x)
    return _picked("min", Min, np.argmin, x, dim, keepdim)


def _all_of(name, operation, x):
    if not x._data.size:
        raise RuntimeError(f"{where()}{name}: a tensor of shape {x._data.shape} has no numbers; name a dim to reduce")
    return operation(tuple(range(x._data.ndim)), False)(x)


@numpy_names
def amax(x, dim=(), keepdim=False):
    """The largest number over `dim` (an int or several; all by default); equal ones share the gradient."""
    axes = dims_of(dim, x)
    _not_empty("amax", x, axes)
    return AMax(axes, keepdim)(x)


@numpy_names
def amin(x, dim=(), keepdim=False):
    """The smallest number over `dim` (an int or several; all by default); equal ones share the gradient."""
    axes = dims_of(dim, x)
    _not_empty("amin", x, axes)
    return AMin(axes, keepdim)(x)


@numpy_names
def aminmax(x, *, dim=None, keepdim=False):
    """`amin` and `amax` as a named tuple (min, max)."""
    if dim is None and not x._data.size:
        raise RuntimeError(f"{where()}aminmax: a tensor of shape {x._data.shape} has no numbers; name a dim to reduce")
    dim = () if dim is None else dim
    return _AMinMax(amin(x, dim, keepdim), amax(x, dim, keepdim))


@numpy_names
def argmax(x, dim=None, keepdim=False):
    """Position of the largest number: in the flattened tensor, or along `dim`. The first one wins."""
    return _position(np.argmax, "argmax", x, dim, keepdim)


@numpy_names
def argmin(x, dim=None, keepdim=False):
    """Position of the smallest number: in the flattened tensor, or along `dim`. The first one wins."""
    return _position(np.argmin, "argmin", x, dim, keepdim)


def _position(find, name, x, dim, keepdim):
    axes = normalize_dims(dim, x._data.ndim)
    _not_empty(name, x, axes)
    axis = None if dim is None or not axes else axes[0]
    return tensor_of(np.asarray(find(x._data, axis=axis, keepdims=keepdim), dtype=np.int64))


@numpy_names
def median(x, dim=None, keepdim=False):
    """The lower one of the two numbers in the middle; of each slice along `dim`, a named tuple (values, indices)."""
    if dim is None:
        return Median(tuple(range(x._data.ndim)), False)(x)
    return _picked("median", Pick, _middle, x, dim, keepdim)


@numpy_names
def nanmedian(x, dim=None, keepdim=False):
    """`median` of the numbers that are not nan."""
    if dim is None:
        known = x[~np.isnan(x._data)]
        return median(known if known._data.size else x)
    return _picked("nanmedian", Pick, lambda x, axis: _middle(x, axis, skip_nan=True), x, dim, keepdim)


def _middle(x, axis, skip_nan=False):
    """Indices of the lower median along an axis; of a nan if there is one."""
    order = np.argsort(x, axis=axis, kind="stable")  # nan comes last
    missing = np.isnan(x).sum(axis=axis, keepdims=True)
    count = x.shape[axis] - missing
    middle = np.maximum(count - 1, 0) // 2
    if not skip_nan:
        middle = np.where(missing > 0, x.shape[axis] - missing, middle)
    return np.take_along_axis(order, middle, axis).squeeze(axis)


@numpy_names
def mode(x, dim=-1, keepdim=False):
    """The most frequent number of each slice along `dim`, the smallest of several, and the last of its indices."""
    return _picked("mode", Pick, lambda x, axis: np.apply_along_axis(_most_frequent, axis, x), x, dim, keepdim)


def _most_frequent(vector):
    values, counts = np.unique(vector, return_counts=True)
    return np.flatnonzero(vector == values[np.argmax(counts)])[-1]
