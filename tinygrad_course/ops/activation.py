"""Activations: the nonlinearities between layers."""

import math
import warnings

import numpy as np

from ..base import tensor_of
from ..function import Function
from ..kernels import activation as kernels
from ..kernels import softmax as softmax_kernels
from ..modes import where
from .convert import cast, contiguous, expect_tensor, floating
from .norm import BatchNorm
from .reduce import normalize_dims
from .select import choose

__all__ = ["log_softmax", "relu", "sigmoid", "softmax", "softmin", "tanh"]
METHODS = [name for name in __all__ if name != "softmin"]  # of Tensor
IN_PLACE = ["relu", "tanh", "sigmoid"]
CACHED = 600_000  # numbers: batch norm goes over dy and x twice; a third array would drive larger ones from the cache


class ReLU(Function):
    """y = max(x, 0);  ∂y/∂x = 0 where y ≤ 0, else 1 (0 at the kink)."""

    __slots__ = ()
    masks_later = replayable = True
    name = "relu"

    def forward(self, x):
        y = kernels.relu(contiguous(x))
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        behind_norm = self.masks_later and self.edges and type(self.edges[0]) is BatchNorm
        if behind_norm and y.size < CACHED and self.alone_sees_its_input():
            self.edges[0].passed = y, dy  # it looks where y > 0 while it goes over dy anyway
            return dy
        return kernels.relu_backward(contiguous(dy), y)

    def backward_on_tape(self, dy):
        return choose(self.saved[0] <= 0, 0, dy)


class Rectified(ReLU):
    """The ReLU of what the operation before, told to, has made max(x, 0) already."""

    __slots__ = ()
    masks_later = True
    name = "relu"

    def forward(self, y):
        self.saved = (y,)
        return y


class Tanh(Function):
    """y = tanh x;  ∂y/∂x = 1 - y²."""

    __slots__ = ()
    replayable = True

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
    replayable = True

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
    replayable = True

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        y = _along(self.axis, softmax_kernels.softmax, x)
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return _along(self.axis, softmax_kernels.softmax_backward, dy, y)

    def backward_on_tape(self, dy):
        (y,) = self.saved_tensors()
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))


class LogSoftmax(Function):
    """y_i = x_i - ln Σ_j e^x_j along an axis;  ∂L/∂x = dy - e^y Σ dy."""

    __slots__ = ("axis",)
    replayable = True

    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        y = _along(self.axis, softmax_kernels.log_softmax, x)
        self.saved = (y,)
        return y

    def backward(self, dy):
        (y,) = self.saved
        return _along(self.axis, softmax_kernels.log_softmax_backward, dy, y)

    def backward_on_tape(self, dy):
        (y,) = self.saved_tensors()
        return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)


def _along(axis, by_rows, *arrays):
    """A kernel for rows, on arrays whose rows run along an axis; () is that of a 0-d array."""
    shape = arrays[0].shape
    if axis == () or axis == len(shape) - 1:
        rows = math.prod(shape[:-1]), shape[-1] if shape else 1
        return by_rows(*[contiguous(array).reshape(rows) for array in arrays]).reshape(shape)
    moved = [np.moveaxis(array, axis, -1) for array in arrays]
    rows = math.prod(moved[0].shape[:-1]), shape[axis]
    result = by_rows(*[contiguous(array).reshape(rows) for array in moved])
    return contiguous(np.moveaxis(result.reshape(moved[0].shape), -1, axis))


def relu(input, inplace=False):
    """max(x, 0), with derivative 0 at 0 (PyTorch's; ELTE lecture 8 writes 1). gain √2.

    `inplace` is accepted for PyTorch's listings; the result is always a new tensor.
    """
    expect_tensor(input, "relu")
    if input._data.dtype.kind in "iu":
        return tensor_of(np.maximum(input._data, 0))
    return ReLU()(floating(input))


def tanh(input):
    """(e^2x - 1) / (e^2x + 1), without overflow for any x. gain 1.5925 (PyTorch's table says 5/3)."""
    expect_tensor(input, "tanh")
    return Tanh()(floating(input))


def sigmoid(input):
    """1 / (1 + e^-x), without overflow for any x."""
    expect_tensor(input, "sigmoid")
    return Sigmoid()(floating(input))


def softmax(input, dim=None, dtype=None, _stacklevel=3):
    """e^x / Σ e^x along `dim`: positive numbers that sum to 1. With `dtype`, x is first converted to it.

    Without `dim`, PyTorch's old rule, with a warning: 0 for tensors of 0, 1 and 3 dimensions, else 1.
    """
    x, axis = _prepared("softmax", input, dim, dtype)
    return Softmax(axis)(x)


def log_softmax(input, dim=None, dtype=None, _stacklevel=3):
    """ln softmax(x) along `dim`, without underflow."""
    x, axis = _prepared("log_softmax", input, dim, dtype)
    return LogSoftmax(axis)(x)


def softmin(input, dim=None, dtype=None, _stacklevel=3):
    """softmax(-x): the smallest one weighs most."""
    expect_tensor(input, "softmin")
    return softmax(-input, dim, dtype)


def _prepared(name, x, dim, dtype):
    """x in a floating dtype, and the axis."""
    expect_tensor(x, name)
    ndim = x._data.ndim
    if dim is None:
        dim = 0 if ndim in (0, 1, 3) else 1
        warnings.warn(f"{where()}{name}: pass dim; without it, dimension {dim} is taken", stacklevel=4)
    x = floating(x) if dtype is None else cast(x, dtype)
    (axis,) = normalize_dims(dim, max(ndim, 1))
    return x, axis if ndim else ()
