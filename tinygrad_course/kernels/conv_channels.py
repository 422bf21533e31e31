"""The loops of a convolution whose lanes are channels: the forward pass and all gradients of most layers.

A sample is packed once, so that each tap is a constant shift (`conv_plan.py`); then all three directions are one
loop, `accumulate`, over tiles of registers (`tile.py`):

    forward, input gradient    computed[pixel, channels] += packed[places[pixel] + shifts[tap]] * w[tap, channels]
    weight gradient            dw[tap, channels]         += packed[shifts[tap] + places[pixel]] * dy[pixel, channels]

Of the input gradient at stride s, a pass computes every s-th column. The passes of one row lie in each other in
`computed`, so that it is copied out as whole rows.
"""

from tinygrad_course.kernels.conv_pack import bias_at, pack, pack_panel, rectify, unpack, unpack_panel, weights_at
from tinygrad_course.kernels.conv_plan import Job, Packing, Tables
from tinygrad_course.kernels.jit import inner, part, shared
from tinygrad_course.kernels.tile import ROWS, VECTORS, gather, like, outer, store, zeros
from tinygrad_course.kernels.vector import VECTOR_BYTES, at, lanes

CHUNK = 16384 // (VECTORS * VECTOR_BYTES)  # steps whose part of a panel stays in the first-level cache: 16 KB


@inner
def accumulate(width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias, out, to, apart):
    """The loop of all three: for i below `count`, and as many more as fill the last tile, with k = first ... last,

    out[to + i apart :] = b + sum_k x[origin + places[place + i] + steps[k]] * panel[panel_at + (k - first) width :]

    for `width` numbers; b = panel[bias :], or, for bias < 0, what `out` has been.
    """
    if width == lanes(x):
        narrow = zeros(x, ROWS, 1)
        accumulate_tiles(
            narrow, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias, out, to, apart
        )
    else:
        wide = zeros(x, ROWS, VECTORS)
        accumulate_tiles(
            wide, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias, out, to, apart
        )


@inner
def accumulate_tiles(
    tile, width, x, origin, places, place, count, steps, first, last, panel, panel_at, bias, out, to, apart
):
    """`accumulate` for tiles of this shape."""
    begin = first
    while begin < last or bias >= 0:
        end = min(begin + CHUNK, last)
        for i in range(0, count, ROWS):
            acc, row = like(tile, panel, bias), panel_at
            pixels = gather(tile, places, place, i, count)
            for k in range(begin, end):
                acc = outer(acc, x, pixels, origin + at(steps, k), panel, row)
                row += width
            store(acc, out, to + i * apart, apart, bias < 0)
        begin, bias = end, -1
        panel_at += CHUNK * width


@inner
def origin_of(packing, n, top, group):
    """Where a group of a unit begins: in the image, or in the buffer that it is packed into."""
    if not packing.direct:
        return 0
    return n * packing.numbers + group * packing.channels * packing.plane + top * packing.band_rows * packing.row_stride


@shared
def correlate(thread, threads, image, panel, packing, job, tables, relu, y, scratch):
    """y = bias + `image` correlated with w, which `panel` holds; with `relu`, max(0, y).

    A thread has some units and a row of `scratch`.
    """
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)  # Numba takes plain tuples in faster
    width = job.width
    room = tables.places.shape[0] * width  # for computed pixels, and their transpose
    scratch = scratch[thread]
    computed, transposed, packed = scratch[:room], scratch[room : 2 * room], scratch[2 * room :]
    if packing.direct:
        packed = image.reshape(-1)
    else:
        packed[:] = 0
    all_units = image.shape[0] * job.bands
    begin, end = thread * all_units // threads, (thread + 1) * all_units // threads
    for unit in range(begin, end, job.together):
        units = min(job.together, end - unit)
        n, top = unit // job.bands, unit % job.bands
        for group in range(job.groups):
            origin = origin_of(packing, n, top, group)
            if not packing.direct:
                pack(image, unit, units, group * packing.channels, packing, job, packed)
            for row_passes in range(0, tables.passes.shape[0], job.stride_w):
                _, _, _, rows, columns, row, _ = tables.passes[row_passes]
                rows = min(job.band, rows - top * job.band)
                for block in range(job.blocks if rows > 0 and columns > 0 else 0):
                    for column in range(job.stride_w):
                        first, last, first_place = tables.passes[row_passes + column, :3]
                        accumulate(
                            width, packed, origin, tables.places, first_place, units * rows * columns, tables.shifts,
                            first, last, panel, weights_at(job, group, block, first, last),
                            bias_at(job, group, block), computed, column * width, job.stride_w * width,
                        )  # fmt: skip
                    if relu:
                        rectify(computed, 0, units * rows * columns * job.stride_w * width)
                    channel = block * width
                    channels = min(width, job.channels - channel)
                    unpack(
                        computed, width, unit, units, rows, columns * job.stride_w, row,
                        group * job.channels + channel, channels, job, y, transposed,
                    )  # fmt: skip


@shared
def weight_gradient(thread, threads, dy, x, packing, job, tables, shares, scratch):
    """A thread's share of dw, from some of the units, to be added up. It has a row of `shares` and of `scratch`."""
    packing, job, tables = Packing(*packing), Job(*job), Tables(*tables)
    share, scratch = shares[thread], scratch[thread]
    packed, panel = scratch[: job.together * packing.numbers], scratch[job.together * packing.numbers :]
    if packing.direct:
        packed, panel = x.reshape(-1), scratch
    else:
        packed[:] = 0
    share[:] = 0
    width, flat_dy = job.width, dy.reshape(-1)
    area, columns = dy.shape[2] * dy.shape[3], dy.shape[3]
    all_units = x.shape[0] * job.bands
    begin, end = thread * all_units // threads, (thread + 1) * all_units // threads
    for unit in range(begin, end, job.together):
        units = min(job.together, end - unit)
        n, top = unit // job.bands, unit % job.bands
        pixels = min(job.band, dy.shape[2] - top * job.band) * columns  # of each unit
        for group in range(job.groups):
            origin = origin_of(packing, n, top, group)
            if not packing.direct:
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
                    panel, 0, -1, share, to, width,
                )  # fmt: skip


@shared
def sum_shares(thread, threads, job, tables, shares, dw, checks):
    """dw (O, taps) = the sum of the shares. checks[block] is 0, but nan where a sum is not finite."""
    job, tables = Job(*job), Tables(*tables)
    width, zero = job.width, dw.dtype.type(0)
    for index in part(thread, threads, job.groups * job.blocks):
        group, block = index // job.blocks, index % job.blocks
        first = index * tables.shifts.shape[0] * width
        for k in range(1, shares.shape[0]):
            for i in range(first, first + job.taps * width):
                shares[0, i] += shares[k, i]
        channels = min(width, job.channels - block * width)
        channel = group * job.channels + block * width
        unpack_panel(shares[0], first, width, job.taps, channels, dw, channel * job.taps, job.taps)
        own, check = dw[channel * job.taps : (channel + channels) * job.taps], zero
        for i in range(own.size):
            check += zero * own[i]
        checks[index] = check
