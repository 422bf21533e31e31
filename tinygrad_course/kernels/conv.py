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

import functools
import math
import threading
import typing

import numpy as np

from tinygrad_course.kernels import conv_channels, conv_depthwise, conv_pixels, conv_plan, conv_pointwise
from tinygrad_course.kernels.buffers import empty
from tinygrad_course.kernels.conv_pack import pack_weights
from tinygrad_course.kernels.conv_plan import ceil_div, lanes_of_channels, pixels_pay, rows_of_channels
from tinygrad_course.kernels.jit import num_threads, part, shared
from tinygrad_course.kernels.reference import conv as by_taps
from tinygrad_course.kernels.vector import VECTOR_BYTES

SERIAL_BELOW = 4096  # numbers
WEIGHTS_OF_ONE_THREAD = 1 << 16  # to call another for fewer takes longer than it helps


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
    buffer = getattr(_thread, name + dtype.char, None)
    if buffer is None or buffer.size < rows * columns:
        buffer = np.zeros(rows * columns + 64, dtype)
        buffer = buffer[-buffer.ctypes.data % 64 // dtype.itemsize :]
        setattr(_thread, name + dtype.char, buffer)
    return buffer[: rows * columns].reshape(rows, columns)


class Way(typing.NamedTuple):
    """How a layer is computed. It is decided once for each shape of layer: a call that asks little costs little."""

    plan: tuple  # Packing, Job and Tables as plain tuples, which Numba takes in faster; None for products of matrices
    every: tuple | None = None  # lanes are pixels, of whose results these are wanted; None: lanes are channels
    blocks: int = 0  # of channels
    panel: int = 0  # numbers of the packed weights, or, for their gradient, of a thread's share
    room: int = 0  # numbers of a thread's scratch
    size: tuple = ()  # height and width of y


def _whole_lines(numbers):
    return ceil_div(numbers, 16) * 16  # each row of a scratch buffer begins a line of the cache


def _way(plan, every=None, size=()):
    """The Way to correlate by this plan."""
    packing, job, tables = plan
    blocks = job.groups * job.blocks
    if every is None:  # a thread packs some units, and needs two panels of their pixels
        packed = 0 if packing.direct else job.together * packing.numbers + 16  # read in vain behind the last row
        room = packed + 2 * tables.places.size * job.width
    else:  # one packed group, and a tile's rows of pixels
        slack = conv_pixels.SLACK
        room = packing.channels * packing.plane + job.width * (job.band * packing.row_stride + slack) + 2 * slack
    panel = blocks * ((job.taps + 1) * job.width + 1)
    return Way(tuple(map(tuple, plan)), every, blocks, _whole_lines(panel), _whole_lines(room), size)


@functools.lru_cache(maxsize=256)
def _forward_way(x_shape, w_shape, stride, padding, dilation, groups, itemsize):
    size = conv_plan.output_size(x_shape[1:], w_shape[2:], stride, padding, dilation)
    if conv_pointwise.fits(w_shape, stride, padding, groups):
        return Way(None, size=size)
    channels = w_shape[0] // groups
    pixels = w_shape[1] == 1 < groups or pixels_pay(channels, x_shape[2] + sum(padding[1]), size[1], itemsize)
    width = rows_of_channels(channels) if pixels else lanes_of_channels(channels, itemsize)
    step = (1, 1) if pixels else stride
    plan = conv_plan.forward_plan(x_shape, w_shape, step, padding, dilation, groups, width, itemsize)
    return _way(plan, stride if pixels else None, size)


@functools.lru_cache(maxsize=256)
def _input_grad_way(x_shape, w_shape, dy_size, stride, padding, dilation, groups, itemsize):
    if conv_pointwise.fits(w_shape, stride, padding, groups):
        return Way(None)
    channels, columns = w_shape[1], ceil_div(x_shape[2], stride[1])
    reach = dilation[1] * (w_shape[3] - 1) // stride[1]
    pixels = channels == 1 < groups or pixels_pay(channels, columns + reach, columns, itemsize)
    width = rows_of_channels(channels) if pixels else lanes_of_channels(channels, itemsize)
    plan = conv_plan.input_grad_plan(x_shape, w_shape, dy_size, stride, padding, dilation, groups, width, itemsize)
    return _way(plan, (1, 1) if pixels else None)


@functools.lru_cache(maxsize=256)
def _weight_grad_way(x_shape, w_shape, stride, padding, dilation, groups, itemsize):
    if conv_pointwise.fits(w_shape, stride, padding, groups):
        return Way(None)
    depthwise, width = w_shape[1] == 1 < groups, lanes_of_channels(w_shape[0] // groups, itemsize)
    step = (1, 1) if depthwise else stride
    plan = conv_plan.forward_plan(x_shape, w_shape, step, padding, dilation, groups, width, itemsize)
    if not depthwise:
        way = _way(plan)
        taps = plan.tables.shifts.size  # with those that fill the last tile
        return way._replace(panel=_whole_lines(way.blocks * taps * width))
    room = 2 * plan.packing.plane + 3 * conv_depthwise.SLACK + conv_depthwise.TAPS * VECTOR_BYTES // itemsize
    return _way(plan, stride)._replace(room=_whole_lines(room))


def _correlate(image, w, bias, way, y, relu=False):
    """y = bias + `image` correlated with w, or max(0, y). Returns whether w is finite: only then y is right."""
    if not y.size:
        return True
    if bias is None:
        bias = np.zeros(y.shape[1], y.dtype)
    panel = _scratch("weights", 1, way.panel, y.dtype)[0]
    finite = panel[-way.blocks :]
    pack = pack_weights.serial if w.size < WEIGHTS_OF_ONE_THREAD else pack_weights
    pack(w.reshape(-1), bias, *way.plan[1:], panel, finite)
    if np.add.reduce(finite):  # nan
        return False
    scratch = _scratch("packed", num_threads(), way.room, y.dtype)
    if way.every is None:
        conv_channels.correlate(image, panel, *way.plan, relu, y, scratch)
    else:
        conv_pixels.correlate_pixels(image, panel, *way.plan, relu, *way.every, y, scratch)
    return True


def conv2d_forward(x, w, bias, stride, padding, dilation, groups, relu=False):
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/groups, KH, KW) and bias (O,) or None; with `relu`, max(0, y)."""
    way = _forward_way(x.shape[1:], w.shape, stride, padding, dilation, groups, x.itemsize)
    y = empty((x.shape[0], w.shape[0], *way.size), x.dtype)
    if way.plan:
        finite = _correlate(x, w, bias, way, y, relu)
    elif finite := _finite(w):
        conv_pointwise.forward(x, w, bias, y, relu)
    return y if finite else _by_taps(by_taps.conv2d_forward, x, w, bias, stride, padding, dilation, groups, relu)


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups, bias=None):
    """dx (N, C, H, W): dy sent back through w; and, for a transposed convolution, bias (C,) added."""
    way = _input_grad_way(x_shape[1:], w.shape, dy.shape[2:], stride, padding, dilation, groups, dy.itemsize)
    dx = empty(x_shape, dy.dtype)
    if way.plan:
        finite = _correlate(dy, w, bias, way, dx)
    elif finite := _finite(w):
        conv_pointwise.input_grad(dy, w, bias, dx)
    if finite:
        return dx
    return _by_taps(by_taps.conv2d_input_grad, dy, w, x_shape, stride, padding, dilation, groups, bias)


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (O, C/groups, KH, KW): the correlation of x with dy."""
    if not dy.size or not math.prod(w_shape):
        return np.zeros(w_shape, x.dtype)
    way = _weight_grad_way(x.shape[1:], w_shape, stride, padding, dilation, groups, x.itemsize)
    dw = np.empty(w_shape, x.dtype)
    if not way.plan:
        conv_pointwise.weight_grad(dy, x, dw)
        return dw
    scratch = _scratch("packed", num_threads(), way.room, x.dtype)
    if way.every:
        flat = dw.reshape(w_shape[0], -1)
        conv_depthwise.depthwise_weight_gradient(dy, x, *way.plan, *way.every, flat, scratch)
        finite = _finite(dw)
    else:
        shares = _scratch("shares", num_threads(), way.panel, x.dtype)
        conv_channels.weight_gradient(dy, x, *way.plan, shares, scratch)
        add_up = conv_channels.sum_shares
        checks = np.empty(way.blocks, x.dtype)
        (add_up.serial if dw.size < WEIGHTS_OF_ONE_THREAD else add_up)(*way.plan[1:], shares, dw.reshape(-1), checks)
        finite = not np.add.reduce(checks)  # nan
    return dw if finite else _by_taps(by_taps.conv2d_weight_grad, dy, x, w_shape, stride, padding, dilation, groups)


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
