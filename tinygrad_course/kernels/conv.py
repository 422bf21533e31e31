"""Convolution (cross-correlation) and its gradients, as register tiles over packed images.

    forward         y[n, o, i, j]   = b[o] + sum_{c,u,v} w[o, c, u, v] xp[n, c, i s + u d, j s + v d]
    input gradient  dxp[n, c, ...] += sum_o w[o, c, u, v] dy[n, o, i, j]   at row i s + u d, column j s + v d
    weight gradient dw[o, c, u, v]  = sum_{n,i,j} dy[n, o, i, j] xp[n, c, i s + u d, j s + v d]

xp is x with zeros around it, s the stride, d the dilation. All three copy ("pack") a sample once, padding
included, into a buffer in which a tap is a constant shift (`conv_plan.py` draws it); then a convolution is

    acc[o, p : p+L] += w[o, tap] * packed[p + shift[tap] : +L]       a loop over taps, acc a tile of registers

and runs of pixels simply run on over the ends of rows; the few results between two rows are not copied out.
Threads own samples, or bands of rows of a sample; for the weight gradient each sums its own share, and the
shares are added in order, so that the same number of threads gives the same bits.

Everywhere stride and dilation are pairs (height, width), padding ((top, bottom), (left, right)); arrays are
C-contiguous and of one dtype; nothing is checked.
"""

import math
import threading

import numpy as np

from tinygrad_course.kernels import conv_plan
from tinygrad_course.kernels.buffers import empty
from tinygrad_course.kernels.conv_pack import pack, pack_weights, unpack
from tinygrad_course.kernels.conv_plan import SLACK, Job, Packing, Tables, ceil_div
from tinygrad_course.kernels.jit import inner, kernel, num_threads, prange
from tinygrad_course.kernels.tile import (
    DOTS_ROWS,
    DOTS_SLOT,
    DOTS_VECTORS,
    OUTER_ROWS,
    OUTER_VECTORS,
    dots,
    lanes,
    outer,
    reduce_add,
    store,
    zeros,
)

THIN_VECTORS = 8  # of a tile with one row

# ------------------------------------------------------------------------- forward, and gradient of the input


@inner
def all_taps(acc, rows, weights, at, packed, pixel, shifts, first, last):
    """The inner loop: a tile of channels x pixels, summed over its taps."""
    for tap in range(first, last):
        acc = outer(acc, weights, at, packed, pixel + shifts[tap])
        at += rows
    return acc


@inner
def correlate_pixels(rows, weights, at, packed, pixels, shifts, first, last, out, step):
    """out[r * step + p] for `rows` channels (OUTER_ROWS or 1), all pixels p, in tiles as wide as is left."""
    pixel = 0
    while pixel < pixels:
        left = pixels - pixel
        if rows == 1:
            thin = zeros(packed, 1, THIN_VECTORS)
            thin = all_taps(thin, 1, weights, at, packed, pixel, shifts, first, last)
            store(thin, out, pixel, step)
            pixel += THIN_VECTORS * lanes(packed)
        elif left > 2 * lanes(packed):
            full = zeros(packed, OUTER_ROWS, OUTER_VECTORS)
            full = all_taps(full, OUTER_ROWS, weights, at, packed, pixel, shifts, first, last)
            store(full, out, pixel, step)
            pixel += OUTER_VECTORS * lanes(packed)
        elif left > lanes(packed):
            pair = zeros(packed, OUTER_ROWS, 2)
            pair = all_taps(pair, OUTER_ROWS, weights, at, packed, pixel, shifts, first, last)
            store(pair, out, pixel, step)
            pixel += 2 * lanes(packed)
        else:
            single = zeros(packed, OUTER_ROWS, 1)
            single = all_taps(single, OUTER_ROWS, weights, at, packed, pixel, shifts, first, last)
            store(single, out, pixel, step)
            pixel += lanes(packed)


