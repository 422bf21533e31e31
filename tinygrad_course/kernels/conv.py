"""Convolution (cross-correlation) and its gradients, as register tiles over packed images.

    forward         y[n, o, i, j]   = b[o] + sum_{c,u,v} w[o, c, u, v] xp[n, c, i s + u d, j s + v d]
    input gradient  dxp[n, c, ...] += sum_o w[o, c, u, v] dy[n, o, i, j]   at row i s + u d, column j s + v d
    weight gradient dw[o, c, u, v]  = sum_{n,i,j} dy[n, o, i, j] xp[n, c, i s + u d, j s + v d]

xp is x with zeros around it, s the stride, d the dilation. A sample is copied ("packed") once, padding included,
into a buffer in which each tap is a constant shift (`conv_plan.py`); then all three are one loop (`accumulate`)
over tiles of registers (`tile.py`), with lanes of channels:

    forward, input gradient    computed[pixel, channels] += packed[places[pixel] + shifts[tap]] * w[tap, channels]
    weight gradient            dw[tap, channels]         += packed[shifts[tap] + places[pixel]] * dy[pixel, channels]

Threads own samples, or bands of rows of a sample; for the weight gradient each sums its own share, and the
shares are added in order, so that the same number of threads gives the same bits.

Everywhere stride and dilation are pairs (height, width), padding ((top, bottom), (left, right)); arrays are
C-contiguous and of one dtype; nothing is checked.
"""

import math
import threading

import numpy as np

from tinygrad_course.kernels import conv_depthwise, conv_plan, conv_pointwise
from tinygrad_course.kernels.buffers import empty
from tinygrad_course.kernels.conv_by_taps import weight_grad_by_taps
from tinygrad_course.kernels.conv_pack import pack, pack_panel, pack_weights, unpack, unpack_panel
from tinygrad_course.kernels.conv_plan import Job, Packing, Tables, ceil_div
from tinygrad_course.kernels.jit import inner, kernel, num_threads, prange
from tinygrad_course.kernels.tile import (
    ROWS,
    VECTOR_BYTES,
    VECTORS,
    at,
    gather,
    lanes,
    like,
    outer,
    store,
    zeros,
)

CHUNK = 16384 // (VECTORS * VECTOR_BYTES)  # steps whose part of a panel stays in the first-level cache: 16 KB


@inner
def accumulate(width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias_at, out, to):
    """The loop of all three: for i below `count`, and as many more as fill the last tile, with k = first ... last,

    out[to + i width : +width] = bias + sum_k x[origin + places[place + i] + steps[k]] * panel[panel_at + k' width :]

    with k' = k - first and bias = panel[bias_at : +width], or, for bias_at < 0, what `out` has been.
    """
    if width == lanes(x):
        narrow = zeros(x, ROWS, 1)
        accumulate_tiles(
            narrow, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias_at, out, to
        )
    else:
        wide = zeros(x, ROWS, VECTORS)
        accumulate_tiles(
            wide, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias_at, out, to
        )


@inner
def accumulate_tiles(
    tile, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias_at, out, to
):
    """`accumulate` for tiles of this shape."""
    begin = first
    while begin < last or bias_at >= 0:
        end = min(begin + CHUNK, last)
        for i in range(0, count, ROWS):
            acc, row = like(tile, panel, bias_at), panel_at
            pixels = gather(tile, places, place + i)
            for k in range(begin, end):
                acc = outer(acc, x, pixels, origin + at(steps, k), panel, row)
                row += width
            store(acc, out, to + i * width, bias_at < 0)
        begin, bias_at = end, -1
        panel_at += CHUNK * width


# ------------------------------------------------------------------------- forward, and gradient of the input


@inner
def correlate_units(begin, end, image, panel, packing, job, tables, y, scratch):
    """One thread's work: units [begin, end) of all samples'."""
    width = job.vectors * lanes(y)
    room = tables.places.shape[0] * width  # for computed pixels, and their transpose
    computed, transposed, packed = scratch[:room], scratch[room : 2 * room], scratch[2 * room :]
    if packing.direct:
        packed = image.reshape(-1)
    else:
        packed[:] = 0
    for unit in range(begin, end, job.together):
        units = min(job.together, end - unit)
        n, top = unit // job.bands, unit % job.bands
        for group in range(job.groups):
            origin = 0
            if packing.direct:
                origin = n * packing.numbers + group * packing.channels * packing.plane
                origin += top * packing.band_rows * packing.row_stride
            else:
                pack(image, unit, units, group * packing.channels, packing, job, packed)
            for k in range(tables.passes.shape[0]):
                first, last, first_place, rows, columns, _, _ = tables.passes[k]
                pixels = units * min(job.band, rows - top * job.band) * columns
                for block in range(job.blocks if pixels > 0 else 0):
                    channel = group * job.channels + block * width
                    panel_at = ((group * job.taps + first) * job.blocks + block * (last - first)) * width
                    bias_at = ((job.groups * job.taps + group) * job.blocks + block) * width
                    accumulate(
                        width, packed, origin, tables.places, first_place, pixels, tables.shifts, first, last,
                        panel, panel_at, bias_at, computed, 0,
                    )  # fmt: skip
                    channels = min(width, job.channels - block * width)
                    unpack(
                        computed, width, unit, units, pixels // units, tables.passes[k], channel, channels,
                        job, y, transposed,
                    )  # fmt: skip


