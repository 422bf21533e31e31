"""Initialization: the random numbers a network starts from. In place; each function returns its tensor.

With Var W = c / fan_in the signal's mean square changes by c E[φ(z)²]/E[z²] per layer: c = 1 keeps it in a
linear net (Xavier), c = 2 in a ReLU net (He), and every other c makes it vanish or explode with depth.
"""

import functools
import math
import warnings

import numpy as np

from ..generator import default_generator
from .parameter import is_meta


def calculate_gain(nonlinearity, param=None):
    """The factor by which the standard deviation 1/√fan is multiplied for a nonlinearity; PyTorch's table.

    linear, conv, sigmoid: 1; tanh: 5/3 (a heuristic: the value that keeps the variance 1 is 1.5925);
    relu: √2; leaky_relu: √(2 / (1 + slope²)), slope 0.01 by default; selu: 3/4.
    """
    if nonlinearity in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid") or nonlinearity.startswith("conv_transpose"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {param} is not a number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"no gain is known for nonlinearity {nonlinearity!r}")


def fans(tensor):
    """(fan_in, fan_out) of a weight (out, in, …): inputs that each output sums, outputs that each input feeds."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"fan in and fan out need a weight of at least 2 dimensions, got shape {tuple(shape)}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def constant_(tensor, val):
    """All `val`. A whole layer of equal weights learns as a single unit: the symmetry is never broken."""
    return _fill(tensor, np.full(tensor.shape, val, tensor.dtype))


def zeros_(tensor):
    """All 0."""
    return constant_(tensor, 0)


def ones_(tensor):
    """All 1."""
    return constant_(tensor, 1)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """N(mean, std²)."""
    draw = generator or default_generator()
    numbers = np.asarray(draw.standard_normal(tensor.shape, tensor.dtype))
    numbers *= std
    numbers += mean
    return _fill(tensor, numbers)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b)."""
    draw = generator or default_generator()
    numbers = np.asarray(draw.random(tensor.shape, tensor.dtype))
    numbers *= b - a
    numbers += a
    return _fill(tensor, numbers)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """N(0, gain² · 2/(fan_in + fan_out)), between what keeps activations (1/fan_in) and what keeps gradients
    (1/fan_out) of one size (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform in ±a, a = gain · √(6/(fan_in + fan_out)): the variance of `xavier_normal_` (Glorot 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """N(0, gain²/fan): gain √2 for ReLU, so that Var W = 2/fan_in keeps the mean square through ReLU (He 2015)."""
    if _empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform in ±√3 · gain/√fan: the variance of `kaiming_normal_` (He 2015)."""
    if _empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def _empty(tensor):
    if 0 in tensor.shape:
        warnings.warn(f"initializing a tensor of shape {tuple(tensor.shape)}, without elements, does nothing", stacklevel=3)
        return True
    return False


def _fill(tensor, numbers):
    tensor._data[...] = numbers
    tensor._changed_in_place()
    return tensor


def _unless_meta(initializer):
    """The initializer, which passes by a meta parameter: that has no memory for numbers."""

    @functools.wraps(initializer)
    def initialize(tensor, *arguments, **keywords):
        return tensor if is_meta(tensor) else initializer(tensor, *arguments, **keywords)

    return initialize


for _name, _function in list(globals().items()):  # all that end in an underscore change their tensor
    if _name.endswith("_") and not _name.startswith("_"):
        globals()[_name] = _unless_meta(_function)
