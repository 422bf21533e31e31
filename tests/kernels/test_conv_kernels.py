"""The convolution kernels against the formula in double precision, over shapes that miss every block size."""

import numpy as np
import oracles
import pytest

from tinygrad_course.kernels import conv

# x (N, C, H, W), out channels, kernel, stride, padding ((top, bottom), (left, right)), dilation, groups
NONE, ONE, TWO = ((0, 0), (0, 0)), ((1, 1), (1, 1)), ((2, 2), (2, 2))
CASES = {
    "lenet_1": ((3, 1, 32, 32), 6, (5, 5), (1, 1), NONE, (1, 1), 1),
    "lenet_2": ((3, 6, 14, 14), 16, (5, 5), (1, 1), NONE, (1, 1), 1),
    "rgb": ((2, 3, 17, 19), 16, (3, 3), (1, 1), ONE, (1, 1), 1),
    "resnet": ((2, 16, 32, 32), 16, (3, 3), (1, 1), ONE, (1, 1), 1),
    "resnet_small": ((5, 64, 8, 8), 64, (3, 3), (1, 1), ONE, (1, 1), 1),
    "resnet_down": ((2, 16, 32, 32), 32, (3, 3), (2, 2), ONE, (1, 1), 1),
    "shortcut": ((2, 16, 32, 32), 32, (1, 1), (2, 2), NONE, (1, 1), 1),
    "stride_2_5x5": ((2, 5, 15, 14), 7, (5, 5), (2, 2), TWO, (1, 1), 1),
    "stem_7x7": ((1, 3, 45, 43), 9, (7, 7), (2, 2), ((3, 3), (3, 3)), (1, 1), 1),
    "stride_3": ((2, 4, 16, 13), 10, (3, 3), (3, 3), ONE, (1, 1), 1),
    "stride_beyond_kernel": ((2, 4, 16, 13), 5, (2, 1), (3, 3), NONE, (1, 1), 1),
    "strides_differ": ((2, 3, 11, 12), 4, (3, 2), (1, 2), ONE, (1, 1), 1),
    "dilation_2": ((2, 7, 13, 12), 9, (3, 3), (1, 1), TWO, (2, 2), 1),
    "dilation_3_stride_2": ((2, 3, 17, 16), 5, (3, 2), (2, 2), TWO, (3, 3), 1),
    "dilations_differ": ((2, 3, 17, 16), 5, (3, 3), (2, 3), ONE, (1, 3), 1),
    "pointwise": ((2, 70, 9, 11), 33, (1, 1), (1, 1), NONE, (1, 1), 1),
    "pointwise_wide": ((2, 192, 28, 28), 32, (1, 1), (1, 1), NONE, (1, 1), 1),
    "pointwise_padded": ((2, 5, 4, 4), 3, (1, 1), (1, 1), ONE, (1, 1), 1),
    "one_pixel": ((1, 1, 1, 1), 1, (1, 1), (1, 1), NONE, (1, 1), 1),
    "one_pixel_padded": ((3, 2, 1, 1), 3, (3, 3), (1, 1), ONE, (1, 1), 1),
    "kernel_is_image": ((4, 16, 5, 5), 20, (5, 5), (1, 1), NONE, (1, 1), 1),
    "row_kernel": ((2, 3, 1, 50), 4, (1, 7), (1, 1), ((0, 0), (3, 3)), (1, 1), 1),
    "column_kernel": ((2, 3, 50, 1), 4, (7, 1), (1, 1), ((3, 3), (0, 0)), (1, 1), 1),
    "same_even": ((2, 3, 10, 9), 5, (4, 2), (1, 1), ((1, 2), (0, 1)), (1, 1), 1),
    "padding_beyond_kernel": ((2, 3, 4, 5), 5, (2, 3), (1, 1), ((4, 3), (5, 2)), (1, 1), 1),
    "rows_left_over": ((2, 3, 10, 10), 5, (3, 3), (4, 4), NONE, (1, 1), 1),
    "depthwise": ((2, 19, 14, 15), 19, (3, 3), (1, 1), ONE, (1, 1), 19),
    "depthwise_stride_2": ((2, 6, 14, 15), 6, (5, 5), (2, 2), TWO, (1, 1), 6),
    "depthwise_multiplier": ((2, 4, 9, 9), 12, (3, 3), (1, 1), ONE, (1, 1), 4),
    "grouped": ((3, 12, 9, 10), 20, (3, 3), (1, 1), ONE, (1, 1), 4),
    "grouped_stride_2": ((2, 8, 9, 10), 4, (3, 3), (2, 2), ONE, (2, 2), 2),
    "depthwise_multiplier_stride_2": ((2, 4, 11, 9), 12, (3, 2), (2, 2), ONE, (1, 1), 4),
    "depthwise_bands": ((1, 2, 300, 290), 2, (3, 3), (1, 1), ONE, (1, 1), 2),
    "depthwise_bands_stride_2": ((1, 2, 301, 290), 2, (3, 3), (2, 2), ONE, (1, 1), 2),
    "bands_of_rows_stride_2": ((1, 64, 71, 70), 9, (3, 3), (2, 2), ONE, (1, 1), 1),
    "bands_of_rows": ((1, 64, 70, 40), 9, (3, 3), (1, 1), ONE, (1, 1), 1),
    "to_rgb": ((2, 16, 17, 19), 3, (3, 3), (1, 1), ONE, (1, 1), 1),
    "to_rgb_stride_2": ((2, 16, 17, 19), 3, (5, 3), (2, 2), TWO, (1, 1), 1),
    "to_two": ((2, 9, 12, 11), 2, (3, 3), (1, 2), ONE, (2, 1), 1),
    "to_six_bands": ((1, 40, 61, 60), 6, (3, 3), (1, 1), ONE, (1, 1), 1),
    "generator": ((2, 32, 16, 16), 24, (4, 4), (2, 2), ONE, (1, 1), 1),
    "generator_to_rgb": ((2, 3, 32, 32), 16, (4, 4), (2, 2), ONE, (1, 1), 1),
    "generator_odd": ((2, 17, 15, 13), 12, (4, 4), (2, 2), ONE, (1, 1), 1),
    "generator_bands": ((1, 16, 64, 62), 64, (4, 4), (2, 2), ONE, (1, 1), 1),
}
SMALL = ["lenet_2", "resnet_down", "dilation_3_stride_2", "same_even", "depthwise", "grouped_stride_2"]
# The error is measured against the largest number of the result. A sum of k products in float32 is off by
# about sqrt(k) half-ulps of its own size; with partial sums in lanes, 2e-6 holds for all sizes here.
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


