"""Variances that keep signals and gradients of one size: Xavier's, He's.

With Var W = c / fan_in the signal's mean square changes by c E[φ(z)²]/E[z²] per layer: c = 1 keeps it in a
linear net (Xavier), c = 2 in a ReLU net (He), and every other c makes it vanish or explode with depth.
"""

import math
import warnings

from .fill import normal_, uniform_


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


def fan(tensor, mode):
    """fan_in keeps the signal's size, fan_out the gradient's; fan_avg, their mean, is between."""
    fan_in, fan_out = fans(tensor)
    sizes = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if mode.lower() not in sizes:
        raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
    return sizes[mode.lower()]


def xavier_normal_(tensor, gain=1.0, generator=None, *, mode="fan_avg"):
    """N(0, gain² · 2/(fan_in + fan_out)), between what keeps activations (1/fan_in) and what keeps gradients
    (1/fan_out) of one size (Glorot & Bengio 2010). `mode="fan_in"` is Caffe's variance, gain²/fan_in."""
    return normal_(tensor, 0.0, gain / math.sqrt(fan(tensor, mode)), generator)


def xavier_uniform_(tensor, gain=1.0, generator=None, *, mode="fan_avg"):
    """Uniform in ±a, a = gain · √(6/(fan_in + fan_out)): the variance of `xavier_normal_` (Glorot 2010).

    `mode="fan_in"` is Caffe's a = gain · √(3/fan_in)."""
    bound = gain * math.sqrt(3.0 / fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """N(0, gain²/fan): gain √2 for ReLU, so that Var W = 2/fan_in keeps the mean square through ReLU (He 2015).

    `a` is leaky ReLU's slope; `mode` "fan_in", "fan_out" or "fan_avg".
    """
    if _empty(tensor):
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan(tensor, mode)), generator)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform in ±√3 · gain/√fan: the variance of `kaiming_normal_` (He 2015)."""
    if _empty(tensor):
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def _empty(tensor):
    if 0 in tensor.shape:
        warnings.warn(
            f"initializing a tensor of shape {tuple(tensor.shape)}, without elements, does nothing", stacklevel=3
        )
        return True
    return False
