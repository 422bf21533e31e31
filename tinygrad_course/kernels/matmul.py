"""Products of matrices, with a bias: BLAS's, divided among Numba's threads where they are large."""

import math

import numpy as np

from . import blas
from .blas import PLAIN, TRANSPOSED, gemm
from .buffers import copy, empty
from .jit import kernel, num_threads, part, prange, shared

SERIAL_BELOW = 1 << 18  # multiplications; BLAS itself takes one thread up to here


@kernel(parallel=True)
def _product(address, a, a_is, b, b_is, bias, c, blocks):
    """c = a b + bias: a block of c's longer axis an iteration, each a BLAS call of its own."""
    m, n = c.shape
    k = a.shape[0] if a_is == TRANSPOSED else a.shape[1]
    size, zero, one = c.itemsize, c.dtype.type(0), c.dtype.type(1)
    by_columns = n >= m
    for block in prange(blocks):
        first_row, last_row, first, last = 0, m, 0, n
        if by_columns:
            first, last = block * n // blocks // 16 * 16, (block + 1) * n // blocks // 16 * 16
            last = n if block == blocks - 1 else last
        else:
            first_row, last_row = block * m // blocks, (block + 1) * m // blocks
        if bias.size:
            for i in range(first_row, last_row):
                for j in range(first, last):
                    c[i, j] = bias[j]
        a_row, b_row = a.shape[1], b.shape[1]
        a_at = a.ctypes.data + size * (first_row if a_is == TRANSPOSED else first_row * a_row)
        b_at = b.ctypes.data + size * (first * b_row if b_is == TRANSPOSED else first)
        gemm(
            address, a_is, b_is, last_row - first_row, last - first, k, np.int64(a_at), a_row, np.int64(b_at), b_row,
            one if bias.size else zero, np.int64(c.ctypes.data) + size * (first_row * n + first), n,
        )  # fmt: skip


def _as_stored(matrix):
    """(a C-contiguous array, PLAIN or TRANSPOSED): what memory holds, and how to read it."""
    if matrix.flags.carray:
        return matrix, PLAIN
    return (matrix.T, TRANSPOSED) if matrix.T.flags.carray else (np.array(matrix, order="C"), PLAIN)


def matmul(a, b, bias=None):
    """c (m, n) = a (m, k) b (k, n) + bias (n,); rows or columns may be next to each other in memory."""
    m, n, k = a.shape[0], b.shape[1], a.shape[1]
    where = blas.address(a.dtype) if m * n * k > SERIAL_BELOW and a.dtype == b.dtype else 0
    if not where:
        c = a.dot(b)
        if bias is not None:
            c += bias
        return c
    c = empty((m, n), a.dtype)
    with blas.one_thread:
        _product(
            where, *_as_stored(a), *_as_stored(b), np.empty(0, a.dtype) if bias is None else bias, c, num_threads()
        )
    return c


@shared
def _products(thread, threads, address, a, a_is, a_step, b, b_is, b_step, c):
    """c_i = a_i b_i, for matrices whose numbers begin a_step, or b_step, after those of the one before."""
    m, n = c.shape[1:]
    k = a.shape[1] if a_is == TRANSPOSED else a.shape[2]
    size, zero = c.itemsize, c.dtype.type(0)
    for i in part(thread, threads, len(c)):
        gemm(
            address, a_is, b_is, m, n, k,
            np.int64(a.ctypes.data) + size * i * a_step, a.shape[2],
            np.int64(b.ctypes.data) + size * i * b_step, b.shape[2],
            zero, np.int64(c.ctypes.data) + size * i * m * n, n,
        )  # fmt: skip


def _stored_batch(x):
    """(a C-contiguous array (batch, …, …), PLAIN or TRANSPOSED, how far its matrices are apart)."""
    held, how = x, PLAIN
    if not x.flags.carray:
        across = x.swapaxes(-1, -2)
        held, how = (across, TRANSPOSED) if across.flags.carray else (copy(x), PLAIN)
    held = held.reshape(-1, *held.shape[-2:])
    return held, how, 0 if len(held) == 1 else held.shape[1] * held.shape[2]


def matmul_batch(a, b):
    """c (…, m, n) = a (…, m, k) b (…, k, n); the batches "…" are the same, or there is one matrix only on one side."""
    batch = a.shape[:-2] if a.size // (a.shape[-1] * a.shape[-2] or 1) > 1 else b.shape[:-2]
    m, n, k = a.shape[-2], b.shape[-1], a.shape[-1]
    count = math.prod(batch)
    where = blas.address(a.dtype) if count * m * n * k > SERIAL_BELOW and a.dtype == b.dtype else 0
    if not where:
        return np.matmul(a, b)
    c = empty((*batch, m, n), a.dtype)
    with blas.one_thread:
        _products(where, *_stored_batch(a), *_stored_batch(b), c.reshape(count, m, n))
    return c
