"""How a convolution is laid out in memory: plain Python arithmetic, done once for each shape of layer.

For output (i, j) of sample n, tap (c, u, v) multiplies the pixel xp[n, c, i s + u d, j s + v d]: xp is x with
zeros around it, s the stride, d the dilation. Copy xp into a buffer with `row_stride` numbers a row and `plane`
a channel; then that pixel lies at

    places[i, j] + shifts[c, u, v]       places[i, j]    = i s row_stride + j s
                                         shifts[c, u, v] = c plane + u d row_stride + v d

and a convolution is a loop over shifts for each place. The gradient of the weight is the other way round: a
loop over places for each shift. The gradient of the input at stride 1 is a convolution of dy, padded, with the
flipped weight; at stride s, one for each of the s x s phases of dx (every s-th row and column), with the taps
that reach it.
"""

import functools
import typing

import numpy as np

from tinygrad_course.kernels.tile import ROWS, VECTORS
from tinygrad_course.kernels.vector import VECTOR_BYTES

SECOND_CACHE = 1 << 18  # bytes that surely stay in a processor's second-level cache


class Packing(typing.NamedTuple):
    """How the channels of one group lie in a buffer: by unit (see Job), by channel, by row."""

    direct: int  # 1 if the image needs no zeros around it: then it is read where it is
    channels: int
    top: int  # rows of zeros above the image, and columns at its left
    left: int
    rows: int
    row_stride: int
    plane: int
    numbers: int  # of one unit
    band_rows: int  # rows of the image between two bands


class Job(typing.NamedTuple):
    """What is computed of one group. Work comes in units: a sample, or where that is much, a band of its rows."""

    groups: int
    channels: int  # produced
    width: int  # of them, that a tile computes at once
    blocks: int  # tiles that make up all channels
    taps: int
    weight_group: int  # distance in w between two groups, and between two produced channels
    weight_channel: int
    band: int  # output rows computed at once, and how many such bands a sample has
    bands: int
    together: int  # units computed at once, where a sample is one: small images
    stride_h: int  # result (i, j) of a pass lands in row i * stride_h + row, column j * stride_w + column
    stride_w: int


class Tables(typing.NamedTuple):
    """What the kernels look up."""

    shifts: np.ndarray  # (taps,), and some more, so that there is room for whole tiles
    weights: np.ndarray  # (taps,): where in w each tap's number is
    places: np.ndarray  # of all passes, each with some more
    passes: np.ndarray  # (passes, 7): first tap, last tap, first place, rows, columns, row, column; by row, column


class Plan(typing.NamedTuple):
    packing: Packing
    job: Job
    tables: Tables


