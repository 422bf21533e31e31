"""Shapes: the same numbers seen otherwise. Backward undoes the change of view."""

import functools
import math

import numpy as np

from ..engine import Function, TensorBase, where
from . import convert
from .reduce import normalize_dims

__all__ = ["cat", "clone", "expand", "flatten", "getitem", "permute", "reshape", "squeeze", "stack", "transpose", "unsqueeze"]
METHODS = ["expand", "flatten", "permute", "reshape", "squeeze", "transpose", "unsqueeze", "clone"]  # of Tensor


class Clone(Function):
    """z = a copy of x;  ∂z/∂x = 1."""

    __slots__ = ()

    def forward(self, x):
        return x.copy()

    def backward(self, dz):
        return dz


class Reshape(Function):
    """z = x in another shape;  ∂L/∂x = ∂L/∂z in the shape of x."""

    __slots__ = ("input_shape", "new_shape")
    is_view = True

    def __init__(self, new_shape):
        self.new_shape = new_shape

    def forward(self, x):
        self.input_shape = x.shape
        return x.reshape(self.new_shape)

    def backward(self, dz):
        return np.reshape(dz, self.input_shape)


class Permute(Function):
    """z = x with its axes in another order;  ∂L/∂x = ∂L/∂z with the order undone."""

    __slots__ = ("axes",)
    is_view = True

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, dz):
        return dz.transpose(np.argsort(self.axes))


class Expand(Function):
    """z = x repeated along axes of size 1, without a copy;  ∂L/∂x = ∂L/∂z summed over the repeats."""

    __slots__ = ("new_shape",)
    broadcasts = True
    is_view = True

    def __init__(self, new_shape):
        self.new_shape = new_shape

    def forward(self, x):
        return np.broadcast_to(x, self.new_shape)

    def backward(self, dz):
        return dz


class GetItem(Function):
    """z = x[index];  ∂L/∂x is ∂L/∂z put back at `index`, and added where `index` names a place twice."""

    __slots__ = ("index", "input_shape")
    is_view = True

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        self.input_shape = x.shape
        if self.needs[0]:  # an index array may be changed in place before backward reads it
            self.index = tuple(i.copy() if isinstance(i, np.ndarray) else i for i in self.index)
        z = x[self.index]
        return z if isinstance(z, np.ndarray) else x[(*self.index, ...)]  # a 0-d view instead of a NumPy scalar

    def backward(self, dz):
        dx = np.zeros(self.input_shape, np.asarray(dz).dtype)
        if any(isinstance(i, np.ndarray | list) for i in self.index):
            np.add.at(dx, self.index, dz)
        else:
            dx[self.index] = dz
        return dx


class Concatenate(Function):
    """z = the inputs one after the other along `axis`;  each gets its own piece of ∂L/∂z."""

    __slots__ = ("axis", "ends")
    name = "cat"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *arrays):
        self.ends = np.cumsum([a.shape[self.axis] for a in arrays])[:-1]
        return np.concatenate(arrays, axis=self.axis)

    def backward(self, dz):
        return tuple(np.split(dz, self.ends, axis=self.axis))


def clone(x):
    """A copy, through which gradients flow."""
    return Clone()(x)


def reshape(x, *shape):
    """The same numbers in another shape; one size may be -1 and is then computed. RuntimeError if it cannot be."""
    shape = sizes_of(shape)
    known = math.prod(s for s in shape if s != -1)
    size = x._data.size
    if shape.count(-1) > 1:
        raise RuntimeError(f"{where()}reshape to {shape}: only one size can be -1")
    if (known != size) if -1 not in shape else (known == 0 or size % known):
        raise RuntimeError(f"{where()}reshape: shape {shape} does not fit the {size} elements of shape {x._data.shape}")
    return Reshape(shape)(x)


