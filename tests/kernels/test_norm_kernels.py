"""The batch normalization kernels against the formula in double precision, in both layouts of x."""

import numpy as np
import pytest

from tinygrad_course.kernels import group_norm, norm

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
EPS = 1e-5
SHAPES = [
    (2, 3, 5), (32, 16, 64), (4, 5, 1), (40, 130, 1), (300, 70, 1), (1, 1, 7), (50, 3, 400), (8, 9, 4),
    (20, 100, 9), (2, 2, 2500), (7, 1, 1), (3, 6, 16), (3, 6, 17),
]  # fmt: skip


def _arrays(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    x = (3 + random.standard_normal(shape)).astype(dtype)
    dy = random.standard_normal(shape).astype(dtype)
    weight, bias = random.standard_normal((2, shape[1])).astype(dtype)
    return x, dy, weight, bias


def _statistics(x):
    x = x.astype("float64")
    mean = x.mean((0, 2))
    variance = ((x - mean[:, None]) ** 2).mean((0, 2))
    return mean, variance, 1 / np.sqrt(variance + EPS)


def _normalized(x, mean, inverse_std):
    return (x.astype("float64") - mean.astype("float64")[:, None]) * inverse_std.astype("float64")[:, None]


def _close(actual, expected, dtype, factor=1):
    assert actual.dtype == dtype and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=factor * TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_statistics(shape, dtype):
    x, dy, weight, bias = _arrays(shape, dtype)
    exact = _statistics(x)
    x_hat = _normalized(x, exact[0], exact[2])
    y, mean, variance, inverse_std = result = norm.batch_norm_forward(x, weight, bias, EPS)
    for actual, expected in zip(result[1:3], exact[:2], strict=True):
        _close(actual, expected, dtype)
    np.testing.assert_allclose(inverse_std, exact[2], rtol=TOLERANCE[dtype])
    # Where a channel has one number, or few and nearly equal ones, 1/√(v + ε) magnifies x's own rounding.
    magnified = max(1.0, exact[2].max()) if x[:, 0].size < 20 else 1.0
    _close(y, weight[:, None] * x_hat + bias[:, None], dtype, magnified)

    dx, dweight, dbias = norm.batch_norm_backward(dy, x, weight, mean, inverse_std)
    g = dy.astype("float64")
    mean_g, mean_gx = g.mean((0, 2)), (g * x_hat).mean((0, 2))
    expected = (weight * exact[2])[:, None] * (g - mean_g[:, None] - x_hat * mean_gx[:, None])
    _close(dx, expected, dtype, 3 * magnified)
    _close(dweight, (g * x_hat).sum((0, 2)), dtype, magnified)
    _close(dbias, g.sum((0, 2)), dtype)
    again = norm.batch_norm_backward(dy, x, weight, mean, inverse_std)
    assert [a.tobytes() for a in again] == [a.tobytes() for a in (dx, dweight, dbias)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_given_statistics(shape, dtype):
    x, dy, weight, bias = _arrays(shape, dtype)
    mean, inverse_std = (3 + 0.1 * weight), (0.5 + np.abs(bias))
    x_hat = _normalized(x, mean, inverse_std)
    y = norm.normalize_with(x, weight, bias, mean, inverse_std)
    _close(y, weight[:, None] * x_hat + bias[:, None], dtype)
    dx, dweight, dbias = norm.normalize_with_backward(dy, x, weight, mean, inverse_std)
    _close(dx, (weight * inverse_std)[:, None] * dy.astype("float64"), dtype)
    _close(dweight, (dy * x_hat).sum((0, 2)), dtype)
    _close(dbias, dy.astype("float64").sum((0, 2)), dtype)


@pytest.mark.parametrize("shape", [(5, 3, 1), (5, 3, 40), (64, 40, 30)], ids=str)
def test_no_weight_no_bias(shape):
    x, dy, _, _ = _arrays(shape, "float64")
    one, zero = np.ones(shape[1]), np.zeros(shape[1])
    result = norm.batch_norm_forward(x, None, None, EPS)
    np.testing.assert_array_equal(result[0], norm.batch_norm_forward(x, one, zero, EPS)[0])
    _, mean, _, inverse_std = result
    for plain, with_one in zip(
        norm.batch_norm_backward(dy, x, None, mean, inverse_std),
        norm.batch_norm_backward(dy, x, one, mean, inverse_std),
        strict=True,
    ):
        np.testing.assert_array_equal(plain, with_one)


@pytest.mark.parametrize("shape", [(4000, 3, 1), (64, 3, 100), (10, 3, 5000)], ids=str)
def test_mean_far_from_zero(shape):
    """float32 1e4 ± 1, with a 0 as the channel's first number: the variance keeps its digits, and y too."""
    x = (1e4 + np.random.default_rng(0).standard_normal(shape)).astype("float32")
    for first in (x[0, 0, 0], 0.0):
        x[0, 0, 0] = first
        mean, variance, _ = _statistics(x)
        y, actual_mean, actual_variance, _ = norm.batch_norm_forward(x, None, None, EPS)
        np.testing.assert_allclose(actual_mean, mean, rtol=1e-7)
        np.testing.assert_allclose(actual_variance, variance, rtol=1e-6)
        assert np.abs(y[:, 1].astype("float64").mean()) < 1e-5


@pytest.mark.parametrize("shape", [(6, 4, 1), (3, 4, 50), (64, 4, 100)], ids=str)
def test_nan_and_inf_stay_in_their_channel(shape):
    x, dy, weight, bias = _arrays(shape, "float32")
    x[1, 0, 0], x[1, 2, 0] = np.nan, np.inf
    y, mean, variance, inverse_std = norm.batch_norm_forward(x, weight, bias, EPS)
    assert np.isnan(y[:, 0]).all() and np.isnan(variance[[0, 2]]).all()
    assert np.isfinite(y[:, [1, 3]]).all()
    dx, _, _ = norm.batch_norm_backward(dy, x, weight, mean, inverse_std)
    assert np.isnan(dx[:, 0]).all() and np.isfinite(dx[:, [1, 3]]).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 3, 1)], ids=str)
