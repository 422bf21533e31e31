"""Max and average pooling, tap by tap of the window; see `kernels/pool.py`."""

import itertools

import numpy as np

from .windows import taps


def max_pool2d_forward(x, kernel, stride, padding, dilation, output_size):
    """y = the greatest number of each window, and its place in the plane, row · W + column"""
    N, C, H, W = x.shape
    y = np.full((N, C, *output_size), -np.inf, x.dtype)
    index = np.full(y.shape, -1, np.int32)
    places = np.arange(H * W, dtype=np.int32).reshape(H, W)
    for _, _, outputs, inputs in taps(kernel, stride, padding, dilation, (H, W), output_size):
        value, place, best = x[inputs], places[inputs], y[outputs]
        wins = (value > best) | np.isnan(value) | (index[outputs] < 0)
        y[outputs] = np.where(wins, value, best)
        index[outputs] = np.where(wins, place, index[outputs])
    return y, index


def max_windows(x, rows, columns):
    """y = the greatest number of each window, and its place in the plane, row · W + column"""
    N, C, _, W = x.shape
    y = np.empty((N, C, rows[0].size, columns[0].size), x.dtype)
    index = np.empty(y.shape, np.int32)
    for (h, top, bottom), (o, left, right) in itertools.product(*_numbered(rows, columns)):
        window = x[:, :, top:bottom, left:right].reshape(N, C, (bottom - top) * (right - left))
        nan = np.isnan(window)
        last_nan = window.shape[2] - 1 - nan[:, :, ::-1].argmax(2)
        best = np.where(nan.any(2), last_nan, window.argmax(2))
        y[:, :, h, o] = np.take_along_axis(window, best[:, :, None], 2)[:, :, 0]
        index[:, :, h, o] = (top + best // (right - left)) * W + left + best % (right - left)
    return y, index


def _numbered(*axes):
    return [[(i, *bounds) for i, bounds in enumerate(zip(*axis, strict=True))] for axis in axes]


def max_pool2d_backward(dy, index, x_shape):
    """dx[its place] += dy"""
    dx = np.zeros(x_shape, dy.dtype)
    planes = np.arange(dx.shape[0] * dx.shape[1]).reshape(*dx.shape[:2], 1, 1)
    inside = index >= 0  # a window of nothing but padding has −1
    np.add.at(dx.reshape(-1), (planes * (dx.shape[2] * dx.shape[3]) + index)[inside], dy[inside])
    return dx


def avg_pool2d_forward(x, kernel, stride, padding, output_size, count_include_pad, divisor_override):
    """y = Σ of each window / its size"""
    y = np.zeros((*x.shape[:2], *output_size), x.dtype)
    for _, _, outputs, inputs in taps(kernel, stride, padding, (1, 1), x.shape[2:], output_size):
        y[outputs] += x[inputs]
    return y / _sizes(x.shape, kernel, stride, padding, output_size, count_include_pad, divisor_override, x.dtype)


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, count_include_pad, divisor_override):
    """dx[each place of the window] += dy / its size"""
    dx, size = np.zeros(x_shape, dy.dtype), dy.shape[2:]
    share = dy / _sizes(x_shape, kernel, stride, padding, size, count_include_pad, divisor_override, dy.dtype)
    for _, _, outputs, inputs in taps(kernel, stride, padding, (1, 1), x_shape[2:], size):
        dx[inputs] += share[outputs]
    return dx


def _sizes(x_shape, kernel, stride, padding, output_size, count_include_pad, divisor_override, dtype):
    """What each window's sum is divided by, (OH, OW), by PyTorch's rule."""
    lengths = []
    for size, k, s, p, outputs in zip(x_shape[2:], kernel, stride, padding, output_size):
        start = np.arange(outputs) * s - p
        stop = np.minimum(start + k, size + p)  # what overhangs the padding (ceil_mode) does not count
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        lengths.append(stop - start)
    sizes = np.multiply.outer(*lengths)
    return np.full_like(sizes, divisor_override, dtype) if divisor_override else sizes.astype(dtype)
