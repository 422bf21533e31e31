"""Diagonals and triangles of matrices."""

import numpy as np

from ..function import Function
from ..modes import where
from .reduce import normalize_dims

__all__ = ["diagonal", "diag", "diag_embed", "diagflat", "trace", "tril", "triu"]
METHODS = __all__  # of Tensor


class Diagonal(Function):
    """z_i = x_{i, i + offset};  ∂L/∂x has ∂L/∂z on that diagonal and 0 elsewhere."""

    __slots__ = ("axes", "input_shape", "offset")
    is_view = True

    def __init__(self, offset, axes):
        self.offset, self.axes = offset, axes

    def forward(self, x):
        self.input_shape = x.shape
        z = x.diagonal(self.offset, *self.axes)
        if x.flags.writeable:  # NumPy's diagonals are read-only
            z.flags.writeable = True
        return z

    def backward(self, dz):
        dx = np.zeros(self.input_shape, dz.dtype)
        place = dx.diagonal(self.offset, *self.axes)
        place.flags.writeable = True
        place[...] = dz
        return dx

    backward_on_tape = Function.linear_on_tape


class DiagEmbed(Function):
    """z_{i, i + offset} = x_i, 0 elsewhere;  ∂L/∂x is that diagonal of ∂L/∂z."""

    __slots__ = ("axes", "offset")

    def __init__(self, offset, axes):
        self.offset, self.axes = offset, axes

    def forward(self, x):
        size = x.shape[-1] + abs(self.offset)
        shape = list(x.shape[:-1])
        for axis in sorted(self.axes):
            shape.insert(axis, size)
        z = np.zeros(shape, x.dtype)
        place = z.diagonal(self.offset, *self.axes)
        place.flags.writeable = True
        place[...] = x
        return z

    def backward(self, dz):
        return dz.diagonal(self.offset, *self.axes)

    backward_on_tape = Function.linear_on_tape


class Tril(Function):
    """z = x on and below a diagonal, 0 above it;  so is ∂L/∂x of ∂L/∂z."""

    __slots__ = ("offset",)

    def __init__(self, offset):
        self.offset = offset

    def forward(self, x):
        return np.tril(x, self.offset)

    def backward(self, dz):
        return np.tril(dz, self.offset)

    backward_on_tape = Function.linear_on_tape


class Triu(Function):
    """z = x on and above a diagonal, 0 below it;  so is ∂L/∂x of ∂L/∂z."""

    __slots__ = ("offset",)

    def __init__(self, offset):
        self.offset = offset

    def forward(self, x):
        return np.triu(x, self.offset)

    def backward(self, dz):
        return np.triu(dz, self.offset)

    backward_on_tape = Function.linear_on_tape


def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of the matrices in `dim1`, `dim2` as a last dimension, a view; `offset` > 0 lies above it."""
    axes = normalize_dims((dim1, dim2), x._data.ndim)
    if len(axes) != 2:
        raise IndexError(f"{where()}diagonal: expected at least 2 dimensions, got shape {x._data.shape}")
    return Diagonal(int(offset), axes)(x)


def diag(x, diagonal=0):
    """A vector as the diagonal of a matrix of zeros, or the diagonal of a matrix as a vector."""
    if x._data.ndim == 1:
        return DiagEmbed(int(diagonal), (0, 1))(x)
    if x._data.ndim != 2:
        raise RuntimeError(f"{where()}diag: expected a vector or a matrix, got shape {x._data.shape}")
    return Diagonal(int(diagonal), (0, 1))(x)


def diag_embed(x, offset=0, dim1=-2, dim2=-1):
    """Vectors in the last dimension as diagonals of matrices of zeros in `dim1`, `dim2`."""
    if not x._data.ndim:
        raise IndexError(f"{where()}diag_embed: expected at least 1 dimension, got a 0-d tensor")
    return DiagEmbed(int(offset), normalize_dims((dim1, dim2), x._data.ndim + 1))(x)


def diagflat(x, offset=0):
    """The flattened x as the diagonal of a matrix of zeros."""
    return diag(x.reshape(x._data.size), offset)


def trace(x):
    """Σ x_ii of a matrix."""
    if x._data.ndim != 2:
        raise RuntimeError(f"{where()}trace: expected a matrix, got shape {x._data.shape}")
    return diagonal(x).sum()


def tril(x, diagonal=0):
    """The lower triangles of matrices, up to and with a diagonal; 0 above it."""
    return Tril(int(diagonal))(_matrices(x, "tril"))


def triu(x, diagonal=0):
    """The upper triangles of matrices, from a diagonal on; 0 below it."""
    return Triu(int(diagonal))(_matrices(x, "triu"))


def _matrices(x, name):
    if x._data.ndim < 2:
        raise RuntimeError(f"{where()}{name}: expected at least 2 dimensions, got shape {x._data.shape}")
    return x
