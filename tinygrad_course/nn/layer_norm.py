"""Normalization layers that look at one sample at a time: training and evaluation are alike."""

import warnings

import numpy as np

from .. import ops
from ..modes import where
from .module import Module, Parameter
from .norm import NormBase


class LayerNorm(Module):
    """y = γ (x - μ)/√(σ² + ε) + β, μ and σ² of each sample over the last dimensions, `normalized_shape`.

    γ and β have a number for each place of `normalized_shape` (Ba, Kiros & Hinton 2016).
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _add_affine(self, self.normalized_shape, elementwise_affine, bias, dtype)

    def reset_parameters(self):
        """γ = 1, β = 0."""
        _reset_affine(self)

    def forward(self, x):
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}" + _no_bias(self)


class RMSNorm(Module):
    """y = γ x/√(mean(x²) + ε) over the last dimensions: layer norm without the mean (Zhang & Sennrich 2019).

    ε is the dtype's machine epsilon if `eps` is None.
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(np.ones(self.normalized_shape, dtype or np.float32)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self):
        """γ = 1."""
        _reset_affine(self)

    def forward(self, x):
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """y = γ (x - μ)/√(σ² + ε) + β, μ and σ² of each group of channels of each sample of x (N, C, …).

    One group is layer norm over (C, …); a group for each channel is instance norm. γ and β have C numbers.
    Its error does not depend on the batch size (Wu & He 2018).
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels cannot be divided into {num_groups} groups")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _add_affine(self, (num_channels,), affine, bias, dtype)

    def reset_parameters(self):
        """γ = 1, β = 0."""
        _reset_affine(self)

    def forward(self, x):
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}" + _no_bias(self)


class _InstanceNorm(NormBase):
    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, device=None, dtype=None,
        *, bias=True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, x):
        if x.ndim not in (self.ndim - 1, self.ndim):
            raise ValueError(f"{where()}{type(self).__name__}: expected an input {self.shapes}, got shape {x.shape}")
        channels = x.shape[1 - self.ndim]
        if channels != self.num_features:
            name = f"{where()}{type(self).__name__}({self.num_features})"
            told = f"{name}: input of shape {x.shape} has {channels} channels"
            if self.affine:
                raise ValueError(f"{told}, not {self.num_features}")
            warnings.warn(f"{told}; without affine that is no error", stacklevel=2)
        if x.ndim < self.ndim:
            return self._normalized(x.unsqueeze(0)).squeeze(0)
        return self._normalized(x)

    def _normalized(self, x):
        return ops.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, 0.0 if self.momentum is None else self.momentum, self.eps,
        )  # fmt: skip


class InstanceNorm1d(_InstanceNorm):
    """Mean 0 and variance 1 for each channel of each sample, over L, of x (N, C, L) or (C, L)."""

    ndim, shapes = 3, "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Mean 0 and variance 1 for each channel of each image, over H and W: contrast is removed (Ulyanov et al. 2016).

    x is (N, C, H, W) or (C, H, W). By default there are no γ and β, and no running estimates.
    """

    ndim, shapes = 4, "(N, C, H, W) or (C, H, W)"


class LocalResponseNorm(Module):
    """y = x / (k + α mean(x²))^β, the mean over `size` neighbouring channels of x (N, C, L, …) (AlexNet, 2012)."""

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _sizes(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _add_affine(module, shape, affine, bias, dtype):
    """The parameters γ = 1 and β = 0 of a norm, as far as it has them."""
    dtype = dtype or np.float32
    module.register_parameter("weight", Parameter(np.ones(shape, dtype)) if affine else None)
    module.register_parameter("bias", Parameter(np.zeros(shape, dtype)) if affine and bias else None)


def _reset_affine(module):
    for name, value in (("weight", 1), ("bias", 0)):
        if module._parameters.get(name) is not None:
            module._parameters[name].data[...] = value


def _no_bias(module):
    """What a norm that has γ but no β says of itself."""
    return ", bias=False" if module.weight is not None and module.bias is None else ""
