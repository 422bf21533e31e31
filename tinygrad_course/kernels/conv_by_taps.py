"""The gradient of a convolution's weight, tap by tap in plain NumPy: slow, and exact about inf and nan."""

import numpy as np

from tinygrad_course.kernels.conv_plan import ceil_div


def weight_grad_by_taps(dy, x, w_shape, stride, padding, dilation, groups):
    """The slow way: each tap by itself, over the pixels it really meets.

    The tiles multiply zeros (padding, and dy's gaps between rows) with whatever lies opposite. A zero times
    inf or nan would be nan in taps that never met that pixel, so a result that is not finite is redone here.
    """
    samples, _, height, width = x.shape
    out_channels, channels, kernel_h, kernel_w = w_shape
    dw = np.empty((groups, out_channels // groups, channels, kernel_h, kernel_w), x.dtype)
    with np.errstate(all="ignore"):
        for u in range(kernel_h):
            dy_rows, x_rows = _meeting(u, dy.shape[2], height, stride[0], padding[0][0], dilation[0])
            for v in range(kernel_w):
                dy_columns, x_columns = _meeting(v, dy.shape[3], width, stride[1], padding[1][0], dilation[1])
                a = dy[:, :, dy_rows, dy_columns].reshape(samples, groups, out_channels // groups, -1)
                b = x[:, :, x_rows, x_columns].reshape(samples, groups, channels, -1)
                dw[..., u, v] = np.matmul(a, b.swapaxes(2, 3)).sum(axis=0)
    return dw.reshape(w_shape)


def _meeting(k, outputs, inputs, stride, before, dilation):
    """The slices of outputs, and of inputs, that tap k of an axis brings together."""
    origin = k * dilation - before  # the input opposite output 0
    begin = max(0, ceil_div(-origin, stride))
    end = max(begin, min(outputs, ceil_div(inputs - origin, stride)))
    return slice(begin, end), slice(begin * stride + origin, max(0, (end - 1) * stride + origin + 1), stride)
