"""Optimizer steps, in place; see `kernels/optim.py`."""

import numpy as np


def sgd_step(param, grad, velocity, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    """velocity ← momentum · velocity + (1 − dampening) · g,  param ← param − lr · velocity"""
    g = -grad if maximize else grad
    if weight_decay:
        g = g + weight_decay * param
    if momentum and velocity is not None:
        velocity[...] = g if first else momentum * velocity + (1 - dampening) * g
        g = g + momentum * velocity if nesterov else velocity
    param -= lr * g


def adam_step(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq,
    step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
):  # fmt: skip
    """m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²,  param ← param − lr / (1 − β₁ᵗ) · m / (√(v / (1 − β₂ᵗ)) + eps)"""
    g = -grad if maximize else grad
    if decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        g = g + weight_decay * param
    exp_avg[...] = beta1 * exp_avg + (1 - beta1) * g
    exp_avg_sq[...] = beta2 * exp_avg_sq + (1 - beta2) * g * g
    v = exp_avg_sq
    if max_exp_avg_sq is not None:
        v = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
    root = np.sqrt(v) * (1 - beta2**step) ** -0.5
    param -= lr / (1 - beta1**step) * exp_avg / (root + eps)
