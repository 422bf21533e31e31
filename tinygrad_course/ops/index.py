"""Indexing: choosing numbers by their places, and putting numbers at places.

Two operations do all of it, and each is the other's gradient: what was read from a place is a gradient that is
added at that place, and what was written to a place gets the gradient that is read there.
"""

import math

import numpy as np

from ..base import TensorBase, tensor_of
from ..function import Function, sum_to_shape
from ..kernels import buffers
from ..kernels import index as kernels
from ..modes import where
from . import convert
from .convert import contiguous
from .reduce import normalize_dims
from .shape import reshape

__all__ = ["getitem", "index_put", "select", "narrow", "index_select"]
METHODS = ["index_put", "index_put_", "select", "narrow", "index_select"]  # of Tensor
SPARSE = 16  # times as many places as numbers that are added to them: NumPy's own loop is quicker there


class GetItem(Function):
    """z = x[index];  ∂L/∂x is ∂L/∂z put back at `index`, and added where `index` names a place twice."""

    __slots__ = ("index", "input_shape")
    is_view = True

    def __init__(self, index):
        self.index = index

    @property
    def replayable(self):
        return not any(isinstance(i, np.ndarray) for i in self.index)

    def forward(self, x):
        self.input_shape = x.shape
        if self.needs[0]:  # an index array may be changed in place before backward reads it
            self.index = tuple(i.copy() if isinstance(i, np.ndarray) else i for i in self.index)
        z = rows_of(x, self.index[0]) if len(self.index) == 1 else x[self.index]
        return z if isinstance(z, np.ndarray) else x[(*self.index, ...)]  # a 0-d view instead of a NumPy scalar

    def backward(self, dz):
        dz = np.asarray(dz)
        integers = [isinstance(i, np.ndarray) and i.dtype.kind != "b" for i in self.index]
        if integers and all(integers) and dz.size:
            leading = self.input_shape[: len(integers)]
            rows = np.ravel_multi_index(self.index, leading, mode="wrap")
            return add_rows(dz, rows, (math.prod(leading), *self.input_shape[len(leading) :])).reshape(self.input_shape)
        if sum(integers) == 1 and dz.size:
            axis = integers.index(True)
            others = [i for place, i in enumerate(self.index) if place != axis]
            if self.index[axis].ndim == 1 and all(type(i) is slice and i == slice(None) for i in others):
                # Along one axis, which comes first for a while.
                sizes, places = self.input_shape, self.index[axis] % self.input_shape[axis]
                total = add_rows(np.moveaxis(dz, axis, 0), places, (sizes[axis], *sizes[:axis], *sizes[axis + 1 :]))
                return contiguous(np.moveaxis(total, 0, axis))
        dx = np.zeros(self.input_shape, dz.dtype)
        if any(integers):
            np.add.at(dx, self.index, dz)
        else:
            dx[self.index] = dz
        return dx

    backward_on_tape = Function.linear_on_tape


class IndexSelect(GetItem):
    """z = x[…, index, …] along one axis;  ∂L/∂x adds up what each place was given."""

    __slots__ = ()


class IndexPut(Function):
    """z = x with z[index] = v, or z[index] += v;  ∂L/∂v = ∂L/∂z[index], and ∂L/∂x = ∂L/∂z, 0 where x was replaced."""

    __slots__ = ("accumulate", "index", "value_shape")

    def __init__(self, index, accumulate=False):
        self.index, self.accumulate = index, accumulate

    def forward(self, x, value):
        if True in self.needs:
            self.index = tuple(i.copy() if isinstance(i, np.ndarray) else i for i in self.index)
        self.value_shape = value.shape
        z = x.copy()
        if self.accumulate:
            np.add.at(z, self.index, value)
        else:
            z[self.index] = value
        return z

    def backward(self, dz):
        dx = dz
        if self.needs[0] and not self.accumulate:
            dx = dz.copy()
            dx[self.index] = 0
        dvalue = sum_to_shape(np.array(dz[self.index]), self.value_shape) if self.needs[1] else None
        return dx, dvalue

    def backward_on_tape(self, dz):
        dx = dz if self.accumulate else IndexPut(self.index)(dz, pick(np.zeros((), dz.dtype)))
        return dx, sum_to_shape(GetItem(self.index)(dz), self.value_shape) if self.needs[1] else None


def rows_of(x, index):
    """x[index], for one index of any kind."""
    if type(index) is not np.ndarray or index.dtype.kind == "b" or x.nbytes < buffers.LARGE:
        return x[index]
    if not index.size or index.min() < 0 or index.max() >= len(x):
        return x[index]
    return np.take(x, index, 0, out=buffers.empty((*index.shape, *x.shape[1:]), x.dtype), mode="clip")


def add_rows(rows, index, shape):
    """The sum, of a `shape` (V, …), of an array's rows (…) at the places in 0 … V - 1 that `index` names."""
    if len(shape) == 1 and index.size * SPARSE < shape[0]:  # so few that most of the time goes to the zeros between
        total = buffers.empty(shape, rows.dtype)
        total[...] = 0
        np.add.at(total, index, rows)
        return total
    rows = contiguous(rows).reshape(index.size, math.prod(shape[1:]))
    return kernels.add_rows(rows, contiguous(index.astype(np.int64, copy=False)).reshape(-1), shape[0]).reshape(shape)


def getitem(x, index):
    """`x[index]` with ints, slices, None, `...`, lists, arrays and tensors of integers or bools."""
    return GetItem(array_index(index, x._data.shape))(x)


