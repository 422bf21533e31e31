"""Matrix products. BLAS does the work (NumPy); what is here is the calculus."""

import math

import numpy as np

from ..base import TensorBase, tensor_of
from ..function import Function, sum_to_shape
from ..kernels import matmul as kernels
from ..modes import where
from .convert import contiguous, expect_tensor

__all__ = [
    "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "addmm", "addmv", "addr", "addbmm", "baddbmm",
    "linear",
]  # fmt: skip
METHODS = [name for name in __all__ if name != "linear"]  # of Tensor
FEW = 4_000  # numbers of each matrix; for less NumPy's own product is as quick


class MatMul(Function):
    """Z = X Y;  ∂L/∂X = dZ Yᵀ, ∂L/∂Y = Xᵀ dZ. Leading dimensions are batches, and broadcast."""

    __slots__ = ("x_shape", "y_shape")
    replayable = True
    name = "matmul"

    def forward(self, x, y):
        self.saved = (x if self.needs[1] else None, y if self.needs[0] else None)
        self.x_shape, self.y_shape = x.shape, y.shape
        return product(x, y)

    def backward(self, dz):
        x, y = self.saved
        # A vector is a matrix with one row (left) or one column (right): dz gets that dimension back.
        rows = (1, *self.x_shape) if len(self.x_shape) == 1 else self.x_shape
        columns = (*self.y_shape, 1) if len(self.y_shape) == 1 else self.y_shape
        dz = dz.reshape(*dz.shape[: max(len(rows), len(columns)) - 2], rows[-2], columns[-1])
        dx = dy = None
        if y is not None:
            dx = sum_to_shape(product(dz, y.reshape(columns).swapaxes(-1, -2)), rows).reshape(self.x_shape)
        if x is not None:
            if len(columns) == 2 < len(rows):  # one matrix for a whole batch: its gradient is one product, of all rows
                count = math.prod(rows[:-1])
                x, dz = x.reshape(count, rows[-1]), dz.reshape(count, columns[-1])
                return dx, product(x.swapaxes(-1, -2), dz).reshape(self.y_shape)
            dy = sum_to_shape(product(x.reshape(rows).swapaxes(-1, -2), dz), columns).reshape(self.y_shape)
        return dx, dy


def product(x, y):
    """x y, of arrays or tensors of one dimension or more. Large arrays are divided among the threads."""
    if type(x) is not np.ndarray or type(y) is not np.ndarray:
        return x @ y
    if (x.size < FEW and y.size < FEW) or x.ndim < 2 or y.ndim < 2 or x.dtype.kind != "f":
        return np.matmul(x, y)
    if y.ndim == 2:
        rows = x if x.ndim == 2 else contiguous(x).reshape(-1, x.shape[-1])
        return kernels.matmul(rows, y).reshape(*x.shape[:-1], y.shape[-1])
    if x.ndim == 2 or x.shape[:-2] == y.shape[:-2]:
        return kernels.matmul_batch(x, y)
    return np.matmul(x, y)


class Linear(Function):
    """Y = X Wᵀ + b;  ∂L/∂X = dY W, ∂L/∂W = dYᵀ X, ∂L/∂b = Σ dY over the rows."""

    __slots__ = ()
    replayable = True

    def forward(self, x, weight, bias):
        self.saved = (x if self.needs[1] else None, weight if self.needs[0] else None)
        y = kernels.matmul(_rows(x), weight.T, None if bias is None else contiguous(bias))
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], weight.shape[0])

    def backward(self, dy):
        x, weight = self.saved
        rows = _rows(dy)
        dx = None if weight is None else kernels.matmul(rows, weight)
        if dx is not None and dy.ndim != 2:
            dx = dx.reshape(*dy.shape[:-1], weight.shape[1])
        dweight = None if x is None else kernels.matmul(rows.T, _rows(x))
        return dx, dweight, np.add.reduce(rows, 0) if self.needs[2] else None

    def backward_on_tape(self, dy):
        x, weight = self.saved_tensors()
        rows = dy.reshape(math.prod(dy.shape[:-1]), dy.shape[-1])
        dx = None if weight is None else matmul(dy, weight)
        dweight = None if x is None else matmul(rows.t(), x.reshape(rows.shape[0], x.shape[-1]))
        return dx, dweight, rows.sum(0) if self.needs[2] else None