@kernel(parallel=True)
def correlate(image, w, panel, bias, packing, job, tables, y, scratch):
    """y = bias + `image` correlated with w. Working room: `panel`, and a row of `scratch` a thread."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)  # Numba takes plain tuples in faster
    width = job.vectors * lanes(y)
    for index in prange(job.groups * job.blocks):
        group, block = index // job.blocks, index % job.blocks
        for k in range(tables.passes.shape[0]):
            first, last = tables.passes[k, 0], tables.passes[k, 1]
            panel_at = ((group * job.taps + first) * job.blocks + block * (last - first)) * width
            pack_weights(w, group, k, block, width, job, tables, panel, panel_at)
        bias_at = (job.groups * job.taps * job.blocks + index) * width
        for c in range(width):
            real = block * width + c < job.channels
            panel[bias_at + c] = bias[group * job.channels + block * width + c] if real else 0
    threads, units = scratch.shape[0], image.shape[0] * job.bands
    for thread in prange(threads):
        begin, end = thread * units // threads, (thread + 1) * units // threads
        correlate_units(begin, end, image, panel, packing, job, tables, y, scratch[thread])


# ------------------------------------------------------------------------------------- gradient of the weight


@inner
def weight_gradient_units(begin, end, dy, x, packing, job, tables, share, scratch):
    """One thread's share of dw, from units [begin, end) of all samples'."""
    packed, panel = scratch[: job.together * packing.numbers], scratch[job.together * packing.numbers :]
    if packing.direct:
        packed, panel = x.reshape(-1), scratch
    else:
        packed[:] = 0
    share[:] = 0
    width = job.vectors * lanes(x)
    flat_dy = dy.reshape(-1)
    area, columns = dy.shape[2] * dy.shape[3], dy.shape[3]
    for unit in range(begin, end, job.together):
        units = min(job.together, end - unit)
        n, top = unit // job.bands, unit % job.bands
        pixels = min(job.band, dy.shape[2] - top * job.band) * columns  # of each unit
        for group in range(job.groups):
            origin = 0
            if packing.direct:
                origin = n * packing.numbers + group * packing.channels * packing.plane
                origin += top * packing.band_rows * packing.row_stride
            else:
                pack(x, unit, units, group * packing.channels, packing, job, packed)
            for block in range(job.blocks):
                channel = group * job.channels + block * width
                channels = min(width, job.channels - block * width)
                for k in range(units):
                    source = ((n + k) * dy.shape[1] + channel) * area + top * job.band * columns
                    pack_panel(flat_dy, source, area, channels, pixels, panel, k * pixels * width, width)
                to = (group * job.blocks + block) * tables.shifts.shape[0] * width
                accumulate(
                    width, packed, origin, tables.shifts, 0, job.taps, tables.places, 0, units * pixels,
                    panel, 0, -1, share, to,
                )  # fmt: skip


@kernel(parallel=True)
def weight_gradient(dy, x, packing, job, tables, shares, dw, scratch):
    """dw (O, taps). Working room: a row of `shares` and of `scratch` a thread."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    threads, units = scratch.shape[0], x.shape[0] * job.bands
    for thread in prange(threads):
        begin, end = thread * units // threads, (thread + 1) * units // threads
        weight_gradient_units(begin, end, dy, x, packing, job, tables, shares[thread], scratch[thread])
    width = job.vectors * lanes(x)
    for index in prange(job.groups * job.blocks):
        group, block = index // job.blocks, index % job.blocks
        first = index * tables.shifts.shape[0] * width
        for thread in range(1, threads):
            for i in range(first, first + job.taps * width):
                shares[0, i] += shares[thread, i]
        channels = min(width, job.channels - block * width)
        channel = group * job.channels + block * width
        unpack_panel(shares[0], first, width, job.taps, channels, dw, channel * job.taps, job.taps)


@kernel(parallel=True)
def channel_sums(dy, sums):
    """sums[o] = sum over n, i of dy[n, o, i], added up in double precision."""
    for o in prange(dy.shape[1]):
        total = 0.0
        for n in range(dy.shape[0]):
            for i in range(dy.shape[2]):
                total += np.float64(dy[n, o, i])
        sums[o] = total


