"""Batch normalization: y = weight · (x − mean) · inverse_std + bias, channel by channel.

x is (N, C, S), S the product of the spatial sizes. A thread owns blocks of channels.
Where S is large the innermost loops run along one channel's S numbers; where it is small (1 after a linear
layer), along a sample's row of channels, which is C · S columns with a sum each.
Sums are in float64: the float32 sum of 10⁵ squares, or the variance of 10⁴ ± 1, would lose half its digits.
A ReLU behind it costs nothing extra: forward no y is below `floor`, 0 or −inf; backward dy counts where its output z
is not ≤ `limit`, 0 or, as nothing is ≤ NaN, NaN.
"""

import numpy as np

from .buffers import empty_like
from .jit import inner, part, shared

SERIAL_BELOW = 65_000  # elements
SMALL = 16  # up to this S, run along columns
COLUMNS = 64  # columns owned together
RUN = 1024  # numbers that backward adds up in x's own type, before their sum joins the float64 one
ROWS = 32  # likewise of one column
_NONE = None, None, 0.0  # in place of running estimates


@inner
def _statistics(x, S, first, shift, total, square):
    """total = Σ(x − shift), square = Σ(x − shift)² of the channels from `first` on.

    The shift, a number of the channel, keeps the variance's digits where the mean is far from 0.
    """
    if S <= SMALL:
        width = total.size * S
        sums = np.zeros((2, width))
        shifts = np.repeat(shift, S)
        for n in range(x.shape[0]):
            row = x[n, first * S :]
            for j in range(width):
                d = np.float64(row[j]) - shifts[j]
                sums[0, j] += d
                sums[1, j] += d * d
        for i in range(total.size):
            for j in range(i * S, (i + 1) * S):
                total[i] += sums[0, j]
                square[i] += sums[1, j]
        return
    for i in range(total.size):
        for n in range(x.shape[0]):
            run = x[n, (first + i) * S :]
            t = 0.0
            q = 0.0
            for s in range(S):
                d = np.float64(run[s]) - shift[i]
                t += d
                q += d * d
            total[i] += t
            square[i] += q


@inner
def _affine(x, y, S, first, center, scale, offset, floor):
    """y = max((x − center) · scale + offset, floor), of the channels from `first` on."""
    if S <= SMALL:
        m, a, b = np.repeat(center, S), np.repeat(scale, S), np.repeat(offset, S)
        for n in range(x.shape[0]):
            row, result = x[n, first * S :], y[n, first * S :]
            for j in range(m.size):
                v = (row[j] - m[j]) * a[j] + b[j]
                result[j] = floor if v <= floor else v
        return
    for n in range(x.shape[0]):
        for i in range(center.size):
            run, result = x[n, (first + i) * S :], y[n, (first + i) * S :]
            m_i, a_i, b_i = center[i], scale[i], offset[i]
            for s in range(S):
                v = (run[s] - m_i) * a_i + b_i
                result[s] = floor if v <= floor else v


@inner
def _forward(x, y, S, weight, bias, eps, floor, batch, mean, variance, inverse_std, running, first, last):
    """Channels first to last; batch: take the statistics from x, not from `mean` and `inverse_std`."""
    real = x.dtype.type
    count = x.shape[0] * S
    width = last - first
    shift, total, square = np.empty(width), np.zeros(width), np.zeros(width)
    center, scale, offset = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    running_mean, running_variance, momentum = running
    if batch:
        for i in range(width):
            shift[i] = np.float64(x[0, (first + i) * S])
        _statistics(x, S, first, shift, total, square)
    for i in range(width):
        c = first + i
        residue = 0.0  # what rounding takes from the mean
        if batch:
            shifted = total[i] / count
            v = square[i] / count - shifted * shifted
            v = 0.0 if v < 0.0 else v
            mean[c] = real(shift[i] + shifted)
            variance[c] = real(v)
            inverse_std[c] = real(1.0 / np.sqrt(v + eps))
            residue = shift[i] + shifted - np.float64(mean[c])
            if running_mean.size:
                running_mean[c] = real((1.0 - momentum) * running_mean[c] + momentum * mean[c])
            if running_variance.size:
                unbiased = v * count / max(count - 1, 1)
                running_variance[c] = real((1.0 - momentum) * running_variance[c] + momentum * unbiased)
        center[i] = mean[c]
        scale[i] = inverse_std[c] * (weight[c] if weight.size else real(1))
        offset[i] = (bias[c] if bias.size else real(0)) - real(residue * np.float64(scale[i]))
    _affine(x, y, S, first, center, scale, offset, real(floor))


