"""Copying into the order that the tiles of a convolution read, and out of the order they write."""

from tinygrad_course.kernels.jit import inner
from tinygrad_course.kernels.tile import copy_vector, lanes, transpose


@inner
def copy_run(source, i, target, j, count):
    """target[j : j + count] = source[i : i + count]"""
    length = lanes(source)
    if count < length:
        for k in range(count):
            target[j + k] = source[i + k]
        return
    for k in range(0, count - length, length):
        copy_vector(source, i + k, target, j + k)
    copy_vector(source, i + count - length, target, j + count - length)


@inner
def pack(image, unit, units, first_channel, packing, job, packed):
    """Copy channels of `units` units into `packed`, whose margins are zeros already. See Packing."""
    channels, height, width = image.shape[1:]
    flat = image.reshape(-1)
    begin = max(0, -packing.left)
    count = max(0, min(width - begin, packing.row_stride - max(0, packing.left)))
    for k in range(unit, unit + units):
        n, top = k // job.bands, k % job.bands * packing.band_rows - packing.top
        for c in range(packing.channels):
            at = (k - unit) * packing.numbers + c * packing.plane
            source = (n * channels + first_channel + c) * height * width
            for row in range(top, top + packing.rows):
                if 0 <= row < height:
                    copy_run(flat, source + row * width + begin, packed, at + max(0, packing.left), count)
                elif job.bands > 1:  # the band before may have had pixels here
                    packed[at : at + packing.row_stride] = 0
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


@inner
def unpack(computed, width, unit, units, pixels, a_pass, first_channel, channels, job, y):
    """Copy computed[pixel * width + channel] of one pass, `units` units of `pixels` pixels, to where y has them."""
    all_channels, height, y_width = y.shape[1:]
    columns, row, column = a_pass[4], a_pass[5], a_pass[6]
    flat, area = y.reshape(-1), height * y_width
    for k in range(units):
        n, top = (unit + k) // job.bands, (unit + k) % job.bands * job.band
        at = k * pixels * width
        target = (n * all_channels + first_channel) * area
        if job.stride_h == 1 and job.stride_w == 1:
            unpack_panel(computed, at, width, pixels, channels, flat, target + top * y_width, area)
            continue
        target += (top * job.stride_h + row) * y_width + column
        for _ in range(0, pixels, columns):
            for c in range(channels):
                for j in range(columns):
                    flat[target + c * area + j * job.stride_w] = computed[at + j * width + c]
            at += columns * width
            target += job.stride_h * y_width
