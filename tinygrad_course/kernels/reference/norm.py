"""Batch normalization of x (N, C, S), channel by channel, in double precision; see `kernels/norm.py`."""

import numpy as np


def batch_norm_forward(x, weight, bias, eps, relu=False, running=(None, None, 0.0)):
    """y = weight · (x − mean) / √(variance + eps) + bias, or max(y, 0); also mean, variance, 1 / √(variance + eps)

    running_mean = (1 − momentum) · running_mean + momentum · mean; so the running variance, with variance · n / (n − 1)
    """
    if x.size == 0:
        return np.empty_like(x), *np.full((3, x.shape[1]), np.nan, x.dtype)
    wide = x.astype(np.float64)
    mean, variance = wide.mean((0, 2)), wide.var((0, 2))
    inverse_std = 1 / np.sqrt(variance + eps)
    y = _affine(_standardized(wide, mean, inverse_std), weight, bias)
    y = np.maximum(y, 0) if relu else y
    count = x.shape[0] * x.shape[2]
    for target, batch in zip(running, (mean, variance * (count / max(count - 1, 1)))):
        if target is not None:
            target[...] = (1 - running[2]) * target + running[2] * batch
    return tuple(array.astype(x.dtype) for array in (y, mean, variance, inverse_std))


def normalize_with(x, weight, bias, mean, inverse_std, relu=False):
    """y = weight · (x − mean) · inverse_std + bias, or max(y, 0)"""
    y = _affine(_standardized(x, mean, inverse_std), weight, bias)
    return (np.maximum(y, 0) if relu else y).astype(x.dtype)


def batch_norm_backward(dy, x, weight, mean, inverse_std, z=None):
    """dx = weight · inverse_std · (dy − mean(dy) − x̂ · mean(dy·x̂)), dweight = Σ dy·x̂, dbias = Σ dy; dy where z > 0"""
    x_hat, dy = _standardized(x, mean, inverse_std), dy.astype(np.float64)
    dy = dy if z is None else np.where(z <= 0, 0, dy)
    dweight, dbias = (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
    count = max(x.shape[0] * x.shape[2], 1)
    dx = dy - _column(dbias / count) - x_hat * _column(dweight / count)
    dx = _affine(dx * _column(inverse_std), weight, None)
    return tuple(array.astype(x.dtype) for array in (dx, dweight, dbias))


def normalize_with_backward(dy, x, weight, mean, inverse_std):
    """dx = weight · inverse_std · dy, dweight = Σ dy·x̂, dbias = Σ dy"""
    x_hat, dy = _standardized(x, mean, inverse_std), dy.astype(np.float64)
    dx = _affine(dy * _column(inverse_std), weight, None)
    return tuple(array.astype(x.dtype) for array in (dx, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))))


def _column(channels):
    """(C, 1), in double precision: a number a channel, to stand beside (N, C, S)."""
    return channels.astype(np.float64)[:, None]


def _standardized(x, mean, inverse_std):
    """x̂ = (x − mean) · inverse_std"""
    return (x - _column(mean)) * _column(inverse_std)


def _affine(x, weight, bias):
    """weight · x + bias; None stands for 1 and 0."""
    x = x if weight is None else x * _column(weight)
    return x if bias is None else x + _column(bias)