def flatten(x, start_dim=0, end_dim=-1):
    """Make the dimensions from `start_dim` to `end_dim` one."""
    shape = x._data.shape
    if not shape:
        return reshape(x, 1)
    (start,), (end,) = (normalize_dims(d, len(shape), n) for d, n in ((start_dim, "start_dim"), (end_dim, "end_dim")))
    if start > end:
        raise RuntimeError(f"{where()}flatten: start_dim={start_dim} comes after end_dim={end_dim}")
    return Reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))(x)


def permute(x, *dims):
    """The dimensions in the order `dims`."""
    axes = normalize_dims(sizes_of(dims), x._data.ndim, "dims")
    if len(axes) != x._data.ndim:
        raise RuntimeError(f"{where()}permute: {len(axes)} dims {axes} for shape {x._data.shape}; name each one once")
    return Permute(axes)(x)


def transpose(x, dim0, dim1):
    """Swap two dimensions."""
    ndim = x._data.ndim
    (a,), (b,) = normalize_dims(dim0, ndim, "dim0") or (0,), normalize_dims(dim1, ndim, "dim1") or (0,)
    axes = list(range(ndim))
    if ndim:
        axes[a], axes[b] = axes[b], axes[a]
    return Permute(tuple(axes))(x)


def squeeze(x, dim=None):
    """Without the dimensions of size 1, or without those of `dim` that have size 1."""
    axes = normalize_dims(dim, x._data.ndim)
    return Reshape(tuple(s for axis, s in enumerate(x._data.shape) if s != 1 or axis not in axes))(x)


def unsqueeze(x, dim):
    """With a dimension of size 1 put in at `dim`."""
    (axis,) = normalize_dims(dim, x._data.ndim + 1)
    return Reshape((*x._data.shape[:axis], 1, *x._data.shape[axis:]))(x)


def expand(x, *sizes):
    """Repeat dimensions of size 1 up to `sizes`, without a copy; -1 keeps a size."""
    sizes, shape = sizes_of(sizes), x._data.shape
    extra = len(sizes) - len(shape)
    full = tuple(shape[i - extra] if s == -1 and i >= extra else s for i, s in enumerate(sizes))
    if extra < 0 or min(full, default=0) < 0 or any(s not in (1, f) for s, f in zip(shape, full[extra:], strict=True)):
        raise RuntimeError(f"{where()}expand: shape {shape} cannot become {sizes}: only sizes of 1 can be repeated")
    return Expand(full)(x)


def getitem(x, index):
    """`x[index]` with ints, slices, None, `...`, lists, arrays and tensors of integers or bools."""
    return GetItem(array_index(index))(x)


def cat(tensors, dim=0):
    """Tensors one after the other along `dim`; their other sizes must agree."""
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError("cat needs at least one tensor")
    for t in tensors:
        convert.expect_tensor(t, "cat")
    first = tensors[0]._data.shape
    if not first:
        raise RuntimeError("zero-dimensional tensors cannot be concatenated; use stack")
    (axis,) = normalize_dims(dim, len(first))
    for position, t in enumerate(tensors):
        shape = t._data.shape
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise RuntimeError(
                f"{where()}cat: tensor 0 has shape {first} and tensor {position} shape {shape}; "
                f"they must agree in all dimensions but {axis}"
            )
    dtype = functools.reduce(convert.promote, [t._data.dtype for t in tensors])
    return Concatenate(axis)(*[convert.cast(t, dtype) for t in tensors])


def stack(tensors, dim=0):
    """Tensors of one shape along a new dimension."""
    return cat([unsqueeze(t, dim) for t in tensors], dim)


def array_index(index):
    """An index as NumPy takes it, a tuple without tensors."""
    return tuple(_index(i) for i in (index if isinstance(index, tuple) else (index,)))


def _index(i):
    if isinstance(i, TensorBase):
        i = i._data
    if isinstance(i, list):
        i = np.asarray(i) if i else np.zeros(0, np.int64)
    if isinstance(i, np.ndarray) and i.ndim == 0 and i.dtype.kind in "iu":
        return int(i)
    return i


def sizes_of(sizes):
    """Both `f(2, 3)` and `f((2, 3))`."""
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        sizes = sizes[0]
    return tuple(int(s) for s in sizes)
