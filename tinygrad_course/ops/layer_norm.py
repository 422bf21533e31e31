"""Normalization within a sample: what each sample is divided by is its own, so that training and test are alike."""

import math

import numpy as np

from ..engine import Function, where
from ..kernels import norm as kernels
from .arrange import pad
from .convert import contiguous, expect_floating, expect_tensor
from .norm import batch_norm, check_parameters, move_towards

__all__ = ["layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm", "normalize"]
METHODS = []  # of Tensor


class Standardize(Function):
    """y = (x - μ) / √(σ² + ε), with μ and the biased σ² of each run of neighbours: x is cut into `rows` of them.

    ∂L/∂x = (dy - mean(dy) - y mean(dy y)) / √(σ² + ε), the means over a run.
    """

    __slots__ = ("eps", "mean", "rows", "variance")

    def __init__(self, rows, eps):
        self.rows, self.eps = rows, eps

    def forward(self, x):
        y, self.mean, self.variance, inverse_std = kernels.batch_norm_forward(self._runs(x), None, None, self.eps)
        self.saved = x, inverse_std
        return y.reshape(x.shape)

    def backward(self, dy):
        x, inverse_std = self.saved
        dx, _, _ = kernels.batch_norm_backward(self._runs(dy), self._runs(x), None, self.mean, inverse_std)
        return dx.reshape(x.shape)

    def _runs(self, x):
        """x as one sample of `rows` channels: to batch norm that is the same."""
        return contiguous(x).reshape(1, self.rows, x.size // max(self.rows, 1))

    def backward_on_tape(self, dy):
        x, _ = self.saved_tensors()
        shape = x.shape
        x, dy = (t.reshape(self.rows, t.numel() // max(self.rows, 1)) for t in (x, dy))
        centered = x - x.mean(1, True)
        inverse_std = ((centered * centered).mean(1, True) + self.eps).rsqrt()
        y = centered * inverse_std
        return ((dy - dy.mean(1, True) - y * (dy * y).mean(1, True)) * inverse_std).reshape(shape)


class RMSNorm(Function):
    """y = x / r, r = √(mean(x²) + ε) over some axes;  ∂L/∂x = (dy - y mean(dy y)) / r."""

    __slots__ = ("axes", "eps")
    name = "rms_norm"

    def __init__(self, axes, eps):
        self.axes, self.eps = axes, eps

    def forward(self, x):
        self.saved = (x,)
        square = np.mean(x * x, axis=self.axes, keepdims=True, dtype=np.float64)
        return x / np.sqrt(square + self.eps).astype(x.dtype)

    def backward(self, dy):
        (x,) = self.saved
        r = np.sqrt((x * x).mean(axis=self.axes, keepdims=True) + self.eps)
        y = x / r
        return (dy - y * (dy * y).mean(axis=self.axes, keepdims=True)) / r


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Mean 0 and variance 1 over the last dimensions, whose sizes are `normalized_shape`; then · weight + bias.

    `weight` and `bias` have that shape too. RuntimeError if the input does not end in it. Ba, Kiros & Hinton 2016.
    """
    lead, shape = _lead("layer_norm", input, normalized_shape)
    check_parameters("layer_norm", input._data, shape, weight=weight, bias=bias)
    return _affine(Standardize(math.prod(lead), eps)(input), weight, bias)


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
    channels = (shape[1],) + (1,) * (len(shape) - 2)
    return _affine(Standardize(rows, eps)(input), weight, bias, channels)


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
    node = Standardize(a.shape[0] * a.shape[1], eps)
    y = node(input)
    count = math.prod(a.shape[2:])
    if running_mean is not None:
        move_towards(running_mean, node.mean.reshape(a.shape[:2]).mean(axis=0), momentum)
    if running_var is not None:
        unbiased = node.variance.reshape(a.shape[:2]).mean(axis=0) * (count / max(count - 1, 1))
        move_towards(running_var, unbiased, momentum)
    return _affine(y, weight, bias, (a.shape[1],) + (1,) * (a.ndim - 2))


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """x / √(mean(x²) + ε) over the last dimensions, whose sizes are `normalized_shape`; then · weight.

    ε is by default the dtype's machine epsilon. Zhang & Sennrich 2019.
    """
    lead, shape = _lead("rms_norm", input, normalized_shape)
    check_parameters("rms_norm", input._data, shape, weight=weight)
    eps = np.finfo(input._data.dtype).eps if eps is None else eps
    axes = tuple(range(len(lead), len(lead) + len(shape)))
    return _affine(RMSNorm(axes, float(eps))(input), weight, None)


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


def _affine(y, weight, bias, shape=None):
    """y · weight + bias, both reshaped to `shape` if that is given; None stands for 1 and 0."""
    if weight is not None:
        y = y * (weight if shape is None else weight.reshape(shape))
    if bias is not None:
        y = y + (bias if shape is None else bias.reshape(shape))
    return y
