"""Counts by octave, dead units and saturated outputs: the kernels against NumPy."""

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course.kernels import histogram
from viz.graph import details


@pytest.fixture
def numpy_counts(monkeypatch):
    """A function's result without kernels."""

    def result(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(details, "_kernels", lambda: None)
            return function(*arguments)

    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 1000, 70_001, 300_000])
def test_octaves(dtype, size, numpy_counts):
    rng = np.random.default_rng(size)
    x = (rng.standard_normal(size) * 10.0 ** rng.integers(-30, 30, size)).astype(dtype)
    x[5:20:3], x[6:20:4], x[7:30:5], x[8:9], x[9:10] = 0.0, -0.0, np.nan, np.inf, np.finfo(dtype).smallest_subnormal
    counts = details._count(x)
    assert counts.tolist() == numpy_counts(details._count, x).tolist()
    assert counts[histogram.ZEROS] + counts[histogram.NOT_FINITE] >= (12 if 30 < size < 4096 else 0)
    assert counts.sum() == min(size, 4096)
    assert details._histogram(counts) == details._histogram(numpy_counts(details._count, x))


SAMPLED = {
    "planes of 32 x 32": (8, 64, 32, 32),
    "planes of 28 x 28": (16, 6, 28, 28),
    "rows": (300, 784),
    "few channels": (64, 3, 32, 32),
}


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("axis", [0, 1, -2, -1])
def test_a_sample_is_from_all_over_the_array(name, axis):
    """Each part of an array, whether it is samples, channels, rows or columns, is in its histogram with its share."""
    shape = SAMPLED[name]
    extent = shape[axis]
    place = np.arange(extent).reshape([-1 if k == axis % len(shape) else 1 for k in range(len(shape))])
    third = np.broadcast_to(2.0 ** (3 * place // extent), shape).astype(np.float32)  # 1, 2 or 4
    counts = details._count(np.ascontiguousarray(third))
    found = counts[histogram.OCTAVES + 48 : histogram.OCTAVES + 51] / counts.sum()
    assert found.sum() == 1.0
    true = [np.mean(third == value) for value in (1.0, 2.0, 4.0)]
    assert found == pytest.approx(true, abs=0.06)


def test_ends_of_octaves():
    x = np.array([[1.0, 2.0, -4.0], [np.nextafter(np.float32(2.0), np.float32(0.0)), 0.0, 2.0**-60]], np.float32)
    found = details._histogram(details._count(x))
    assert (found.lowest, found.zeros) == (-48, 1)
    assert found.positive[0] == 1 and found.positive[48:] == (2, 1, 0) and found.negative[48:] == (0, 0, 1)
    assert details._histogram(details._count(np.full(3, np.nan))) is None


DEAD = {
    "features": (np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -0.0]]), 2 / 3),
    "channels": (np.zeros((2, 4, 3, 3), np.float32), 1.0),
    "one pixel": (np.pad(np.ones((1, 1, 1, 1)), ((1, 0), (0, 1), (2, 0), (0, 2))), 0.5),
    "nan is alive": (np.array([[np.nan, 0.0]]), 0.5),
    "no units": (np.zeros(3), None),
    "empty": (np.zeros((0, 3)), None),
    "across": (np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).T, 2 / 3),
}


@pytest.mark.parametrize("name", DEAD)
def test_dead_units(name, numpy_counts):
    x, share = DEAD[name]
    assert details.dead_share(x) == numpy_counts(details.dead_share, x) == share


SATURATED = {  # an activation function, its inputs, and the share of its outputs at an end
    "tanh": (tg.tanh, [3.0, -3.0, -9.0, 0.5], 0.75),
    "sigmoid": (tg.sigmoid, [5.0, 2.0, 0.0, -2.0], 0.25),
    "relu6": (F.relu6, [7.0, 5.9, -1.0, 6.0], 0.5),
    "hardtanh": (F.hardtanh, [0.99, -1.5, 1.5, 0.0], 0.5),
    "hardtanh between others": (lambda x: F.hardtanh(x, 0.5, 2.0), [0.0, 1.0, 1.9, 3.0], 0.5),
    "hardsigmoid": (F.hardsigmoid, [-3.5, 2.9, 3.5, 0.0], 0.5),
    "relu": (F.relu, [1.0, -1.0, 2.0, 0.0], None),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SATURATED)
def test_saturated_outputs(name, dtype, numpy_counts):
    function, inputs, share = SATURATED[name]
    y = function(tg.tensor(np.array([inputs], dtype), requires_grad=True))

    def found():
        return details.Look().at_output(y.node, y._data).shares

    dead = 0.25 if name == "relu6" else 0.5 if name == "relu" else None
    assert found() == numpy_counts(found) == (dead, share)
