"""softmax and log_softmax of the rows of x (N, C), in double precision; see `kernels/softmax.py`."""

import numpy as np


def softmax(x):
    """y = e^x / Σ e^x"""
    return np.exp(_log_softmax(x)).astype(x.dtype)


def softmax_backward(dy, y):
    """dx = y · (dy − Σ dy·y)"""
    wide = dy.astype(np.float64)
    return (y * (wide - (wide * y).sum(1, keepdims=True))).astype(y.dtype)


def log_softmax(x):
    """y = x − log Σ e^x"""
    return _log_softmax(x).astype(x.dtype)


def log_softmax_backward(dy, y):
    """dx = dy − e^y · Σ dy"""
    wide = dy.astype(np.float64)
    return (wide - np.exp(y.astype(np.float64)) * wide.sum(1, keepdims=True)).astype(y.dtype)


def _log_softmax(x):
    wide = x.astype(np.float64)
    shifted = wide - wide.max(1, keepdims=True, initial=-np.inf)  # e^shifted does not overflow
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
