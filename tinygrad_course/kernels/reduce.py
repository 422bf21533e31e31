"""Sums over neighbouring axes, and the gradient of maxima. A thread owns some of the partial sums, or of the rows.

Numbers are added up in runs, then the sums of runs in runs, and so on: what rounding takes grows with the logarithm
of how many they are, and the runs, so each bit, do not depend on the number of threads.
"""


from .buffers import empty
from .jit import inner, part, shared

SERIAL_BELOW = 65_000  # numbers
RUN, ROWS = 1024, 32  # numbers, or rows of numbers, whose sum is one partial sum


@inner(borrows=True)
def _sum_numbers(x, out):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    out[0] = total


@inner(borrows=True)
def _sum_rows(x, out):
    first = x[0]
    for i in range(out.size):
        out[i] = first[i]
    for k in range(1, len(x)):
        row = x[k]
        for i in range(out.size):
            out[i] += row[i]


@shared(borrows=True)
def _partial_sums(thread, threads, x, y):
    """y (outer, runs, inner): sums over runs of x (outer, n, inner)."""
    run = RUN if x.shape[2] == 1 else ROWS
    for place in part(thread, threads, y.shape[0] * y.shape[1]):
        o, k = place // y.shape[1], place % y.shape[1]
        if x.shape[2] == 1:
            _sum_numbers(x[o, k * run : (k + 1) * run].reshape(-1), y[o, k])
        else:
            _sum_rows(x[o, k * run : (k + 1) * run], y[o, k])


def sum_middle(x):
    """y (outer, inner) = Σ over the middle axis of x (outer, n, inner)."""
    outer, count, inner_size = x.shape
    if not x.size:
        return x.sum(1)
    run = RUN if inner_size == 1 else ROWS
    while True:
        y = empty((outer, -(-count // run), inner_size), x.dtype)
        (_partial_sums.serial if x.size < SERIAL_BELOW else _partial_sums)(x, y)
        x, count = y, y.shape[1]
        if count == 1:
            return y.reshape(outer, inner_size)


@shared(borrows=True)
def _share(thread, threads, dz, z, x, dx):
    for n in part(thread, threads, len(x)):
        row, out, best = x[n], dx[n], z[n]
        missing = best != best
        count = x.dtype.type(0)
        for i in range(row.size):
            out[i] = x.dtype.type((row[i] == best) | (missing & (row[i] != row[i])))
            count += out[i]
        each = dz[n] / count
        for i in range(row.size):
            out[i] = each if out[i] != 0 else x.dtype.type(0)


def share(dz, z, x):
    """dx (N, n): dz_n, divided evenly among the numbers of row n of x that equal z_n; NaN equals NaN."""
    dx = empty(x.shape, x.dtype)
    if x.size:
        (_share.serial if x.size < SERIAL_BELOW else _share)(dz, z, x, dx)
    return dx
