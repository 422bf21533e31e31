"""Normalization: give each channel mean 0 and variance 1 over the batch, then a learned scale and shift."""

import math

import numpy as np

from ..function import Function
from ..kernels import norm as kernels
from ..modes import where
from .convert import contiguous, expect_floating

__all__ = ["batch_norm"]
METHODS = []  # of Tensor


class BatchNorm(Function):
    """x̂ = (x - μ) / √(σ² + ε), y = γ x̂ + β, with μ and the biased σ² of each channel over this batch.

    ∂L/∂β = Σ dy, ∂L/∂γ = Σ dy x̂, ∂L/∂x = γ/√(σ² + ε) · (dy - mean(dy) - x̂ mean(dy x̂)).

    A ReLU behind it is done on the way: forward with `relu`, of whose result the next operation makes a ReLU
    (`Rectified`); backward if that leaves its output in `passed`, with the gradient, which it hands down as it came.
    """

    __slots__ = ("eps", "mean", "passed", "relu", "running")

    def __init__(self, eps, running, relu=False):
        self.eps, self.relu, self.passed = eps, relu, None
        self.running = running  # mean, variance and momentum, which forward moves

    def forward(self, x, weight, bias):
        y, self.mean, _, inverse_std = kernels.batch_norm_forward(
            _rows(x), *_vectors(weight, bias), self.eps, self.relu, self.running
        )
        self.running = None
        self.saved = x, weight, inverse_std
        return y.reshape(x.shape)

    def backward(self, dy):
        x, weight, inverse_std = self.saved
        z = None
        if self.passed is not None and self.passed[1] is dy:  # else a hook runs another pass before this one is here
            z, self.passed = self.passed[0], None
        dx, dweight, dbias = kernels.batch_norm_backward(
            _rows(dy), _rows(x), *_vectors(weight), self.mean, inverse_std, None if z is None else _rows(z)
        )
        return dx.reshape(x.shape), dweight if self.needs[1] else None, dbias if self.needs[2] else None

    def backward_on_tape(self, dy):
        x, weight, _ = self.saved_tensors()
        axes = (0, *range(2, x.ndim))
        centered = x - x.mean(axes, True)
        inverse_std = ((centered * centered).mean(axes, True) + self.eps).rsqrt()
        normal = centered * inverse_std
        g = dy if weight is None else dy * _along_channels(weight, x)
        dx = (g - g.mean(axes, True) - normal * (g * normal).mean(axes, True)) * inverse_std
        return dx, (dy * normal).sum(axes) if self.needs[1] else None, dy.sum(axes) if self.needs[2] else None


class BatchNormEval(Function):
    """y = γ (x - μ) / √(σ² + ε) + β with given μ and σ²: a linear map of each channel."""

    __slots__ = ("inverse_std", "mean", "relu")
    name = "batch_norm"

    def __init__(self, mean, variance, eps, relu=False):
        self.mean, self.inverse_std = mean, (1 / np.sqrt(variance + eps)).astype(variance.dtype)
        self.relu = relu

    def forward(self, x, weight, bias):
        self.saved = x, weight
        y = kernels.normalize_with(_rows(x), *_vectors(weight, bias), self.mean, self.inverse_std, self.relu)
        return y.reshape(x.shape)

    def backward(self, dy):
        x, weight = self.saved
        dx, dweight, dbias = kernels.normalize_with_backward(
            _rows(dy), _rows(x), *_vectors(weight), self.mean, self.inverse_std
        )
        return dx.reshape(x.shape), dweight if self.needs[1] else None, dbias if self.needs[2] else None

    def backward_on_tape(self, dy):
        x, weight = self.saved_tensors()
        axes = (0, *range(2, x.ndim))
        mean, inverse_std = (_along_channels(v, x) for v in (self.mean, self.inverse_std))
        dx = (dy if weight is None else dy * _along_channels(weight, x)) * inverse_std
        dweight = (dy * ((x - mean) * inverse_std)).sum(axes) if self.needs[1] else None
        return dx, dweight, dy.sum(axes) if self.needs[2] else None


def _rows(x):
    """(N, C, …) as a contiguous (N, C, S)."""
    return contiguous(x).reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _vectors(*vectors):
    return [None if v is None else contiguous(v) for v in vectors]


def _along_channels(vector, x):
    """A vector, array or tensor, as (C, 1, …), which broadcasts with x (N, C, …)."""
    return vector.reshape((-1,) + (1,) * (x.ndim - 2))


def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """Batch normalization of x (N, C) or (N, C, …), per channel C, over all other dimensions.

    In training the batch's own statistics normalize, and the running ones move towards them:
    running = (1 - momentum) · running + momentum · batch, with the unbiased variance. Otherwise the running
    ones normalize. ε stands inside the root. Ioffe & Szegedy 2015.
    """
    return batch_normalize(input, running_mean, running_var, weight, bias, training, momentum, eps)


def batch_normalize(input, running_mean, running_var, weight, bias, training, momentum, eps, relu=False):
    """`batch_norm`; with `relu`, max(y, 0), for the next operation to make a ReLU of (`Rectified`)."""
    expect_floating(input, "batch_norm")
    a = input._data
    if a.ndim < 2:
        if a.ndim and not a.size:
            return input.clone()
        raise ValueError(f"{where()}batch_norm: expected an input (N, C, …), got shape {a.shape}")
    check_parameters("batch_norm", a, a.shape[1:2], weight=weight, bias=bias, running_mean=running_mean,
                     running_var=running_var)  # fmt: skip
    if eps < 0:
        raise ValueError(f"{where()}batch_norm: eps must not be negative, got {eps}")
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(f"{where()}batch_norm: running_mean and running_var are needed outside of training")
        return BatchNormEval(running_mean._data.copy(), running_var._data, eps, relu)(input, weight, bias)
    count = a.shape[0] * math.prod(a.shape[2:])
    if count == 1:
        raise ValueError(
            f"{where()}batch_norm: in training each channel needs more than 1 value, got input of shape {a.shape}; "
            "use a larger batch, or model.eval()"
        )
    running = [None if t is None else t._data for t in (running_mean, running_var)]
    y = BatchNorm(eps, (*running, momentum or 0.0), relu)(input, weight, bias)
    del running
    for t in (running_mean, running_var):
        if t is not None:
            t._changed_in_place()
    return y


def check_parameters(norm, a, shape, **parameters):
    """RuntimeError if one of a norm's parameters, where given, has not this shape and the dtype of the array a."""
    for name, t in parameters.items():
        if t is None:
            continue
        if t._data.shape != shape:
            has = f"has {shape[0]} channels" if norm.startswith(("batch", "group", "instance")) else f"ends in {shape}"
            raise RuntimeError(
                f"{where()}{norm}: input of shape {a.shape} {has}, but {name} has shape {t._data.shape}"
            )
        if t._data.dtype != a.dtype:
            raise RuntimeError(
                f"{where()}{norm}: input is {a.dtype} but {name} is {t._data.dtype}; convert the input with "
                f".to(tg.{t._data.dtype})"
            )


def move_towards(running, batch, momentum):
    """running = (1 - momentum) · running + momentum · batch, in place."""
    running._data *= 1 - momentum
    running._data += momentum * batch
    running._changed_in_place()
