"""Normalization of groups within a sample: layer, group and instance norm are one thing.

x is (N, G, K, P): a sample is G groups, each of K channels with P numbers, and each group gets mean 0 and variance 1;
weight and bias are (G, K). Layer norm over K numbers is (N, 1, K, 1), group norm (N, G, C / G, H · W), instance norm
(N, C, 1, H · W). A thread owns blocks of samples, each with its partial sums for the gradients of weight and
bias; the blocks, and so each bit, do not depend on the number of threads. Sums are in float64.
"""

import numpy as np

from .buffers import empty_like
from .jit import inner, part, shared

SERIAL_BELOW = 16_000  # elements
RUN = 1024  # numbers that backward adds up in x's own type, before their sum joins the float64 one
BLOCKS = 16  # of samples; partial sums are kept for each


@inner
def _samples(N, block):
    """first, last: the samples of a block."""
    size = (N + BLOCKS - 1) // BLOCKS
    return min(block * size, N), min((block + 1) * size, N)


@shared
def _forward(thread, threads, x, weight, bias, eps, y, mean, variance, inverse_std):
    real = x.dtype.type
    N, G, K, P = x.shape
    for block in part(thread, threads, BLOCKS):
        first, last = _samples(N, block)
        for n in range(first, last):
            for g in range(G):
                group, out = x[n, g].reshape(-1), y[n, g].reshape(-1)
                total = 0.0
                for i in range(group.size):
                    total += np.float64(group[i])
                exact = total / group.size
                square = 0.0
                for i in range(group.size):
                    d = np.float64(group[i]) - exact
                    square += d * d
                v = square / group.size
                mean[n, g] = center = real(exact)
                variance[n, g] = real(v)
                inverse_std[n, g] = scale = real(1.0 / np.sqrt(v + eps))
                shift = real((np.float64(center) - exact) * np.float64(scale))  # what rounding took from the mean
                if weight.size == 0 and bias.size == 0:
                    for i in range(group.size):
                        out[i] = (group[i] - center) * scale + shift
                elif P == 1:
                    w, b = weight[g], bias[g]
                    for i in range(group.size):
                        out[i] = ((group[i] - center) * scale + shift) * w[i] + b[i]
                else:
                    for k in range(K):
                        a, b = scale * weight[g, k], bias[g, k] + shift * weight[g, k]
                        for i in range(k * P, (k + 1) * P):
                            out[i] = (group[i] - center) * a + b


@shared
def _backward(thread, threads, dy, x, weight, mean, inverse_std, dx, dweight, dbias):
    """dweight, dbias (BLOCKS, G, K): the sums over each block's samples."""
    real = x.dtype.type
    N, G, K, P = x.shape
    for block in part(thread, threads, BLOCKS):
        first, last = _samples(N, block)
        for n in range(first, last):
            for g in range(G):
                group, gradient, out = x[n, g].reshape(-1), dy[n, g].reshape(-1), dx[n, g].reshape(-1)
                center, scale = mean[n, g], inverse_std[n, g]
                w, weights, biases = weight[g], dweight[block, g], dbias[block, g]
                total = product = 0.0
                if P == 1:
                    for k in range(K):
                        slope = np.float64(gradient[k])
                        normal = np.float64((group[k] - center) * scale)
                        weights[k] += slope * normal
                        biases[k] += slope
                        total += slope * np.float64(w[k])
                        product += slope * normal * np.float64(w[k])
                else:
                    for k in range(K):
                        t = p = 0.0
                        for start in range(k * P, (k + 1) * P, RUN):
                            run_t = run_p = real(0)
                            for i in range(start, min(start + RUN, (k + 1) * P)):
                                run_t += gradient[i]
                                run_p += gradient[i] * ((group[i] - center) * scale)
                            t += np.float64(run_t)
                            p += np.float64(run_p)
                        weights[k] += p
                        biases[k] += t
                        total += t * np.float64(w[k])
                        product += p * np.float64(w[k])
                m, q = real(total / group.size), real(product / group.size)
                if P == 1:
                    for k in range(K):
                        out[k] = (gradient[k] * w[k] - m - (group[k] - center) * scale * q) * scale
                else:
                    for k in range(K):
                        a, b = w[k] * scale, q * scale * scale
                        for i in range(k * P, (k + 1) * P):
                            out[i] = gradient[i] * a - (group[i] - center) * b - m * scale


def _run(loop, x, *arguments):
    (loop.serial if x.size < SERIAL_BELOW or x.itemsize > 4 else loop)(*arguments)


def group_norm_forward(x, weight, bias, eps):
    """(y, mean, variance, inverse_std) of x (N, G, K, P): y = weight · (x − mean) · inverse_std + bias.

    The statistics, (N, G), are each group's own, the variance the biased one; inverse_std = 1 / √(variance + eps).
    weight and bias are (G, K), or None for 1 and 0.
    """
    y = empty_like(x)
    mean, variance, inverse_std = np.empty((3, *x.shape[:2]), x.dtype)
    if x.size:
        none = np.empty((0, 0), x.dtype)
        if weight is not None or bias is not None:
            weight = np.ones(x.shape[1:3], x.dtype) if weight is None else weight
            bias = np.zeros(x.shape[1:3], x.dtype) if bias is None else bias
        _run(_forward, x, x, none if weight is None else weight, none if bias is None else bias, float(eps),
             y, mean, variance, inverse_std)  # fmt: skip
    else:
        mean[...] = variance[...] = inverse_std[...] = np.nan
    return y, mean, variance, inverse_std


def group_norm_backward(dy, x, weight, mean, inverse_std):
    """(dx, dweight, dbias) of `group_norm_forward`; dweight and dbias come also without weight.

    With g = weight · dy and x̂ = (x − mean) · inverse_std, means over a group: dbias = Σdy, dweight = Σ dy·x̂,
    dx = inverse_std · (g − mean(g) − x̂ · mean(g·x̂)).
    """
    dx = empty_like(x)
    sums = np.zeros((2, BLOCKS, *x.shape[1:3]))
    if x.size:
        weight = np.ones(x.shape[1:3], x.dtype) if weight is None else weight
        _run(_backward, x, dy, x, weight, mean, inverse_std, dx, *sums)
    dweight, dbias = sums.sum(1).astype(x.dtype)
    return dx, dweight, dbias