def test_empty(shape):
    x = np.empty(shape, "float32")
    weight = np.ones(shape[1], "float32")
    y, mean, variance, inverse_std = norm.batch_norm_forward(x, weight, weight, EPS)
    assert y.shape == shape and mean.shape == variance.shape == (shape[1],) and np.isnan(mean).all()
    dx, dweight, dbias = norm.batch_norm_backward(x, x, weight, mean, inverse_std)
    assert dx.shape == shape and not dweight.any() and not dbias.any()
    assert norm.normalize_with(x, weight, None, weight, weight).shape == shape


GROUPED = [(1, 1, 7, 1), (5, 1, 33, 1), (40, 1, 768, 1), (3, 4, 2, 9), (2, 1, 6, 16), (17, 8, 1, 49), (33, 2, 35, 17),
           (2, 70, 1, 4)]  # fmt: skip


@pytest.mark.parametrize("given", ["both", "weight", "bias", "none"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", GROUPED, ids=str)
def test_group_norm(shape, dtype, given):
    random = np.random.default_rng(0)
    x, dy = (3 + random.standard_normal(shape)).astype(dtype), random.standard_normal(shape).astype(dtype)
    weight, bias = random.standard_normal((2, *shape[1:3])).astype(dtype)
    w, b = (weight.astype("float64"), bias.astype("float64"))
    if given in ("bias", "none"):
        weight, w = None, np.ones(shape[1:3])
    if given in ("weight", "none"):
        bias, b = None, np.zeros(shape[1:3])
    exact, g = x.astype("float64"), dy.astype("float64")
    mean, variance = exact.mean((2, 3)), exact.var((2, 3))
    inverse = 1 / np.sqrt(variance + EPS)
    x_hat = (exact - mean[..., None, None]) * inverse[..., None, None]

    y, *statistics = group_norm.group_norm_forward(x, weight, bias, EPS)
    for actual, expected in zip(statistics, (mean, variance, inverse), strict=True):
        _close(actual, expected, dtype)
    _close(y, x_hat * w[..., None] + b[..., None], dtype)
    dx, dweight, dbias = results = group_norm.group_norm_backward(dy, x, weight, statistics[0], statistics[2])
    gw = g * w[..., None]
    means = gw.mean((2, 3), keepdims=True), (gw * x_hat).mean((2, 3), keepdims=True)
    _close(dx, (gw - means[0] - x_hat * means[1]) * inverse[..., None, None], dtype, 3)
    _close(dweight, (g * x_hat).sum((0, 3)), dtype)
    _close(dbias, g.sum((0, 3)), dtype)
    again = group_norm.group_norm_backward(dy, x, weight, statistics[0], statistics[2])
    assert [a.tobytes() for a in again] == [a.tobytes() for a in results]


@pytest.mark.parametrize("shape", [(40, 1, 500, 1), (8, 4, 2, 300)], ids=str)
def test_group_norm_far_from_zero_and_with_nan(shape):
    x = (1e4 + np.random.default_rng(0).standard_normal(shape)).astype("float32")
    x[1, 0, 0, 0], x[2, 0, 1, 0] = np.nan, np.inf
    y, mean, variance, _ = group_norm.group_norm_forward(x, None, None, EPS)
    exact = x[3:].astype("float64")
    np.testing.assert_allclose(variance[3:], exact.var((2, 3)), rtol=1e-6)
    assert np.abs(y[3:].astype("float64").mean((2, 3))).max() < 1e-5
    assert np.isnan(y[1:3, 0]).all() and np.isfinite(y[3:]).all() and np.isfinite(y[0]).all()
