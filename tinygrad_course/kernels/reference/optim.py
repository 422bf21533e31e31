"""Optimizer steps, in place; see `kernels/optim.py`."""

import numpy as np


def sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    """velocity ← momentum · velocity + (1 − dampening) · g,  param ← param − lr · velocity"""
    for param, grad, velocity in zip(params, grads, velocities or [None] * len(params), strict=True):
        g = -grad if maximize else grad
        if weight_decay:
            g = g + weight_decay * param
        if momentum and velocity is not None:
            velocity[...] = g if first else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        param -= lr * g


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs,
    step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
):  # fmt: skip
    """m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²,  param ← param − lr / (1 − β₁ᵗ) · m / (√(v / (1 − β₂ᵗ)) + eps)"""
    peaks = max_exp_avg_sqs or [None] * len(params)
    for param, grad, exp_avg, exp_avg_sq, peak in zip(params, grads, exp_avgs, exp_avg_sqs, peaks, strict=True):
        g = -grad if maximize else grad
        if decoupled:
            param *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * param
        exp_avg[...] = beta1 * exp_avg + (1 - beta1) * g
        exp_avg_sq[...] = beta2 * exp_avg_sq + (1 - beta2) * g * g
        v = exp_avg_sq if peak is None else np.maximum(peak, exp_avg_sq, out=peak)
        root = np.sqrt(v) * (1 - beta2**step) ** -0.5
        param -= lr / (1 - beta1**step) * exp_avg / (root + eps)
