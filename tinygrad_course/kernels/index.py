"""Adding rows where integers say: the backward of looking rows up. A thread owns some rows of the sum."""

from .buffers import empty
from .jit import shared

SERIAL_BELOW = 16_000  # numbers


@shared(borrows=True)
def _add_rows(thread, threads, rows, index, total):
    """Each thread reads all integers, and adds the rows that are its own."""
    first, last = thread * len(total) // threads, (thread + 1) * len(total) // threads
    own = total[first:last].reshape((last - first) * total.shape[1])
    for k in range(own.size):
        own[k] = 0
    for i in range(index.size):
        if first <= index[i] < last:
            row, out = rows[i], total[index[i]]
            for d in range(out.size):
                out[d] += row[d]


def add_rows(rows, index, size):
    """total (size, D): total_k = Σ of the rows i with index_i = k; rows (M, D), index int64 (M,) from 0 to size - 1."""
    total = empty((size, rows.shape[1]), rows.dtype)
    if total.size:
        (_add_rows.serial if rows.size < SERIAL_BELOW else _add_rows)(rows, index, total)
    return total
