"""Normalization within a sample: what each sample is divided by is its own, so that training and test are alike."""

import math

import numpy as np

from ..function import Function
from ..kernels import group_norm as kernels
from ..modes import where
from . import large
from .arrange import pad
from .convert import contiguous, expect_floating, expect_tensor
from .norm import batch_norm, check_parameters, move_towards

__all__ = ["layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm", "normalize"]
METHODS = []  # of Tensor


class GroupNorm(Function):
    """x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β, with μ and the biased σ² of each group of neighbours of each sample.

    ∂L/∂β = Σ dy, ∂L/∂γ = Σ dy x̂, ∂L/∂x = (g - mean(g) - x̂ mean(g x̂)) / √(σ² + ε), g = γ dy, the means over a group.
    """

    __slots__ = ("bias_shape", "eps", "groups", "mean", "variance")
    replayable = True

    def __init__(self, groups, eps):
        self.groups, self.eps = groups, eps  # groups: x as (samples, groups, channels of each, places)

    def forward(self, x, weight, bias):
        y, self.mean, self.variance, inverse_std = kernels.group_norm_forward(
            self._grouped(x), self._of_channels(weight), self._of_channels(bias), self.eps
        )
        self.saved = x, weight, inverse_std
        self.bias_shape = None if bias is None else bias.shape
        return y.reshape(x.shape)

    def backward(self, dy):
        x, weight, inverse_std = self.saved
        dx, dweight, dbias = kernels.group_norm_backward(
            self._grouped(dy), self._grouped(x), self._of_channels(weight), self.mean, inverse_std
        )
        shape = None if weight is None else weight.shape
        return (
            dx.reshape(x.shape),
            dweight.reshape(shape) if self.needs[1] else None,
            dbias.reshape(self.bias_shape) if self.needs[2] else None,
        )

    def _grouped(self, x):
        return contiguous(x).reshape(self.groups)

    def _of_channels(self, vector):
        return None if vector is None else contiguous(vector).reshape(self.groups[1:3])

    def backward_on_tape(self, dy):
        x, weight, _ = self.saved_tensors()
        shape = x.shape
        x, dy = x.reshape(self.groups), dy.reshape(self.groups)
        centered = x - x.mean((2, 3), True)
        inverse_std = ((centered * centered).mean((2, 3), True) + self.eps).rsqrt()
        normal = centered * inverse_std
        g = dy if weight is None else dy * weight.reshape(1, *self.groups[1:3], 1)
        dx = (g - g.mean((2, 3), True) - normal * (g * normal).mean((2, 3), True)) * inverse_std
        return (
            dx.reshape(shape),
            (dy * normal).sum((0, 3)).reshape(weight.shape) if self.needs[1] else None,
            dy.sum((0, 3)).reshape(self.bias_shape) if self.needs[2] else None,
        )


class LayerNorm(GroupNorm):
    """Group norm of one group: a sample's last dimensions, each number a channel."""

    __slots__ = ()


class InstanceNorm(GroupNorm):
    """Group norm of groups of one channel."""

    __slots__ = ()


