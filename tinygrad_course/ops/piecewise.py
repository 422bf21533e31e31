"""Piecewise linear activations: straight lines with kinks between them, cheap and without saturation.

At a kink the derivative is PyTorch's choice, written in the formula. `inplace` is accepted and changes nothing but
memory in PyTorch: the result is always a new tensor.
"""

import numpy as np

from ..function import Function
from ..generator import default_generator
from ..kernels import activation as kernels
from ..modes import where
from .convert import contiguous, expect_floating, expect_tensor
from .reduce import normalize_dims
from .select import choose

__all__ = ["relu6", "leaky_relu", "prelu", "rrelu", "threshold", "hardtanh", "hardsigmoid", "hardswish", "hardshrink",
           "softshrink", "maxout"]  # fmt: skip
METHODS = ["prelu", "hardshrink"]  # of Tensor

SIXTH = float(np.float32(1 / 6))  # of hardsigmoid's gradient; PyTorch has it in float32


class Hardtanh(Function):
    """y = min(max(x, a), b);  ∂y/∂x = 1 where a < x < b, else 0 (0 at both kinks)."""

    __slots__ = ("high", "low")
    replayable = True

    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        self.saved = (x,)
        return kernels.hardtanh(contiguous(x), self.low, self.high)

    def backward(self, dy):
        (x,) = self.saved
        return kernels.hardtanh_backward(contiguous(dy), contiguous(x), self.low, self.high)

    def backward_on_tape(self, dy):
        (x,) = self.saved
        return choose((x <= self.low) | (x >= self.high), 0, dy)


class ReLU6(Hardtanh):
    """y = min(max(x, 0), 6);  ∂y/∂x = 1 where 0 < x < 6, else 0 (0 at both kinks)."""

    __slots__ = ()
    name = "relu6"


class LeakyReLU(Function):
    """y = x where x > 0, else a x;  ∂y/∂x = 1 where x > 0, else a."""

    __slots__ = ("slope",)
    replayable = True
    name = "leaky_relu"

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        self.saved = (x,)
        return kernels.leaky_relu(contiguous(x), self.slope)

    def backward(self, dy):
        (x,) = self.saved
        return kernels.leaky_relu_backward(contiguous(dy), contiguous(x), self.slope)

    def backward_on_tape(self, dy):
        (x,) = self.saved
        return choose(x > 0, dy, dy * self.slope)


class RReLU(Function):
    """y = x where x > 0, else a x, with an a for each element;  ∂y/∂x = 1 where x > 0, else a."""

    __slots__ = ("slope",)
    name = "rrelu"

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        self.saved = (x,)
        return np.where(x > 0, x, x * self.slope)

    def backward(self, dy):
        (x,) = self.saved
        return choose(x > 0, dy, dy * self.slope)


class PReLU(Function):
    """y = x where x > 0, else a x;  ∂L/∂x = dy where x > 0, else a dy;  ∂L/∂a = Σ x dy over x ≤ 0."""

    __slots__ = ()
    replayable = True
    broadcasts = True
    name = "prelu"

    def forward(self, x, a):
        self.saved = x, a
        return np.where(x > 0, x, a * x)

    def backward(self, dy):
        x, a = self.saved
        return choose(x > 0, dy, a * dy), choose(x > 0, 0, x * dy) if self.needs[1] else None


class Threshold(Function):
    """y = x where x > t, else v;  ∂y/∂x = 1 where x > t, else 0."""

    __slots__ = ("threshold", "value")

    def __init__(self, threshold, value):
        self.threshold, self.value = threshold, value

    def forward(self, x):
        self.saved = (x,)
        return np.where(x <= self.threshold, x.dtype.type(self.value), x)

    def backward(self, dy):
        (x,) = self.saved
        return choose(x <= self.threshold, 0, dy)


class Hardsigmoid(Function):
    """y = min(max(x + 3, 0), 6) / 6;  ∂y/∂x = 1/6 where -3 < x < 3, else 0."""

    __slots__ = ()

    def forward(self, x):
        self.saved = (x,)
        return np.minimum(np.maximum(x + 3, 0), 6) / 6

    def backward(self, dy):
        (x,) = self.saved
        return choose((x > -3) & (x < 3), dy * SIXTH, 0)


class Hardswish(Function):
    """y = x min(max(x + 3, 0), 6) / 6;  ∂y/∂x = 0 for x ≤ -3, x/3 + 1/2 below 3, 1 from there on."""

    __slots__ = ()

    def forward(self, x):
        self.saved = (x,)
        return x * np.minimum(np.maximum(x + 3, 0), 6) / 6

    def backward(self, dy):
        (x,) = self.saved
        return choose(x <= -3, 0, choose(x < 3, dy * (x / 3 + 0.5), dy))


class Hardshrink(Function):
    """y = x, but 0 where -λ ≤ x ≤ λ;  ∂y/∂x = 1 and 0 there."""

    __slots__ = ("width",)

    def __init__(self, width):
        self.width = width

    def forward(self, x):
        self.saved = (x,)
        return np.where((x >= -self.width) & (x <= self.width), 0, x)

    def backward(self, dy):
        (x,) = self.saved
        return choose((x >= -self.width) & (x <= self.width), 0, dy)