def _arrays(case, dtype, seed=0):
    x_shape, out_channels, kernel, stride, padding, dilation, groups = case
    random = np.random.default_rng(seed)
    x = random.standard_normal(x_shape).astype(dtype)
    w = random.standard_normal((out_channels, x_shape[1] // groups, *kernel)).astype(dtype)
    bias = random.standard_normal(out_channels).astype(dtype)
    geometry = (stride, padding, dilation, groups)
    dy = random.standard_normal(oracles.conv2d(x, w, bias, *geometry).shape).astype(dtype)
    return x, w, bias, dy, geometry


def _assert_close(got, expected, dtype):
    assert got.shape == expected.shape
    assert got.dtype == dtype
    scale = max(np.abs(expected).max(), 1e-30)
    assert np.abs(got - expected).max() / scale <= TOLERANCE[dtype]


def _check(case, dtype, seed=0):
    x, w, bias, dy, geometry = _arrays(case, dtype, seed)
    y = conv.conv2d_forward(x, w, bias, *geometry)
    _assert_close(y, oracles.conv2d(x, w, bias, *geometry), dtype)
    np.testing.assert_array_equal(conv.conv2d_forward(x, w, bias, *geometry, True), np.maximum(y, 0))
    _assert_close(
        conv.conv2d_input_grad(dy, w, x.shape, *geometry),
        oracles.conv2d_input_grad(dy, w, x.shape, *geometry),
        dtype,
    )
    _assert_close(
        conv.conv2d_weight_grad(dy, x, w.shape, *geometry),
        oracles.conv2d_weight_grad(dy, x, w.shape, *geometry),
        dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_named_shapes(name, dtype):
    _check(CASES[name], dtype)


@pytest.mark.parametrize("seed", range(60))
def test_random_shapes(seed):
    random = np.random.default_rng(seed)

    def pick(low, high):
        return int(random.integers(low, high + 1))

    while True:
        groups = [1, 1, pick(2, 5)][pick(0, 2)]
        channels, out_channels = pick(1, 70 // groups**2), pick(1, 70 // groups**2)
        kernel, stride, dilation = ((pick(1, high), pick(1, high)) for high in (5, 3, 3))
        padding = ((pick(0, 4), pick(0, 4)), (pick(0, 4), pick(0, 4)))
        size = pick(1, 20), pick(1, 20)
        if all(n + sum(p) > d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)):
            break
    x_shape = (pick(1, 5), channels * groups, *size)
    dtype = ["float32", "float64"][seed % 2]
    _check((x_shape, out_channels * groups, kernel, stride, padding, dilation, groups), dtype, seed)


def test_no_bias():
    x, w, _, _, geometry = _arrays(CASES["rgb"], "float32")
    _assert_close(
        conv.conv2d_forward(x, w, None, *geometry), oracles.conv2d(x, w, None, *geometry), "float32"
    )


@pytest.mark.parametrize("name", ["generator", "generator_to_rgb", "pointwise", "depthwise_stride_2"])
def test_bias_of_a_transposed_convolution(name):
    x, w, _, dy, geometry = _arrays(CASES[name], "float32")
    bias = np.arange(x.shape[1], dtype=np.float32)
    expected = oracles.conv2d_input_grad(dy, w, x.shape, *geometry) + bias[:, None, None]
    _assert_close(conv.conv2d_input_grad(dy, w, x.shape, *geometry, bias), expected, "float32")


def test_empty_batch():
    w = np.ones((4, 3, 3, 3), np.float32)
    x, dy = np.ones((0, 3, 8, 8), np.float32), np.ones((0, 4, 8, 8), np.float32)
    geometry = ((1, 1), ONE, (1, 1), 1)
    assert conv.conv2d_forward(x, w, None, *geometry).shape == (0, 4, 8, 8)
    assert conv.conv2d_input_grad(dy, w, x.shape, *geometry).shape == x.shape
    assert not conv.conv2d_weight_grad(dy, x, w.shape, *geometry).any()
    assert not conv.bias_grad(dy).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", SMALL)
def test_nan_and_inf_reach_what_they_touch_and_nothing_else(name, value):
    """What a number touches is what changes when it goes from 1 to 2."""
    x, w, bias, dy, geometry = _arrays(CASES[name], "float64")
    functions = {
        "x": (x, lambda: conv.conv2d_forward(x, w, bias, *geometry)),
        "dy": (dy, lambda: conv.conv2d_input_grad(dy, w, x.shape, *geometry)),
        "x_dw": (x, lambda: conv.conv2d_weight_grad(dy, x, w.shape, *geometry)),
        "dy_dw": (dy, lambda: conv.conv2d_weight_grad(dy, x, w.shape, *geometry)),
        "w": (w, lambda: conv.conv2d_forward(x, w, bias, *geometry)),
        "w_dx": (w, lambda: conv.conv2d_input_grad(dy, w, x.shape, *geometry)),
    }
    for array, function in functions.values():
        spots = [(0, 0, 0, 0), (-1, -1, -1, -1), (0, -1, array.shape[2] // 2, -1), (-1, 0, -1, 0)]
        for spot in spots:
            before = array[spot]
            array[spot] = 1
            one = function()
            array[spot] = 2
            two = function()
            array[spot] = value
            np.testing.assert_array_equal(~np.isfinite(function()), np.abs(two - one) > 1e-9)
            array[spot] = before


def test_same_bits_every_time():
    for name in SMALL:
        x, w, bias, dy, geometry = _arrays(CASES[name], "float32")
        first, second = (
            (
                conv.conv2d_forward(x, w, bias, *geometry),
                conv.conv2d_input_grad(dy, w, x.shape, *geometry),
                conv.conv2d_weight_grad(dy, x, w.shape, *geometry),
            )
            for _ in range(2)
        )
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bias_grad(dtype):
    dy = np.random.default_rng(0).standard_normal((7, 5, 31, 33)).astype(dtype) + np.array(3, dtype)
    _assert_close(conv.bias_grad(dy), dy.astype(np.float64).sum(axis=(0, 2, 3)), dtype)
    _assert_close(conv.bias_grad(dy[:, :, 0, 0].copy()), dy[:, :, 0, 0].astype(np.float64).sum(axis=0), dtype)
