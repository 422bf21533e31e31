"""Normalization: give each channel mean 0 and variance 1 over the batch, then a learned scale and shift."""

import math

import numpy as np

from ..engine import Function, where
from ..kernels import norm as kernels
from .convert import contiguous, expect_tensor

__all__ = ["batch_norm"]
METHODS = []  # of Tensor


class BatchNorm(Function):
    """x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β, with μ and the biased σ² of each channel over this batch.

    ∂L/∂β = Σ dy, ∂L/∂γ = Σ dy x̂, ∂L/∂x = γ/√(σ² + ε) · (dy - mean(dy) - x̂ mean(dy x̂)).
    """

    __slots__ = ("eps", "mean", "variance")

    def __init__(self, eps):
        self.eps = eps

    def forward(self, x, weight, bias):
        y, self.mean, self.variance, inverse_std = kernels.batch_norm_forward(_rows(x), *_vectors(weight, bias), self.eps)
        self.saved = x, weight, inverse_std
        return y.reshape(x.shape)

    def backward(self, dy):
        x, weight, inverse_std = self.saved
        dx, dweight, dbias = kernels.batch_norm_backward(_rows(dy), _rows(x), *_vectors(weight), self.mean, inverse_std)
        return dx.reshape(x.shape), dweight if self.needs[1] else None, dbias if self.needs[2] else None


class BatchNormEval(Function):
    """y = γ (x - μ) / √(σ² + ε) + β with given μ and σ²: a linear map of each channel."""

    __slots__ = ("inverse_std", "mean")
    name = "batch_norm"

    def __init__(self, mean, variance, eps):
        self.mean, self.inverse_std = mean, (1 / np.sqrt(variance + eps)).astype(variance.dtype)

    def forward(self, x, weight, bias):
        self.saved = x, weight
        y = kernels.normalize_with(_rows(x), *_vectors(weight, bias), self.mean, self.inverse_std)
        return y.reshape(x.shape)

    def backward(self, dy):
        x, weight = self.saved
        dx, dweight, dbias = kernels.normalize_with_backward(
            _rows(dy), _rows(x), *_vectors(weight), self.mean, self.inverse_std
        )
        return dx.reshape(x.shape), dweight if self.needs[1] else None, dbias if self.needs[2] else None


def _rows(x):
    """(N, C, …) as a contiguous (N, C, S)."""
    return contiguous(x).reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _vectors(*vectors):
    return [None if v is None else contiguous(v) for v in vectors]


def batch_norm(
    x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Batch normalization of x (N, C) or (N, C, …), per channel C, over all other dimensions.

    In training the batch's own statistics normalize, and the running ones move towards them:
    running = (1 - momentum) · running + momentum · batch, with the unbiased variance. Otherwise the running
    ones normalize. ε stands inside the root. Ioffe & Szegedy 2015.
    """
    expect_tensor(x, "batch_norm")
    a = x._data
    if a.dtype.kind != "f":
        raise RuntimeError(f"{where()}batch_norm: expected a floating tensor, got {a.dtype}; convert it with .float()")
    if a.ndim < 2:
        raise ValueError(f"{where()}batch_norm: expected an input (N, C, …), got shape {a.shape}")
    channels = a.shape[1]
    for name, t in (("weight", weight), ("bias", bias), ("running_mean", running_mean), ("running_var", running_var)):
        if t is not None and t._data.shape != (channels,):
            raise RuntimeError(
                f"{where()}batch_norm: input of shape {a.shape} has {channels} channels, but {name} has shape "
                f"{t._data.shape}"
            )
        if t is not None and t._data.dtype != a.dtype:
            raise RuntimeError(
                f"{where()}batch_norm: input is {a.dtype} but {name} is {t._data.dtype}; convert the input with "
                f".to(tg.{t._data.dtype})"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(f"{where()}batch_norm: running_mean and running_var are needed outside of training")
        return BatchNormEval(running_mean._data.copy(), running_var._data, eps)(x, weight, bias)
    count = a.shape[0] * math.prod(a.shape[2:])
    if count == 1:
        raise ValueError(
            f"{where()}batch_norm: in training each channel needs more than 1 value, got input of shape {a.shape}; "
            "use a larger batch, or model.eval()"
        )
    node = BatchNorm(eps)
    y = node(x, weight, bias)
    if running_mean is not None:
        _move_towards(running_mean, node.mean, momentum)
    if running_var is not None:
        _move_towards(running_var, node.variance * (count / max(count - 1, 1)), momentum)
    return y


def _move_towards(running, batch, momentum):
    running._data *= 1 - momentum
    running._data += momentum * batch
    running._changed_in_place()
