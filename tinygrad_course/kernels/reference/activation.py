"""Activations, element by element; see `kernels/activation.py`."""

import numpy as np


def relu(x):
    """y = max(x, 0)"""
    return np.maximum(x, 0)


def relu_backward(dy, y):
    """dx = dy where y > 0 or y is NaN, else 0"""
    return np.where(y <= 0, dy.dtype.type(0), dy)


def tanh(x):
    """y = tanh(x)"""
    return np.tanh(x)


def tanh_backward(dy, y):
    """dx = dy · (1 − y²)"""
    return dy * (1 - y * y)


def sigmoid(x):
    """y = 1 / (1 + e⁻ˣ)"""
    return 1 / (1 + np.exp(-x))


def sigmoid_backward(dy, y):
    """dx = dy · y · (1 − y)"""
    return dy * (y * (1 - y))
