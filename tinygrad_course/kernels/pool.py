"""Max and average pooling over the planes of x (N, C, H, W). A thread owns some planes.

A window is pooled along its height first, then along its width:
1. Row h of `rows` pools the rows of x below output row h, all W columns at once. `rows` has padding, and is
   stride · columns wide, so that output (h, o), number j = h · columns + o, begins at rows[stride · j].
2. So tap v of all windows of the plane is rows[stride · j + v · dilation]: one long loop over j a tap. Where windows
   reach over the last stride, columns is greater than y's width: outputs that straddle two rows are dropped.
"""

import numpy as np

from .buffers import empty
from .jit import inner, part, shared

SERIAL_BELOW = 16_000  # elements of x
_ONE = np.array([0]), np.array([1])  # one window, of one number


@inner
def _inside(start, stride, size, count):
    """first, last: where 0 ≤ start + i · stride < size, for i in 0 … count."""
    first = min(max(0, -(start // stride)), count)
    return first, min(max(first, (size - 1 - start) // stride + 1), count)


@inner
def _larger(value, place, best, best_place):
    """Whether value wins: greater; or equal and earlier in scan order; or NaN, over numbers and earlier NaN.

    The places are compared without their sign: −1, the place of padding, comes last.
    """
    earlier = np.uint32(place) < np.uint32(best_place)
    if value != value:
        return best == best or not earlier
    return value > best or (value == best and earlier)


@inner
def _max_tap(value, place, best, best_place, stride):
    for j in range(best.size):
        wins = _larger(value[j * stride], place[j * stride], best[j], best_place[j])
        best[j] = value[j * stride] if wins else best[j]
        best_place[j] = place[j * stride] if wins else best_place[j]


@shared
def _max_planes(thread, threads, x, y, index, output_size, kernel_size, stride, padding, dilation):
    H, W = x.shape[1:]
    OH, OW = output_size
    columns = OW + (kernel_size[1] - 1) * dilation[1] // stride[1]
    width = columns * stride[1]
    covered = min(W, width - padding[1])  # columns of x that some window may reach
    rows, row_places = np.empty(OH * width, x.dtype), np.empty(OH * width, np.int32)
    rows[:] = -np.inf
    row_places[:] = -1
    count = (OH - 1) * columns + OW
    best, best_place = np.empty(count, x.dtype), np.empty(count, np.int32)
    for plane in part(thread, threads, x.shape[0]):
        for h in range(OH):
            own = slice(h * width + padding[1], h * width + padding[1] + covered)
            row, row_place = rows[own], row_places[own]
            top = h * stride[0] - padding[0]
            first, last = _inside(top, dilation[0], H, kernel_size[0])
            for u in range(first, last):
                at = (top + u * dilation[0]) * W
                source = x[plane, top + u * dilation[0]]
                if u == first:
                    for w in range(row.size):
                        row[w] = source[w]
                        row_place[w] = np.int32(at + w)
                else:
                    for w in range(row.size):
                        wins = source[w] > row[w] or source[w] != source[w]
                        row[w] = source[w] if wins else row[w]
                        row_place[w] = np.int32(at + w) if wins else row_place[w]
        if columns == OW:
            best, best_place = y[plane], index[plane]
        for j in range(count):
            best[j] = rows[j * stride[1]]
            best_place[j] = row_places[j * stride[1]]
        for v in range(1, kernel_size[1]):
            value, place = rows[v * dilation[1] :], row_places[v * dilation[1] :]
            if stride[1] == 1:  # a constant stride is vectorized
                _max_tap(value, place, best, best_place, 1)
            elif stride[1] == 2:
                _max_tap(value, place, best, best_place, 2)
            else:
                _max_tap(value, place, best, best_place, stride[1])
        if columns != OW:
            for h in range(OH):
                best_row, place_row = best[h * columns :], best_place[h * columns :]
                y_row, index_row = y[plane, h * OW :], index[plane, h * OW :]
                for o in range(OW):
                    y_row[o] = best_row[o]
                    index_row[o] = place_row[o]


def max_pool2d_forward(x, kernel, stride, padding, dilation, output_size):
    """(y, index) of x (N, C, H, W): y[n, c, h, w] = the maximum of its window; y, index (N, C, OH, OW).

    kernel, stride, padding, dilation, output_size are pairs (height, width). Outside x lies −inf: windows may
    overhang on each side. index (int32) is the maximum's place in the plane, row · W + column: the first in scan order
    where several are equal; NaN is greater than all, the last NaN counting, as in PyTorch. No tap: −inf and −1.
    """
    N, C, H, W = x.shape
    if _whole(x.shape, kernel, padding, output_size) and _pair(dilation) == (1, 1):
        return max_windows(x.reshape(N, C, 1, H * W), _ONE, (_ONE[0], np.array([H * W])))
    y = empty((N, C, *output_size), x.dtype)
    index = empty(y.shape, np.int32)
    if y.size:
        loop = _max_planes.serial if _small(x) else _max_planes
        loop(
            x.reshape(N * C, H, W), y.reshape(N * C, -1), index.reshape(N * C, -1), _pair(output_size),
            _pair(kernel), _pair(stride), _pair(padding), _pair(dilation),
        )  # fmt: skip
    return y, index


@shared(borrows=True)
def _max_windows(thread, threads, x, y, index, top, bottom, left, right):
    W = x.shape[2]
    for plane in part(thread, threads, len(x)):
        place = 0
        for h in range(top.size):
            for o in range(left.size):
                best, best_place = x[plane, top[h], left[o]], top[h] * W + left[o]
                for i in range(top[h], bottom[h]):
                    row = x[plane, i, left[o] : right[o]]
                    for j in range(row.size):
                        if row[j] > best or row[j] != row[j]:
                            best, best_place = row[j], i * W + left[o] + j
                y[plane, place] = best
                index[plane, place] = best_place
                place += 1


def max_windows(x, rows, columns):
    """(y, index) as `max_pool2d_forward` gives them, of windows of any size, none of them empty.

    rows and columns are pairs of integer arrays: where the windows along the axis begin, and where they end.
    """
    N, C, H, W = x.shape
    y = empty((N, C, rows[0].size, columns[0].size), x.dtype)
    index = empty(y.shape, np.int32)
    if y.size:
        loop = _max_windows.serial if _small(x) else _max_windows
        loop(x.reshape(N * C, H, W), y.reshape(N * C, -1), index.reshape(N * C, -1), *rows, *columns)
    return y, index


def _small(x):
    """Whether to take one thread: for little work, and for float64, which is for gradient checks."""
    return x.size < SERIAL_BELOW or x.itemsize > 4


def _pair(numbers):
    return int(numbers[0]), int(numbers[1])


@shared(borrows=True)
def _scatter(thread, threads, dy, index, dx):
    for plane in part(thread, threads, len(dy)):
        gradient, place, target = dy[plane], index[plane], dx[plane]
        _clear(target)
        for o in range(gradient.size):
            if place[o] >= 0:
                target[place[o]] += gradient[o]


def max_pool2d_backward(dy, index, x_shape):
    """dx (x_shape): each dy, (N, C, OH, OW), is added at the place its maximum came from."""
    N, C, H, W = x_shape
    if dy.size == 0:
        return np.zeros(x_shape, dy.dtype)
    dx = empty((N * C, H * W), dy.dtype)
    loop = _scatter.serial if _small(dx) else _scatter
    loop(dy.reshape(N * C, -1), index.reshape(N * C, -1), dx)
    return dx.reshape(x_shape)


@inner
def _span(o, kernel_size, stride, padding, size):
    """Output o's window along one axis: its part inside, first to last, and its length for the divisor.

    PyTorch's rule: the padding counts in that length, what overhangs the padding (ceil_mode) does not.
    """
    start = o * stride - padding
    stop = min(start + kernel_size, size + padding)
    return max(start, 0), min(stop, size), stop - start


@inner
def _average_tap(tap, sums, stride, backward):
    if backward:
        for j in range(sums.size):
            tap[j * stride] += sums[j]
    else:
        for j in range(sums.size):
            sums[j] += tap[j * stride]


@shared
def _average_planes(thread, threads, x, y, output_size, kernel_size, stride, padding, include, override, backward):
    """y ← the averages of x's windows; backward: the same way in reverse, x ← the gradient, y being dy."""
    H, W = x.shape[1:]
    OH, OW = output_size
    columns = OW + (kernel_size[1] - 1) // stride[1]
    width = columns * stride[1]
    covered = min(W, width - padding[1])
    rows = np.zeros(OH * width, x.dtype)
    sums, divisors = np.zeros((OH, columns), x.dtype), np.ones((OH, columns), x.dtype)
    for h in range(OH):
        for o in range(OW):
            top, bottom, height = _span(h, kernel_size[0], stride[0], padding[0], H)
            left, right, length = _span(o, kernel_size[1], stride[1], padding[1], W)
            size = height * length if include else (bottom - top) * (right - left)
            divisors[h, o] = override if override != 0 else size
    flat = sums.reshape(-1)[: (OH - 1) * columns + OW]
    for plane in part(thread, threads, x.shape[0]):
        if backward:
            _clear(x[plane].reshape(-1))
            _clear(rows)
            for h in range(OH):
                y_row = y[plane, h * OW :]
                for o in range(OW):
                    sums[h, o] = y_row[o] / divisors[h, o]
        else:
            for h in range(OH):
                row = rows[h * width + padding[1] : h * width + padding[1] + covered]
                top, bottom, _ = _span(h, kernel_size[0], stride[0], padding[0], H)
                for i in range(top, bottom):
                    source = x[plane, i]
                    for w in range(row.size):
                        row[w] = source[w] if i == top else row[w] + source[w]
            _clear(flat)
        for v in range(kernel_size[1]):
            if stride[1] == 1:  # a constant stride is vectorized
                _average_tap(rows[v:], flat, 1, backward)
            elif stride[1] == 2:
                _average_tap(rows[v:], flat, 2, backward)
            else:
                _average_tap(rows[v:], flat, stride[1], backward)
        for h in range(OH):
            if backward:
                row = rows[h * width + padding[1] : h * width + padding[1] + covered]
                top, bottom, _ = _span(h, kernel_size[0], stride[0], padding[0], H)
                for i in range(top, bottom):
                    target = x[plane, i]
                    for w in range(row.size):
                        target[w] += row[w]
            else:
                y_row = y[plane, h * OW :]
                for o in range(OW):
                    y_row[o] = sums[h, o] / divisors[h, o]


@inner(borrows=True)
def _clear(row):
    for i in range(row.size):
        row[i] = 0


def _average(x, y, kernel_size, stride, padding, count_include_pad, divisor_override, backward):
    N, C, H, W = x.shape
    (_average_planes.serial if _small(x) else _average_planes)(
        x.reshape(N * C, H, W), y.reshape(N * C, -1), y.shape[2:], _pair(kernel_size), _pair(stride),
        _pair(padding), bool(count_include_pad), int(divisor_override or 0), backward,
    )  # fmt: skip


def _whole(x_shape, kernel, padding, output_size):
    """Whether one window is the whole plane (global pooling), which NumPy does as well."""
    reaches = kernel[0] >= x_shape[2] and kernel[1] >= x_shape[3]
    return reaches and tuple(output_size) == (1, 1) and tuple(padding) == (0, 0)


def avg_pool2d_forward(x, kernel, stride, padding, output_size, count_include_pad, divisor_override):
    """y (N, C, OH, OW): the sum of each window of x (N, C, H, W), divided by its size.

    kernel, stride, padding, output_size are pairs (height, width). The size counts the padding if count_include_pad,
    but never what overhangs the padding (ceil_mode); divisor_override, an int or None, replaces it.
    """
    if _whole(x.shape, kernel, padding, output_size) and x.size:
        return x.sum((2, 3), keepdims=True) / x.dtype.type(divisor_override or x.shape[2] * x.shape[3])
    y = empty((*x.shape[:2], *output_size), x.dtype)
    if y.size:
        _average(x, y, kernel, stride, padding, count_include_pad, divisor_override, False)
    return y


def avg_pool2d_backward(dy, x_shape, kernel, stride, padding, count_include_pad, divisor_override):
    """dx (x_shape) of `avg_pool2d_forward`: each dy / size is added to the whole of its window."""
    if dy.size == 0:
        return np.zeros(x_shape, dy.dtype)
    dx = empty(x_shape, dy.dtype)
    if _whole(x_shape, kernel, padding, dy.shape[2:]):
        dx[...] = dy / dy.dtype.type(divisor_override or x_shape[2] * x_shape[3])
        return dx
    _average(dx, dy, kernel, stride, padding, count_include_pad, divisor_override, True)
    return dx
