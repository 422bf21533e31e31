"""Running sums along an axis, added up in double precision. A thread owns some rows, or some columns."""

import numpy as np

from .buffers import empty
from .jit import inner, num_threads, part, shared

FEW = 16_000  # numbers; for less NumPy, on one thread, is as fast
COLUMNS = 256  # that go side by side, their sums in a cache's reach


@inner(borrows=True)
def _run(x, y, from_end):
    total = 0.0
    if from_end:
        for i in range(x.size):
            total += np.float64(x[x.size - 1 - i])
            y[x.size - 1 - i] = total
    else:
        for i in range(x.size):
            total += np.float64(x[i])
            y[i] = total


@inner(borrows=True)
def _run_columns(x, y, first, last, from_end, totals):
    for c in range(last - first):
        totals[c] = 0.0
    for i in range(len(x)):
        k = len(x) - 1 - i if from_end else i
        row, out = x[k, first:last], y[k, first:last]
        for c in range(row.size):
            totals[c] += np.float64(row[c])
            out[c] = totals[c]


@shared(borrows=True)
def _running_sums(thread, threads, x, y, from_end, totals):
    if x.shape[2] == 1:
        for o in part(thread, threads, len(x)):
            _run(x[o].reshape(x.shape[1]), y[o].reshape(x.shape[1]), from_end)
        return
    strips = (x.shape[2] + COLUMNS - 1) // COLUMNS
    for task in part(thread, threads, len(x) * strips):
        first = task % strips * COLUMNS
        _run_columns(x[task // strips], y[task // strips], first, min(first + COLUMNS, x.shape[2]), from_end,
                     totals[thread])  # fmt: skip


def running_sums(x, from_end):
    """y_i = Σ_{j≤i} x_j along the middle axis of x (outer, n, inner); Σ_{j≥i} with `from_end`."""
    y = empty(x.shape, x.dtype)
    if x.size:
        totals = np.empty((num_threads(), COLUMNS))
        (_running_sums.serial if x.size < FEW else _running_sums)(x, y, bool(from_end), totals)
    return y
