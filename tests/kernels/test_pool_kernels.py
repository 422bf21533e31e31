"""The pooling kernels against window-by-window loops, over random geometries with ties, NaN and overhang."""

import numpy as np
import pytest

from tinygrad_course.kernels import module, pool

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


def _max_pool(x, kernel, stride, padding, dilation, output_size):
    N, C, H, W = x.shape
    y = np.full((N, C, *output_size), -np.inf)
    index = np.full(y.shape, -1)
    for n, c, h, o in np.ndindex(y.shape):
        for u in range(kernel[0]):
            for v in range(kernel[1]):
                i = h * stride[0] - padding[0] + u * dilation[0]
                j = o * stride[1] - padding[1] + v * dilation[1]
                if 0 <= i < H and 0 <= j < W:
                    value = x[n, c, i, j]
                    if index[n, c, h, o] < 0 or value > y[n, c, h, o] or np.isnan(value):
                        y[n, c, h, o], index[n, c, h, o] = value, i * W + j
    return y, index


def _max_pool_backward(dy, index, x_shape):
    dx = np.zeros(x_shape)
    planes = dx.reshape(*x_shape[:2], -1)
    for n, c, h, o in np.ndindex(dy.shape):
        if index[n, c, h, o] >= 0:
            planes[n, c, index[n, c, h, o]] += dy[n, c, h, o]
    return dx


def _avg_windows(x_shape, kernel, stride, padding, output_size, count_include_pad, divisor_override):
    """Each output's (h, o, rows, columns, divisor), by PyTorch's rule."""
    for h, o in np.ndindex(*output_size):
        spans, size = [], 1
        for at, k, s, p, length in zip((h, o), kernel, stride, padding, x_shape[2:], strict=True):
            start, stop = at * s - p, min(at * s - p + k, length + p)
            inside = slice(max(start, 0), min(stop, length))
            size *= stop - start if count_include_pad else inside.stop - inside.start
            spans.append(inside)
        yield h, o, *spans, divisor_override or size


