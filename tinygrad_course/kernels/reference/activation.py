"""Activations, element by element; see `kernels/activation.py`."""

import math

import numpy as np


def relu(x):
    """y = max(x, 0)"""
    return np.maximum(x, 0)


def relu_backward(dy, y):
    """dx = dy where y > 0 or y is NaN, else 0"""
    return np.where(y <= 0, dy.dtype.type(0), dy)


def hardtanh(x, low, high):
    """y = min(max(x, low), high)"""
    return np.clip(x, low, high)


def hardtanh_backward(dy, x, low, high):
    """dx = dy where low < x < high or x is NaN, else 0"""
    return np.where((x <= low) | (x >= high), dy.dtype.type(0), dy)


def leaky_relu(x, slope):
    """y = x where x > 0, else slope · x"""
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy, x, slope):
    """dx = dy where x > 0, else slope · dy"""
    return np.where(x > 0, dy, slope * dy)


def exp(x):
    """y = eˣ"""
    return np.exp(x)


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


def silu(x, beta):
    """y = x · σ(βx)"""
    return x * sigmoid(beta * x)


def silu_backward(dy, x, beta):
    """dx = dy · s · (1 + βx (1 − s)), s = σ(βx)"""
    s = sigmoid(beta * x)
    return dy * (s * (1 + beta * x * (1 - s)))


def elu(x, alpha, scale, rate):
    """y = scale · x where x > 0, else scale · alpha · (e^(rate · x) − 1)"""
    return np.where(x > 0, scale * x, scale * alpha * np.expm1(rate * x))


def elu_backward(dy, x, alpha, scale, rate):
    """dx = dy · scale · alpha · rate · e^(rate · x) where x ≤ 0, else dy · scale"""
    return dy * np.where(x <= 0, scale * alpha * rate * np.exp(rate * x), x.dtype.type(scale))


def softplus(x, beta, threshold):
    """y = ln(1 + e^βx) / β, and x where βx > threshold"""
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def softplus_backward(dy, x, beta, threshold):
    """dx = dy · σ(βx), and dy where βx > threshold"""
    return np.where(beta * x > threshold, dy, dy * sigmoid(beta * x))


def gelu(x):
    """y = x Φ(x), Φ(x) = (1 + erf(x/√2)) / 2"""
    return x * (1 + erf(x * math.sqrt(0.5))) / 2


def gelu_backward(dy, x):
    """dx = dy · (Φ(x) + x φ(x)), φ(x) = e^(−x²/2) / √2π"""
    return dy * ((1 + erf(x * math.sqrt(0.5))) / 2 + x * (np.exp(-x * x / 2) / math.sqrt(2 * math.pi)))


def tanh_gelu(x):
    """y = x (1 + t) / 2, t = tanh(√(2/π) (x + 0.044715 x³))"""
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def tanh_gelu_backward(dy, x):
    """dx = dy · ((1 + t) / 2 + x (1 − t²) / 2 · √(2/π) (1 + 3 · 0.044715 x²))"""
    rate = math.sqrt(2 / math.pi)
    t = np.tanh(rate * (x + 0.044715 * x**3))
    return dy * ((1 + t) / 2 + x * (1 - t * t) / 2 * (rate * (1 + 3 * 0.044715 * x * x)))


def keep(x, mask, other):
    """y = x where the mask is true, else a number"""
    return np.where(mask, x, x.dtype.type(other))


def choose(x, mask, other):
    """y = x where the mask is true, else other"""
    return np.where(mask, x, other)


def erf(x):
    """y = erf x, number by number: NumPy has no erf"""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)
