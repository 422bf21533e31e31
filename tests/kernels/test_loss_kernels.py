"""The cross-entropy kernels against the formula in double precision, row layout and image layout."""

import numpy as np
import pytest

from tinygrad_course.kernels import loss

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
SHAPES = [
    (4, 10, 1), (64, 10, 1), (1000, 10, 1), (5, 3000, 1), (1, 1, 1),
    (3, 5, 7), (2, 4, 600), (6, 2, 256), (3, 1, 5), (4, 5, 1000),
]  # fmt: skip
IGNORED = -100


def _log_softmax(x):
    x = x.astype("float64")
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = x - x.max(1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _losses(x, target, weight, smoothing):
    N, C, S = x.shape
    logp = _log_softmax(x)
    weight = np.ones(C) if weight is None else weight.astype("float64")
    losses = np.zeros((N, S))
    for n, s in np.ndindex(N, S):
        if target[n, s] != IGNORED:
            each = -weight * logp[n, :, s]
            losses[n, s] = each[target[n, s]]
            if smoothing:
                losses[n, s] = (1 - smoothing) * losses[n, s] + smoothing / C * each.sum()
    return losses


def _gradient(scale, x, target, weight, smoothing):
    N, C, S = x.shape
    p = np.exp(_log_softmax(x))
    weight = np.ones(C) if weight is None else weight.astype("float64")
    dx = np.zeros(x.shape)
    for n, s in np.ndindex(N, S):
        if target[n, s] == IGNORED:
            dx[n, :, s] = 0 * p[n, :, s]
            continue
        for c in range(C):  # each class's −weight_c · log p_c, times its share in the loss
            share = smoothing / C + (1 - smoothing) * (c == target[n, s])
            dx[n, :, s] += scale[n, s] * share * weight[c] * (p[n, :, s] - (np.arange(C) == c))
    return dx


def _arrays(shape, dtype, weighted, seed=0):
    random = np.random.default_rng(seed)
    N, C, S = shape
    x = (3 * random.standard_normal(shape)).astype(dtype)
    target = random.integers(0, C, (N, S))
    target[random.random((N, S)) < 0.2] = IGNORED
    weight = random.random(C).astype(dtype) if weighted else None
    return x, target, weight, random.standard_normal((N, S)).astype(dtype)


def _close(actual, expected, dtype):
    assert actual.dtype == dtype and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected[np.isfinite(expected)]).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy(shape, dtype, weighted, smoothing):
    x, target, weight, scale = _arrays(shape, dtype, weighted)
    losses, log_normalizer = loss.cross_entropy_forward(x, target, weight, IGNORED, smoothing)
    _close(losses, _losses(x, target, weight, smoothing), dtype)
    _close(log_normalizer.astype(dtype), np.log(np.exp(x.astype("float64")).sum(1)), dtype)
    assert (losses[target == IGNORED] == 0).all()
    dx = loss.cross_entropy_backward(scale, x, target, log_normalizer, weight, IGNORED, smoothing)
    if x.size < 1e4:  # the oracle takes C² steps
        _close(dx, _gradient(scale, x, target, weight, smoothing), dtype)
    again = loss.cross_entropy_forward(x, target, weight, IGNORED, smoothing)
    assert again[0].tobytes() == losses.tobytes()
    assert dx.tobytes() == loss.cross_entropy_backward(
        scale, x, target, log_normalizer, weight, IGNORED, smoothing
    ).tobytes()  # fmt: skip


@pytest.mark.parametrize("S", [1, 5])
def test_ignore_index_may_be_a_class(S):
    x, target, _, scale = _arrays((8, 4, S), "float64", False)
    target[target == IGNORED] = 2
    losses, log_normalizer = loss.cross_entropy_forward(x, target, None, 2, 0.0)
    renamed = np.where(target == 2, IGNORED, target)
    np.testing.assert_allclose(losses, _losses(x, renamed, None, 0), atol=1e-12)
    dx = loss.cross_entropy_backward(scale, x, target, log_normalizer, None, 2, 0.0)
    np.testing.assert_allclose(dx, _gradient(scale, x, renamed, None, 0), atol=1e-12)