def _rows(x):
    """x (…, features) as a matrix."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(x, other):
    """X Y: a dot product for vectors, a matrix product for matrices, a batch of them for more dimensions."""
    expect_tensor(x, "matmul")
    expect_tensor(other, "matmul", "other")
    a, b = x._data, other._data
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"{where()}matmul: both tensors need a dimension, got shapes {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        raise RuntimeError(f"{where()}matmul: both tensors must have one dtype, got {a.dtype} and {b.dtype}")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise RuntimeError(
            f"{where()}matmul: shapes {a.shape} and {b.shape} do not fit: the last size of the first, {a.shape[-1]}, "
            f"must equal {'the last but one' if b.ndim > 1 else 'the'} size of the second, "
            f"{b.shape[-2 if b.ndim > 1 else 0]}"
        )
    try:
        return MatMul()(x, other)
    except ValueError:
        raise RuntimeError(
            f"{where()}matmul: the batch dimensions of shapes {a.shape} and {b.shape} do not broadcast"
        ) from None


def _product(name, x, y, x_ndim, y_ndim):
    """The matrix product of tensors that must have so many dimensions."""
    expect_tensor(x, name)
    expect_tensor(y, name, "second operand")
    if (x._data.ndim, y._data.ndim) != (x_ndim, y_ndim):
        raise RuntimeError(
            f"{where()}{name}: expected tensors of {x_ndim} and {y_ndim} dimensions, got shapes {x._data.shape} and "
            f"{y._data.shape}; matmul takes any"
        )
    if x_ndim == y_ndim == 3 and len(x._data) != len(y._data):
        raise RuntimeError(
            f"{where()}{name}: batches of {len(x._data)} and {len(y._data)} matrices, shapes {x._data.shape} and "
            f"{y._data.shape}; matmul broadcasts"
        )
    return matmul(x, y)


def mm(x, mat2):
    """Product of two matrices."""
    return _product("mm", x, mat2, 2, 2)


def bmm(x, mat2):
    """Products of the matrices of two batches: (B, n, m) and (B, m, p) give (B, n, p)."""
    return _product("bmm", x, mat2, 3, 3)


def mv(x, vec):
    """Product of a matrix and a vector."""
    return _product("mv", x, vec, 2, 1)


def dot(x, other):
    """Σ x_i y_i of two vectors. Matrices are multiplied, as NumPy's `dot` does (PyTorch refuses them)."""
    return matmul(x, other if isinstance(other, TensorBase) else tensor_of(np.asarray(other)))


def vdot(x, other):
    """Σ x_i y_i of two vectors."""
    return _product("vdot", x, other, 1, 1)


def inner(x, other):
    """Σ over the last dimension of both; with a 0-d tensor the product."""
    a, b = x._data, other._data
    if not a.ndim or not b.ndim:
        return x * other
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(f"{where()}inner: the last sizes of shapes {a.shape} and {b.shape} must be equal")
    rows = x.reshape(math.prod(a.shape[:-1]), a.shape[-1])
    columns = other.reshape(math.prod(b.shape[:-1]), b.shape[-1])
    return matmul(rows, columns.t()).reshape(a.shape[:-1] + b.shape[:-1])


def outer(x, vec2):
    """z_ij = x_i y_j of two vectors."""
    if x._data.ndim != 1 or vec2._data.ndim != 1:
        raise RuntimeError(f"{where()}outer: expected two vectors, got shapes {x._data.shape} and {vec2._data.shape}")
    return x.unsqueeze(1) * vec2


ger = outer


def addmm(x, mat1, mat2, *, beta=1, alpha=1):
    """β X + α A B."""
    return _added(x, mm(mat1, mat2), beta, alpha, "addmm")


def addmv(x, mat, vec, *, beta=1, alpha=1):
    """β x + α A v."""
    return _added(x, mv(mat, vec), beta, alpha, "addmv")


def addr(x, vec1, vec2, *, beta=1, alpha=1):
    """β X + α v wᵀ."""
    return _added(x, outer(vec1, vec2), beta, alpha, "addr")


def addbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """β X + α Σ_b A_b B_b."""
    return _added(x, bmm(batch1, batch2).sum(0), beta, alpha, "addbmm")


def baddbmm(x, batch1, batch2, *, beta=1, alpha=1):
    """β X + α A_b B_b for each b of the batch."""
    return _added(x, bmm(batch1, batch2), beta, alpha, "baddbmm")


def _added(x, product, beta, alpha, name):
    """β x + α product; with β = 0 not even nan of x is seen."""
    if product._data.dtype.kind != "f" and any(isinstance(factor, float) for factor in (alpha, beta)):
        raise RuntimeError(f"{where()}{name}: integer tensors need integers for beta and alpha")
    shape = product._data.shape
    if np.broadcast_shapes(x._data.shape, shape) != shape:
        raise RuntimeError(f"{where()}{name}: shape {x._data.shape} cannot be added to a product of shape {shape}")
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (x if beta == 1 else x * beta) + product


def linear(x, weight, bias=None):
    """Y = X Wᵀ + b with x (…, in), weight (out, in) or (in), bias (out): Y (…, out)."""
    expect_tensor(x, "linear")
    if weight._data.ndim == 1 and bias is None:
        return matmul(x, weight)
    a, w = x._data, weight._data
    if w.ndim != 2 or a.ndim == 0 or a.shape[-1] != w.shape[1]:
        raise RuntimeError(
            f"{where()}linear: input of shape {a.shape} does not fit weight of shape {w.shape} (out, in): the input's "
            f"last size must be {w.shape[-1]}"
            + (f"; flatten it first to (N, {w.shape[-1]})" if a.ndim > 2 and a[0].size == w.shape[-1] else "")
        )
    if a.dtype != w.dtype:
        raise RuntimeError(
            f"{where()}linear: input is {a.dtype} but weight is {w.dtype}; convert the input with .to(tg.{w.dtype})"
        )
    if bias is not None and (bias._data.shape != w.shape[:1] or bias._data.dtype != w.dtype):
        raise RuntimeError(
            f"{where()}linear: bias of shape {bias._data.shape} and {bias._data.dtype} for {w.shape[0]} outputs and "
            f"weight of {w.dtype}"
        )
    return Linear()(x, weight, bias)