def ceil_div(a, b):
    return -(-a // b)


def _filled(numbers):
    """A table, with some numbers more: its length is how many results the tiles write."""
    return np.pad(np.asarray(numbers, np.int64).reshape(-1), (0, ROWS))


def _packing(shape, channels, before, needed_rows, row_stride, band_rows, direct, itemsize):
    """The Packing of units with `needed_rows` rows of `row_stride` numbers."""
    _, height, width = shape
    if direct:
        return Packing(1, channels, 0, 0, height, width, height * width, shape[0] * height * width, band_rows)
    plane = needed_rows * row_stride
    if plane * itemsize % 1024 < 64:  # neighbouring channels would fight for the same places of the cache
        plane += 64 // itemsize
    return Packing(0, channels, *before, needed_rows, row_stride, plane, channels * plane, band_rows)


def _units(rows, unit_bytes):
    """(rows of a band, bands of a sample, units together) of a sample whose packed image has `unit_bytes`."""
    bands = min(rows, max(1, ceil_div(unit_bytes, SECOND_CACHE)))
    band = ceil_div(rows, bands)
    bands = ceil_div(rows, band)
    together = max(1, SECOND_CACHE // 2 // unit_bytes) if bands == 1 else 1
    return band, bands, together


def _places(packing, together, rows, columns, row_step, column_step, origin):
    units = np.arange(together)[:, None, None] * packing.numbers
    i = np.arange(rows)[:, None] * row_step * packing.row_stride
    return origin + units + i + np.arange(columns) * column_step


def lanes_of_channels(channels, itemsize):
    """How many channels a tile computes whose lanes are channels: one vector where that is enough."""
    lanes = VECTOR_BYTES // itemsize
    return lanes if channels <= lanes else VECTORS * lanes


def rows_of_channels(channels):
    """How many channels a tile computes whose lanes are pixels."""
    return 1 if channels == 1 else 3 if channels <= 3 else 6


def pixels_pay(channels, packed_columns, columns, itemsize):
    """Whether to compute `channels` with lanes of pixels: then of the packed columns only `columns` are results."""
    width, rows = lanes_of_channels(channels, itemsize), rows_of_channels(channels)
    of_channels = ceil_div(channels, width) * width
    if width == VECTOR_BYTES // itemsize:  # too few sums at once to keep a processor busy
        of_channels *= 4 / 3
    return ceil_div(channels, rows) * rows * packed_columns < 0.9 * of_channels * columns


def output_size(size, kernel_size, stride, padding, dilation):
    """y's height and width."""
    return tuple([
        (n + before + after - d * (k - 1) - 1) // s + 1
        for n, k, s, (before, after), d in zip(size, kernel_size, stride, padding, dilation)
    ])  # fmt: skip


@functools.lru_cache(maxsize=256)
def forward_plan(x_shape, w_shape, stride, padding, dilation, groups, width, itemsize):
    """The Plan that gives y from x (C, H, W) and w, `width` channels at once."""
    _, height, x_width = x_shape
    out_channels, channels, kernel_h, kernel_w = w_shape
    (top, bottom), (left, right) = padding
    reach_h, reach_w = dilation[0] * (kernel_h - 1), dilation[1] * (kernel_w - 1)
    out_h, out_w = output_size(x_shape[1:], w_shape[2:], stride, padding, dilation)
    direct = not any((top, bottom, left, right)) and (channels <= 8 or height * x_width * itemsize % 1024 >= 64)
    row_stride = (out_w - 1) * stride[1] + reach_w + 1
    unit_rows = (out_h - 1) * stride[0] + reach_h + 1
    band, bands, together = _units(out_h, itemsize * channels * unit_rows * row_stride)
    band_rows = band * stride[0]
    needed_rows = (band - 1) * stride[0] + reach_h + 1
    packing = _packing(x_shape, channels, (top, left), needed_rows, row_stride, band_rows, direct, itemsize)
    c, u, v = np.ogrid[:channels, :kernel_h, :kernel_w]
    shifts = c * packing.plane + u * dilation[0] * packing.row_stride + v * dilation[1]
    taps, out_group = shifts.size, out_channels // groups
    job = Job(
        groups, out_group, width, ceil_div(out_group, width), taps, out_group * taps, taps,
        band, bands, together, 1, 1,
    )  # fmt: skip
    places = _places(packing, together, band, out_w, *stride, 0)
    passes = np.array([[0, taps, 0, out_h, out_w, 0, 0]])
    tables = Tables(_filled(shifts), np.arange(taps), _filled(places), passes)
    return Plan(packing, job, tables)


@functools.lru_cache(maxsize=256)
def input_grad_plan(x_shape, w_shape, dy_size, stride, padding, dilation, groups, width, itemsize):
    """The Plan that gives dx (C, H, W) from dy and w, `width` channels at once.

    dx's row r, r + top = q s + a, gathers w[u] dy[q - (u d) // s] over the taps u with (u d) % s == a.
    """
    out_channels, channels, kernel_h, kernel_w = w_shape
    out_group, area = out_channels // groups, kernel_h * kernel_w
    axes = [
        _phases(size, kernel, s, before, d)
        for size, kernel, s, (before, _), d in zip(x_shape[1:], w_shape[2:], stride, padding, dilation, strict=True)
    ]
    (phases_h, first_h, rows, reach_h), (phases_w, first_w, columns, reach_w) = axes
    row_stride, unit_rows = columns + reach_w, rows + reach_h
    band, bands, together = _units(rows, itemsize * out_group * unit_rows * row_stride)
    before = reach_h - first_h, reach_w - first_w
    shape = (out_channels, *dy_size)
    late = max(q for q, *_ in phases_h) - first_h  # rows by which a phase begins after the first one
    needed_rows = min(band + late, rows) + reach_h
    packing = _packing(shape, out_group, before, needed_rows, row_stride, band, False, itemsize)
    shifts, weights, places, passes = [], [], [], []
    widest = ceil_div(x_shape[2], stride[1])  # a pass computes so many columns, the last, maybe, beyond dx
    for q_h, count_h, row, steps_h in phases_h:
        for q_w, _, column, steps_w in phases_w:
            first, first_place = len(shifts), sum(map(len, places))
            for o in range(out_group):
                for u, i in steps_h:
                    for v, j in steps_w:
                        shifts.append(o * packing.plane + (reach_h - i) * row_stride + reach_w - j)
                        weights.append(o * channels * area + u * kernel_w + v)
            origin = (q_h - first_h) * row_stride + q_w - first_w
            places.append(_filled(_places(packing, together, min(band, count_h), widest, 1, 1, origin)))
            passes.append([first, len(shifts), first_place, count_h, widest, row, column])
    job = Job(
        groups, channels, width, ceil_div(channels, width), len(shifts), out_group * channels * area, area,
        band, bands, together, *stride,
    )  # fmt: skip
    tables = Tables(_filled(shifts), np.array(weights, np.int64), np.concatenate(places), np.array(passes))
    return Plan(packing, job, tables)


def _phases(size, kernel, stride, before, dilation):
    """One axis of dx: [(first q, how many, the first's place in dx, [(tap, q's it reaches back), ...]) per phase].

    Also the smallest q of all phases, how many q's there are from there on, and the farthest that a tap reaches.
    """
    steps = [divmod(tap * dilation, stride) for tap in range(kernel)]
    phases = []
    for a in range(stride):
        q = max(0, ceil_div(before - a, stride))
        place = q * stride + a - before
        count = max(0, ceil_div(size - place, stride))
        phases.append((q, count, place, [(tap, back) for tap, (back, phase) in enumerate(steps) if phase == a]))
    phases.sort(key=lambda phase: phase[2])  # so phase k begins at place k
    first = min(q for q, *_ in phases)
    return phases, first, max(q + count for q, count, *_ in phases) - first, steps[-1][0]
