"""How a convolution is laid out in memory: plain Python arithmetic, done once for each shape of layer.

For output (i, j) of sample n, tap (c, u, v) multiplies the pixel xp[n, c, i s + u d, j s + v d]: xp is x with
zeros around it, s the stride, d the dilation. Pack xp with `row_stride` numbers a row and count the outputs
p = i * row_stride + j: that pixel lies at p + shift[c, u, v], a constant for each tap.

                 j=0        W-1
       . . . . . . . . . .           With stride s, xp is packed as s x s images ("phases"), each of every
       . x x x x x x x x (.)         s-th row and column: within its phase a tap again walks by one. The
       . x x x x x x x x (.)         gradient of the input at stride s is, the other way round, one stride-1
       . x x x x x x x x (.)         pass over dy for each of the s x s phases of dx, with the taps that
       . . . . . . . . . .           reach it.
                          row_stride = W + 1: the zero at a row's end is the one at the next row's beginning
"""

import functools
import typing

import numpy as np

from tinygrad_course.kernels.tile import DOTS_ROWS, DOTS_VECTORS, OUTER_ROWS

FIRST_CACHE = 1 << 12  # numbers that surely stay in a processor's first-level cache,
SECOND_CACHE = 1 << 16  # and in its second: 256 KB of float32
SLACK = 256  # room after a packed image: the last tile reads, the last row writes past its end

ONE_PHASE = np.zeros((1, 2), np.int64)


class Packing(typing.NamedTuple):
    """How the channels of one group lie in a packed buffer: by channel, then by phase, then by row."""

    channels: int
    stride_h: int
    stride_w: int
    top: int  # rows of zeros above the image, and columns at its left
    left: int
    rows: int
    row_stride: int
    phases: int
    plane: int  # distance between two phases: rows * row_stride, or more
    numbers: int  # in all


class Job(typing.NamedTuple):
    """What is computed of one group."""

    groups: int
    channels: int  # produced
    rows: int  # of them, that a tile computes at once
    blocks: int  # tiles that make up all channels
    taps: int
    weight_group: int  # distance in w between two groups, and between two produced channels
    weight_channel: int
    band: int  # output rows computed at once, and how many such bands a sample has
    bands: int
    columns: int  # output columns
    stride_h: int  # output (i, j) lands in row i * stride_h + row, column j * stride_w + column (see passes)
    stride_w: int


class Tables(typing.NamedTuple):
    """What a Correlation looks up."""

    phases: np.ndarray  # (phases, 2): the first row and column of each
    shifts: np.ndarray  # (taps,)
    tap_weights: np.ndarray  # (taps,): where in w each tap's number is
    passes: np.ndarray  # (passes, 4): first tap, last tap, row, column


class Correlation(typing.NamedTuple):
    """A packed image times all its taps: the forward pass, and the gradient of the input."""

    packing: Packing
    job: Job
    tables: Tables


class WeightGradient(typing.NamedTuple):
    """A packed image against a packed dy: the gradient of the weight."""

    packing: Packing
    phases: np.ndarray
    dy_packing: Packing
    dy_phases: np.ndarray
    job: Job
    shifts: np.ndarray  # (taps,), filled up to whole tiles
    together: int  # bands that are summed before a tile's lanes are


