"""The gradient of a depthwise convolution's weight: each group has one channel of the input.

Lanes are neighbouring pixels, as in `conv_pixels.py`: dy is laid out like the packed plane, with zeros between its
rows and, with a stride, between its pixels, and acc[tap] sums up dy[p : +L] * packed[p + shifts[tap] : +L].
"""

from tinygrad_course.kernels.conv_pack import pack
from tinygrad_course.kernels.conv_plan import Job, Packing, Tables
from tinygrad_course.kernels.jit import inner, part, shared
from tinygrad_course.kernels.tile import dots, gather, store, zeros
from tinygrad_course.kernels.vector import VECTOR_BYTES, lanes

TAPS = 5  # that a tile sums
PIECE = 4096  # pixels that are summed by themselves: a sum of sums is more exact
SLACK = 2 * VECTOR_BYTES // 4  # numbers read past a plane's end by the last vector


@inner
def weight_gradient_channel(o, dy, x, packing, job, tables, stride_h, stride_w, dw, scratch):
    """dw[o] over all samples and bands."""
    tile, length = zeros(x, TAPS, 1), lanes(x)
    room, row_stride = packing.plane + SLACK, packing.row_stride
    packed, packed_dy, sums = scratch[:room], scratch[room : 2 * room], scratch[2 * room :]
    packed[:] = 0
    packed_dy[:] = 0
    dw[o] = 0
    for unit in range(x.shape[0] * job.bands):
        n, top = unit // job.bands, unit % job.bands * job.band
        pack(x, unit, 1, o // job.channels, packing, job, packed)
        if job.bands > 1:
            packed_dy[:] = 0
        first, last = -(-top // stride_h), min(dy.shape[2], -(-(top + job.band) // stride_h))
        for i in range(first, last):
            to = (i * stride_h - top) * row_stride
            for j in range(dy.shape[3]):
                packed_dy[to + j * stride_w] = dy[n, o, i, j]
        for tap in range(0, job.taps, TAPS):
            places, end = gather(tile, tables.shifts, 0, tap, job.taps), job.band * row_stride
            for begin in range(0, end, PIECE):
                acc = tile
                for p in range(begin, min(begin + PIECE, end), length):
                    acc = dots(acc, packed_dy, p, packed, places)
                store(acc, sums, 0, length, False)
                for r in range(min(TAPS, job.taps - tap)):
                    total = sums[r * length]
                    for lane in range(1, length):
                        total += sums[r * length + lane]
                    dw[o, tap + r] += total


@shared
def depthwise_weight_gradient(thread, threads, dy, x, packing, job, tables, stride_h, stride_w, dw, scratch):
    """dw (O, taps): each thread has its own channels, and a row of `scratch`."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    channels = dy.shape[1]
    for o in part(thread, threads, channels):
        weight_gradient_channel(o, dy, x, packing, job, tables, stride_h, stride_w, dw, scratch[thread])
