"""Depthwise convolution: each group has one channel of the input, so there are no channels to fill lanes with.

Here lanes are neighbouring pixels: a plane is packed with its zeros (`conv_plan.py`), runs of pixels go on over
the ends of its rows, and a tile of one row is summed over the taps:

    acc[p : p + VL] += w[tap] * packed[p + shift[tap] : + VL]

The few results between two rows, and with a stride those between two wanted ones, are not copied out. For the
weight's gradient dy is laid out in the same way, zeros between, and acc[tap] sums up
dy[p : +L] * packed[p + shift[tap] : +L].
"""

from tinygrad_course.kernels.conv_pack import copy_run, pack, spread_run
from tinygrad_course.kernels.conv_plan import Job, Packing, Tables
from tinygrad_course.kernels.jit import inner, kernel, prange
from tinygrad_course.kernels.tile import at, dots, gather, lanes, like, outer, store, zeros

WIDE = 6  # vectors of a run's tile: as many sums as a processor needs to be busy
TAPS = 5  # that a tile of the weight's gradient sums
SLACK = 2 * 16 * WIDE  # numbers read and written past a plane's end by the last tile


@inner
def correlate_run(tile, w, w_at, weights, packed, shifts, first, last, start, begin, end, computed):
    """computed[p] = computed[start] + sum of the taps at pixel p, begin <= p < end."""
    for p in range(begin, end, WIDE * lanes(packed)):
        acc = like(tile, computed, start)
        for tap in range(first, last):
            acc = outer(acc, w, (w_at,), at(weights, tap), packed, p + at(shifts, tap))
        store(acc, computed, p, False)


@inner
def correlate_planes(begin, end, image, w, bias, packing, job, tables, every_h, every_w, y, scratch):
    """One thread's work: planes [begin, end) of all samples' groups and bands."""
    tile = zeros(y, 1, WIDE)
    room, row_stride = packing.channels * packing.plane + SLACK, packing.row_stride
    packed, computed, start = scratch[:room], scratch[room:], job.band * row_stride + SLACK
    packed[:] = 0
    flat, height, width = y.reshape(-1), y.shape[2], y.shape[3]
    for index in range(begin, end):
        unit, group = index // job.groups, index % job.groups
        n, top = unit // job.bands, unit % job.bands * job.band
        pack(image, unit, 1, group * packing.channels, packing, job, packed)
        for k in range(tables.passes.shape[0]):
            first, last, first_place, rows, columns, row, column = tables.passes[k]
            rows = min(job.band, rows - top)
            for channel in range(job.channels if rows > 0 and columns > 0 else 0):
                w_at = group * job.weight_group + channel * job.weight_channel
                computed[start : start + WIDE * lanes(y)] = bias[group * job.channels + channel]
                first_row = -top % every_h  # of the wanted ones: each row is a run, or all are one
                runs = ((rows - 1) // every_h + 1) if every_h > 1 else 1
                length = columns if every_h > 1 else (rows - 1) * row_stride + columns
                place = tables.places[first_place]
                for run in range(runs):
                    p = (first_row + run * every_h) * row_stride
                    correlate_run(
                        tile, w, w_at, tables.weights, packed[place:], tables.shifts, first, last,
                        start, p, p + length, computed,
                    )  # fmt: skip
                target = (n * y.shape[1] + group * job.channels + channel) * height * width + column
                for i in range(first_row, rows, every_h):
                    to = target + ((top + i) // every_h * job.stride_h + row) * width
                    if every_w > 1:
                        for j in range(width):
                            flat[to + j] = computed[i * row_stride + j * every_w]
                    elif job.stride_w > 1:
                        spread_run(computed, i * row_stride, flat, to, columns, job.stride_w)
                    else:
                        copy_run(computed, i * row_stride, flat, to, columns)


@kernel(parallel=True)
def depthwise(image, w, bias, packing, job, tables, every_h, every_w, y, scratch):
    """y = bias + `image`, plane by plane, correlated with w, of the results at stride 1 each every-th one."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    threads, planes = scratch.shape[0], image.shape[0] * job.bands * job.groups
    for thread in prange(threads):
        begin, end = thread * planes // threads, (thread + 1) * planes // threads
        correlate_planes(
            begin, end, image, w, bias, packing, job, tables, every_h, every_w, y, scratch[thread]
        )


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
            acc, places = tile, gather(tile, tables.shifts, tap)
            for p in range(0, job.band * row_stride, length):
                acc = dots(acc, packed_dy, p, packed, places)
            store(acc, sums, 0, False)
            for r in range(min(TAPS, job.taps - tap)):
                total = sums[r * length]
                for lane in range(1, length):
                    total += sums[r * length + lane]
                dw[o, tap + r] += total


@kernel(parallel=True)
def depthwise_weight_gradient(dy, x, packing, job, tables, stride_h, stride_w, dw, scratch):
    """dw (O, taps): each thread has its own channels."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    threads, channels = scratch.shape[0], dy.shape[1]
    for thread in prange(threads):
        for o in range(thread * channels // threads, (thread + 1) * channels // threads):
            weight_gradient_channel(o, dy, x, packing, job, tables, stride_h, stride_w, dw, scratch[thread])
