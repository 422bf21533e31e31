"""The activation kernels against NumPy in double precision, at every scale of number and at the ends."""

import numpy as np
import pytest

from tinygrad_course.kernels import activation, module

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
SIZES = [0, 1, 7, 1000, 65_003]  # the last one takes the threads
ENDS = [0.0, 1e-30, -1e-30, 20.0, -20.0, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan]


def _numbers(shape, dtype, seed=0):
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def _sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x.astype("float64")))


FORWARD = {
    "relu": (activation.relu, lambda x: np.where(x <= 0, 0.0, x)),
    "tanh": (activation.tanh, lambda x: np.tanh(x.astype("float64"))),
    "sigmoid": (activation.sigmoid, _sigmoid),
}
BACKWARD = {
    "relu": (activation.relu_backward, lambda dy, y: np.where(y <= 0, 0.0, dy)),
    "tanh": (activation.tanh_backward, lambda dy, y: dy * (1 - y.astype("float64") ** 2)),
    "sigmoid": (activation.sigmoid_backward, lambda dy, y: dy * (y - y.astype("float64") ** 2)),
}


def _close(actual, expected, dtype):
    assert actual.dtype == dtype and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", FORWARD)
def test_forward(name, dtype):
    kernel, oracle = FORWARD[name]
    for size in SIZES:
        x = _numbers(size, dtype)
        x[: len(ENDS)] = ENDS[:size]
        y = kernel(x)
        _close(y, oracle(x), dtype)
        assert y is not x and y.tobytes() == kernel(x).tobytes()  # fresh, and the same each time
    x = _numbers((3, 1, 5), dtype)
    _close(kernel(x), oracle(x), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", BACKWARD)
def test_backward(name, dtype):
    kernel, oracle = BACKWARD[name]
    for size in SIZES:
        dy, y = _numbers(size, dtype), np.tanh(_numbers(size, dtype, seed=1))
        y[::5] = 0
        dx = kernel(dy, y)
        _close(dx, oracle(dy, y), dtype)
        assert dx.tobytes() == kernel(dy, y).tobytes()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", SIZES[3:])
def test_ends(size, dtype):
    """Exact 0 and 1 far out, without a warning; NaN stays NaN; relu'(0) = 0, dy passes where y is NaN."""
    x = np.zeros(size, dtype)
    x[:6] = [1000, -1000, np.inf, -np.inf, np.nan, 0]
    np.testing.assert_array_equal(activation.sigmoid(x)[:6], [1, 0, 1, 0, np.nan, 0.5])
    np.testing.assert_array_equal(activation.tanh(x)[:6], [1, -1, 1, -1, np.nan, 0])
    np.testing.assert_array_equal(activation.relu(x)[:6], [1000, 0, np.inf, 0, np.nan, 0])
    dy = np.full(size, 2, dtype)
    np.testing.assert_array_equal(activation.relu_backward(dy, x)[:6], [2, 0, 2, 0, 2, 0])


def _exp(x):
    numba = pytest.importorskip("numba")
    exp = module("activation", "numba").exp

    @numba.njit(fastmath={"contract", "reassoc", "nsz"})
    def loop(x, y):
        for i in range(x.size):
            y[i] = exp(x[i])

    y = np.empty_like(x)
    loop(x, y)
    return y


def test_exp_of_every_float32_exponent():
    random = np.random.default_rng(0)
    exponents = np.arange(512, dtype=np.uint32)[:, None] << 23  # and both signs
    mantissas = random.integers(0, 1 << 23, (512, 800))
    bits = np.concatenate([exponents, exponents + 1, exponents | mantissas], axis=1)
    edges = np.float32([88.72283, 88.72284, 88.7229, -87.336, -87.337, -103.9, -104.0, -105.0])
    dense = random.uniform(-104, 89, 200_000).astype("float32")
    x = np.concatenate([bits.astype(np.uint32).ravel().view("float32"), edges, dense])
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exact = np.exp(x.astype("float64"))
        rounded = exact.astype("float32")
    y = _exp(x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    np.testing.assert_array_equal(y == np.inf, rounded == np.inf)
    finite = np.isfinite(rounded)
    ulps = np.abs(y[finite] - exact[finite]) / np.spacing(rounded[finite]).astype("float64")
    assert ulps.max() < 2  # subnormal results included


def test_exp_float64():
    x = np.concatenate([np.linspace(-746, 711, 100_001), [np.inf, -np.inf, 0, 1e-300, 709.7827, 709.79]])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x)
    y = _exp(np.append(x, np.nan))
    assert np.isnan(y[-1])
    np.testing.assert_array_equal(np.isinf(y[:-1]), np.isinf(exact))
    np.testing.assert_allclose(y[:-1], exact, rtol=5e-16, atol=1e-323)


def test_sigmoid_keeps_its_digits_far_out():
    x = np.linspace(-85, 20, 100_001, dtype="float32")
    np.testing.assert_allclose(activation.sigmoid(x), _sigmoid(x), rtol=4 * 2.0**-23, atol=0)