@pytest.mark.parametrize("S", [1, 300])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_special_logits(S, smoothing, dtype):
    """A −inf logit has probability 0; +inf, NaN and nothing but −inf give NaN, as in PyTorch."""
    x, target, _, scale = _arrays((7, 5, S), dtype, False)
    x[0, 0], x[1, 1], x[2, 2] = np.inf, -np.inf, np.nan
    x[3], x[4, :2], x[5, 0] = -np.inf, np.inf, np.nan
    target[:, 0] = [0, 1, 2, 0, 4, 1, IGNORED]
    losses, log_normalizer = loss.cross_entropy_forward(x, target, None, IGNORED, smoothing)
    expected = _losses(x, target, None, smoothing)
    _close(losses, expected, dtype)
    assert np.isinf(losses[1, 0]) and np.isnan(losses[0, 0])
    dx = loss.cross_entropy_backward(scale, x, target, log_normalizer, None, IGNORED, smoothing)
    _close(dx, _gradient(scale, x, target, None, smoothing), dtype)


@pytest.mark.parametrize("S", [1, 3])
def test_large_logits(S):
    """The digits of float32 losses and gradients survive a common 1e4 in the logits."""
    x, target, _, scale = _arrays((6, 5, S), "float32", False)
    x += np.float32(1e4)
    losses, log_normalizer = loss.cross_entropy_forward(x, target, None, IGNORED, 0.0)
    _close(losses, _losses(x, target, None, 0), "float32")
    dx = loss.cross_entropy_backward(scale, x, target, log_normalizer, None, IGNORED, 0.0)
    _close(dx, _gradient(scale, x, target, None, 0), "float32")


@pytest.mark.parametrize("shape", [(0, 3, 1), (0, 3, 4), (2, 3, 0)], ids=str)
def test_empty(shape):
    x, target = np.empty(shape, "float32"), np.empty((shape[0], shape[2]), "int64")
    losses, log_normalizer = loss.cross_entropy_forward(x, target, None, IGNORED, 0.1)
    assert losses.shape == log_normalizer.shape == target.shape
    assert loss.cross_entropy_backward(losses, x, target, log_normalizer, None, IGNORED, 0.1).shape == shape


def _held(d, bound):
    return d.clip(-bound, bound)


# name: (kernel, oracle of float64 arrays, the numbers that it takes)
REGRESSION = {
    "square_of_difference": (loss.square_of_difference, lambda x, y: (x - y) ** 2, ()),
    "times_difference": (loss.times_difference, lambda x, y, rate: rate * (x - y), (2.0,)),
    "huber": (loss.huber, lambda x, y, bound, rate: rate * _held(x - y, bound) * (x - y - _held(x - y, bound) / 2),
              (0.7, 1 / 0.7)),
    "huber_slope": (loss.huber_slope, lambda x, y, bound, rate: rate * _held(x - y, bound), (0.7, 1 / 0.7)),
}  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 7, 1003, 70_001])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", REGRESSION)
def test_regression(name, dtype, size):
    kernel, oracle, numbers = REGRESSION[name]
    x, y = (3 * np.random.default_rng(0).standard_normal((2, size))).astype(dtype)
    if size > 3:
        x[:4] = np.inf, -np.inf, np.nan, y[3]
    numbers = [float(np.dtype(dtype).type(number)) for number in numbers]
    actual, exact = kernel(x, y, *numbers), oracle(x.astype("float64"), y.astype("float64"), *numbers)
    assert actual.dtype == dtype and actual.tobytes() == kernel(x, y, *numbers).tobytes()
    scale = max(1.0, np.abs(exact[np.isfinite(exact)]).max(initial=0))
    np.testing.assert_allclose(actual, exact, rtol=0, atol=TOLERANCE[dtype] * scale)
