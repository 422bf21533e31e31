"""Mean field theory of a wide random net: the variance its signal settles at, and what the gradient does there."""

import functools
from typing import NamedTuple

import numpy as np


class MeanField(NamedTuple):
    """q_star: E[z²] of the pre-activations, far from the input. chi: ratio of the squared gradient per layer."""

    q_star: float
    chi: float


@functools.cache
def _nodes():
    """Gauss-Hermite nodes and weights for z ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    return nodes, weights / np.sqrt(2.0 * np.pi)


def gaussian_mean(function, variance=1.0):
    """E[f(z)] for z ~ N(0, variance), f smooth, by 160-point Gauss-Hermite quadrature."""
    nodes, weights = _nodes()
    return float(np.dot(weights, function(np.sqrt(variance) * nodes)))


def nonlinearity(name):
    """(φ, φ') of "tanh" or "sigmoid" as functions of arrays."""
    if name == "tanh":
        return np.tanh, lambda z: 1.0 - np.tanh(z) ** 2
    if name == "sigmoid":
        return _sigmoid, lambda z: _sigmoid(z) * (1.0 - _sigmoid(z))
    raise ValueError(f'activation must be "tanh" or "sigmoid", got {name!r}')


def _sigmoid(z):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def mean_field(sigma_w2, sigma_b2=0.0, activation="tanh", tolerance=1e-12):
    """Fixed point of the signal's variance, and the gradient's ratio per layer there.

    q* = σ_w² ∫Dz φ(√q* z)² + σ_b²,  χ = σ_w² ∫Dz φ'(√q* z)².

    χ < 1: gradients vanish, χ > 1: they explode, χ = 1: the edge of chaos; their depth scale is 1/|ln χ| layers.
    W_ij ~ N(0, σ_w²/n), b ~ N(0, σ_b²). (Poole et al. 2016; Schoenholz et al. 2017.)
    """
    if sigma_w2 < 0.0 or sigma_b2 < 0.0:
        raise ValueError(f"variances must not be negative, got sigma_w2={sigma_w2}, sigma_b2={sigma_b2}")
    phi, derivative = nonlinearity(activation)
    q = 1.0
    for _ in range(100_000):
        following = sigma_w2 * gaussian_mean(lambda z: phi(z) ** 2, q) + sigma_b2
        if abs(following - q) <= tolerance * max(1.0, q):
            break
        q = following
    return MeanField(following, sigma_w2 * gaussian_mean(lambda z: derivative(z) ** 2, following))


def critical_weight_variance(sigma_b2, activation="tanh"):
    """σ_w² at the edge of chaos, where χ = 1, for this bias variance; by bisection. 1.76 for σ_b² = 0.05."""
    low, high = 0.1, 30.0
    if activation == "tanh" and sigma_b2 == 0.0:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if mean_field(middle, sigma_b2, activation, 1e-9).chi < 1.0 else (low, middle)
    return (low + high) / 2.0
