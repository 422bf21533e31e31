"""The softmax kernels against the formula in double precision."""

import numpy as np
import pytest

from tinygrad_course.kernels import softmax

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
SHAPES = [(1, 1), (5, 3), (7, 10), (64, 33), (3, 1000), (300, 70), (70, 1003), (0, 4), (4, 0)]  # some on threads


def _softmax(x):
    e = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
    return e / e.sum(1, keepdims=True)


# name: (forward, its oracle, backward, the oracle of float64 dy and y)
KERNELS = {
    "softmax": (softmax.softmax, _softmax, softmax.softmax_backward,
                lambda dy, y: y * (dy - (dy * y).sum(1, keepdims=True))),
    "log_softmax": (softmax.log_softmax, lambda x: np.log(_softmax(x)), softmax.log_softmax_backward,
                    lambda dy, y: dy - np.exp(y) * dy.sum(1, keepdims=True)),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", KERNELS)
def test_against_the_formula(name, dtype, shape):
    forward, oracle, backward, backward_oracle = KERNELS[name]
    random = np.random.default_rng(0)
    x, dy = (4 * random.standard_normal((2, *shape))).astype(dtype)
    y = forward(x)
    dx = backward(dy, y)
    expected = oracle(x.astype("float64"))
    slopes = backward_oracle(dy.astype("float64"), y.astype("float64"))
    for actual, exact, again in ((y, expected, forward(x)), (dx, slopes, backward(dy, y))):
        assert actual.dtype == dtype and actual.shape == shape and actual.tobytes() == again.tobytes()
        scale = max(1.0, np.abs(exact).max(initial=0))
        np.testing.assert_allclose(actual, exact, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("columns", [3, 8000])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_ends(dtype, columns):
    """No overflow; -inf has probability 0; NaN, +inf and nothing but -inf give NaN in their row alone."""
    x = np.zeros((6, columns), dtype)
    x[0, 0], x[1, 0], x[2, 0], x[3], x[4, 0] = np.nan, np.inf, -np.inf, -np.inf, 1e4
    y, log = softmax.softmax(x), softmax.log_softmax(x)
    for result in (y, log):
        np.testing.assert_array_equal(np.isnan(result).all(1), [True, True, False, True, False, False])
        assert not np.isnan(result[[2, 4, 5]]).any()
    assert y[2, 0] == 0 and log[2, 0] == -np.inf and y[4, 0] == 1 and log[4, 1] == -1e4
