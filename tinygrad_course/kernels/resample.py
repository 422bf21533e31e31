"""Mixing neighbours along an axis: interpolation, windows of unequal size, and both backward.

It is a product with a matrix that is 0 outside of a band, and a 0 outside takes no part: NaN stays where it is.
"""

import math

from .buffers import empty
from .jit import inner, part, shared

SERIAL_BELOW = 16_000  # numbers of the result


@inner(borrows=True)
def _mix_numbers(x, first, count, weights, y):
    for i in range(y.size):
        own, row = x[first[i] :], weights[i]
        total = x.dtype.type(0)
        for k in range(count[i]):
            total += row[k] * own[k]
        y[i] = total


@inner(borrows=True)
def _mix_rows(x, first, count, weights, y):
    for i in range(y.shape[0]):
        out = y[i]
        for c in range(out.size):
            out[c] = 0
        for k in range(count[i]):
            row, weight = x[first[i] + k], weights[i, k]
            for c in range(out.size):
                out[c] += weight * row[c]


@shared(borrows=True)
def _mix(thread, threads, x, first, count, weights, y):
    for o in part(thread, threads, x.shape[0]):
        if x.shape[2] == 1:
            _mix_numbers(x[o].reshape(x.shape[1]), first, count, weights, y[o].reshape(y.shape[1]))
        else:
            _mix_rows(x[o], first, count, weights, y[o])


def mix(x, axis, first, count, weights):
    """y_i = Σ_k weights_ik · x_(first_i + k), k < count_i, along an axis; y has as many numbers there as `first`."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    y = empty((*before, first.size, *after), x.dtype)
    if y.size:
        outside, inside = math.prod(before), math.prod(after)
        run = _mix.serial if y.size < SERIAL_BELOW else _mix
        run(x.reshape(outside, x.shape[axis], inside), first, count, weights, y.reshape(outside, first.size, inside))
    return y