class Softshrink(Hardshrink):
    """y = x - λ above λ, x + λ below -λ, 0 between;  ∂y/∂x = 1 and 0 there."""

    __slots__ = ()

    def forward(self, x):
        self.saved = (x,)
        return np.where(x > self.width, x - self.width, np.where(x < -self.width, x + self.width, x * 0))


def number(x, name):
    """x, or a RuntimeError if it holds bools."""
    expect_tensor(x, name)
    if x._data.dtype.kind == "b":
        raise RuntimeError(f"{where()}{name}: expected numbers, got {x._data.dtype}; convert it with .float()")
    return x


def relu6(input, inplace=False):
    """min(max(x, 0), 6), with derivative 0 at both kinks (MobileNet)."""
    return ReLU6(0, 6)(number(input, "relu6"))


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else `negative_slope` · x (Maas et al. 2013): max(x, a x) for a ≤ 1. At 0 the derivative is a."""
    return LeakyReLU(float(negative_slope))(expect_floating(input, "leaky_relu"))


def prelu(input, weight):
    """x where x > 0, else a x, with a learned: one number, or one for each channel of x (N, C, …). He et al. 2015.

    RuntimeError if `weight` is neither a single number nor as long as dimension 1 of x (1 for a vector).
    """
    expect_floating(input, "prelu")
    expect_tensor(weight, "prelu", "weight")
    shape, count = input._data.shape, weight._data.size
    if weight._data.ndim > 1:
        raise RuntimeError(f"{where()}prelu: the weight must be a vector or a number, got shape {weight._data.shape}")
    channels = shape[1] if len(shape) > 1 else 1
    if count != 1 and (not shape or count != channels):
        raise RuntimeError(
            f"{where()}prelu: input of shape {shape} has {channels} channels (dimension 1), but there are {count} "
            f"weights; use PReLU(num_parameters={channels}) or a single one"
        )
    if weight._data.dtype != input._data.dtype:
        raise RuntimeError(f"{where()}prelu: input is {input._data.dtype} but the weight is {weight._data.dtype}")
    if weight._data.ndim or len(shape) > 1:
        weight = weight.reshape(() if count == 1 else (count,) + (1,) * (len(shape) - 2))
    return PReLU()(input, weight)


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """leaky_relu; in training with slopes drawn from [lower, upper) for each element, else with their mean."""
    a = expect_floating(input, "rrelu")._data
    if lower > upper:
        raise RuntimeError(f"{where()}rrelu: lower must not be greater than upper, got {lower} and {upper}")
    if not training:
        return LeakyReLU((float(lower) + float(upper)) / 2)(input)
    return RReLU(np.asarray(default_generator().uniform(lower, upper, a.shape), a.dtype))(input)


def threshold(input, threshold, value, inplace=False):
    """x where x > `threshold`, else `value`."""
    return Threshold(threshold, value)(number(input, "threshold"))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """min(max(x, min_val), max_val), with derivative 0 at both kinks. ValueError if min_val > max_val."""
    if min_val > max_val:
        raise ValueError(f"{where()}hardtanh: min_val must not be greater than max_val, got {min_val} and {max_val}")
    return Hardtanh(min_val, max_val)(number(input, "hardtanh"))


def hardsigmoid(input, inplace=False):
    """min(max(x + 3, 0), 6) / 6: the sigmoid in three straight lines."""
    return Hardsigmoid()(expect_floating(input, "hardsigmoid"))


def hardswish(input, inplace=False):
    """x · hardsigmoid(x) (MobileNetV3)."""
    return Hardswish()(expect_floating(input, "hardswish"))


def hardshrink(input, lambd=0.5):
    """x, but 0 where |x| ≤ λ."""
    return Hardshrink(float(lambd))(expect_floating(input, "hardshrink"))


def softshrink(input, lambd=0.5):
    """x drawn towards 0 by λ, and 0 where |x| ≤ λ: the proximal step of λ|x|. RuntimeError if λ < 0."""
    if lambd < 0:
        raise RuntimeError(f"{where()}softshrink: lambd must not be negative, got {lambd}")
    return Softshrink(float(lambd))(expect_floating(input, "softshrink"))


def maxout(input, pieces, dim=-1):
    """The largest of each `pieces` neighbours along `dim`, which becomes that much shorter. Goodfellow et al. 2013.

    ValueError if `pieces` does not divide the size. The first of equal ones takes the gradient.
    """
    expect_tensor(input, "maxout")
    shape = input._data.shape
    (axis,) = normalize_dims(dim, len(shape))
    if pieces < 1 or shape[axis] % pieces:
        raise ValueError(
            f"{where()}maxout: dimension {axis} of the input of shape {shape} cannot be cut into groups of {pieces}"
        )
    return input.reshape(*shape[:axis], shape[axis] // pieces, pieces, *shape[axis + 1 :]).max(axis + 1).values
