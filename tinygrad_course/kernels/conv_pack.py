"""Copying into the order that the tiles of a convolution read, and out of the order they write."""

from tinygrad_course.kernels.jit import inner
from tinygrad_course.kernels.tile import lanes, load_part, store, store_sum


@inner
def pack(image, n, first, top, packing, phases, packed, at):
    """Copy a band of image[n, first:first + channels], from output row `top` on, into packed[at:]."""
    height, width = image.shape[2], image.shape[3]
    row_stride = packing.row_stride
    for c in range(packing.channels):
        start = (n * image.shape[1] + first + c) * height * width
        for phase in range(packing.phases):
            row = top * packing.stride_h + phases[phase, 0] - packing.top
            column = phases[phase, 1] - packing.left
            # columns [begin, end) of the packed row are inside the image
            begin = min(max(0, -(column // packing.stride_w)), row_stride)
            end = min(max(begin, -((column - width) // packing.stride_w)), row_stride)
            for _ in range(packing.rows):
                source = start + row * width + column
                inside = end if 0 <= row < height else 0
                # A vector may write past the row's end, only zeros, and the next row is written later.
                if packing.stride_w == 1:
                    for j in range(0, row_stride, lanes(image)):
                        store(load_part(image, source + j, 1, begin - j, inside - j), packed, at + j, 0)
                elif packing.stride_w == 2:
                    for j in range(0, row_stride, lanes(image)):
                        store(load_part(image, source + 2 * j, 2, begin - j, inside - j), packed, at + j, 0)
                else:
                    for j in range(row_stride):
                        packed[at + j] = 0
                        if begin <= j < inside:
                            packed[at + j] = image[n, first + c, row, j * packing.stride_w + column]
                at += row_stride
                row += packing.stride_h
            for _ in range(packing.plane - packing.rows * row_stride):
                packed[at] = 0
                at += 1


@inner
def unpack(computed, step, bias, row_stride, job, row, column, n, top, first, channels, y):
    """Copy the computed pixels that exist, plus the bias, to y[n, first:first + channels]."""
    height, width = y.shape[2], y.shape[3]
    begin = max(0, -(column // job.stride_w))
    end = min(job.columns, -((column - width) // job.stride_w))
    for c in range(channels):
        number = bias[first + c]
        for i in range(job.band):
            y_row = (top + i) * job.stride_h + row
            if 0 <= y_row < height:
                source = c * step + i * row_stride
                if job.stride_w == 1:
                    target = ((n * y.shape[1] + first + c) * height + y_row) * width + column
                    for j in range(begin, end, lanes(y)):
                        vector = load_part(computed, source + j, 1, 0, lanes(y))
                        store_sum(vector, number, y, target + j, end - j)
                else:
                    for j in range(begin, end):
                        y[n, first + c, y_row, j * job.stride_w + column] = computed[source + j] + number


@inner
def pack_weights(w, job, tables, weights):
    """weights[group, pass, block of channels, tap, channel in the block], as the tiles read them."""
    at = 0
    for group in range(job.groups):
        for k in range(tables.passes.shape[0]):
            for block in range(job.blocks):
                first = group * job.weight_group + block * job.rows * job.weight_channel
                rows = min(job.rows, job.channels - block * job.rows)
                for tap in range(tables.passes[k, 0], tables.passes[k, 1]):
                    source = first + tables.tap_weights[tap]
                    for r in range(rows):
                        weights[at + r] = w[source + r * job.weight_channel]
                    for r in range(rows, job.rows):
                        weights[at + r] = 0
                    at += job.rows
