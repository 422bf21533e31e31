"""Shapes: the same numbers seen otherwise. Backward undoes the change of view."""

import math

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..kernels import buffers
from ..modes import where
from .reduce import normalize_dims

__all__ = [
    "clone", "reshape", "view", "reshape_as", "view_as", "flatten", "unflatten", "ravel", "permute", "transpose",
    "swapaxes", "swapdims", "t", "movedim", "moveaxis", "squeeze", "unsqueeze", "expand", "expand_as",
    "broadcast_to", "broadcast_tensors", "meshgrid", "atleast_1d", "atleast_2d", "contiguous",
]  # fmt: skip
METHODS = [name for name in __all__ if name not in ("broadcast_tensors", "meshgrid")]  # of Tensor


class Clone(Function):
    """z = a copy of x;  ∂z/∂x = 1."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        return buffers.copy(x)

    def backward(self, dz):
        return dz


class Reshape(Function):
    """z = x in another shape;  ∂L/∂x = ∂L/∂z in the shape of x."""

    __slots__ = ("input_shape", "new_shape")
    replayable = True
    is_view = True

    def __init__(self, new_shape):
        self.new_shape = new_shape

    def forward(self, x):
        self.input_shape = x.shape
        return x.reshape(self.new_shape)

    def backward(self, dz):
        return dz.reshape(self.input_shape)


class Permute(Function):
    """z = x with its axes in another order;  ∂L/∂x = ∂L/∂z with the order undone."""

    __slots__ = ("axes",)
    replayable = True
    is_view = True

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, dz):
        return dz.transpose(np.argsort(self.axes))

    backward_on_tape = Function.linear_on_tape


class Expand(Function):
    """z = x repeated along axes of size 1, without a copy;  ∂L/∂x = ∂L/∂z summed over the repeats."""

    __slots__ = ("new_shape",)
    replayable = True
    broadcasts = True
    is_view = True

    def __init__(self, new_shape):
        self.new_shape = new_shape

    def forward(self, x):
        return np.broadcast_to(x, self.new_shape)

    def backward(self, dz):
        return dz


def clone(x):
    """A copy, through which gradients flow."""
    return Clone()(x)


def reshape(x, *sizes, shape=None):
    """The same numbers in another shape; one size may be -1 and is then computed. RuntimeError if it cannot be."""
    shape = sizes_of(sizes if shape is None else (shape,))
    known = math.prod(s for s in shape if s != -1)
    size = x._data.size
    if shape.count(-1) > 1:
        raise RuntimeError(f"{where()}reshape to {shape}: only one size can be -1")
    if min(shape, default=0) < -1:
        raise RuntimeError(f"{where()}reshape to {shape}: sizes cannot be negative, but for one -1")
    if (known != size) if -1 not in shape else (known == 0 or size % known):
        raise RuntimeError(f"{where()}reshape: shape {shape} does not fit the {size} elements of shape {x._data.shape}")
    return Reshape(shape)(x)


def reshaped(x, shape):
    """x, in another shape if it does not have that one."""
    return x if x._data.shape == shape else Reshape(shape)(x)


def view(x, *shape, size=None):
    """`reshape`; the numbers are shared wherever NumPy can. (PyTorch refuses where they cannot be.)"""
    return reshape(x, *shape, shape=size)


def reshape_as(x, other):
    """x in the shape of `other`."""
    return reshape(x, other._data.shape)


def view_as(x, other):
    """x in the shape of `other`."""
    return reshape(x, other._data.shape)


def flatten(x, start_dim=0, end_dim=-1):
    """Make the dimensions from `start_dim` to `end_dim` one."""
    shape = x._data.shape
    (start,), (end,) = (
        normalize_dims(d, max(len(shape), 1), n) for d, n in ((start_dim, "start_dim"), (end_dim, "end_dim"))
    )
    if not shape:
        return reshape(x, 1)
    if start > end:
        raise RuntimeError(f"{where()}flatten: start_dim={start_dim} comes after end_dim={end_dim}")
    return Reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))(x)


def ravel(x):
    """All numbers in one dimension."""
    return reshape(x, -1) if x._data.size else reshape(x, 0)


def unflatten(x, dim, sizes):
    """Split the dimension `dim` into dimensions of `sizes`, one of which may be -1."""
    shape = x._data.shape
    (axis,) = normalize_dims(dim, max(len(shape), 1))
    sizes = sizes_of((sizes,))
    if not sizes:
        raise RuntimeError(f"{where()}unflatten: sizes must not be empty")
    known = math.prod(s for s in sizes if s != -1)
    if -1 in sizes and known and not shape[axis] % known:
        sizes = tuple(shape[axis] // known if s == -1 else s for s in sizes)
    if not shape or math.prod(sizes) != shape[axis] or min(sizes) < 0:
        raise RuntimeError(
            f"{where()}unflatten: sizes {sizes} do not multiply to the size of dim {dim} of shape {shape}"
        )
    return Reshape((*shape[:axis], *sizes, *shape[axis + 1 :]))(x)


def permute(x, *order, dims=None):
    """The dimensions in the order `dims`."""
    axes = normalize_dims(sizes_of(order if dims is None else (dims,)), x._data.ndim, "dims")
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


swapaxes = swapdims = transpose


def t(x):
    """The transpose of a matrix; a vector or a number is itself."""
    if x._data.ndim > 2:
        raise RuntimeError(
            f"{where()}t: expected at most 2 dimensions, got shape {x._data.shape}; use x.mT or transpose"
        )
    return Permute(tuple(reversed(range(x._data.ndim))))(x)


def movedim(x, source, destination):
    """The dimensions `source` (an int or several) at the places `destination`; the others keep their order."""
    ndim = x._data.ndim
    came, went = normalize_dims(source, ndim, "source"), normalize_dims(destination, ndim, "destination")
    if len(came) != len(went):
        raise RuntimeError(f"{where()}movedim: {source} and {destination} must name equally many dimensions")
    axes = [axis for axis in range(ndim) if axis not in came]
    for place, axis in sorted(zip(went, came, strict=True)):
        axes.insert(place, axis)
    return Permute(tuple(axes))(x)


moveaxis = movedim


def squeeze(x, dim=None):
    """Without the dimensions of size 1, or without those of `dim` (an int or several) that have size 1."""
    axes = normalize_dims(dim, x._data.ndim)
    return Reshape(tuple(s for axis, s in enumerate(x._data.shape) if s != 1 or axis not in axes))(x)


def unsqueeze(x, dim):
    """With a dimension of size 1 put in at `dim`."""
    (axis,) = normalize_dims(dim, x._data.ndim + 1)
    return Reshape((*x._data.shape[:axis], 1, *x._data.shape[axis:]))(x)


def expand(x, *sizes, size=None):
    """Repeat dimensions of size 1 up to `sizes`, without a copy; -1 keeps a size."""
    sizes, shape = sizes_of(sizes if size is None else (size,)), x._data.shape
    extra = len(sizes) - len(shape)
    full = tuple(shape[i - extra] if s == -1 and i >= extra else s for i, s in enumerate(sizes))
    if extra < 0 or min(full, default=0) < 0 or any(s not in (1, f) for s, f in zip(shape, full[extra:], strict=True)):
        raise RuntimeError(f"{where()}expand: shape {shape} cannot become {sizes}: only sizes of 1 can be repeated")
    return Expand(full)(x)


broadcast_to = expand


def expand_as(x, other):
    """Repeat dimensions of size 1 up to the shape of `other`, without a copy."""
    return expand(x, other._data.shape)


def broadcast_tensors(*tensors):
    """The tensors, each expanded to their common shape."""
    tensors = tensors_of(tensors)
    shape = common_shape([t._data.shape for t in tensors], "broadcast_tensors")
    return tuple(expand(t, shape) for t in tensors)


def common_shape(shapes, name):
    """The shape that `shapes` broadcast to; RuntimeError if they do not."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(
            f"{where()}{name}: shapes {' and '.join(map(str, shapes))} do not broadcast: counted from the right, "
            "sizes must be equal or 1"
        ) from None