def ceil_div(a, b):
    return -(-a // b)


def _packing(channels, stride, top, left, rows, row_stride, phases=1, plane=None):
    plane = plane or rows * row_stride
    return Packing(channels, *stride, top, left, rows, row_stride, phases, plane, channels * phases * plane)


def _tile_rows(channels, rows):
    """Depthwise convolution has one channel a group: a tile of one row then wastes nothing."""
    rows = 1 if 4 * channels <= rows else rows
    return rows, ceil_div(channels, rows)


def _row_stride(columns, reach, left, width, stride):
    """Columns of a packed row: all that a tap may touch, less the zeros shared with the next row's left."""
    touched = columns + reach
    zeros_left = max(0, left // stride)
    zeros_right = max(0, touched - max(0, ceil_div(width + left, stride)))
    return max(touched - min(zeros_left, zeros_right), columns)


def _bands(rows, numbers_a_row):
    """Rows are computed in equal bands whose packed image fits the cache."""
    bands = min(rows, max(1, ceil_div(rows * numbers_a_row, SECOND_CACHE)))
    band = ceil_div(rows, bands)
    return band, ceil_div(rows, band)


def _steps(kernel, dilation, stride):
    """Tap k of an axis is at k d = q s + phase: [(q, phase), ...], and the largest q."""
    return [divmod(k * dilation, stride) for k in range(kernel)], (kernel - 1) * dilation // stride


@functools.lru_cache(maxsize=256)
def forward_plan(x_shape, w_shape, stride, padding, dilation, groups):
    """The Correlation that gives y from x (C, H, W) and w, and y's height and width."""
    _, height, width = x_shape
    out_channels, channels, kernel_h, kernel_w = w_shape
    (top, bottom), (left, right) = padding
    out_h = (height + top + bottom - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    out_w = (width + left + right - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    steps_h, reach_h = _steps(kernel_h, dilation[0], stride[0])
    steps_w, reach_w = _steps(kernel_w, dilation[1], stride[1])
    phases = sorted({(a, b) for _, a in steps_h for _, b in steps_w})
    row_stride = _row_stride(out_w, reach_w, left, width, stride[1])
    band, bands = _bands(out_h, channels * len(phases) * row_stride)
    packing = _packing(channels, stride, top, left, band + reach_h, row_stride, len(phases))
    shifts = np.array([
        (c * len(phases) + phases.index((a, b))) * packing.plane + i * row_stride + j
        for c in range(channels)
        for i, a in steps_h
        for j, b in steps_w
    ])  # fmt: skip
    taps, out_group = len(shifts), out_channels // groups
    rows, blocks = _tile_rows(out_group, OUTER_ROWS)
    job = Job(groups, out_group, rows, blocks, taps, out_group * taps, taps, band, bands, out_w, 1, 1)
    passes = np.array([[0, taps, 0, 0]])
    tables = Tables(np.array(phases), shifts, np.arange(taps), passes)
    return Correlation(packing, job, tables), (out_h, out_w)


@functools.lru_cache(maxsize=256)
def input_grad_plan(x_shape, w_shape, dy_size, stride, padding, dilation, groups):
    """The Correlation that gives dx (C, H, W) from dy and w.

    dx's row r, r + top = q s + a, gathers w[u] dy[q - (u d) // s] over the taps u with (u d) % s == a.
    """
    _, height, width = x_shape
    out_channels, channels, kernel_h, kernel_w = w_shape
    (top, _), (left, _) = padding
    out_group, area = out_channels // groups, kernel_h * kernel_w
    steps_h, reach_h = _steps(kernel_h, dilation[0], stride[0])
    steps_w, reach_w = _steps(kernel_w, dilation[1], stride[1])
    first_h, first_w = top // stride[0], left // stride[1]  # the first q with a row of x in some phase
    grid_h = ceil_div(height + top, stride[0]) - first_h
    grid_w = ceil_div(width + left, stride[1]) - first_w
    row_stride = _row_stride(grid_w, reach_w, reach_w - first_w, dy_size[1], 1)
    band, bands = _bands(grid_h, out_group * row_stride)
    dy_top, dy_left = reach_h - first_h, reach_w - first_w
    packing = _packing(out_group, (1, 1), dy_top, dy_left, band + reach_h, row_stride)
    shifts, tap_weights, passes = [], [], []
    for a in range(stride[0]):
        for b in range(stride[1]):
            first = len(shifts)
            for o in range(out_group):
                for u, (i, phase_h) in enumerate(steps_h):
                    for v, (j, phase_w) in enumerate(steps_w):
                        if (phase_h, phase_w) == (a, b):
                            shifts.append(o * packing.plane + (reach_h - i) * row_stride + reach_w - j)
                            tap_weights.append(o * channels * area + u * kernel_w + v)
            row, column = first_h * stride[0] + a - top, first_w * stride[1] + b - left
            passes.append([first, len(shifts), row, column])
    rows, blocks = _tile_rows(channels, OUTER_ROWS)
    job = Job(
        groups, channels, rows, blocks, len(shifts), out_group * channels * area, area,
        band, bands, grid_w, *stride,
    )  # fmt: skip
    tables = Tables(ONE_PHASE, np.array(shifts, np.int64), np.array(tap_weights, np.int64), np.array(passes))
    return Correlation(packing, job, tables)


@functools.lru_cache(maxsize=256)
def weight_grad_plan(x_shape, w_shape, stride, padding, dilation, groups):
    """x packed as for the forward pass; dy with the same row stride, so that both walk in step."""
    forward, _ = forward_plan(x_shape, w_shape, stride, padding, dilation, groups)
    packing, job = forward.packing, forward.job
    rows, blocks = _tile_rows(job.channels, DOTS_ROWS)
    job = job._replace(rows=rows, blocks=blocks)
    shifts = np.pad(forward.tables.shifts, (0, -job.taps % DOTS_VECTORS))
    plane = ceil_div(job.band * packing.row_stride, 16) * 16  # whole vectors of whatever length
    dy_packing = _packing(job.channels, (1, 1), 0, 0, job.band, packing.row_stride, plane=plane)
    # a tile's rows of dy should stay in the first-level cache, all that is packed in the second
    fit_first = FIRST_CACHE // (rows * plane)
    fit_second = SECOND_CACHE // (packing.numbers + dy_packing.numbers)
    together = max(1, min(fit_first, fit_second))
    return WeightGradient(packing, forward.tables.phases, dy_packing, ONE_PHASE, job, shifts, together)
