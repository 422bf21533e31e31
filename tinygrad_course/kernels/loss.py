"""Cross entropy of logits (N, C, S) against class numbers (N, S), S the product of what dimensions follow C.

Where S = 1 a task is some samples, whose classes lie together: the exponentials of all are taken in one long loop.
Else it is a stretch of one sample's positions, and the loops run along S. A thread has some of the tasks.
"""

import numpy as np

from .activation import cheap
from .buffers import empty_like
from .elementary import exp
from .jit import inner, num_threads, part, places, shared
from .softmax import row_maximum

SERIAL_BELOW = 8_000  # logits
STRETCH = 256  # positions taken together where S > 1
TOGETHER = 1024  # logits taken together where S = 1


@inner(borrows=True)
def _normalize_rows(x, log_normalizer, room):
    """log Σ_c exp(x[n, c]) of rows of classes; NaN where the maximum is ±inf, as in PyTorch's log_softmax."""
    N, C = x.shape
    shifted, greatest = room[: x.size], room[x.size : x.size + N]
    for n in range(N):
        row, out = x[n], shifted[n * C : (n + 1) * C]
        m = row_maximum(row)
        greatest[n] = m
        for c in range(C):
            out[c] = row[c] - m
    for i in range(shifted.size):
        shifted[i] = exp(shifted[i])
    for n in range(N):
        out = shifted[n * C : (n + 1) * C]
        total = x.dtype.type(0)
        for c in range(C):
            total += out[c]
        log_normalizer[n, 0] = np.float64(greatest[n]) + np.log(np.float64(total))


@inner(borrows=True)
def _normalize_stretch(x, log_normalizer, start, room):
    """The same of one sample's positions from `start` on; x is (C, S)."""
    C = x.shape[0]
    size = min(STRETCH, x.shape[1] - start)
    greatest, total = room[:size], room[size : 2 * size]
    for i in range(size):
        greatest[i] = -np.inf
        total[i] = 0
    for c in range(C):
        row = x[c, start:]
        for i in range(size):
            greatest[i] = row[i] if row[i] > greatest[i] else greatest[i]
    for c in range(C):
        row = x[c, start:]
        for i in range(size):
            total[i] += exp(row[i] - greatest[i])
    out = log_normalizer[start:]
    for i in range(size):
        out[i] = np.float64(greatest[i]) + np.log(np.float64(total[i]))


@inner(borrows=True)
def _losses(x, target, weight, ignore_index, smoothing, losses, log_normalizer, start, stop):
    """The losses of one sample at positions start to stop."""
    C = x.shape[0]
    for s in range(start, stop):
        t = target[s]
        if t == ignore_index:
            losses[s] = 0
            continue
        loss = log_normalizer[s] - np.float64(x[t, s])
        if weight.size:
            loss *= np.float64(weight[t])
        if smoothing != 0.0:
            spread = 0.0
            for c in range(C):
                each = log_normalizer[s] - np.float64(x[c, s])
                spread += each * np.float64(weight[c]) if weight.size else each
            loss = (1.0 - smoothing) * loss + smoothing / C * spread
        losses[s] = loss


