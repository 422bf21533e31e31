"""Convolution (cross-correlation) and its gradients, as register tiles over packed images.

    forward         y[n, o, i, j]   = b[o] + sum_{c,u,v} w[o, c, u, v] xp[n, c, i s + u d, j s + v d]
    input gradient  dxp[n, c, ...] += sum_o w[o, c, u, v] dy[n, o, i, j]   at row i s + u d, column j s + v d
    weight gradient dw[o, c, u, v]  = sum_{n,i,j} dy[n, o, i, j] xp[n, c, i s + u d, j s + v d]

xp is x with zeros around it, s the stride, d the dilation. There are three ways:

    conv_channels.py     register tiles whose lanes are channels: most layers
    conv_pixels.py       register tiles whose lanes are pixels: few channels, and depthwise layers
    conv_pointwise.py    1 x 1 kernels: products of matrices, by BLAS

Threads own samples, or bands of rows of a sample; for the weight gradient each sums its own share, and the
shares are added in order, so that the same number of threads gives the same bits.

The zeros around an image meet the weights, and those between the rows of dy meet x: where a zero times inf would be
nan in results that, in PyTorch as in the formula, never met that inf, the kernels of `reference/conv.py` take over,
which go tap by tap, slowly, over the pixels that each really meets.

Everywhere stride and dilation are pairs (height, width), padding ((top, bottom), (left, right)); arrays are
C-contiguous and of one dtype; nothing is checked.
"""

import math
import threading

import numpy as np

from tinygrad_course.kernels import conv_channels, conv_depthwise, conv_pixels, conv_plan, conv_pointwise
from tinygrad_course.kernels.buffers import empty
from tinygrad_course.kernels.conv_pack import pack_weights
from tinygrad_course.kernels.conv_plan import ceil_div, lanes_of_channels, pixels_pay, rows_of_channels
from tinygrad_course.kernels.jit import num_threads, part, shared
from tinygrad_course.kernels.reference import conv as by_taps
from tinygrad_course.kernels.vector import VECTOR_BYTES

SERIAL_BELOW = 4096  # numbers
PACKED_SERIALLY = 1 << 16  # weights below this number; another thread would be called for longer than it helped


@shared
def channel_sums(thread, threads, dy, sums):
    """sums[o] = sum over n, i of dy[n, o, i], added up in double precision."""
    channels = dy.shape[1]
    for o in part(thread, threads, channels):
        total = 0.0
        for n in range(dy.shape[0]):
            for i in range(dy.shape[2]):
                total += np.float64(dy[n, o, i])
        sums[o] = total


_thread = threading.local()