def _geometries(count, dilated, seed):
    """Random ones that PyTorch allows: padding up to half the kernel, the last window begins inside."""
    random = np.random.default_rng(seed)
    while count:
        sizes = random.integers(1, 13, 2)
        kernel, stride = random.integers(1, 5, 2), random.integers(1, 5, 2)
        dilation = random.integers(1, 3, 2) if dilated else np.ones(2, int)
        padding = random.integers(0, kernel // 2 + 1)
        room = sizes + 2 * padding - dilation * (kernel - 1) - 1
        if (room < 0).any():
            continue
        outputs = room // stride + 1
        if random.integers(2):  # ceil_mode
            outputs = -(-room // stride) + 1
            outputs -= (outputs - 1) * stride >= sizes + padding
        count -= 1
        pairs = [tuple(int(n) for n in pair) for pair in (kernel, stride, padding, dilation, outputs)]
        yield random, (*random.integers(1, 5, 2).tolist(), *sizes.tolist()), *pairs


def _close(actual, expected, dtype):
    assert actual.dtype == dtype and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("values", ["numbers", "ties", "specials"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_max_pool(dtype, values):
    for random, shape, *geometry in _geometries(60, dilated=True, seed=0):
        x = random.standard_normal(shape).astype(dtype)
        if values != "numbers":
            x = np.round(x)
        if values == "specials":
            x[random.random(shape) < 0.1] = np.nan
            x[random.random(shape) < 0.4] = -np.inf
        y, index = pool.max_pool2d_forward(x, *geometry)
        expected, expected_index = _max_pool(x, *geometry)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(index, expected_index)
        assert y.dtype == dtype and index.dtype == np.int32
        dy = random.standard_normal(y.shape).astype(dtype)
        _close(pool.max_pool2d_backward(dy, index, shape), _max_pool_backward(dy, index, shape), dtype)


@pytest.mark.parametrize("values", ["numbers", "ties", "specials"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_max_windows(dtype, values):
    """Of any sizes, overlapping, in any order, against one loop a window; and the whole plane as one window."""
    random = np.random.default_rng(5)
    for shape in ((1, 1, 1, 1), (2, 3, 7, 7), (3, 5, 16, 13), (2, 37, 31, 17)):
        x = random.standard_normal(shape).astype(dtype)
        x = x if values == "numbers" else np.round(x)
        if values == "specials":
            x[random.random(shape) < 0.1] = np.nan
            x[random.random(shape) < 0.4] = -np.inf
        bounds = []
        for size in shape[2:]:
            begin = random.integers(0, size, 4)
            bounds.append((begin, begin + random.integers(1, size - begin + 1)))
        y, index = pool.max_windows(x, *bounds)
        for h, o in np.ndindex(4, 4):
            (top, left), (bottom, right) = [[int(axis[end][i]) for axis, i in zip(bounds, (h, o))] for end in (0, 1)]
            window = np.ascontiguousarray(x[:, :, top:bottom, left:right])
            best, place = _max_pool(window, *[window.shape[2:]] * 2, (0, 0), (1, 1), (1, 1))
            np.testing.assert_array_equal(y[:, :, h, o], best[:, :, 0, 0])
            rows, columns = np.divmod(place[:, :, 0, 0], right - left)
            np.testing.assert_array_equal(index[:, :, h, o], (top + rows) * shape[3] + left + columns)
        whole = [shape[2:]] * 2 + [(0, 0), (1, 1), (1, 1)]
        for actual, expected in zip(pool.max_pool2d_forward(x, *whole), _max_pool(x, *whole)):
            np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_avg_pool(dtype, include):
    for random, shape, kernel, stride, padding, _, outputs in _geometries(60, dilated=False, seed=1):
        override = int(random.integers(1, 6)) if random.random() < 0.3 else None
        x = random.standard_normal(shape).astype(dtype)
        dy = random.standard_normal((*shape[:2], *outputs)).astype(dtype)
        y, dx = np.zeros(dy.shape), np.zeros(shape)
        geometry = shape, kernel, stride, padding, outputs, include, override
        for h, o, rows, columns, divisor in _avg_windows(*geometry):
            y[:, :, h, o] = x[:, :, rows, columns].astype("float64").sum((2, 3)) / divisor
            dx[:, :, rows, columns] += (dy[:, :, h, o].astype("float64") / divisor)[:, :, None, None]
        _close(pool.avg_pool2d_forward(x, kernel, stride, padding, outputs, include, override), y, dtype)
        _close(pool.avg_pool2d_backward(dy, shape, kernel, stride, padding, include, override), dx, dtype)


@pytest.mark.parametrize(
    "kernel, stride, padding", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (3, 3, 0), (8, 8, 0), (16, 1, 0)]
)
def test_threads_give_what_one_loop_gives(monkeypatch, kernel, stride, padding):
    random = np.random.default_rng(2)
    x = np.round(random.standard_normal((3, 37, 16, 16)), 1).astype("float32")
    size = (16 + 2 * padding - kernel) // stride + 1
    pairs = [(n, n) for n in (kernel, stride, padding)]
    dy = random.standard_normal((3, 37, size, size)).astype("float32")

    def run():
        y, index = pool.max_pool2d_forward(x, *pairs, (1, 1), (size, size))
        averages = pool.avg_pool2d_forward(x, *pairs, (size, size), True, None)
        back = pool.avg_pool2d_backward(dy, x.shape, *pairs, True, None)
        return [a.tobytes() for a in (y, index, pool.max_pool2d_backward(dy, index, x.shape), averages, back)]

    monkeypatch.setattr(module("pool"), "SERIAL_BELOW", 0, raising=False)
    threads = run()
    assert threads == run()
    monkeypatch.setattr(module("pool"), "SERIAL_BELOW", 10**9, raising=False)
    assert threads == run()


def test_nan_spoils_only_its_windows_of_an_average():
    x = np.ones((1, 1, 6, 6), "float32")
    x[0, 0, 0, 0] = np.nan
    y = pool.avg_pool2d_forward(x, (2, 2), (2, 2), (0, 0), (3, 3), True, None)
    assert np.isnan(y[0, 0, 0, 0]) and (y.ravel()[1:] == 1).all()


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)], ids=str)
def test_empty(shape):
    x = np.empty(shape, "float32")
    pairs = (2, 2), (2, 2), (0, 0)
    y, index = pool.max_pool2d_forward(x, *pairs, (1, 1), (2, 2))
    assert y.shape == index.shape == (*shape[:2], 2, 2)
    assert pool.max_pool2d_backward(y, index, shape).shape == shape
    assert pool.avg_pool2d_forward(x, *pairs, (2, 2), True, None).shape == y.shape
    assert pool.avg_pool2d_backward(y, shape, *pairs, True, None).shape == shape
    whole = (4, 4), (4, 4), (0, 0)
    assert pool.avg_pool2d_forward(x, *whole, (1, 1), True, None).shape == (*shape[:2], 1, 1)
