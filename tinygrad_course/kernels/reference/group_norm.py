"""Normalization of groups within a sample, x (N, G, K, P), in double precision; see `kernels/group_norm.py`."""

import numpy as np


def group_norm_forward(x, weight, bias, eps):
    """y = weight · (x − mean) / √(variance + eps) + bias; also mean, variance and 1 / √(variance + eps)"""
    if x.size == 0:
        return np.empty_like(x), *np.full((3, *x.shape[:2]), np.nan, x.dtype)
    wide = x.astype(np.float64)
    mean, variance = wide.mean((2, 3)), wide.var((2, 3))
    inverse_std = 1 / np.sqrt(variance + eps)
    y = _weighted(_standardized(wide, mean, inverse_std), weight)
    if bias is not None:
        y = y + bias[:, :, None]
    return tuple(array.astype(x.dtype) for array in (y, mean, variance, inverse_std))


def group_norm_backward(dy, x, weight, mean, inverse_std):
    """dx = inverse_std · (g − mean(g) − x̂ · mean(g·x̂)), g = weight · dy; dweight = Σ dy·x̂, dbias = Σ dy"""
    if x.size == 0:
        return np.empty_like(x), *np.zeros((2, *x.shape[1:3]), x.dtype)
    x_hat, dy = _standardized(x, mean, inverse_std), dy.astype(np.float64)
    g = _weighted(dy, weight)
    dx = g - g.mean((2, 3), keepdims=True) - x_hat * (g * x_hat).mean((2, 3), keepdims=True)
    dx *= inverse_std[:, :, None, None]
    return tuple(array.astype(x.dtype) for array in (dx, (dy * x_hat).sum((0, 3)), dy.sum((0, 3))))


def _standardized(x, mean, inverse_std):
    """x̂ = (x − mean) · inverse_std"""
    return (x.astype(np.float64) - mean[:, :, None, None]) * inverse_std[:, :, None, None]


def _weighted(x, weight):
    """weight · x, a number a channel; None stands for 1."""
    return x if weight is None else x * weight[:, :, None]