# ----------------------------------------------------------------------------------------- what others call

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


def _correlate(image, w, bias, plan, y):
    if y.size:
        if bias is None:
            bias = np.zeros(y.shape[1], y.dtype)
        packing, job, tables = plan
        width = job.vectors * VECTOR_BYTES // y.itemsize
        panel = _scratch("weights", 1, job.groups * (job.taps + 1) * job.blocks * width, y.dtype)[0]
        scratch = _scratch("packed", num_threads(), _room(plan, width), y.dtype)
        correlate(image, w.reshape(-1), panel, bias, tuple(packing), tuple(job), tuple(tables), y, scratch)
    return y


def _room(plan, width):
    """A thread's scratch: its packed units, and a panel of their pixels."""
    packing, job, tables = plan
    packed = 0 if packing.direct else job.together * packing.numbers
    return packed + 2 * tables.places.size * width


def _depthwise(image, w, bias, plan, every, y):
    packing, job, tables = plan
    if y.size:
        bias = np.zeros(y.shape[1], y.dtype) if bias is None else bias
        room = packing.channels * packing.plane + job.band * packing.row_stride + 3 * conv_depthwise.SLACK
        scratch = _scratch("packed", num_threads(), room, y.dtype)
        conv_depthwise.depthwise(
            image, w.reshape(-1), bias, tuple(packing), tuple(job), tuple(tables), *every, y, scratch
        )
    return y


def conv2d_forward(x, w, bias, stride, padding, dilation, groups):
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/groups, KH, KW) and bias (O,) or None."""
    plan, size = conv_plan.forward_plan(x.shape[1:], w.shape, stride, padding, dilation, groups, x.itemsize)
    y = empty((x.shape[0], w.shape[0], *size), x.dtype)
    if conv_pointwise.fits(w.shape, stride, padding, groups):
        conv_pointwise.forward(x, w, bias, y)
        return y
    if w.shape[1] == 1 < groups:
        plan, _ = conv_plan.forward_plan(x.shape[1:], w.shape, (1, 1), padding, dilation, groups, x.itemsize)
        return _depthwise(x, w, bias, plan, stride, y)
    return _correlate(x, w, bias, plan, y)


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups):
    """dx (N, C, H, W): dy sent back through w."""
    dx = empty(x_shape, dy.dtype)
    if conv_pointwise.fits(w.shape, stride, padding, groups):
        conv_pointwise.input_grad(dy, w, dx)
        return dx
    plan = conv_plan.input_grad_plan(
        x_shape[1:], w.shape, dy.shape[2:], stride, padding, dilation, groups, dy.itemsize
    )
    if w.shape[1] == 1 < groups:
        return _depthwise(dy, w, None, plan, (1, 1), dx)
    return _correlate(dy, w, None, plan, dx)


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (O, C/groups, KH, KW): the correlation of x with dy."""
    dw = np.zeros(w_shape, x.dtype)
    if not dy.size or not dw.size:
        return dw
    if conv_pointwise.fits(w_shape, stride, padding, groups):
        conv_pointwise.weight_grad(dy, x, dw)
        return dw
    depthwise = w_shape[1] == 1 < groups
    plan, _ = conv_plan.forward_plan(
        x.shape[1:], w_shape, (1, 1) if depthwise else stride, padding, dilation, groups, x.itemsize
    )
    packing, job, tables = plan
    threads, width, flat = num_threads(), job.vectors * VECTOR_BYTES // x.itemsize, dw.reshape(w_shape[0], -1)
    if depthwise:
        room = 2 * packing.plane + 3 * conv_depthwise.SLACK
        scratch = _scratch("packed", threads, room, x.dtype)
        conv_depthwise.depthwise_weight_gradient(
            dy, x, tuple(packing), tuple(job), tuple(tables), *stride, flat, scratch
        )
    else:
        shares = _scratch("shares", threads, groups * job.blocks * tables.shifts.size * width, x.dtype)
        scratch = _scratch("packed", threads, _room(plan, width), x.dtype)
        weight_gradient(dy, x, tuple(packing), tuple(job), tuple(tables), shares, dw.reshape(-1), scratch)
    with np.errstate(all="ignore"):
        finite = math.isfinite(dw.sum())
    return dw if finite else weight_grad_by_taps(dy, x, w_shape, stride, padding, dilation, groups)


def bias_grad(dy):
    """db (O,): dy (N, O, ...) summed over everything but the channels."""
    sums = np.empty(dy.shape[1], dy.dtype)
    channel_sums(dy.reshape(dy.shape[0], dy.shape[1], math.prod(dy.shape[2:])), sums)
    return sums