@inner
def _owned(C, S, threads):
    """How many of C channels make a block: memory is read fastest straight on; yet each thread has a block."""
    return max(1, COLUMNS // S) if S <= SMALL else max(1, min(32, C // threads))


@shared
def _forward_blocks(thread, threads, x, y, S, weight, bias, eps, floor, batch, mean, variance, inverse_std, running):
    C, own = mean.size, _owned(mean.size, S, threads)
    blocks = (C + own - 1) // own
    for block in part(thread, threads, blocks):
        first = block * own
        last = min(first + own, C)
        _forward(x, y, S, weight, bias, eps, floor, batch, mean, variance, inverse_std, running, first, last)


def _normalize(x, weight, bias, eps, relu, batch, mean, variance, inverse_std, running):
    """The loop, on x as N rows of C · S columns."""
    y = empty_like(x)
    loop = _forward_blocks.serial if _small(x) else _forward_blocks
    loop(
        x.reshape(len(x), -1), y.reshape(len(x), -1), x.shape[2], _given(weight, x), _given(bias, x),
        float(eps), 0.0 if relu else -np.inf, batch, mean, variance, inverse_std,
        (_given(running[0], x), _given(running[1], x), float(running[2])),
    )  # fmt: skip
    return y


def batch_norm_forward(x, weight, bias, eps, relu=False, running=_NONE):
    """(y, mean, variance, inverse_std) of x (N, C, S), normalized with its own statistics over N and S.

    With `relu`, y is max(y, 0). `running` is (mean, variance, momentum), the first two (C,) or None; they go
    that share of the way to this batch's mean and unbiased variance.

    variance = Σ(x − mean)² / (N·S), the biased one; inverse_std = 1 / √(variance + eps); each (C,), in x's
    type. weight and bias are (C,), or None for 1 and 0. The statistics of an empty x are NaN.
    """
    C = x.shape[1]
    if x.size == 0:
        return np.empty_like(x), *np.full((3, C), np.nan, x.dtype)
    mean, variance, inverse_std = np.empty(C, x.dtype), np.empty(C, x.dtype), np.empty(C, x.dtype)
    y = _normalize(x, weight, bias, eps, relu, True, mean, variance, inverse_std, running)
    return y, mean, variance, inverse_std


def normalize_with(x, weight, bias, mean, inverse_std, relu=False):
    """y = weight · (x − mean) · inverse_std + bias of x (N, C, S), with the (C,) statistics given; or max(y, 0)."""
    if x.size == 0:
        return np.empty_like(x)
    return _normalize(x, weight, bias, 0.0, relu, False, mean, mean, inverse_std, _NONE)


def _small(x):
    """Whether to take one thread: for little work, and for float64, which is for gradient checks."""
    return x.size < SERIAL_BELOW or x.itemsize > 4


def _given(parameter, x):
    """What a kernel is given for None, for which it would compile once more: an empty array."""
    return np.empty(0, x.dtype) if parameter is None else parameter


@inner
def _products(dy, z, limit, x, S, first, center, total, product):
    """total = Σdy, product = Σ dy · (x − center), of the channels from `first` on, where z is not ≤ limit."""
    zero = dy.dtype.type(0)
    if S <= SMALL:
        width = total.size * S
        centers = np.repeat(center, S)
        t, p = np.empty(width, x.dtype), np.empty(width, x.dtype)
        for start in range(0, x.shape[0], ROWS):
            t[:] = 0
            p[:] = 0
            for n in range(start, min(start + ROWS, x.shape[0])):
                row, gradient, passed = x[n, first * S :], dy[n, first * S :], z[n, first * S :]
                for j in range(width):
                    g = zero if passed[j] <= limit else gradient[j]
                    t[j] += g
                    p[j] += g * (row[j] - centers[j])
            for i in range(total.size):
                for j in range(i * S, (i + 1) * S):
                    total[i] += np.float64(t[j])
                    product[i] += np.float64(p[j])
        return
    for i in range(total.size):
        m = center[i]
        for n in range(x.shape[0]):
            for start in range(0, S, RUN):
                at = (first + i) * S + start
                run, gradient, passed = x[n, at:], dy[n, at:], z[n, at:]
                t = p = zero
                for s in range(min(RUN, S - start)):
                    g = zero if passed[s] <= limit else gradient[s]
                    t += g
                    p += g * (run[s] - m)
                total[i] += np.float64(t)
                product[i] += np.float64(p)


@inner
def _combine(dy, z, limit, x, dx, S, first, a, b, k, center):
    """dx = a · dy + b · (x − center) + k, of the channels from `first` on; dy is 0 where z ≤ limit."""
    zero = dy.dtype.type(0)
    if S <= SMALL:
        a_j, b_j, k_j, m_j = np.repeat(a, S), np.repeat(b, S), np.repeat(k, S), np.repeat(center, S)
        for n in range(x.shape[0]):
            row, gradient, passed, result = x[n, first * S :], dy[n, first * S :], z[n, first * S :], dx[n, first * S :]
            for j in range(a_j.size):
                g = zero if passed[j] <= limit else gradient[j]
                result[j] = a_j[j] * g + (b_j[j] * (row[j] - m_j[j]) + k_j[j])
        return
    for n in range(x.shape[0]):
        for i in range(a.size):
            at = (first + i) * S
            run, gradient, passed, result = x[n, at:], dy[n, at:], z[n, at:], dx[n, at:]
            a_i, b_i, k_i, m_i = a[i], b[i], k[i], center[i]
            for s in range(S):
                g = zero if passed[s] <= limit else gradient[s]
                result[s] = a_i * g + (b_i * (run[s] - m_i) + k_i)


@inner
def _backward(dy, z, limit, x, dx, S, weight, mean, inverse_std, batch, dweight, dbias, first, last):
    """Channels first to last; batch: mean and inverse_std depend on x."""
    real = x.dtype.type
    count = x.shape[0] * S
    width = last - first
    total, product = np.zeros(width), np.zeros(width)
    a, b, k = np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    center = np.empty(width, x.dtype)
    for i in range(width):
        center[i] = mean[first + i]
    _products(dy, z, limit, x, S, first, center, total, product)
    for i in range(width):  # quotients: a chain of products could be multiplied in another order each time
        c = first + i
        std = 1.0 / np.float64(inverse_std[c])
        w = (np.float64(weight[c]) if weight.size else 1.0) / std
        dbias[c] = real(total[i])
        dweight[c] = real(product[i] / std)
        a[i] = real(w)
        b[i] = real(-w * (product[i] / (std * std)) / count)
        k[i] = real(-w * total[i] / count if batch else 0.0)
    if batch:
        _combine(dy, z, limit, x, dx, S, first, a, b, k, center)
    else:  # x has no part in dx: not even its NaN
        center[:] = 0
        _affine(dy, dx, S, first, center, a, k, real(-np.inf))


@shared
def _backward_blocks(thread, threads, dy, z, limit, x, dx, S, weight, mean, inverse_std, batch, dweight, dbias):
    C, own = mean.size, _owned(mean.size, S, threads)
    blocks = (C + own - 1) // own
    for block in part(thread, threads, blocks):
        first = block * own
        last = min(first + own, C)
        _backward(dy, z, limit, x, dx, S, weight, mean, inverse_std, batch, dweight, dbias, first, last)


def _gradients(dy, x, weight, mean, inverse_std, batch, z=None):
    dx = empty_like(x)
    dweight, dbias = np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    if x.size:
        loop = _backward_blocks.serial if _small(x) else _backward_blocks
        flat_dy, flat_z, flat_x, flat_dx = [a.reshape(len(x), -1) for a in (dy, dy if z is None else z, x, dx)]
        loop(
            flat_dy, flat_z, x.dtype.type(np.nan if z is None else 0), flat_x, flat_dx, x.shape[2],
            _given(weight, x), mean, inverse_std, batch, dweight, dbias,
        )  # fmt: skip
    return dx, dweight, dbias


def batch_norm_backward(dy, x, weight, mean, inverse_std, z=None):
    """(dx, dweight, dbias) of `batch_norm_forward`; dy, x, dx (N, C, S), the others (C,).

    With x̂ = (x − mean) · inverse_std: dbias = Σdy, dweight = Σ dy·x̂, and
    dx = weight · inverse_std · (dy − mean(dy) − x̂ · mean(dy·x̂)). dweight and dbias come also without weight.
    With z, the output of a ReLU behind it, dy is the gradient of that.
    """
    return _gradients(dy, x, weight, mean, inverse_std, True, z)


def normalize_with_backward(dy, x, weight, mean, inverse_std):
    """(dx, dweight, dbias) of `normalize_with`; its statistics being constant, dx = weight·inverse_std·dy."""
    return _gradients(dy, x, weight, mean, inverse_std, False)