@inner(borrows=True)
def _tasks(shape):
    """(tasks, samples of each, stretches a sample is cut into)."""
    N, C, S = shape
    if S == 1:
        samples = max(1, TOGETHER // C)
        return (N + samples - 1) // samples, samples, 1
    stretches = (S + STRETCH - 1) // STRETCH
    return N * stretches, 1, stretches


@inner(borrows=True)
def _forward(x, target, weight, ignore_index, smoothing, losses, log_normalizer, task, room):
    N, C, S = x.shape
    _, samples, stretches = _tasks(x.shape)
    first = task // stretches * samples
    last = min(first + samples, N)
    start = task % stretches * STRETCH
    if S == 1:
        _normalize_rows(x[first:last].reshape(last - first, C), log_normalizer[first:last], room)
    else:
        _normalize_stretch(x[first], log_normalizer[first], start, room)
    for n in range(first, last):
        stop = min(start + STRETCH, S)
        _losses(x[n], target[n], weight, ignore_index, smoothing, losses[n], log_normalizer[n], start, stop)


@shared(borrows=True)
def _forward_tasks(thread, threads, x, target, weight, ignore_index, smoothing, losses, log_normalizer, room):
    tasks = _tasks(x.shape)[0]
    for task in part(thread, threads, tasks):
        _forward(x, target, weight, ignore_index, smoothing, losses, log_normalizer, task, room[thread])


def _small(x):
    """Whether to take one thread: for little work, and for float64, which is for gradient checks."""
    return x.size < SERIAL_BELOW or x.itemsize > 4


def _room(x):
    """Memory for what a thread keeps of a task: a row each."""
    return np.empty((num_threads(), 2 * max(TOGETHER, x.shape[1])), x.dtype)


def cross_entropy_forward(logits, target, weight, ignore_index, label_smoothing):
    """(losses, log_normalizer), each (N, S), of logits (N, C, S), target int64 (N, S), weight (C,) or None.

    log_normalizer = log Σ_c exp(logits_c), always float64: float32 would round 10⁴ + log Σ to 3 decimals.
    With −log p_c = log_normalizer − logits_c, t the target and ε = label_smoothing:
    losses = (1 − ε) · weight_t · (−log p_t) + ε / C · Σ_c weight_c · (−log p_c); 0 where t = ignore_index.
    """
    N, C, S = logits.shape
    losses, log_normalizer = np.zeros((N, S), logits.dtype), np.empty((N, S))
    if logits.size:
        loop = _forward_tasks.serial if _small(logits) else _forward_tasks
        weight = np.empty(0, logits.dtype) if weight is None else weight
        loop(logits, target, weight, int(ignore_index), float(label_smoothing), losses, log_normalizer, _room(logits))
    return losses, log_normalizer


@inner(borrows=True)
def _backward(scale, x, target, log_normalizer, weight, weight_sum, ignore_index, smoothing, dx, task, room):
    """dx_c = a · p_c − hit · [c = t] − spread · weight_c."""
    real = x.dtype.type
    N, C, S = x.shape
    _, samples, stretches = _tasks(x.shape)
    first = task // stretches * samples
    last = min(first + samples, N)
    start = task % stretches * STRETCH
    size = min(STRETCH, S - start)
    rows, out_rows = x.reshape(N, C * S), dx.reshape(N, C * S)  # S = 1: contiguous, as x[n, :, 0] is not
    if S == 1:
        for n in range(first, last):
            row, out = rows[n], out_rows[n]
            shift = log_normalizer[n, 0]
            for c in range(C):
                out[c] = real(np.float64(row[c]) - shift)
        flat = dx[first:last].reshape(-1)
        for i in range(flat.size):
            flat[i] = exp(flat[i])
    a, hit, spread = room[:size], room[size : 2 * size], room[2 * size : 3 * size]
    for n in range(first, last):
        for i in range(size):
            t = target[n, start + i]
            g = np.float64(scale[n, start + i]) if t != ignore_index else 0.0
            each = g * (1.0 - smoothing)
            if weight.size and t != ignore_index:
                each *= np.float64(weight[t])
            hit[i] = real(each)
            spread[i] = real(g * smoothing / C)
            a[i] = real(each + g * smoothing / C * weight_sum)
        if S == 1:
            out = out_rows[n]
            factor = a[0]
            for c in range(C):
                out[c] *= factor
        else:
            shifts = log_normalizer[n, start:]
            for c in range(C):
                row, out = x[n, c, start:], dx[n, c, start:]
                for i in range(size):
                    out[i] = a[i] * exp(real(np.float64(row[i]) - shifts[i]))
        if smoothing != 0.0:
            for c in range(C):
                share = weight[c] if weight.size else real(1)
                out = dx[n, c, start:]
                for i in range(size):
                    out[i] -= spread[i] * share
        for i in range(size):
            t = target[n, start + i]
            if t != ignore_index:
                dx[n, t, start + i] -= hit[i]


@shared(borrows=True)
def _backward_tasks(
    thread, threads, scale, x, target, log_normalizer, weight, weight_sum, ignore_index, smoothing, dx, room
):
    tasks = _tasks(x.shape)[0]
    for task in part(thread, threads, tasks):
        _backward(
            scale, x, target, log_normalizer, weight, weight_sum, ignore_index, smoothing, dx, task, room[thread]
        )  # fmt: skip


def cross_entropy_backward(scale, logits, target, log_normalizer, weight, ignore_index, label_smoothing):
    """dlogits (N, C, S), where scale (N, S) is the gradient arriving at the losses; the rest as in forward.

    dlogits_c = scale · (p_c · (b + k · Σweight) − b · [c = t] − k · weight_c), with b = (1 − ε) · weight_t,
    k = ε / C; scale counts as 0 where t = ignore_index.
    """
    dlogits = empty_like(logits)
    if logits.size:
        loop = _backward_tasks.serial if _small(logits) else _backward_tasks
        if weight is None:
            weight, weight_sum = np.empty(0, logits.dtype), float(logits.shape[1])
        else:
            weight_sum = float(weight.sum())
        loop(
            scale, logits, target, log_normalizer, weight, weight_sum,
            int(ignore_index), float(label_smoothing), dlogits, _room(logits),
        )  # fmt: skip
    return dlogits


@cheap
def square_of_difference(thread, threads, x, y, losses):
    """losses = (x − y)²."""
    for i in places(thread, threads, x.size):
        losses[i] = (x[i] - y[i]) * (x[i] - y[i])


@cheap
def times_difference(thread, threads, x, y, rate, slope):
    """slope = rate · (x − y)."""
    for i in places(thread, threads, x.size):
        slope[i] = rate * (x[i] - y[i])


@cheap
def huber(thread, threads, x, y, bound, rate, losses):
    """losses = rate · c (d − c/2), d = x − y, c = d held within [−bound, bound]."""
    half = x.dtype.type(0.5)
    for i in places(thread, threads, x.size):
        d = x[i] - y[i]
        c = -bound if d <= -bound else (bound if d >= bound else d)
        losses[i] = c * (d - half * c) * rate


@cheap
def huber_slope(thread, threads, x, y, bound, rate, slope):
    """slope = rate · c, c as above."""
    for i in places(thread, threads, x.size):
        d = x[i] - y[i]
        slope[i] = (-bound if d <= -bound else (bound if d >= bound else d)) * rate