def _scratch(name, rows, columns, dtype):
    """A buffer that this Python thread keeps for the next call: fresh memory costs more than filling it."""
    columns = ceil_div(columns, 16) * 16  # each row begins a cache line
    buffer = getattr(_thread, name + dtype.char, None)
    if buffer is None or buffer.size < rows * columns:
        buffer = np.zeros(rows * columns + 64, dtype)
        buffer = buffer[-buffer.ctypes.data % 64 // dtype.itemsize :]
        setattr(_thread, name + dtype.char, buffer)
    return buffer[: rows * columns].reshape(rows, columns)


def _correlate(image, w, bias, plan, y, every=None):
    """y = bias + `image` correlated with w: with lanes of channels, or, given `every`, of pixels.

    Whether w is finite: only then y is right.
    """
    if not y.size:
        return True
    if bias is None:
        bias = np.zeros(y.shape[1], y.dtype)
    packing, job, tables = (tuple(part) for part in plan)  # Numba takes plain tuples in faster
    blocks = plan.job.groups * plan.job.blocks
    panel = _scratch("weights", 1, blocks * ((plan.job.taps + 1) * plan.job.width + 1), y.dtype)[0]
    finite = panel[-blocks:]
    pack = pack_weights.serial if w.size < PACKED_SERIALLY else pack_weights
    pack(w.reshape(-1), bias, job, tables, panel, finite)
    if finite.any():  # nan
        return False
    if every is None:
        scratch = _scratch("packed", num_threads(), _room(plan), y.dtype)
        conv_channels.correlate(image, panel, packing, job, tables, y, scratch)
    else:
        scratch = _scratch("packed", num_threads(), _room_for_pixels(plan), y.dtype)
        conv_pixels.correlate_pixels(image, panel, packing, job, tables, *every, y, scratch)
    return True


def _room(plan):
    """A thread's scratch: its packed units, and two panels of their pixels."""
    packing, job, tables = plan
    packed = 0 if packing.direct else job.together * packing.numbers + 16  # read in vain behind the last row
    return packed + 2 * tables.places.size * job.width


def _room_for_pixels(plan):
    """A thread's scratch: one packed group, and a tile's rows of pixels."""
    packing, job, _ = plan
    slack = conv_pixels.SLACK
    return packing.channels * packing.plane + job.width * (job.band * packing.row_stride + slack) + 2 * slack


def conv2d_forward(x, w, bias, stride, padding, dilation, groups):
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/groups, KH, KW) and bias (O,) or None."""
    size = conv_plan.output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    y = empty((x.shape[0], w.shape[0], *size), x.dtype)
    channels, geometry = w.shape[0] // groups, (padding, dilation, groups)
    if conv_pointwise.fits(w.shape, stride, padding, groups):
        finite = _finite(w)
        if finite:
            conv_pointwise.forward(x, w, bias, y)
    elif w.shape[1] == 1 < groups or pixels_pay(channels, x.shape[3] + sum(padding[1]), size[1], x.itemsize):
        rows = rows_of_channels(channels)
        plan = conv_plan.forward_plan(x.shape[1:], w.shape, (1, 1), *geometry, rows, x.itemsize)
        finite = _correlate(x, w, bias, plan, y, every=stride)
    else:
        lanes = lanes_of_channels(channels, x.itemsize)
        plan = conv_plan.forward_plan(x.shape[1:], w.shape, stride, *geometry, lanes, x.itemsize)
        finite = _correlate(x, w, bias, plan, y)
    return y if finite else _by_taps(by_taps.conv2d_forward, x, w, bias, stride, padding, dilation, groups)


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups, bias=None):
    """dx (N, C, H, W): dy sent back through w; and, for a transposed convolution, bias (C,) added."""
    dx = empty(x_shape, dy.dtype)
    if conv_pointwise.fits(w.shape, stride, padding, groups):
        finite = _finite(w)
        if finite:
            conv_pointwise.input_grad(dy, w, bias, dx)
    else:
        channels, columns = w.shape[1], ceil_div(x_shape[3], stride[1])
        reach = dilation[1] * (w.shape[3] - 1) // stride[1]
        pixels = channels == 1 < groups or pixels_pay(channels, columns + reach, columns, dy.itemsize)
        width = rows_of_channels(channels) if pixels else lanes_of_channels(channels, dy.itemsize)
        plan = conv_plan.input_grad_plan(
            x_shape[1:], w.shape, dy.shape[2:], stride, padding, dilation, groups, width, dy.itemsize
        )
        finite = _correlate(dy, w, bias, plan, dx, every=(1, 1) if pixels else None)
    if finite:
        return dx
    return _by_taps(by_taps.conv2d_input_grad, dy, w, x_shape, stride, padding, dilation, groups, bias)


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (O, C/groups, KH, KW): the correlation of x with dy."""
    dw = np.zeros(w_shape, x.dtype)
    if not dy.size or not dw.size:
        return dw
    if conv_pointwise.fits(w_shape, stride, padding, groups):
        conv_pointwise.weight_grad(dy, x, dw)
        return dw
    depthwise, flat = w_shape[1] == 1 < groups, dw.reshape(w_shape[0], -1)
    plan = conv_plan.forward_plan(
        x.shape[1:], w_shape, (1, 1) if depthwise else stride, padding, dilation, groups,
        lanes_of_channels(w_shape[0] // groups, x.itemsize), x.itemsize,
    )  # fmt: skip
    packing, job, tables = (tuple(part) for part in plan)
    if depthwise:
        room = 2 * plan.packing.plane + 3 * conv_depthwise.SLACK + conv_depthwise.TAPS * VECTOR_BYTES // x.itemsize
        scratch = _scratch("packed", num_threads(), room, x.dtype)
        conv_depthwise.depthwise_weight_gradient(dy, x, packing, job, tables, *stride, flat, scratch)
    else:
        taps = plan.tables.shifts.size  # with those that fill the last tile
        shares = _scratch("shares", num_threads(), groups * plan.job.blocks * taps * plan.job.width, x.dtype)
        scratch = _scratch("packed", num_threads(), _room(plan), x.dtype)
        conv_channels.weight_gradient(dy, x, packing, job, tables, shares, scratch)
        add_up = conv_channels.sum_shares.serial if dw.size < PACKED_SERIALLY else conv_channels.sum_shares
        add_up(job, taps, shares, dw.reshape(-1))
    if not _finite(dw):
        return _by_taps(by_taps.conv2d_weight_grad, dy, x, w_shape, stride, padding, dilation, groups)
    return dw


def _finite(weights):
    with np.errstate(all="ignore"):
        return math.isfinite(np.add.reduce(weights, axis=None))


def _by_taps(function, *arguments):
    with np.errstate(all="ignore"):
        return function(*arguments)


def bias_grad(dy):
    """db (O,): dy (N, O, ...) summed over everything but the channels."""
    sums = np.empty(dy.shape[1], dy.dtype)
    add_up = channel_sums.serial if dy.size < SERIAL_BELOW else channel_sums
    add_up(dy.reshape(dy.shape[0], dy.shape[1], math.prod(dy.shape[2:])), sums)
    return sums