def meshgrid(*tensors, indexing="ij"):
    """Coordinates of a grid: from vectors of n₁, n₂, … numbers, as many tensors (n₁, n₂, …), each varying along its
    own dimension. `indexing="xy"` swaps the first two dimensions."""
    tensors = tensors_of(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'{where()}meshgrid: indexing must be "ij" or "xy", not {indexing!r}')
    for vector in tensors:
        if vector._data.ndim > 1:
            raise RuntimeError(f"{where()}meshgrid: expected vectors, got shape {vector._data.shape}")
    sizes = tuple(vector._data.size for vector in tensors)
    count = len(sizes)
    grids = []
    for axis, vector in enumerate(tensors):
        line = Reshape(tuple(sizes[axis] if a == axis else 1 for a in range(count)))(vector)
        grid = Expand(sizes)(line)
        grids.append(transpose(grid, 0, 1) if indexing == "xy" and count > 1 else grid)
    return tuple(grids)


def atleast_1d(x, *others):
    """x with at least one dimension. Several tensors give a tuple."""
    return _at_least(1, x, others)


def atleast_2d(x, *others):
    """x with at least two dimensions, new ones in front. Several tensors give a tuple."""
    return _at_least(2, x, others)


def _at_least(ndim, x, others):
    several = bool(others) or not isinstance(x, TensorBase)
    tensors = [Reshape((1,) * (ndim - a._data.ndim) + a._data.shape)(a) for a in tensors_of((x, *others))]
    return tuple(tensors) if several else tensors[0]


def contiguous(x):
    """x itself if its numbers lie row by row in memory, else a copy of which they do."""
    return x if x._data.flags.c_contiguous else clone(x)


def tensors_of(tensors):
    """Both `f(a, b)` and `f([a, b])`."""
    return tuple(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], TensorBase) else tuple(tensors)


def sizes_of(sizes):
    """Both `f(2, 3)` and `f((2, 3))`."""
    if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer):
        if isinstance(sizes[0], TensorBase) and not sizes[0]._data.ndim:
            return (int(sizes[0]),)
        sizes = sizes[0]
    return tuple(int(s) for s in sizes)
