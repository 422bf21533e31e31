"""Mixing neighbours along an axis; see `kernels/resample.py`."""

import numpy as np


def mix(x, axis, first, count, weights):
    """y_i = Σ_k weights_ik · x_(first_i + k), one k after the other"""
    x = np.moveaxis(x, axis, 0)
    y = np.zeros((first.size, *x.shape[1:]), x.dtype)
    for k in range(weights.shape[1]):
        has = count > k
        y[has] += weights[has, k].reshape(-1, *[1] * (x.ndim - 1)) * x[first[has] + k]
    return np.array(np.moveaxis(y, 0, axis), order="C")
