"""Activations: the nonlinearities between layers."""

import numpy as np

from .. import engine
from ..engine import Function
from ..kernels import activation as kernels
from .convert import DEFAULT_FLOAT, cast, contiguous, expect_tensor
from .reduce import normalize_dims
from .select import choose

__all__ = ["log_softmax", "relu", "relu6", "sigmoid", "softmax", "tanh"]
METHODS = [name for name in __all__ if name != "relu6"]  # of Tensor
IN_PLACE = ["relu", "tanh", "sigmoid"]


class ReLU(Function):
    """y = max(x, 0);  ∂y/∂x = 1 where y > 0, else 0 (0 at the kink)."""

    __slots__ = ()
    name = "relu"

    def forward(self, x):
        y = kernels.relu(contiguous(x))
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return kernels.relu_backward(contiguous(dy), y)

    def backward_on_tape(self, dy):
        return choose(engine._array(self.saved[0]) > 0, dy, 0)


class ReLU6(Function):
    """y = min(max(x, 0), 6);  ∂y/∂x = 1 where 0 < x < 6, else 0 (0 at both kinks)."""

    __slots__ = ()
    name = "relu6"

    def forward(self, x):
        self.saved = ((x > 0) & (x < 6) | np.isnan(x),)
        return np.minimum(np.maximum(x, 0), 6)

    def backward(self, dy):
        (passes,) = self.saved
        return dy * passes


class Tanh(Function):
    """y = tanh x;  ∂y/∂x = 1 - y²."""

    __slots__ = ()

    def forward(self, x):
        y = kernels.tanh(contiguous(x))
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return kernels.tanh_backward(contiguous(dy), y)

    def backward_on_tape(self, dy):
        (y,) = self.saved_tensors()
        return dy * (1 - y * y)


class Sigmoid(Function):
    """y = 1 / (1 + e^-x);  ∂y/∂x = y (1 - y)."""

    __slots__ = ()

    def forward(self, x):
        y = kernels.sigmoid(contiguous(x))
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return kernels.sigmoid_backward(contiguous(dy), y)

    def backward_on_tape(self, dy):
        (y,) = self.saved_tensors()
        return dy * ((1 - y) * y)


class Softmax(Function):
    """y_i = e^x_i / Σ_j e^x_j along an axis;  ∂L/∂x = y (dy - Σ dy y)."""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        y = np.exp(x - x.max(axis=self.axis, keepdims=True, initial=-np.inf))
        y /= y.sum(axis=self.axis, keepdims=True)
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


class LogSoftmax(Function):
    """y_i = x_i - ln Σ_j e^x_j along an axis;  ∂L/∂x = dy - e^y Σ dy."""

    __slots__ = ("axis",)

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        y = x - x.max(axis=self.axis, keepdims=True, initial=-np.inf)
        y -= np.log(np.exp(y).sum(axis=self.axis, keepdims=True))
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)


def _floating(x, name):
    expect_tensor(x, name)
    return x if x._data.dtype.kind == "f" else cast(x, DEFAULT_FLOAT)


def relu(x):
    """max(x, 0), with derivative 0 at 0 (PyTorch's; ELTE lecture 8 writes 1)."""
    expect_tensor(x, "relu")
    if x._data.dtype.kind in "iu":
        return engine._tensor_class(np.maximum(x._data, 0))
    return ReLU()(_floating(x, "relu"))


def relu6(x):
    """min(max(x, 0), 6)."""
    expect_tensor(x, "relu6")
    return ReLU6()(x)


def tanh(x):
    """(e^2x - 1) / (e^2x + 1), without overflow for any x."""
    return Tanh()(_floating(x, "tanh"))


def sigmoid(x):
    """1 / (1 + e^-x), without overflow for any x."""
    return Sigmoid()(_floating(x, "sigmoid"))


def softmax(x, dim):
    """e^x / Σ e^x along `dim`: positive numbers that sum to 1."""
    x = _floating(x, "softmax")
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    return Softmax(axis if x._data.ndim else ())(x)


def log_softmax(x, dim):
    """ln softmax(x) along `dim`, without underflow."""
    x = _floating(x, "log_softmax")
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    return LogSoftmax(axis if x._data.ndim else ())(x)