def array_index(index, shape):
    """An index into an array of `shape` as NumPy takes it: a tuple without tensors.

    An int beside arrays chooses first, as in PyTorch. NumPy takes it for an array too, so that in `x[0, :, [1, 2]]`
    the two would stand apart and their dimension come first.
    """
    if type(index) is int or type(index) is slice:
        return (index,)
    index = tuple(_plain(i) for i in (index if isinstance(index, tuple) else (index,)))
    if any(i is ... for i in index) and sum(map(_dimensions, index)) == len(shape):
        index = tuple(i for i in index if i is not ...)  # between two arrays, NumPy would see a gap there
    kinds = ["array" if isinstance(i, np.ndarray) else "int" if _is_int(i) else "slice" for i in index]
    if "array" not in kinds or "int" not in kinds:
        return index
    chosen = [place for place, kind in enumerate(kinds) if kind != "slice"]
    if chosen[-1] - chosen[0] == len(chosen) - 1:
        return index
    first, then = [], []
    for i, kind in zip(index, kinds, strict=True):
        if kind == "int":
            first.append(i)
        elif kind == "array":
            first += [slice(None)] * (i.ndim if i.dtype.kind == "b" else 1)
            then.append(i)
        else:
            first.append(i)
            then.append(i if i is ... else slice(None))
    places = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    return np.unravel_index(places[tuple(first)][tuple(then)], shape)


def _plain(i):
    if isinstance(i, TensorBase):
        i = i._data
    if isinstance(i, list | tuple | range):
        i = np.asarray(i) if len(i) else np.zeros(0, np.int64)
    if isinstance(i, np.ndarray) and i.ndim == 0 and i.dtype.kind in "iu":
        return int(i)
    return i


def _dimensions(i):
    """How many dimensions one part of an index answers for."""
    if i is None or i is ... or isinstance(i, bool | np.bool_):
        return 0
    return i.ndim if isinstance(i, np.ndarray) and i.dtype.kind == "b" else 1


def _is_int(i):
    return isinstance(i, int | np.integer) and not isinstance(i, bool)


def index_put(x, indices, values, accumulate=False):
    """A copy of x with `x[indices] = values`, or with `+=` (every time where a place is named twice)."""
    values = convert.as_operand(values, x)
    index = array_index(tuple(indices) if isinstance(indices, list) else indices, x._data.shape)
    place = np.broadcast_to(np.zeros((), np.bool_), x._data.shape)[index].shape
    shape = values._data.shape
    if len(shape) > len(place) and all(n == 1 for n in shape[: len(shape) - len(place)]):
        values = reshape(values, shape[len(shape) - len(place) :])
    try:
        fits = np.broadcast_shapes(values._data.shape, place) == place
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(f"{where()}a value of shape {shape} does not fit into the place of shape {place}")
    return IndexPut(index, bool(accumulate))(x, convert.cast(values, x._data.dtype))


def select(x, dim, index):
    """The slice `index` along `dim`, without that dimension: `x[:, index]` for dim 1."""
    axis, size = _axis(x, dim, "select")
    if not -size <= index < size:
        raise IndexError(f"{where()}select: index {index} is out of range for dim {dim} of size {size}")
    return GetItem((*(slice(None),) * axis, int(index)))(x)


def narrow(x, dim, start, length):
    """`length` slices along `dim` from `start` on: `x[:, start : start + length]` for dim 1."""
    axis, size = _axis(x, dim, "narrow")
    start = int(start)
    if not -size <= start <= size:
        raise IndexError(f"{where()}narrow: start {start} is out of range for dim {dim} of size {size}")
    start += size if start < 0 else 0
    if length < 0 or start + length > size:
        raise RuntimeError(f"{where()}narrow: start {start} and length {length} exceed size {size} of dim {dim}")
    return GetItem((*(slice(None),) * axis, slice(start, start + int(length))))(x)


def _axis(x, dim, name):
    """`dim` from 0 on, and its size."""
    if not x._data.ndim:
        raise RuntimeError(f"{where()}{name}: a 0-d tensor has no dimension to choose from")
    (axis,) = normalize_dims(dim, x._data.ndim)
    return axis, x._data.shape[axis]


def pick(array):
    """An array as a constant tensor."""
    return tensor_of(np.asarray(array))


def integers_of(index, name):
    """The array of an index tensor; RuntimeError if it holds no integers."""
    array = index._data if isinstance(index, TensorBase) else np.asarray(index)
    if array.dtype.kind not in "iu" and array.size:
        raise RuntimeError(f"{where()}{name}: the index must hold integers, got {array.dtype}; convert it with .long()")
    return array.astype(np.intp, copy=False)


def check_range(array, size, name, error=RuntimeError, least=0):
    if array.size and (array.min() < least or array.max() >= size):
        wrong = int(array[(array < least) | (array >= size)].flat[0])
        raise error(f"{where()}{name}: index {wrong} is out of range for size {size}")


def index_select(x, dim, index):
    """The slices along `dim` that a vector of integers names, in its order: `x[:, index]` for dim 1."""
    array = integers_of(index, "index_select")
    if array.ndim > 1:
        raise IndexError(f"{where()}index_select: the index must be a vector, got shape {array.shape}")
    (axis,) = normalize_dims(dim, x._data.ndim) or (0,)
    if not x._data.ndim:
        check_range(array, 1, "index_select", IndexError)
        return reshape(x, ())
    check_range(array, x._data.shape[axis], "index_select", IndexError)
    return IndexSelect((*(slice(None),) * axis, array.reshape(-1)))(x)


def in_place(operation):
    """`operation` as the method that changes its first argument."""

    def changed(x, *arguments, **keywords):
        return x._become(operation(x, *arguments, **keywords))

    changed.__name__ = changed.__qualname__ = f"{operation.__name__}_"
    changed.__doc__ = f"`{operation.__name__}` that changes x itself."
    return changed


index_put_ = in_place(index_put)
