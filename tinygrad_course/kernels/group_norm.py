"""Normalization of groups within a sample: layer, group and instance norm are one thing.

x is (N, G, K, P): a sample is G groups, each of K channels with P numbers, and each group gets mean 0 and variance 1;
weight and bias are (G, K). Layer norm over K numbers is (N, 1, K, 1), group norm (N, G, C / G, H · W), instance norm
(N, C, 1, H · W). A thread owns blocks of samples, each with its partial sums for the gradients of weight and
bias; the blocks, and so each bit, do not depend on the number of threads. Long sums are in float64.
"""

import numpy as np

from .buffers import empty_like
from .jit import inner, part, shared

SERIAL_BELOW = 16_000  # elements
RUN = 1024  # numbers that are added up in x's own type, before their sum joins the float64 one
BLOCKS, BLOCK = 16, 32  # samples come in blocks: at least so many blocks, of at most so many samples


@inner(borrows=True)
def _moments(numbers, center):
    """Σ d and Σ d², d = x − center."""
    total = square = 0.0
    for start in range(0, numbers.size, RUN):
        run = numbers[start : start + RUN]
        t, s = run.dtype.type(0), run.dtype.type(0)
        for i in range(run.size):
            d = run[i] - center
            t += d
            s += d * d
        total += np.float64(t)
        square += np.float64(s)
    return total, square


@shared(borrows=True)
def _forward(thread, threads, x, sizes, weight, bias, eps, y, mean, variance, inverse_std):
    """x and y are (N · G, K · P), the statistics flat; sizes = (G, K, P)."""
    real = x.dtype.type
    G, K, P = sizes
    for n in part(thread, threads, len(x)):
        g = n % G
        group, out = x[n], y[n]
        rough = real(_moments(group, real(0))[0] / group.size)
        total, square = _moments(group, rough)
        offset = total / group.size  # of the exact mean from the rough one
        v = square / group.size - offset * offset
        v = 0.0 if v < 0.0 else v
        offset = offset if offset == offset else 0.0  # the mean of numbers with inf among them
        mean[n] = center = real(np.float64(rough) + offset)
        variance[n] = real(v)
        inverse_std[n] = scale = real(1.0 / np.sqrt(v + eps))
        shift = real((np.float64(center) - np.float64(rough) - offset) * np.float64(scale))  # what rounding took
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
                channel, out_channel = group[k * P : (k + 1) * P], out[k * P : (k + 1) * P]
                for i in range(P):
                    out_channel[i] = (channel[i] - center) * a + b


@inner(borrows=True)
def _products(gradient, numbers, center, scale):
    """Σ dy and Σ dy x̂, x̂ = (x − center) · scale."""
    total = product = 0.0
    for start in range(0, numbers.size, RUN):
        run, slope = numbers[start : start + RUN], gradient[start : start + RUN]
        t, p = run.dtype.type(0), run.dtype.type(0)
        for i in range(run.size):
            t += slope[i]
            p += slope[i] * ((run[i] - center) * scale)
        total += np.float64(t)
        product += np.float64(p)
    return total, product


@inner(borrows=True)
def _weigh(gradient, numbers, w, center, scale, weights, biases):
    """Σ w dy and Σ w dy x̂; dy x̂ is added to `weights`, dy to `biases`."""
    total = product = 0.0
    for start in range(0, numbers.size, RUN):
        own = slice(start, start + RUN)
        run, slope, weight, run_weights, run_biases = numbers[own], gradient[own], w[own], weights[own], biases[own]
        t, p = run.dtype.type(0), run.dtype.type(0)
        for i in range(run.size):
            product_i = slope[i] * ((run[i] - center) * scale)
            run_weights[i] += product_i
            run_biases[i] += slope[i]
            t += slope[i] * weight[i]
            p += product_i * weight[i]
        total += np.float64(t)
        product += np.float64(p)
    return total, product


@shared(borrows=True)
def _backward(thread, threads, dy, x, sizes, weight, mean, inverse_std, dx, dweight, dbias, block):
    """dweight, dbias (blocks, G, K): the sums over each block of `block` samples; the others as above."""
    real = x.dtype.type
    G, K, P = sizes
    first, last = thread * len(dweight) // threads * block, (thread + 1) * len(dweight) // threads * block
    for n in range(first, min(last, len(x) // G)):
        for g in range(G):
            group, gradient, out = x[n * G + g], dy[n * G + g], dx[n * G + g]
            center, scale = mean[n * G + g], inverse_std[n * G + g]
            w, weights, biases = weight[g], dweight[n // block, g], dbias[n // block, g]
            if P == 1:
                total, product = _weigh(gradient, group, w, center, scale, weights, biases)
            else:
                total = product = 0.0
                for k in range(K):
                    own = slice(k * P, (k + 1) * P)
                    t, p = _products(gradient[own], group[own], center, scale)
                    weights[k] += real(p)
                    biases[k] += real(t)
                    total += t * np.float64(w[k])
                    product += p * np.float64(w[k])
            m, q = real(total / group.size), real(product / group.size)
            if P == 1:
                for k in range(K):
                    out[k] = (gradient[k] * w[k] - m - (group[k] - center) * scale * q) * scale
            else:
                for k in range(K):
                    a, b, c = w[k] * scale, q * scale * scale, m * scale
                    own = slice(k * P, (k + 1) * P)
                    channel, slope, out_channel = group[own], gradient[own], out[own]
                    for i in range(P):
                        out_channel[i] = slope[i] * a - (channel[i] - center) * b - c


def _rows(x):
    """Each group a row."""
    N, G, K, P = x.shape
    return x.reshape(N * G, K * P)


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
        weight, bias = none if weight is None else weight, none if bias is None else bias
        _run(_forward, x, _rows(x), x.shape[1:], weight, bias, float(eps), _rows(y),
             mean.reshape(-1), variance.reshape(-1), inverse_std.reshape(-1))  # fmt: skip
    else:
        mean[...] = variance[...] = inverse_std[...] = np.nan
    return y, mean, variance, inverse_std


def group_norm_backward(dy, x, weight, mean, inverse_std):
    """(dx, dweight, dbias) of `group_norm_forward`; dweight and dbias come also without weight.

    With g = weight · dy and x̂ = (x − mean) · inverse_std, means over a group: dbias = Σdy, dweight = Σ dy·x̂,
    dx = inverse_std · (g − mean(g) − x̂ · mean(g·x̂)).
    """
    dx = empty_like(x)
    block = min(BLOCK, -(-len(x) // BLOCKS)) or 1
    sums = np.zeros((2, -(-len(x) // block), *x.shape[1:3]), x.dtype)
    if x.size:
        weight = np.ones(x.shape[1:3], x.dtype) if weight is None else weight
        _run(_backward, x, _rows(dy), _rows(x), x.shape[1:], weight, mean.reshape(-1), inverse_std.reshape(-1),
             _rows(dx), *sums, block)  # fmt: skip
    dweight, dbias = sums.sum(1, dtype=np.float64).astype(x.dtype)
    return dx, dweight, dbias
