"""Copying into the order that the tiles of a convolution read, and out of the order they write."""

import numpy as np

from tinygrad_course.kernels.conv_plan import Job, Tables
from tinygrad_course.kernels.jit import inner, part, shared
from tinygrad_course.kernels.vector import copy_vector, lanes, transpose


@inner
def copy_run(source, i, target, j, count):
    """target[j : j + count] = source[i : i + count]"""
    length = lanes(source)
    if count >= length:
        for k in range(0, count - length, length):
            copy_vector(source, i + k, target, j + k)
        copy_vector(source, i + count - length, target, j + count - length)
    else:
        for k in range(count):
            target[j + k] = source[i + k]


@inner
def rectify(numbers, begin, end):
    """numbers[begin:end] = max(0, …): a ReLU while they are at hand."""
    zero = numbers.dtype.type(0)
    for i in range(np.uint64(begin), np.uint64(end)):
        numbers[i] = zero if numbers[i] <= zero else numbers[i]


@inner
def pack(image, unit, units, first_channel, packing, job, packed):
    """Copy channels of `units` units into `packed`, whose margins are zeros already. See Packing."""
    channels, height, width = image.shape[1:]
    flat = image.reshape(-1)
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
                copy_run(flat, source, packed, at, count)
                source += width
                at += packing.row_stride


@inner
def pack_panel(rows, first, step, channels, count, panel, at, width):
    """panel[at + k * width + c] = rows[first + c * step + k] for k below `count`; zeros beyond `channels`."""
    length = lanes(rows)
    for c in range(0, width, length):
        if c + length <= channels and count >= length:
            for k in range(0, count, length):
                k = min(k, count - length)  # the last columns twice, if need be
                transpose(rows, first + c * step + k, step, panel, at + k * width + c, width)
        else:
            for k in range(count):
                for r in range(c, min(c + length, width)):
                    panel[at + k * width + r] = rows[first + r * step + k] if r < channels else 0


@inner
def unpack_panel(panel, at, width, count, channels, rows, first, step):
    """rows[first + c * step + k] = panel[at + k * width + c] for k below `count`, c below `channels`."""
    length = lanes(rows)
    for c in range(0, channels, length):
        if c + length <= channels and count >= length:
            for k in range(0, count, length):
                k = min(k, count - length)
                transpose(panel, at + k * width + c, width, rows, first + c * step + k, step)
        else:
            for r in range(c, min(c + length, channels)):
                for k in range(count):
                    rows[first + r * step + k] = panel[at + k * width + r]


@inner
def unpack(computed, width, unit, units, rows, columns, row, first_channel, channels, job, y, transposed):
    """Copy computed[(unit, row, column) * width + channel], some rows of `units` units, to where y has them.

    Of a unit there are `rows` rows of `columns` pixels, of which y's width is wanted; the first goes to row `row` of
    the unit's part of y, the others `job.stride_h` apart.
    """
    all_channels, height, y_width = y.shape[1:]
    flat, area = y.reshape(-1), height * y_width
    runs, length = rows, y_width
    if job.stride_h == 1 and columns == y_width:  # rows that follow each other are one
        runs, length = 1, rows * y_width
    pixels, step = units * rows * columns, job.stride_h * y_width
    if channels < width:  # all lanes, wanted or not, into room of our own, and from there to their places
        unpack_panel(computed, 0, width, pixels, width, transposed, 0, pixels)
    for k in range(units):
        n, top = (unit + k) // job.bands, (unit + k) % job.bands * job.band
        source, to = k * rows * columns, (n * all_channels + first_channel) * area + top * step + row * y_width
        for _ in range(runs):
            if channels == width:
                unpack_panel(computed, source * width, width, length, channels, flat, to, area)
            else:
                for c in range(channels):
                    copy_run(transposed, c * pixels + source, flat, to + c * area, length)
            source += columns
            to += step


@shared
def pack_weights(thread, threads, w, bias, job, tables, panel, finite):
    """panel[weights_at(...) + tap * width + channel]: each block's weights, as a tile reads them; and its bias.

    Zeros stand beyond a group's last channel. finite[block] is 0, but nan where one of the weights is not finite.
    """
    job, tables = Job(*job), Tables(*tables)
    for index in part(thread, threads, job.groups * job.blocks):
        group, block = index // job.blocks, index % job.blocks
        first = block * job.width  # channel of the group
        source = group * job.weight_group + first * job.weight_channel
        channels = min(job.width, job.channels - first)
        zero = check = w.dtype.type(0)
        for k in range(tables.passes.shape[0]):
            begin, end = tables.passes[k, 0], tables.passes[k, 1]
            at = weights_at(job, group, block, begin, end)
            packed = panel[at : at + (end - begin) * job.width]
            while begin < end:  # taps whose weights are neighbours, together
                weight, count = tables.weights[begin], 1
                while begin + count < end and tables.weights[begin + count] == weight + count:
                    count += 1
                pack_panel(w, source + weight, job.weight_channel, channels, count, panel, at, job.width)
                begin += count
                at += count * job.width
            for i in range(packed.size):
                check += zero * packed[i]
        finite[index] = check
        at = bias_at(job, group, block)
        for c in range(job.width):
            panel[at + c] = bias[group * job.channels + first + c] if c < channels else 0


@inner
def weights_at(job, group, block, begin, end):
    """Where in the panel the weights of taps [begin, end) begin, which are those of one pass."""
    return ((group * job.taps + begin) * job.blocks + block * (end - begin)) * job.width


@inner
def bias_at(job, group, block):
    return ((job.groups * job.taps + group) * job.blocks + block) * job.width
