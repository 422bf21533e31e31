"""Convolution and its gradients, a matrix product for each tap (u, v) of the kernel; see `kernels/conv.py`.

    y[n, o, i, j] = b[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, c, i·s − p + u·d, j·s − p + v·d]

The zeros around x add nothing, so each tap takes part in those outputs alone for which it has a pixel (`taps`).
"""

import numpy as np

from .windows import taps


def conv2d_forward(x, w, bias, stride, padding, dilation, groups, relu=False):
    """y[i, j] += w[u, v] · x[i·s − p + u·d, j·s − p + v·d] over all taps; with `relu`, max(0, y)"""
    size = [
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], padding, dilation, w.shape[2:], stride)
    ]
    y = np.zeros((len(x), len(w), *size), x.dtype)
    if bias is not None:
        y += bias[:, None, None]
    x_groups, y_groups, w_groups = _grouped(x, groups), _grouped(y, groups), _matrices(w, groups)
    for u, v, outputs, inputs in taps(w.shape[2:], stride, _before(padding), dilation, x.shape[2:], size):
        y_groups[outputs] += _product(w_groups[..., u, v], x_groups[inputs])
    return np.maximum(y, 0, out=y) if relu else y


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups, bias=None):
    """dx[i·s − p + u·d, j·s − p + v·d] += w[u, v]ᵀ · dy[i, j] over all taps, and bias"""
    dx = np.zeros(x_shape, dy.dtype)
    if bias is not None:
        dx += bias[:, None, None]
    dx_groups, dy_groups, w_groups = _grouped(dx, groups), _grouped(dy, groups), _matrices(w, groups)
    for u, v, outputs, inputs in taps(w.shape[2:], stride, _before(padding), dilation, x_shape[2:], dy.shape[2:]):
        dx_groups[inputs] += _product(w_groups[..., u, v].swapaxes(1, 2), dy_groups[outputs])
    return dx


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw[u, v] = Σ_{n,i,j} dy[i, j] · x[i·s − p + u·d, j·s − p + v·d]ᵀ"""
    dw = np.zeros(w_shape, x.dtype)
    x_groups, dy_groups, dw_groups = _grouped(x, groups), _grouped(dy, groups), _matrices(dw, groups)
    for u, v, outputs, inputs in taps(w_shape[2:], stride, _before(padding), dilation, x.shape[2:], dy.shape[2:]):
        a, b = _pixels(dy_groups[outputs]), _pixels(x_groups[inputs])
        dw_groups[..., u, v] = (a @ b.swapaxes(2, 3)).sum(0)
    return dw


def bias_grad(dy):
    """db[o] = Σ dy[n, o, …], in double precision"""
    return dy.sum((0, *range(2, dy.ndim)), dtype=np.float64).astype(dy.dtype)


def _before(padding):
    """(top, left) of ((top, bottom), (left, right))."""
    return padding[0][0], padding[1][0]


def _grouped(images, groups):
    """(N, C, H, W) as (N, groups, C / groups, H, W), of the same memory."""
    N, C, H, W = images.shape
    return images.reshape(N, groups, C // groups, H, W)


def _matrices(w, groups):
    """(O, C, KH, KW) as (groups, O / groups, C, KH, KW), of the same memory."""
    return w.reshape(groups, len(w) // groups, *w.shape[1:])


def _pixels(images):
    """(N, groups, C, H, W) as (N, groups, C, H·W)."""
    return images.reshape(*images.shape[:3], images.shape[3] * images.shape[4])


def _product(matrices, images):
    """Each group's matrix times the channels of each of its pixels."""
    product = matrices @ _pixels(images)
    return product.reshape(*product.shape[:3], *images.shape[3:])
