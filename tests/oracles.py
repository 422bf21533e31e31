"""Oracles: each formula in its slowest, plainest form, in double precision, to compare kernels with."""

import numpy as np


def _windows(x, kernel_size, stride, padding, dilation):
    """xp[n, c, i s + u d, j s + v d] as an array (N, C, OH, OW, KH, KW), and the padded image's shape."""
    (top, bottom), (left, right) = padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows, columns = (
        np.arange((size - (k - 1) * d - 1) // s + 1)[:, None] * s + np.arange(k) * d
        for size, k, s, d in zip(padded.shape[2:], kernel_size, stride, dilation, strict=True)
    )
    return padded[:, :, rows[:, None, :, None], columns[None, :, None, :]], padded.shape, rows, columns


def _grouped(array, axis, groups):
    """Split the channel axis into (groups, channels of a group)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def conv2d(x, w, bias, stride, padding, dilation, groups):
    """y[n, o, i, j] = b[o] + sum_{c, u, v} w[o, c, u, v] xp[n, c, i s + u d, j s + v d]"""
    windows, _, _, _ = _windows(x, w.shape[2:], stride, padding, dilation)
    w = _grouped(w.astype(np.float64), 0, groups)
    y = np.einsum("ngcijuv,gocuv->ngoij", _grouped(windows, 1, groups), w, optimize=True)
    y = y.reshape(y.shape[0], -1, *y.shape[3:])
    return y if bias is None else y + bias.astype(np.float64)[:, None, None]


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups):
    """dxp[n, c, i s + u d, j s + v d] += w[o, c, u, v] dy[n, o, i, j], then the padding is cut off."""
    _, padded_shape, rows, columns = _windows(np.zeros(x_shape), w.shape[2:], stride, padding, dilation)
    w = _grouped(w.astype(np.float64), 0, groups)
    dy = _grouped(dy.astype(np.float64), 1, groups)
    padded = np.zeros(padded_shape)
    for u in range(w.shape[3]):
        for v in range(w.shape[4]):
            part = np.einsum("ngoij,goc->ngcij", dy, w[..., u, v], optimize=True)
            padded[:, :, rows[:, None, u], columns[None, :, v]] += part.reshape(
                *padded_shape[:2], *dy.shape[3:]
            )
    (top, _), (left, _) = padding
    return padded[:, :, top : top + x_shape[2], left : left + x_shape[3]]


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw[o, c, u, v] = sum_{n, i, j} dy[n, o, i, j] xp[n, c, i s + u d, j s + v d]"""
    windows, _, _, _ = _windows(x, w_shape[2:], stride, padding, dilation)
    dy = _grouped(dy.astype(np.float64), 1, groups)
    dw = np.einsum("ngoij,ngcijuv->gocuv", dy, _grouped(windows, 1, groups), optimize=True)
    return dw.reshape(w_shape)
