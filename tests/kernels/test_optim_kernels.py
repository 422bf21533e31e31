"""The optimizer kernels against PyTorch's update rules written out in NumPy, along whole trajectories."""

import itertools

import numpy as np
import pytest

from tinygrad_course.kernels import optim

SIZES = [(0,), (1,), (7,), (3, 1, 5), (100_005,)]  # the last one takes the threads
STEPS = 50
# One float32 step rounds each of its few operations; fifty of them add up.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


class _SGD:
    def __init__(self, param, lr, momentum, dampening, weight_decay, nesterov, maximize):
        self.param, self.velocity = param.astype("float64"), None
        self.options = lr, momentum, dampening, weight_decay, nesterov, maximize

    def step(self, grad):
        lr, momentum, dampening, weight_decay, nesterov, maximize = self.options
        grad = -grad.astype("float64") if maximize else grad.astype("float64")
        grad = grad + weight_decay * self.param
        if momentum:
            if self.velocity is None:
                self.velocity = grad
            else:
                self.velocity = momentum * self.velocity + (1 - dampening) * grad
            grad = grad + momentum * self.velocity if nesterov else self.velocity
        self.param = self.param - lr * grad


class _Adam:
    def __init__(self, param, lr, beta1, beta2, eps, weight_decay, decoupled, amsgrad, maximize):
        self.param = param.astype("float64")
        self.m = self.v = self.peak = 0 * self.param
        self.options = lr, beta1, beta2, eps, weight_decay, decoupled, amsgrad, maximize
        self.t = 0

    def step(self, grad):
        lr, beta1, beta2, eps, weight_decay, decoupled, amsgrad, maximize = self.options
        self.t += 1
        grad = -grad.astype("float64") if maximize else grad.astype("float64")
        if decoupled:
            self.param = self.param * (1 - lr * weight_decay)
        else:
            grad = grad + weight_decay * self.param
        self.m = beta1 * self.m + (1 - beta1) * grad
        self.v = beta2 * self.v + (1 - beta2) * grad * grad
        self.peak = np.maximum(self.peak, self.v)
        root = np.sqrt(self.peak if amsgrad else self.v) / np.sqrt(1 - beta2**self.t)
        self.param = self.param - lr / (1 - beta1**self.t) * self.m / (root + eps)


def _gradients(shape, dtype):
    random = np.random.default_rng(1)
    steps = STEPS if np.prod(shape) < 1000 else 5
    return [random.standard_normal(shape).astype(dtype) for _ in range(steps)]


