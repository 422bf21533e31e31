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
_BELOW_SIGN_32, _BELOW_SIGN_64 = np.int32(2**31 - 1), np.int64(2**63 - 1)


def by_rows(loop):
    """loop(thread, threads, x, …, y) over rows as a function (x, …) -> y, a new array like x; all are (N, C)."""
    compiled = shared(loop, borrows=True)

    @functools.wraps(loop)
    def function(x, *others):
        y = empty_like(x)
        (compiled.serial if x.size < SERIAL_BELOW else compiled)(x, *others, y)
        return y

    del function.__wrapped__  # its signature is another one
    function.kernel = compiled
    return function


@inner(borrows=True)
def row_maximum(row):
    """The maximum; beside NaN, which comes back in the sum, any number.

    The bits below the sign, inverted for negative numbers, have as an integer the order that the numbers have. The
    maximum of integers is vectorized, that of floats that may be NaN is not.
    """
    if row.itemsize == 4:
        bits, largest = row.view(np.int32), np.int32(-(2**31))
        for i in range(bits.size):
            largest = max(largest, np.int32(bits[i] ^ (np.int32(bits[i] >> 31) & _BELOW_SIGN_32)))
        return row.dtype.type(np.int32(largest ^ (np.int32(largest >> 31) & _BELOW_SIGN_32)).view(np.float32))
    bits, largest = row.view(np.int64), np.int64(-(2**63))
    for i in range(bits.size):
        largest = max(largest, bits[i] ^ ((bits[i] >> 63) & _BELOW_SIGN_64))
    return row.dtype.type(np.int64(largest ^ ((largest >> 63) & _BELOW_SIGN_64)).view(np.float64))


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
