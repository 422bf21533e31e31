"""softmax and log_softmax of the rows of x (N, C), each row in a cache's reach. A thread owns rows.

The maximum is subtracted first, so that no exponential overflows. NaN, +∞ or nothing but −∞ in a row make all of it
NaN, as in PyTorch.
"""

import functools

import numpy as np

from .buffers import empty_like
from .elementary import exp
from .jit import inner, part, shared

SERIAL_BELOW = 16_000  # elements


def by_rows(loop):
    """loop(thread, threads, x, …, y) over rows as a function (x, …) -> y, a new array like x; all are (N, C)."""
    compiled = shared(loop)

    @functools.wraps(loop)
    def function(x, *others):
        y = empty_like(x)
        (compiled.serial if x.size < SERIAL_BELOW else compiled)(x, *others, y)
        return y

    del function.__wrapped__  # its signature is another one
    function.kernel = compiled
    return function


@inner
def row_maximum(row):
    """The maximum, NaN left out (it comes back in the sum). Four chains, for each step waits for the last."""
    a = b = c = d = row.dtype.type(-np.inf)
    whole = row.size // 4 * 4
    for i in range(0, whole, 4):
        a = row[i] if row[i] > a else a
        b = row[i + 1] if row[i + 1] > b else b
        c = row[i + 2] if row[i + 2] > c else c
        d = row[i + 3] if row[i + 3] > d else d
    for i in range(whole, row.size):
        a = row[i] if row[i] > a else a
    a = a if a > b else b
    c = c if c > d else d
    return a if a > c else c


@by_rows
def softmax(thread, threads, x, y):
    """y_c = e^x_c / Σ_k e^x_k."""
    for n in part(thread, threads, len(x)):
        row, out = x[n], y[n]
        largest = row_maximum(row)
        total = x.dtype.type(0)
        for c in range(row.size):
            out[c] = exp(row[c] - largest)
            total += out[c]
        for c in range(row.size):
            out[c] /= total


@by_rows
def softmax_backward(thread, threads, dy, y, dx):
    """dx = y · (dy − Σ dy · y)."""
    for n in part(thread, threads, len(y)):
        row, gradient, out = y[n], dy[n], dx[n]
        total = dy.dtype.type(0)
        for c in range(row.size):
            total += gradient[c] * row[c]
        for c in range(row.size):
            out[c] = row[c] * (gradient[c] - total)


@by_rows
def log_softmax(thread, threads, x, y):
    """y_c = x_c − ln Σ_k e^x_k."""
    for n in part(thread, threads, len(x)):
        row, out = x[n], y[n]
        largest = row_maximum(row)
        total = x.dtype.type(0)
        for c in range(row.size):
            total += exp(row[c] - largest)
        logarithm = x.dtype.type(np.log(np.float64(total)))
        for c in range(row.size):
            out[c] = (row[c] - largest) - logarithm


@by_rows
def log_softmax_backward(thread, threads, dy, y, dx):
    """dx = dy − e^y · Σ dy."""
    for n in part(thread, threads, len(y)):
        row, gradient, out = y[n], dy[n], dx[n]
        total = dy.dtype.type(0)
        for c in range(row.size):
            total += gradient[c]
        for c in range(row.size):
            out[c] = gradient[c] - exp(row[c]) * total
