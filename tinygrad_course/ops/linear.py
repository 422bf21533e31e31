"""Matrix products. BLAS does the work (NumPy); what is here is the calculus."""

import math

import numpy as np

from ..engine import Function, sum_to_shape, where
from .convert import expect_tensor

__all__ = ["linear", "matmul"]
METHODS = ["matmul"]  # of Tensor


class MatMul(Function):
    """Z = X Y;  ∂L/∂X = dZ Yᵀ, ∂L/∂Y = Xᵀ dZ. Leading dimensions are batches, and broadcast."""

    __slots__ = ("x_shape", "y_shape")
    name = "matmul"

    def forward(self, x, y):
        self.saved = (x if self.needs[1] else None, y if self.needs[0] else None)
        self.x_shape, self.y_shape = x.shape, y.shape
        return np.matmul(x, y)

    def backward(self, dz):
        x, y = self.saved
        # A vector is a matrix with one row (left) or one column (right): dz gets that dimension back.
        rows = (1, *self.x_shape) if len(self.x_shape) == 1 else self.x_shape
        columns = (*self.y_shape, 1) if len(self.y_shape) == 1 else self.y_shape
        dz = dz.reshape(*dz.shape[: max(len(rows), len(columns)) - 2], rows[-2], columns[-1])
        dx = dy = None
        if y is not None:
            dx = sum_to_shape(dz @ y.reshape(columns).swapaxes(-1, -2), rows).reshape(self.x_shape)
        if x is not None:
            dy = sum_to_shape(x.reshape(rows).swapaxes(-1, -2) @ dz, columns).reshape(self.y_shape)
        return dx, dy


class Linear(Function):
    """Y = X Wᵀ + b;  ∂L/∂X = dY W, ∂L/∂W = dYᵀ X, ∂L/∂b = Σ dY over the rows."""

    __slots__ = ()

    def forward(self, x, weight, bias):
        self.saved = (x if self.needs[1] else None, weight if self.needs[0] else None)
        y = np.matmul(x, weight.T)
        if bias is not None:
            y += bias
        return y

    def backward(self, dy):
        x, weight = self.saved
        rows = dy.reshape(math.prod(dy.shape[:-1]), dy.shape[-1])
        dx = None if weight is None else np.matmul(dy, weight)
        dweight = None if x is None else rows.T @ x.reshape(len(rows), x.shape[-1])
        dbias = rows.sum(axis=0) if self.needs[2] else None
        return dx, dweight, dbias


def matmul(x, y):
    """X Y: a dot product for vectors, a matrix product for matrices, a batch of them for more dimensions."""
    a, b = x._data, y._data
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"{where()}matmul: both tensors need a dimension at least, got shapes {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        raise RuntimeError(f"{where()}matmul: both tensors must have one dtype, got {a.dtype} and {b.dtype}")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise RuntimeError(
            f"{where()}matmul: shapes {a.shape} and {b.shape} do not fit: the last size of the first, {a.shape[-1]}, "
            f"must equal {'the last but one' if b.ndim > 1 else 'the'} size of the second, "
            f"{b.shape[-2 if b.ndim > 1 else 0]}"
        )
    try:
        return MatMul()(x, y)
    except ValueError:
        raise RuntimeError(
            f"{where()}matmul: the batch dimensions of shapes {a.shape} and {b.shape} do not broadcast"
        ) from None


def linear(x, weight, bias=None):
    """Y = X Wᵀ + b with x (…, in), weight (out, in), bias (out): Y (…, out)."""
    expect_tensor(x, "linear")
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