class RMSNorm(Function):
    """y = x / r, r = √(mean(x²) + ε) over some axes;  ∂L/∂x = (dy - y mean(dy y)) / r."""

    __slots__ = ("axes", "eps")
    replayable = True
    name = "rms_norm"

    def __init__(self, axes, eps):
        self.axes, self.eps = axes, eps

    def forward(self, x):
        self.saved = (x,)
        return large.div(x, self._root(x))

    def backward(self, dz):
        (x,) = self.saved
        r = self._root(x)
        y = large.div(x, r)
        along = self._mean(large.mul(dz, y))
        return large.div(large.sub(dz, large.mul(y, along)), r)

    def backward_on_tape(self, dz):
        (x,) = self.saved_tensors()
        r = ((x * x).mean(axis=self.axes, keepdims=True) + self.eps).sqrt()
        y = x / r
        return (dz - y * (dz * y).mean(axis=self.axes, keepdims=True)) / r

    def _root(self, x):
        return np.sqrt(self._mean(large.mul(x, x)) + self.eps)

    def _mean(self, x):
        count = math.prod([x.shape[axis] for axis in self.axes])
        return np.divide(large.sum_axes(x, self.axes, True), count, dtype=x.dtype)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over the last dimensions, whose sizes are `normalized_shape`; then · weight + bias.

    `weight` and `bias` have that shape too. RuntimeError if the input does not end in it. Ba, Kiros & Hinton 2016.
    """
    lead, shape = _lead("layer_norm", input, normalized_shape)
    check_parameters("layer_norm", input._data, shape, weight=weight, bias=bias)
    return LayerNorm((math.prod(lead), 1, math.prod(shape), 1), eps)(input, weight, bias)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over each of `num_groups` groups of channels of each sample of x (N, C, …).

    One group is layer norm over (C, …), C groups are instance norm. `weight` and `bias` have a number for each
    channel. RuntimeError if the groups do not divide C. Wu & He 2018.
    """
    expect_floating(input, "group_norm")
    shape = input._data.shape
    if len(shape) < 2:
        raise RuntimeError(f"{where()}group_norm: expected an input (N, C, …), got shape {shape}")
    if num_groups < 1 or shape[1] % num_groups:
        raise RuntimeError(
            f"{where()}group_norm: the {shape[1]} channels of the input of shape {shape} cannot be divided into "
            f"{num_groups} groups"
        )
    check_parameters("group_norm", input._data, shape[1:2], weight=weight, bias=bias)
    rows = shape[0] * num_groups
    if rows and input._data.size == rows == num_groups:
        raise ValueError(
            f"{where()}group_norm: a group needs more than 1 value, got input of shape {shape} in {num_groups} groups"
        )
    groups = shape[0], num_groups, shape[1] // num_groups, math.prod(shape[2:])
    return GroupNorm(groups, eps)(input, weight, bias)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Mean 0 and variance 1 over each channel of each sample of x (N, C, …) (Ulyanov et al. 2016).

    The running estimates, if given, move towards the samples' mean statistics; without `use_input_stats` they
    normalize, as in batch norm.
    """
    expect_floating(input, "instance_norm")
    a = input._data
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(a.shape[2:]) == 1:
        raise ValueError(
            f"{where()}instance_norm: each channel of a sample needs more than 1 value, got input of shape {a.shape}"
        )
    check_parameters("instance_norm", a, a.shape[1:2], weight=weight, bias=bias, running_mean=running_mean,
                     running_var=running_var)  # fmt: skip
    count = math.prod(a.shape[2:])
    node = InstanceNorm((*a.shape[:2], 1, count), eps)
    y = node(input, weight, bias)
    if running_mean is not None:
        move_towards(running_mean, node.mean.mean(axis=0), momentum)
    if running_var is not None:
        unbiased = node.variance.mean(axis=0) * (count / max(count - 1, 1))
        move_towards(running_var, unbiased, momentum)
    return y


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / √(mean(x²) + ε) over the last dimensions, whose sizes are `normalized_shape`; then · weight.

    ε is by default the dtype's machine epsilon. Zhang & Sennrich 2019.
    """
    lead, shape = _lead("rms_norm", input, normalized_shape)
    check_parameters("rms_norm", input._data, shape, weight=weight)
    eps = np.finfo(input._data.dtype).eps if eps is None else eps
    axes = tuple(range(len(lead), len(lead) + len(shape)))
    y = RMSNorm(axes, float(eps))(input)
    return y if weight is None else y * weight


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + α mean(x²))^β, the mean over `size` neighbouring channels, zeros beyond the ends (AlexNet, 2012).

    x (N, C, L, …); ValueError for less than 3 dimensions.
    """
    expect_tensor(input, "local_response_norm")
    shape = input._data.shape
    if len(shape) < 3:
        raise ValueError(f"{where()}local_response_norm: expected an input (N, C, L, …), got shape {shape}")
    if not input._data.size:
        return input
    padded = pad(input * input, [0, 0] * (len(shape) - 2) + [size // 2, (size - 1) // 2])
    total = padded.narrow(1, 0, shape[1])
    for start in range(1, size):
        total = total + padded.narrow(1, start, shape[1])
    return input / (total / size * alpha + k) ** beta


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """x / max(‖x‖, ε): vectors of p-norm 1 along `dim` (or over several dimensions)."""
    expect_tensor(input, "normalize")
    result = input / input.norm(p, dim, True).clamp_min(eps)
    return result if out is None else out.copy_(result)


def _lead(name, x, normalized_shape):
    """(the sizes before, the sizes to normalize over) of x's shape."""
    expect_floating(x, name)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    sizes = x._data.shape
    if not shape:
        raise RuntimeError(f"{where()}{name}: normalized_shape must name at least one dimension")
    if sizes[max(len(sizes) - len(shape), 0) :] != shape:
        raise RuntimeError(
            f"{where()}{name}: the input must end in the dimensions {shape} (normalized_shape), but has shape {sizes}"
        )
    return sizes[: len(sizes) - len(shape)], shape
