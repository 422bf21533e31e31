"""Convolution with 1 x 1 kernels, unpadded, of stride 1: y[n] = w x[n], a product of matrices, which BLAS does best.

    x (N, C, HW), w (O, C), y (N, O, HW):   y[n] = w x[n]   dx[n] = w^T dy[n]   dw = sum_n dy[n] x[n]^T
"""

import numpy as np


def fits(w_shape, stride, padding, groups):
    return w_shape[2:] == (1, 1) and stride == (1, 1) and padding == ((0, 0), (0, 0)) and groups == 1


def forward(x, w, bias, y):
    _multiply(w.reshape(w.shape[:2]), x, y)
    if bias is not None:
        y += bias[:, None, None]


def input_grad(dy, w, bias, dx):
    _multiply(w.reshape(w.shape[:2]).T, dy, dx)
    if bias is not None:
        dx += bias[:, None, None]


def _multiply(matrix, images, out):
    samples = images.shape[0]
    with np.errstate(all="ignore"):  # inf - inf is nan, without a word
        np.matmul(matrix, images.reshape(samples, images.shape[1], -1), out=out.reshape(samples, out.shape[1], -1))


def weight_grad(dy, x, dw):
    samples = x.shape[0]
    a, b = dy.reshape(samples, dy.shape[1], -1), x.reshape(samples, x.shape[1], -1).swapaxes(1, 2)
    with np.errstate(all="ignore"):
        np.matmul(a, b).sum(axis=0, out=dw.reshape(dw.shape[:2]))
