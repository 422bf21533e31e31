"""Optimizer steps, in place: one pass over all parameters and their states, in PyTorch's order of operations."""

import numpy as np

from .columns import columns, own
from .jit import inner, shared

SERIAL_BELOW = 100_000  # elements


@inner
def _sgd(param, grad, velocity, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    real = param.dtype.type
    rate, decay, keep, add = real(lr), real(weight_decay), real(momentum), real(1.0 - dampening)
    sign = real(-1.0 if maximize else 1.0)
    if momentum == 0.0:
        for i in range(grad.size):
            g = sign * grad[i]
            param[i] -= rate * (g + decay * param[i] if decay != 0 else g)
        return
    for i in range(grad.size):
        g = sign * grad[i]
        if decay != 0:
            g += decay * param[i]
        v = g if first else keep * velocity[i] + add * g
        velocity[i] = v
        param[i] -= rate * (g + keep * v if nesterov else v)


@shared
def _sgd_part(thread, threads, table, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    for k in range(table[1]):
        param, grad = own(thread, threads, table, 0, k), own(thread, threads, table, 1, k)
        velocity = own(thread, threads, table, 1 if momentum == 0.0 else 2, k)  # the gradient's place, if unused
        _sgd(param, grad, velocity, lr, momentum, dampening, weight_decay, nesterov, maximize, first)


def sgd_step(params, grads, velocities, lr, momentum, dampening, weight_decay, nesterov, maximize, first):
    """param ← param − lr · d, in place, for each of a list of arrays of one dtype; the options are floats and bools.

    g = ±grad + weight_decay · param; velocity = g at the first step, then momentum · velocity +
    (1 − dampening) · g; d = velocity, with nesterov g + momentum · velocity, with momentum 0 just g
    (velocities may then be None).
    """
    momentum = 0.0 if velocities is None else momentum
    table, size = columns([params, grads] if momentum == 0 else [params, grads, velocities])
    loop = _sgd_part.serial if size < SERIAL_BELOW else _sgd_part
    loop(table, lr, momentum, dampening, weight_decay, nesterov, maximize, first)


@inner
def _adam(p, grad, m, v, peak, numbers, amsgrad, decoupled, maximize):
    real = p.dtype.type
    step_size, shrink, decay = real(numbers[0]), real(numbers[1]), real(numbers[2])
    m_keep, v_keep = real(numbers[3]), real(numbers[4])
    m_new, v_new = real(numbers[5]), real(numbers[6])
    root_correction, eps = real(numbers[7]), real(numbers[8])
    sign = real(-1.0 if maximize else 1.0)
    for i in range(grad.size):
        g = sign * grad[i]
        x = p[i]
        if decoupled:
            x *= shrink
        elif decay != 0:
            g += decay * x
        m_i = m_keep * m[i] + m_new * g
        v_i = v_keep * v[i] + v_new * g * g
        m[i] = m_i
        v[i] = v_i
        if amsgrad:
            v_i = v_i if v_i > peak[i] or v_i != v_i else peak[i]
            peak[i] = v_i
        p[i] = x - step_size * m_i / (np.sqrt(v_i) * root_correction + eps)


@shared
def _adam_part(thread, threads, table, options, amsgrad, decoupled, maximize):
    for k in range(table[1]):
        param, grad = own(thread, threads, table, 0, k), own(thread, threads, table, 1, k)
        m, v = own(thread, threads, table, 2, k), own(thread, threads, table, 3, k)
        peak = own(thread, threads, table, 4 if amsgrad else 3, k)
        _adam(param, grad, m, v, peak, options, amsgrad, decoupled, maximize)


def adam_step(
    params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs,
    step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize,
):  # fmt: skip
    """One step of Adam (decoupled: AdamW), in place, for each of a list of arrays of one dtype; `step` counts from 1.

    The other options are floats and bools, for a kernel is compiled anew for other types.
    m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²,
    param ← param − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps).
    weight_decay adds weight_decay · param to g; decoupled, it scales param by 1 − lr · weight_decay instead.
    AMSGrad: max_exp_avg_sqs (else None) keep the largest v, which takes v's place in the root.
    """
    options = (
        lr / (1.0 - beta1**step),
        1.0 - lr * weight_decay,
        weight_decay,
        beta1,
        beta2,
        1.0 - beta1,  # given: knowing it to be 1 − β, the compiler makes g + β · (m − g) of it, NaN where g is inf
        1.0 - beta2,
        (1.0 - beta2**step) ** -0.5,
        eps,
    )
    amsgrad = max_exp_avg_sqs is not None
    rows = [params, grads, exp_avgs, exp_avg_sqs]
    table, size = columns([*rows, max_exp_avg_sqs] if amsgrad else rows)
    loop = _adam_part.serial if size < SERIAL_BELOW else _adam_part
    loop(table, options, amsgrad, decoupled, maximize)
