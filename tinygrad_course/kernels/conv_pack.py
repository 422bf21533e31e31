"""Copying into the order that the tiles of a convolution read, and out of the order they write."""

from tinygrad_course.kernels.jit import inner
from tinygrad_course.kernels.tile import copy_vector, lanes, spread_vector, transpose


@inner
def pack(image, unit, units, first_channel, packing, job, packed):
    """Copy channels of `units` units into `packed`, whose margins are zeros already. See Packing."""
    channels, height, width = image.shape[1:]
    flat, length = image.reshape(-1), lanes(image)
    begin, margin = max(0, -packing.left), max(0, packing.left)
    count = min(width - begin, packing.row_stride - margin)
    for k in range(unit, unit + units):
        n, top = k // job.bands, k % job.bands * packing.band_rows - packing.top
        first, last = max(0, top), min(height, top + packing.rows)  # rows inside the image
        for c in range(packing.channels):
            start = (k - unit) * packing.numbers + c * packing.plane
            if job.bands > 1:  # the band before may have had pixels here
                packed[start : start + (first - top) * packing.row_stride] = 0
                packed[start + max(0, last - top) * packing.row_stride : start + packing.rows * packing.row_stride] = 0
            at = start + (first - top) * packing.row_stride + margin
            source = ((n * channels + first_channel + c) * height + first) * width + begin
            for _ in range(first, last):
                if count >= length:
                    for j in range(0, count - length, length):
                        copy_vector(flat, source + j, packed, at + j)
                    copy_vector(flat, source + count - length, packed, at + count - length)
                else:
                    for j in range(count):
                        packed[at + j] = flat[source + j]
                source += width
                at += packing.row_stride


@inner
def pack_panel(rows, first, step, channels, count, panel, at, width):
    """panel[at + k * width + c] = rows[first + c * step + k] for k below `count`; zeros beyond `channels`."""
    length = lanes(rows)
    whole = count // length * length
    for c in range(0, width, length):
        if c + length <= channels:
            for k in range(0, whole, length):
                transpose(rows, first + c * step + k, step, panel, at + k * width + c, width)
        for r in range(c, c + length):
            for k in range(whole if c + length <= channels else 0, count):
                panel[at + k * width + r] = rows[first + r * step + k] if r < channels else 0


@inner
def unpack_panel(panel, at, width, count, channels, rows, first, step):
    """rows[first + c * step + k] = panel[at + k * width + c] for k below `count`, c below `channels`."""
    length = lanes(rows)
    whole = count // length * length
    for c in range(0, channels, length):
        full = c + length <= channels
        if full:
            for k in range(0, whole, length):
                transpose(panel, at + k * width + c, width, rows, first + c * step + k, step)
        for r in range(c, min(c + length, channels)):
            for k in range(whole if full else 0, count):
                rows[first + r * step + k] = panel[at + k * width + r]


@inner
def unpack(computed, width, unit, units, pixels, a_pass, first_channel, channels, job, y, transposed):
    """Copy computed[pixel * width + channel] of one pass, `units` units of `pixels` pixels, to where y has them."""
    all_channels, height, y_width = y.shape[1:]
    columns, row, column = a_pass[4], a_pass[5], a_pass[6]
    flat, area = y.reshape(-1), height * y_width
    for k in range(units):
        n, top = (unit + k) // job.bands, (unit + k) % job.bands * job.band
        target = (n * all_channels + first_channel) * area
        if job.stride_h == 1 and job.stride_w == 1 and channels == width:
            unpack_panel(computed, k * pixels * width, width, pixels, channels, flat, target + top * y_width, area)
            continue
        # all lanes, wanted or not, into room of our own, and from there to their places
        unpack_panel(computed, k * pixels * width, width, pixels, width, transposed, 0, pixels)
        for c in range(channels):
            source, to = c * pixels, target + c * area + (top * job.stride_h + row) * y_width + column
            if job.stride_h == 1 and job.stride_w == 1:
                copy_run(transposed, source, flat, to, pixels)
                continue
            for _ in range(0, pixels, columns):
                spread_run(transposed, source, flat, to, columns, job.stride_w)
                source += columns
                to += job.stride_h * y_width


@inner
def copy_run(source, i, target, j, count):
    """target[j : j + count] = source[i : i + count]"""
    length = lanes(source)
    whole = count // length * length
    for k in range(0, whole, length):
        copy_vector(source, i + k, target, j + k)
    for k in range(whole, count):
        target[j + k] = source[i + k]


@inner
def spread_run(source, i, target, j, count, step):
    """target[j + k * step] = source[i + k] for k below `count`."""
    length = lanes(source)
    whole = count // length * length
    for k in range(0, whole, length):
        spread_vector(source, i + k, target, j + k * step, step)
    for k in range(whole, count):
        target[j + k * step] = source[i + k]


@inner
def pack_weights(w, group, k, block, width, job, tables, panel, at):
    """panel[at + tap * width + channel] of pass k: a block's weights as the tiles read them."""
    first = group * job.weight_group + block * width * job.weight_channel
    channels = min(width, job.channels - block * width)
    for tap in range(tables.passes[k, 0], tables.passes[k, 1]):
        source = first + tables.weights[tap]
        for c in range(channels):
            panel[at + c] = w[source + c * job.weight_channel]
        for c in range(channels, width):
            panel[at + c] = 0
        at += width
