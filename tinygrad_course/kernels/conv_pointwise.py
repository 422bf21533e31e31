"""Convolution with 1 x 1 kernels, unpadded, of stride 1: products of matrices, which BLAS does best.

    x (N, C, HW), w (O, C), y (N, O, HW):   y[n] = w x[n] + b   dx[n] = w^T dy[n]   dw = sum_n dy[n] x[n]^T

As in `matmul.py`, each of our threads calls BLAS for its part: samples, or, where they are few, pixels of each.
"""

import numpy as np

from tinygrad_course.kernels import blas
from tinygrad_course.kernels.blas import PLAIN, TRANSPOSED, gemm
from tinygrad_course.kernels.conv_pack import rectify
from tinygrad_course.kernels.jit import num_threads, part, shared

SERIAL_BELOW = 1 << 16  # multiplications


def fits(w_shape, stride, padding, groups):
    return w_shape[2:] == (1, 1) and stride == (1, 1) and padding == ((0, 0), (0, 0)) and groups == 1


def forward(x, w, bias, y, relu=False):
    _multiply(w, PLAIN, x, bias, y, relu)


def input_grad(dy, w, bias, dx):
    _multiply(w, TRANSPOSED, dy, bias, dx)


def _multiply(w, w_is, x, bias, y, relu=False):
    """y[n] = w x[n] + bias, or w^T; with `relu`, max(0, y)."""
    w, x, out = w.reshape(w.shape[:2]), _planes(x), _planes(y)
    address, pieces = _where(w.size * x.shape[0] * x.shape[2], x)
    if address:
        with blas.one_thread:
            _product(address, w, w_is, x, np.empty(0, w.dtype) if bias is None else bias, relu, out, pieces)
        return
    with np.errstate(all="ignore"):  # inf - inf is nan, without a word
        np.matmul(w if w_is == PLAIN else w.T, x, out=out)
        if bias is not None:
            out += bias[:, None]
        if relu:
            np.maximum(out, 0, out=out)


def weight_grad(dy, x, dw):
    a, b = _planes(dy), _planes(x)
    address, pieces = _where(dw.size * x.shape[0] * b.shape[2], b)
    if address:
        shares = np.empty((num_threads(), a.shape[1], b.shape[1]), x.dtype)
        with blas.one_thread:
            _outer_product(address, a, b, shares, pieces)
    else:
        with np.errstate(all="ignore"):
            shares = np.matmul(a, b.swapaxes(1, 2))
    with np.errstate(all="ignore"):
        shares.sum(axis=0, out=dw.reshape(dw.shape[:2]))


def _planes(images):
    return images.reshape(*images.shape[:2], images.shape[2] * images.shape[3])


def _where(multiplications, x):
    """(BLAS's address, 0 if it is not to be called so; pieces that each sample is divided into)."""
    samples, threads = x.shape[0], num_threads()
    address = blas.address(x.dtype) if multiplications > SERIAL_BELOW else 0
    return address, 1 if samples % threads == 0 or samples >= 8 * threads else threads


@shared
def _product(thread, threads, address, w, w_is, x, bias, relu, y, pieces):
    """y[n] = w x[n] + bias; w is PLAIN or TRANSPOSED; with `relu`, max(0, y)."""
    (samples, m, pixels), k, size = y.shape, x.shape[1], y.itemsize
    zero, one = y.dtype.type(0), y.dtype.type(1)
    for piece in part(thread, threads, samples * pieces):
        n, begin, end = piece // pieces, piece % pieces * pixels // pieces, (piece % pieces + 1) * pixels // pieces
        if bias.size:
            for i in range(m):
                for j in range(begin, end):
                    y[n, i, j] = bias[i]
        gemm(
            address, w_is, PLAIN, m, end - begin, k, np.int64(w.ctypes.data), w.shape[1],
            np.int64(x.ctypes.data) + size * (n * k * pixels + begin), pixels,
            one if bias.size else zero, np.int64(y.ctypes.data) + size * (n * m * pixels + begin), pixels,
        )  # fmt: skip
        for i in range(m if relu else 0):
            rectify(y[n, i], begin, end)


@shared
def _outer_product(thread, threads, address, dy, x, shares, pieces):
    """shares[thread] = a sum of dy[n] x[n]^T: all threads' shares together are dw."""
    (samples, m, pixels), k, size = dy.shape, x.shape[1], dy.itemsize
    shares[thread] = 0
    for piece in part(thread, threads, samples * pieces):
        n, begin, end = piece // pieces, piece % pieces * pixels // pieces, (piece % pieces + 1) * pixels // pieces
        gemm(
            address, PLAIN, TRANSPOSED, m, k, end - begin,
            np.int64(dy.ctypes.data) + size * (n * m * pixels + begin), pixels,
            np.int64(x.ctypes.data) + size * (n * k * pixels + begin), pixels,
            dy.dtype.type(1), np.int64(shares.ctypes.data) + size * thread * m * k, k,
        )  # fmt: skip