@inner
def correlate_bands(begin, end, image, weights, bias, packing, job, tables, y, scratch):
    """One thread's work: bands [begin, end) of all samples' bands."""
    packed, computed = scratch[: packing.numbers + SLACK], scratch[packing.numbers + SLACK :]
    for i in range(packing.numbers, packing.numbers + SLACK):
        packed[i] = 0
    pixels = (job.band - 1) * packing.row_stride + job.columns
    step = job.band * packing.row_stride + SLACK
    for unit in range(begin, end):
        n, top = unit // job.bands, unit % job.bands * job.band
        for group in range(job.groups):
            pack(image, n, group * packing.channels, top, packing, tables.phases, packed, 0)
            for k in range(tables.passes.shape[0]):
                first, last = tables.passes[k, 0], tables.passes[k, 1]
                for block in range(job.blocks):
                    at = ((group * job.taps + first) * job.blocks + block * (last - first)) * job.rows
                    correlate_pixels(
                        job.rows, weights, at, packed, pixels, tables.shifts, first, last, computed, step
                    )
                    row, column, channel = tables.passes[k, 2], tables.passes[k, 3], block * job.rows
                    unpack(
                        computed, step, bias, packing.row_stride, job, row, column, n, top,
                        group * job.channels + channel, min(job.rows, job.channels - channel), y,
                    )  # fmt: skip


@kernel(parallel=True)
def correlate(image, w, weights, bias, packing, job, tables, y, scratch):
    """y = bias + `image` correlated with w. Working room: `weights`, and a row of `scratch` a thread."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)  # Numba takes plain tuples in faster
    pack_weights(w, job, tables, weights)
    threads, bands = scratch.shape[0], image.shape[0] * job.bands
    for thread in prange(threads):
        begin, end = thread * bands // threads, (thread + 1) * bands // threads
        correlate_bands(begin, end, image, weights, bias, packing, job, tables, y, scratch[thread])


# ------------------------------------------------------------------------------------- gradient of the weight


@inner
def all_pixels(acc, packed_dy, dy_at, plane, dy_unit, packed, unit, shifts, first, units):
    """The inner loop: a tile of channels x taps, summed lane by lane over the pixels of `units` bands."""
    for k in range(units):
        for pixel in range(0, plane, lanes(packed)):
            acc = dots(
                acc, packed_dy, dy_at + k * dy_unit + pixel, plane, packed, k * unit + pixel, shifts, first
            )
    return acc


@inner
def weight_gradient_bands(
    begin, end, dy, x, packing, phases, dy_packing, dy_phases, job, shifts, together, share, scratch
):
    """One thread's share of dw, tile by tile, from bands [begin, end) of all samples' bands."""
    unit, plane = packing.numbers, dy_packing.plane
    dy_unit = job.blocks * job.rows * plane
    room = together * dy_unit + SLACK
    packed_dy, packed = scratch[:room], scratch[room:]
    for start in range(begin, end, together):
        units = min(together, end - start)
        for group in range(job.groups):
            for k in range(units):
                n, top = (start + k) // job.bands, (start + k) % job.bands * job.band
                pack(x, n, group * packing.channels, top, packing, phases, packed, k * unit)
                pack(dy, n, group * job.channels, top, dy_packing, dy_phases, packed_dy, k * dy_unit)
            for i in range(units * unit, units * unit + SLACK):
                packed[i] = 0
            at = group * job.blocks * shifts.shape[0] // DOTS_VECTORS * DOTS_SLOT
            for block in range(job.blocks):
                dy_at = block * job.rows * plane
                for first in range(0, shifts.shape[0], DOTS_VECTORS):
                    if job.rows == 1:
                        thin = zeros(x, 1, DOTS_VECTORS)
                        thin = all_pixels(
                            thin, packed_dy, dy_at, plane, dy_unit, packed, unit, shifts, first, units
                        )
                        reduce_add(thin, share, at)
                    else:
                        full = zeros(x, DOTS_ROWS, DOTS_VECTORS)
                        full = all_pixels(
                            full, packed_dy, dy_at, plane, dy_unit, packed, unit, shifts, first, units
                        )
                        reduce_add(full, share, at)
                    at += DOTS_SLOT


@inner
def add_shares(shares, job, taps, dw):
    """dw[group * channels + channel, tap] = the threads' shares, added in their order."""
    for group in range(job.groups):
        for channel in range(job.channels):
            block, r = channel // job.rows, channel % job.rows
            for tap in range(job.taps):
                slot = ((group * job.blocks + block) * taps + tap) // DOTS_VECTORS
                at = slot * DOTS_SLOT + r * DOTS_VECTORS + tap % DOTS_VECTORS
                total = shares[0, at]
                for thread in range(1, shares.shape[0]):
                    total += shares[thread, at]
                dw[group * job.channels + channel, tap] = total


