"""Batch normalization layers, and what they share with instance norm. The other norms are in `layer_norm.py`."""

import numpy as np

from ..modes import where
from ..ops.norm import batch_normalize
from ..tensor import Tensor
from .module import Module, Parameter


class NormBase(Module):
    """A norm of `num_features` channels: γ and β if it is `affine`, and running estimates if it tracks them."""

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None,
        *, bias=True,
    ):  # fmt: skip
        super().__init__()
        dtype = dtype or np.float32
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(np.ones(num_features, dtype)) if affine else None)
        self.register_parameter("bias", Parameter(np.zeros(num_features, dtype)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, dtype)) if tracked else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, dtype)) if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)) if tracked else None)

    def reset_running_stats(self):
        """Running mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """γ = 1, β = 0, and the running estimates as at the start."""
        self.reset_running_stats()
        for parameter, value in ((self.weight, 1), (self.bias, 0)):
            if parameter is not None:
                parameter.data[...] = value

    def extra_repr(self):
        without = ", bias=False" if self.affine and self.bias is None else ""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}{without}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(NormBase):
    def forward(self, x, relu=False):
        self._check(x)
        momentum = self.momentum
        counting = self.training and self.track_running_stats
        if counting and momentum is None:  # the plain average of all batches so far
            momentum = 1.0 / (self.num_batches_tracked.item() + 1)
        own_statistics = self.training or self.running_mean is None
        tracking = not self.training or self.track_running_stats
        y = batch_normalize(
            x,
            self.running_mean if tracking else None,
            self.running_var if tracking else None,
            self.weight,
            self.bias,
            own_statistics,
            momentum,
            self.eps,
            relu,
        )
        if counting:
            self.num_batches_tracked._data += 1
        return y

    def _check(self, x):
        if x.ndim not in self.dims:
            raise ValueError(f"{where()}{type(self).__name__}: expected an input of {self.shapes}, got shape {x.shape}")
        if x.shape[1] != self.num_features:
            raise RuntimeError(
                f"{where()}{type(self).__name__}({self.num_features}): input of shape {x.shape} has {x.shape[1]} "
                f"channels, not {self.num_features}"
            )


class BatchNorm1d(_BatchNorm):
    """Batch norm of x (N, C) or (N, C, L): each of the C channels gets mean 0, variance 1 over N (and L).

    y = γ (x - μ)/√(σ² + ε) + β. In training μ and σ² are the batch's, and the running estimates follow with
    `momentum`; in evaluation the running ones are used (Ioffe & Szegedy 2015).
    """

    dims, shapes = (2, 3), "2 or 3 dimensions (N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Batch norm of images x (N, C, H, W): each channel gets mean 0, variance 1 over N, H and W. See BatchNorm1d."""

    dims, shapes = (4,), "4 dimensions (N, C, H, W)"
