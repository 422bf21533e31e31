"""Adding rows where integers say: the backward of looking rows up. A parallel iteration owns some rows of the sum."""

import numpy as np

from .buffers import empty
from .jit import kernel, prange

SERIAL_BELOW = 16_000  # numbers
OWNERS = 4  # iterations: each reads all integers, and adds the rows that are its own


@kernel(parallel=True)
def _add_rows(rows, index, total, block):
    for b in prange((total.shape[0] + block - 1) // block):
        first = b * block
        last = min(first + block, total.shape[0])
        for k in range(first, last):
            for d in range(total.shape[1]):
                total[k, d] = 0
        for i in range(index.size):
            if first <= index[i] < last:
                row, out = rows[i], total[index[i]]
                for d in range(out.size):
                    out[d] += row[d]


def add_rows(rows, index, size):
    """total (size, D): total_k = Σ of the rows i with index_i = k; rows (M, D), index int64 (M,) from 0 to size - 1."""
    total = empty((size, rows.shape[1]), rows.dtype)
    if total.size:
        owners = 1 if rows.size < SERIAL_BELOW else OWNERS
        (_add_rows.serial if owners == 1 else _add_rows)(rows, index, total, np.int64(-(-size // owners)))
    return total
