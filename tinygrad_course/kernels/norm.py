"""Batch normalization: y = weight · (x − mean) · inverse_std + bias, channel by channel.

x is (N, C, S), S the product of the spatial sizes. Each iteration of a parallel loop owns some channels. Where
S is large the innermost loops run along one channel's S numbers; where it is small (1 after a linear layer),
along a sample's row of channels, C · S columns with a sum each.
Sums are in float64: the float32 sum of 10⁵ squares, or the variance of 10⁴ ± 1, would lose half its digits.
"""

import numpy as np

from .jit import inner, kernel, prange

SERIAL_BELOW = 16_000  # elements
SMALL = 16  # up to this S, run along columns
COLUMNS = 64  # columns owned together
RUN = 1024  # numbers that backward adds up in x's own type, before their sum joins the float64 one


@inner
def _statistics(x, first, last, shift, total, square):
    """total = Σ(x − shift), square = Σ(x − shift)² of channels first to last.

    The shift, a number of the channel, keeps the variance's digits where the mean is far from 0.
    """
    N, C, S = x.shape
    if S <= SMALL:
        columns, shifts = x.reshape(N, C * S), np.repeat(shift, S)
        totals, squares = np.zeros(shifts.size), np.zeros(shifts.size)
        for n in range(N):
            row = columns[n, first * S : last * S]
            for j in range(row.size):
                d = np.float64(row[j]) - shifts[j]
                totals[j] += d
                squares[j] += d * d
        _fold(totals, S, total)
        _fold(squares, S, square)
        return
    for i in range(last - first):
        t = 0.0
        q = 0.0
        for n in range(N):
            run = x[n, first + i]
            for s in range(S):
                d = np.float64(run[s]) - shift[i]
                t += d
                q += d * d
        total[i] = t
        square[i] = q


@inner
def _fold(columns, S, total):
    """total[i] = the sum of a channel's S columns."""
    for i in range(total.size):
        total[i] = 0
        for s in range(S):
            total[i] += columns[i * S + s]


@inner
def _affine(dy, x, y, first, last, a, b, k, center):
    """y = a · dy + (b · (x − center) + k), of channels first to last; all but dy, x, y are (last − first,).

    Forward has no dy, which a one-element array says.
    """
    N, C, S = x.shape
    if S <= SMALL:
        columns, results, gradients = x.reshape(N, C * S), y.reshape(N, C * S), dy.reshape(len(dy), -1)
        a, b, k, center = np.repeat(a, S), np.repeat(b, S), np.repeat(k, S), np.repeat(center, S)
        for n in range(N):
            row, result = columns[n, first * S : last * S], results[n, first * S : last * S]
            if dy.size == x.size:
                gradient = gradients[n, first * S : last * S]
                for j in range(row.size):
                    result[j] = a[j] * gradient[j] + (b[j] * (row[j] - center[j]) + k[j])
            else:
                for j in range(row.size):
                    result[j] = b[j] * (row[j] - center[j]) + k[j]
        return
    for n in range(N):
        for i in range(last - first):
            run, result = x[n, first + i], y[n, first + i]
            a_i, b_i, k_i, m = a[i], b[i], k[i], center[i]
