"""The loop of a convolution whose lanes are neighbouring pixels: for few channels, which would not fill a vector.

So it is in depthwise layers, where a group has one channel of the input and few of the output, and in the gradient of
an image of one or three channels. Planes are packed with their zeros (`conv_plan.py`), runs of pixels go on over the
ends of rows, and a tile has a row for each channel that it computes:

    acc[channel, p : + VL] += w[tap, channel] * packed[p + shifts[tap] : + VL]

The few results between two rows, and with a stride those between two wanted ones, are not copied out.
"""

from tinygrad_course.kernels.conv_pack import bias_at, copy_run, pack, rectify, weights_at
from tinygrad_course.kernels.conv_plan import Job, Packing, Tables
from tinygrad_course.kernels.jit import inner, part, shared
from tinygrad_course.kernels.tile import outer, store, zeros
from tinygrad_course.kernels.vector import VECTOR_BYTES, at, lanes, spread_vector

SLACK = 6 * VECTOR_BYTES // 4  # numbers read and written past a plane's end by the last tile


@inner
def run_tiles(tile, channels, length, packed, place, shifts, first, last, panel, weights, bias, begin, end, out, apart):
    """out[r apart + p] = bias + sum of the taps at pixel p, for begin <= p < end and row r of the tile.

    `channels` is (0, 1, ..., R - 1), and `length` how many pixels a row of the tile has. The first numbers of `out`
    are ones.
    """
    for p in range(begin, end, length):
        acc, row = outer(tile, panel, channels, bias, out, 0), weights
        for tap in range(first, last):
            acc = outer(acc, panel, channels, row, packed, place + p + at(shifts, tap))
            row += len(channels)
        store(acc, out, SLACK + p, apart, False)


@inner
def run(width, packed, place, shifts, first, last, panel, weights, bias, begin, end, out, apart):
    """`run_tiles` of the shape for `width` channels. Twelve sums, or nearly, keep a processor busy."""
    length = lanes(packed)
    if width == 1:
        run_tiles(
            zeros(packed, 1, 6), (0,), 6 * length, packed, place, shifts, first, last,
            panel, weights, bias, begin, end, out, apart,
        )  # fmt: skip
    elif width == 3:
        run_tiles(
            zeros(packed, 3, 3), (0, 1, 2), 3 * length, packed, place, shifts, first, last,
            panel, weights, bias, begin, end, out, apart,
        )  # fmt: skip
    else:
        run_tiles(
            zeros(packed, 6, 2), (0, 1, 2, 3, 4, 5), 2 * length, packed, place, shifts, first, last,
            panel, weights, bias, begin, end, out, apart,
        )  # fmt: skip


@inner
def spread_run(source, i, target, j, count, step):
    """target[j + k * step] = source[i + k] for k below `count`."""
    length = lanes(source)
    whole = count // length * length
    for k in range(0, whole, length):
        spread_vector(source, i + k, target, j + k * step, step)
    for k in range(whole, count):
        target[j + k * step] = source[i + k]


@shared
def correlate_pixels(thread, threads, image, panel, packing, job, tables, relu, every_h, every_w, y, scratch):
    """y = bias + `image` correlated with w, which `panel` holds: of the results at stride 1 each every-th one.

    With `relu`, max(0, y). A thread has some groups of units, and a row of `scratch`.
    """
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    room, row_stride = packing.channels * packing.plane + SLACK, packing.row_stride
    packed, out = scratch[thread, :room], scratch[thread, room:]
    packed[:] = 0
    out[:SLACK] = 1
    apart = job.band * row_stride + SLACK  # of the rows of a tile
    flat, height, width = y.reshape(-1), y.shape[2], y.shape[3]
    count = image.shape[0] * job.bands * job.groups
    for index in part(thread, threads, count):
        unit, group = index // job.groups, index % job.groups
        n, top = unit // job.bands, unit % job.bands * job.band
        pack(image, unit, 1, group * packing.channels, packing, job, packed)
        for k in range(tables.passes.shape[0]):
            first, last, first_place, rows, _, row, column = tables.passes[k]
            rows = min(job.band, rows - top)
            columns = width if every_w > 1 else (width - column + job.stride_w - 1) // job.stride_w
            dense_columns = (columns - 1) * every_w + 1
            first_row = -top % every_h  # of the wanted ones: each row is a run, or all are one
            length = dense_columns if every_h > 1 else (rows - 1) * row_stride + dense_columns
            for block in range(job.blocks if rows > 0 and columns > 0 else 0):
                for i in range(first_row, rows if every_h > 1 else 1, every_h):
                    p = i * row_stride
                    run(
                        job.width, packed, tables.places[first_place], tables.shifts, first, last,
                        panel, weights_at(job, group, block, first, last), bias_at(job, group, block),
                        p, p + length, out, apart,
                    )  # fmt: skip
                if relu:
                    rectify(out, SLACK, SLACK + job.width * apart)
                for r in range(min(job.width, job.channels - block * job.width)):
                    channel = group * job.channels + block * job.width + r
                    target = (n * y.shape[1] + channel) * height * width + column
                    for i in range(first_row, rows, every_h):
                        source = SLACK + r * apart + i * row_stride
                        to = target + ((top + i) // every_h * job.stride_h + row) * width
                        if every_w > 1:
                            for j in range(columns):
                                flat[to + j] = out[source + j * every_w]
                        elif job.stride_w > 1:
                            spread_run(out, source, flat, to, columns, job.stride_w)
                        else:
                            copy_run(out, source, flat, to, columns)