def _param(shape, dtype):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def _close(param, expected, dtype):
    assert param.dtype == dtype
    scale = max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(param, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sgd(shape, dtype):
    options = [
        (0.0, 0.0, 0.0, False, False), (0.0, 0.0, 0.1, False, True), (0.9, 0.0, 0.0, False, False),
        (0.9, 0.3, 0.1, False, True), (0.9, 0.0, 0.1, True, False),
    ]  # fmt: skip
    for momentum, dampening, weight_decay, nesterov, maximize in options:
        param = _param(shape, dtype)
        velocity = np.full_like(param, np.nan) if momentum else None  # the first step must not read it
        oracle = _SGD(param, 0.1, momentum, dampening, weight_decay, nesterov, maximize)
        for number, grad in enumerate(_gradients(shape, dtype)):
            kept = grad.copy()
            optim.sgd_step(
                [param], [grad], None if velocity is None else [velocity],
                0.1, momentum, dampening, weight_decay, nesterov, maximize, number == 0,
            )  # fmt: skip
            oracle.step(grad)
            assert grad.tobytes() == kept.tobytes()
        _close(param, oracle.param, dtype)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_adam(shape, dtype):
    for weight_decay, decoupled, amsgrad, maximize in itertools.product((0, 0.1), *[(False, True)] * 3):
        param = _param(shape, dtype)
        m, v = np.zeros_like(param), np.zeros_like(param)
        peak = np.zeros_like(param) if amsgrad else None
        oracle = _Adam(param, 0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, amsgrad, maximize)
        for number, grad in enumerate(_gradients(shape, dtype)):
            optim.adam_step(
                [param], [grad], [m], [v], None if peak is None else [peak], number + 1,
                0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, maximize,
            )  # fmt: skip
            oracle.step(grad)
        _close(param, oracle.param, dtype)


def test_integers_as_numbers():
    """lr=1 and momentum=0 are what people type."""
    param, grad = np.ones(3), np.full(3, 0.5)
    optim.sgd_step([param], [grad], None, 1, 0, 0, 0, False, False, True)
    np.testing.assert_array_equal(param, 0.5)
    optim.adam_step([param], [grad], [np.zeros(3)], [np.zeros(3)], None, 1, 1, 0, 0.5, 0, 0, False, False)
    np.testing.assert_allclose(param, -0.5, rtol=1e-15)


def test_nan_and_inf_travel():
    param, grad = np.array([1.0, 1.0, 1.0, np.inf]), np.array([np.nan, np.inf, 0.0, 1.0])
    moved = param.copy()
    optim.sgd_step([moved], [grad], None, 0.1, 0.0, 0.0, 0.0, False, False, True)
    np.testing.assert_array_equal(moved, [np.nan, -np.inf, 1.0, np.inf])
    peak = np.zeros(4)
    optim.adam_step([param], [grad], [np.zeros(4)], [np.zeros(4)], [peak], 1, 0.1, 0.9, 0.999, 1e-8, 0.0, False, False)
    assert np.isnan(param[:2]).all() and param[2] == 1 and np.isnan(peak[0])


def test_the_same_each_time():
    results = set()
    for _ in range(2):
        for shape in (500,), (200_000,):
            param, grad = _param(shape, "float32"), _gradients(shape, "float32")[0]
            state = [[np.zeros_like(param)] for _ in range(2)]
            optim.adam_step([param], [grad], *state, None, 1, 0.01, 0.9, 0.999, 1e-8, 0, False, False)
            results.add(param.tobytes())
    assert len(results) == 2


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("large", [50, 300_000])
def test_many_at_once_are_as_each_alone(dtype, large):
    """Parameters of all sizes, cut among the threads anywhere: the same bits as a call for each."""
    shapes = [(3,), (0, 4), (large,), (1,), (7, 5, 3), (large // 3, 2)]
    rng = np.random.default_rng(0)

    def arrays():
        return [rng.standard_normal(shape).astype(dtype) for shape in shapes]

    def copies(rows):
        return [[array.copy() for array in row] for row in rows]

    rows = [arrays(), arrays(), arrays(), [np.abs(array) for array in arrays()]]
    together, alone = copies(rows), copies(rows)
    adam, sgd = (3, 0.01, 0.9, 0.999, 1e-8, 0.1, False, False), (0.1, 0.9, 0.2, 0.1, True, False, False)
    optim.adam_step(*together, None, *adam)
    optim.sgd_step(*together[:3], *sgd)
    for column in zip(*alone, strict=True):
        optim.adam_step(*[[array] for array in column], None, *adam)
        optim.sgd_step(*[[array] for array in column[:3]], *sgd)
    for one, other, before in zip(together, alone, rows, strict=True):
        for a, b, old in zip(one, other, before, strict=True):
            np.testing.assert_array_equal(a, b)
            assert one is together[1] or not a.size or (a != old).mean() > 0.9


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(5), np.zeros(4, "float32"), np.zeros((4, 2))[:, 0], np.zeros(3)],
    ids=["too long", "another dtype", "with gaps", "too short"],
)
def test_arrays_that_do_not_fit(wrong):
    """They are refused before anything is written."""
    params, grads = [np.ones(2), np.ones(4)], [np.ones(2), np.ones(4)]
    with pytest.raises(ValueError, match="a contiguous array of 4 numbers of float64"):
        optim.sgd_step(params, grads, [np.zeros(2), wrong], 0.1, 0.9, 0.0, 0.0, False, False, False)
    np.testing.assert_array_equal(np.concatenate(params), 1)
