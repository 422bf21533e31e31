"""The activation kernels against NumPy in double precision, at every scale of number and at the ends."""

import math

import numpy as np
import pytest

from tinygrad_course.kernels import activation

numba = pytest.importorskip("numba")

from tinygrad_course.kernels import elementary  # noqa: E402

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
SIZES = [0, 1, 7, 1000, 65_003]  # the last one takes the threads
ENDS = [0.0, 1e-30, -1e-30, 20.0, -20.0, 88.0, -88.0, 1000.0, -1000.0, np.inf, -np.inf, np.nan]


def _numbers(shape, dtype, seed=0):
    return np.asarray(3 * np.random.default_rng(seed).standard_normal(shape), dtype)


def _sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _erf(x):
    return np.vectorize(math.erf, otypes=["float64"])(x)


def _softplus(x, beta, threshold):
    with np.errstate(invalid="ignore"):
        return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def _gelu(x):
    with np.errstate(invalid="ignore"):  # -inf · 0, which is NaN in PyTorch, too
        return x * (0.5 * (1 + _erf(x * math.sqrt(0.5))))


def _gelu_slope(x):
    return 0.5 * (1 + _erf(x * math.sqrt(0.5))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _tanh_gelu(x):
    with np.errstate(invalid="ignore"):
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _tanh_gelu_slope(x):
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def _silu(x, beta):
    with np.errstate(invalid="ignore"):
        return x * _sigmoid(beta * x)


def _silu_slope(x, beta):
    s = _sigmoid(beta * x)
    return s * (1 + beta * x * (1 - s))


def _elu_backward(dy, x, alpha, scale, rate):
    return dy * scale * np.where(x <= 0, alpha * rate * np.exp(rate * x), 1)


# name: (kernel, oracle of float64 arrays), and the numbers that it takes
FORWARD = {
    "relu": (activation.relu, lambda x: np.where(x <= 0, 0.0, x)),
    "hardtanh": (activation.hardtanh, lambda x, low, high: np.minimum(np.maximum(x, low), high), -1, 2),
    "leaky_relu": (activation.leaky_relu, lambda x, slope: np.where(x > 0, x, slope * x), 0.25),
    "tanh": (activation.tanh, np.tanh),
    "sigmoid": (activation.sigmoid, _sigmoid),
    "silu": (activation.silu, _silu, 1),
    "swish": (activation.silu, _silu, 0.5),
    "elu": (activation.elu, lambda x, a, s, k: s * np.where(x > 0, x, a * np.expm1(k * np.minimum(x, 0))), 1.5, 2, 0.5),
    "softplus": (activation.softplus, _softplus, 2, 20),
    "gelu": (activation.gelu, _gelu),
    "tanh_gelu": (activation.tanh_gelu, _tanh_gelu),
    "erf": (activation.erf, _erf),
    "exp": (activation.exp, np.exp),
}
BACKWARD = {
    "relu": (activation.relu_backward, lambda dy, y: np.where(y <= 0, 0.0, dy)),
    "hardtanh": (activation.hardtanh_backward, lambda dy, x, a, b: np.where((x <= a) | (x >= b), 0.0, dy), 0, 0.5),
    "leaky_relu": (activation.leaky_relu_backward, lambda dy, x, slope: np.where(x > 0, dy, slope * dy), 0.25),
    "tanh": (activation.tanh_backward, lambda dy, y: dy * (1 - y**2)),
    "sigmoid": (activation.sigmoid_backward, lambda dy, y: dy * (y - y**2)),
    "silu": (activation.silu_backward, lambda dy, x, beta: dy * _silu_slope(x, beta), 1),
    "swish": (activation.silu_backward, lambda dy, x, beta: dy * _silu_slope(x, beta), 0.5),
    "elu": (activation.elu_backward, _elu_backward, 1.5, 2, 0.5),
    "softplus": (activation.softplus_backward, lambda dy, x, b, t: dy * np.where(b * x > t, 1, _sigmoid(b * x)), 2, 20),
    "gelu": (activation.gelu_backward, lambda dy, x: dy * _gelu_slope(x)),
    "tanh_gelu": (activation.tanh_gelu_backward, lambda dy, x: dy * _tanh_gelu_slope(x)),
}  # fmt: skip


def _close(actual, expected, dtype):
    assert actual.dtype == dtype and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", FORWARD)
def test_forward(name, dtype):
    kernel, oracle, *numbers = FORWARD[name]
    for shape in [*SIZES, (3, 1, 5), ()]:
        x = _numbers(shape, dtype)
        x.reshape(-1)[: len(ENDS)] = ENDS[: x.size]
        y = kernel(x, *numbers)
        _close(y, oracle(x.astype("float64"), *numbers), dtype)
        assert y is not x and y.tobytes() == kernel(x, *numbers).tobytes()  # fresh, and the same each time


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", BACKWARD)
def test_backward(name, dtype):
    kernel, oracle, *numbers = BACKWARD[name]
    for shape in [*SIZES, (3, 1, 5), ()]:
        dy, x = _numbers(shape, dtype), _numbers(shape, dtype, seed=1)
        x.reshape(-1)[::5] = 0
        dx = kernel(dy, x, *numbers)
        _close(dx, oracle(dy.astype("float64"), x.astype("float64"), *numbers), dtype)
        assert dx.tobytes() == kernel(dy, x, *numbers).tobytes()
        dx = kernel(np.full_like(dy, np.nan), np.full_like(x, 0.25), *numbers)
        assert np.isnan(dx).all()


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


def _map(function, x):
    @numba.njit(fastmath={"contract", "reassoc", "nsz"})
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    y = np.empty_like(x)
    loop(x, y)
    return y


def _every_exponent():
    """float32 numbers of every exponent and both signs: zeros, subnormals, infinities and NaN are among them."""
    random = np.random.default_rng(0)
    exponents = np.arange(512, dtype=np.uint32)[:, None] << 23
    mantissas = random.integers(0, 1 << 23, (512, 800))
    bits = np.concatenate([exponents, exponents + 1, exponents | mantissas], axis=1)
    edges = np.float32([88.72283, 88.72284, 88.7229, -87.336, -87.337, -103.9, -104.0, -105.0])
    dense = [random.uniform(-104, 89, 200_000), random.uniform(-5, 5, 200_000), random.uniform(0, 1, 100_000)]
    dense = [numbers.astype("float32") for numbers in dense]
    return np.concatenate([bits.astype(np.uint32).ravel().view("float32"), edges, *dense])


# name: (kernels' function, the exact one, its domain)
ELEMENTARY = {
    "exp": (elementary.exp, np.exp, (-np.inf, np.inf)),
    "expm1": (elementary.expm1, np.expm1, (-np.inf, np.inf)),
    "log1p_of_unit": (elementary.log1p_of_unit, np.log1p, (0, 1)),
    "tanh": (elementary.tanh, np.tanh, (-np.inf, np.inf)),
    "erf": (elementary.erf, _erf, (-np.inf, np.inf)),
}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_every_float32_exponent(name):
    function, exact_of, (low, high) = ELEMENTARY[name]
    x = _every_exponent()
    x = x[(x >= low) & (x <= high) | np.isnan(x)]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exact = exact_of(x.astype("float64"))
        rounded = exact.astype("float32")
    y = _map(function, x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    np.testing.assert_array_equal(y == np.inf, rounded == np.inf)
    finite = np.isfinite(rounded)
    ulps = np.abs(y[finite] - exact[finite]) / np.spacing(np.abs(rounded[finite])).astype("float64")
    assert ulps.max() < 3, (ulps.max(), x[finite][ulps.argmax()])  # subnormal results included


@pytest.mark.parametrize("name", ELEMENTARY)
def test_float64(name):
    function, exact_of, (low, high) = ELEMENTARY[name]
    x = np.concatenate([np.linspace(max(low, -30), min(high, 30), 100_001), [0.0, 1e-300, np.nan]])
    np.testing.assert_allclose(_map(function, x), exact_of(x), rtol=1e-15, atol=1e-323)


def test_ends_of_exp_float64():
    x = np.concatenate([np.linspace(-746, 711, 100_001), [np.inf, -np.inf, 0, 1e-300, 709.7827, 709.79]])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(x)
    y = _map(elementary.exp, np.append(x, np.nan))
    assert np.isnan(y[-1])
    np.testing.assert_array_equal(np.isinf(y[:-1]), np.isinf(exact))
    np.testing.assert_allclose(y[:-1], exact, rtol=5e-16, atol=1e-323)


def test_sigmoid_keeps_its_digits_far_out():
    x = np.linspace(-85, 20, 100_001, dtype="float32")
    np.testing.assert_allclose(activation.sigmoid(x), _sigmoid(x.astype("float64")), rtol=4 * 2.0**-23, atol=0)
