"""Dropout: switch numbers or whole channels off at random while training (Srivastava et al. 2014).

What is drawn comes from the library's generator. Out of training every function returns its input itself. `inplace`
is accepted for PyTorch's listings; in training the result is always a new tensor.
"""

import math
import warnings

import numpy as np

from ..function import Function
from ..generator import default_generator
from ..modes import where
from .convert import expect_tensor
from .smooth import SELU_ALPHA, SELU_SCALE

__all__ = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
METHODS = []  # of Tensor


class Dropout(Function):
    """y = x m, m = 0 where x is dropped, else 1/(1 - p);  ∂y/∂x = m."""

    __slots__ = ("noise",)

    def __init__(self, noise):
        self.noise = noise

    def forward(self, x):
        return x * self.noise

    def backward(self, dy):
        return dy * self.noise

    backward_on_tape = Function.linear_on_tape


class AlphaDropout(Dropout):
    """y = a x where x is kept, else a value at which mean and variance stay;  ∂y/∂x = a and 0."""

    __slots__ = ("offset",)

    def __init__(self, noise, offset):
        self.noise, self.offset = noise, offset

    def forward(self, x):
        return x * self.noise + self.offset

    def backward_on_tape(self, dy):
        return Dropout(self.noise)(dy)


def kept(shape, p):
    """Where a number is kept: with probability 1 - p, each for itself."""
    return default_generator().random(shape, "float32") >= p


def check_probability(p, name):
    """ValueError if p is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"{where()}{name}: the probability p has to be between 0 and 1, got {p}")


def _dropped(x, p, training, shape):
    """x with numbers dropped for each place of `shape`, which is broadcast."""
    if not training or p == 0 or not x._data.size:
        return x
    factor = 1 / (1 - p) if p < 1 else 0
    return Dropout(kept(shape, p).astype(x._data.dtype) * factor)(x)


def _alpha_dropped(x, p, training, shape):
    """The same, keeping mean 0 and variance 1."""
    if not training or p == 0 or not x._data.size:
        return x
    if p == 1:
        return Dropout(np.zeros(shape, x._data.dtype))(x)
    low = -SELU_ALPHA * SELU_SCALE  # what selu tends to far below 0
    scale = 1 / math.sqrt((1 - p) * (1 + p * low * low))
    noise = kept(shape, p).astype(x._data.dtype)
    return AlphaDropout(noise * scale, (1 - noise) * (low * scale) - p * low * scale)(x)


def dropout(input, p=0.5, training=True, inplace=False):
    """x m/(1 - p), m = 0 with probability p, else 1, for each number. The division keeps the mean: E[y] = x."""
    expect_tensor(input, "dropout")
    check_probability(p, "dropout")
    return _dropped(input, p, training, input._data.shape)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of x (N, C, L) or (C, L). RuntimeError for other dimensions."""
    expect_tensor(input, "dropout1d")
    check_probability(p, "dropout1d")
    shape = input._data.shape
    if len(shape) not in (2, 3):
        raise RuntimeError(f"{where()}dropout1d: expected an input (N, C, L) or (C, L), got shape {shape}")
    return _dropped(input, p, training, (*shape[:-1], 1))


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of images x (N, C, H, W) (Tompson et al. 2015).

    x (N, C, L) is taken as such, with a warning, as in PyTorch; RuntimeError for less than 2 dimensions.
    """
    expect_tensor(input, "dropout2d")
    check_probability(p, "dropout2d")
    shape = input._data.shape
    channels = _channels(shape, "dropout2d")
    if len(shape) == 3:
        warnings.warn(f"{where()}dropout2d: shape {shape} is taken as (N, C, L); use dropout1d for it", stacklevel=2)
    elif len(shape) != 4:
        warnings.warn(f"{where()}dropout2d: expected an input (N, C, H, W), got shape {shape}", stacklevel=2)
    return _dropped(input, p, training, channels)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Dropout of whole channels of x (N, C, D, H, W) or (C, D, H, W)."""
    expect_tensor(input, "dropout3d")
    check_probability(p, "dropout3d")
    shape = input._data.shape
    if len(shape) == 4:
        return _dropped(input, p, training, (shape[0], 1, 1, 1))
    if len(shape) != 5:
        warnings.warn(f"{where()}dropout3d: expected an input (N, C, D, H, W), got shape {shape}", stacklevel=2)
    return _dropped(input, p, training, _channels(shape, "dropout3d"))


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean 0 and variance 1, for SELU nets (Klambauer et al. 2017).

    What is dropped becomes -λα, to which selu tends far below 0; then all is scaled and shifted back.
    """
    expect_tensor(input, "alpha_dropout")
    check_probability(p, "alpha_dropout")
    return _alpha_dropped(input, p, training, input._data.shape)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """alpha_dropout of whole channels of x (N, C, …)."""
    expect_tensor(input, "feature_alpha_dropout")
    check_probability(p, "feature_alpha_dropout")
    if not training:
        return input
    return _alpha_dropped(input, p, training, _channels(input._data.shape, "feature_alpha_dropout"))


def _channels(shape, name):
    """(N, C, 1, …) of a shape (N, C, …)."""
    if len(shape) < 2:
        raise RuntimeError(f"{where()}{name}: channels need at least 2 dimensions (N, C), got shape {shape}")
    return shape[:2] + (1,) * (len(shape) - 2)