@kernel(parallel=True)
def weight_gradient(
    dy, x, packing, phases, dy_packing, dy_phases, job, shifts, together, shares, dw, scratch
):
    """dw (O, taps); `shares`, of zeros, and `scratch` have a row a thread."""
    packing, dy_packing, job = Packing(*packing), Packing(*dy_packing), Job(*job)
    threads, bands = scratch.shape[0], x.shape[0] * job.bands
    for thread in prange(threads):
        begin, end = thread * bands // threads, (thread + 1) * bands // threads
        weight_gradient_bands(
            begin, end, dy, x, packing, phases, dy_packing, dy_phases, job, shifts, together,
            shares[thread], scratch[thread],
        )  # fmt: skip
    add_shares(shares, job, shifts.shape[0], dw)


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
        packing, job = plan.packing, plan.job
        weights = _scratch("weights", 1, job.groups * job.taps * job.blocks * job.rows, y.dtype)[0]
        room = packing.numbers + SLACK + job.rows * (job.band * packing.row_stride + SLACK)
        scratch = _scratch("packed", num_threads(), room, y.dtype)
        packing, job, tables = tuple(packing), tuple(job), tuple(plan.tables)
        correlate(image, w.reshape(-1), weights, bias, packing, job, tables, y, scratch)
    return y


def conv2d_forward(x, w, bias, stride, padding, dilation, groups):
    """y (N, O, OH, OW) of x (N, C, H, W), w (O, C/groups, KH, KW) and bias (O,) or None."""
    plan, size = conv_plan.forward_plan(x.shape[1:], w.shape, stride, padding, dilation, groups)
    y = empty((x.shape[0], w.shape[0], *size), x.dtype)
    return _correlate(x, w, bias, plan, y)


def conv2d_input_grad(dy, w, x_shape, stride, padding, dilation, groups):
    """dx (N, C, H, W): dy sent back through w."""
    plan = conv_plan.input_grad_plan(x_shape[1:], w.shape, dy.shape[2:], stride, padding, dilation, groups)
    return _correlate(dy, w, None, plan, empty(x_shape, dy.dtype))


def conv2d_weight_grad(dy, x, w_shape, stride, padding, dilation, groups):
    """dw (O, C/groups, KH, KW): the correlation of x with dy."""
    plan = conv_plan.weight_grad_plan(x.shape[1:], w_shape, stride, padding, dilation, groups)
    dw = np.zeros(w_shape, x.dtype)
    if not dy.size or not dw.size:
        return dw
    job, threads = plan.job, num_threads()
    shares = np.zeros((threads, groups * job.blocks * len(plan.shifts) // DOTS_VECTORS * DOTS_SLOT), x.dtype)
    room = plan.together * (job.blocks * job.rows * plan.dy_packing.plane + plan.packing.numbers) + 2 * SLACK
    scratch = _scratch("packed", threads, room, x.dtype)
    weight_gradient(
        dy, x, tuple(plan.packing), plan.phases, tuple(plan.dy_packing), plan.dy_phases, tuple(plan.job),
        plan.shifts, plan.together, shares, dw.reshape(w_shape[0], -1), scratch,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        finite = math.isfinite(dw.sum())
    return dw if finite else _weight_grad_by_taps(dy, x, w_shape, stride, padding, dilation, groups)


def _weight_grad_by_taps(dy, x, w_shape, stride, padding, dilation, groups):
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


def bias_grad(dy):
    """db (O,): dy (N, O, ...) summed over everything but the channels."""
    sums = np.empty(dy.shape[1], dy.dtype)
    channel_sums(dy.reshape(dy.shape[0], dy.shape[1], math.prod(dy.shape[2:])), sums)
    return sums
