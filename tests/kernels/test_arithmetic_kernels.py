"""Arithmetic and sums of large arrays against NumPy in double precision, over all ways to broadcast."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.kernels import arithmetic, module, scan
from tinygrad_course.kernels import reduce as sums

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
OPERATIONS = {
    "add": (arithmetic.add, np.add),
    "subtract": (arithmetic.subtract, np.subtract),
    "multiply": (arithmetic.multiply, np.multiply),
    "divide": (arithmetic.divide, np.divide),
}
PAIRS = {  # shapes of x and y; some are large enough for the threads, some have rows too short for a loop
    "few": ((3, 5), (3, 5)),
    "one shape": ((301, 337), (301, 337)),
    "bias of rows": ((301, 337), (337,)),
    "number of each row": ((301, 337), (301, 1)),
    "one number": ((100_001,), ()),
    "outer product": ((331, 1), (1, 307)),
    "channels": ((5, 7, 61, 53), (7, 1, 1)),
    "gates": ((5, 7, 61, 53), (5, 7, 1, 1)),
    "masks": ((3, 5, 83, 89), (3, 1, 83, 89)),
    "four loops": ((11, 7, 41, 37), (1, 7, 1, 37)),
    "short rows": ((33_347, 3), (33_347, 1)),
    "nothing": ((0, 5), (5,)),
}


def _arrays(shapes, dtype):
    random = np.random.default_rng(0)
    return [(3 * random.standard_normal(shape)).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", OPERATIONS)
def test_arithmetic(name, dtype, pair):
    operation, oracle = OPERATIONS[name]
    for x, y in (_arrays(PAIRS[pair], dtype), _arrays(PAIRS[pair][::-1], dtype)):
        z = operation(x, y)
        assert z.dtype == dtype and z.flags.c_contiguous and z.flags.writeable
        np.testing.assert_array_equal(z, oracle(x, y))  # one rounding: the very bits
        assert z.tobytes() == operation(x, y).tobytes()


@pytest.mark.parametrize("value", [0.0, -np.inf, np.nan])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fill(dtype, pair, value):
    for x, mask in (_arrays(PAIRS[pair], dtype), _arrays(PAIRS[pair][::-1], dtype)):
        z = arithmetic.fill(x, mask > 0, value)
        assert z.dtype == dtype and z.flags.c_contiguous and z.flags.writeable
        np.testing.assert_array_equal(z, np.where(mask > 0, np.dtype(dtype).type(value), x))


LAYOUTS = {  # arrays that are no C-contiguous ones
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
    "repeated along rows": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one number repeated": lambda x: np.broadcast_to(x[0, 0], x.shape),
    "across": lambda x: np.asfortranarray(x),
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "from the end": lambda x: x[::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x, y = _arrays([(301, 337)] * 2, "float32")
    odd = LAYOUTS[layout](x)
    for a, b in ((odd, y), (y, odd), (odd, odd), (odd, y[:1]), (y[:, :1], odd)):
        np.testing.assert_array_equal(arithmetic.multiply(a, b), a * b)


def test_nan_and_inf_stay_where_they_are():
    x, y = _arrays([(301, 337), (337,)], "float32")
    x[3, 5], x[7, 11], y[13] = np.nan, np.inf, -np.inf
    with np.errstate(all="ignore"):
        for operation, oracle in OPERATIONS.values():
            np.testing.assert_array_equal(operation(x, y), oracle(x, y))


SIZES = [(1, 1, 1), (3, 0, 2), (0, 3, 2), (1, 5, 1), (2, 33, 3), (1, 2049, 1), (1, 2_000_003, 1), (70, 1025, 1),
         (1, 3001, 37), (9, 41, 301), (5, 1, 7)]  # fmt: skip


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sums(dtype, shape):
    (x,) = _arrays([shape], dtype)
    y, exact = sums.sum_middle(x + 1), (x + 1).astype("longdouble").sum(1)
    assert y.dtype == dtype and y.flags.c_contiguous and y.tobytes() == sums.sum_middle(x + 1).tobytes()
    scale = max(1.0, np.abs(exact).max(initial=0))
    np.testing.assert_allclose(y, exact, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("shape", [(3, 5000, 1), (3, 500, 70)], ids=str)
def test_a_sum_with_nan_or_inf(shape):
    (x,) = _arrays([shape], "float32")
    x[0, 7, 0], x[1, 400, 0], x[2, 3, 0], x[2, 4, 0] = np.nan, np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = x.sum(1)
    np.testing.assert_array_equal(np.isfinite(sums.sum_middle(x)), np.isfinite(expected))
    np.testing.assert_array_equal(sums.sum_middle(x)[:, 0], expected[:, 0])


def test_the_gradient_of_broadcasting_lies_in_any_order_of_memory():
    x, bias = tg.ones(30_000, 4), tg.ones(1, 4, requires_grad=True)
    (x * bias).backward(tg.ones(4, 30_000).T)
    np.testing.assert_array_equal(bias.grad.numpy(), np.full((1, 4), 30_000.0))


def test_threads_give_what_one_loop_gives(monkeypatch):
    (x,) = _arrays([(3, 5001, 37)], "float32")
    threads = sums.sum_middle(x)
    monkeypatch.setattr(module("reduce"), "SERIAL_BELOW", 10**9, raising=False)
    assert threads.tobytes() == sums.sum_middle(x).tobytes()


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("shape", [*SIZES, (3, 70, 600)], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_running_sums(monkeypatch, dtype, shape, from_end):
    (x,) = _arrays([shape], dtype)
    order = slice(None, None, -1 if from_end else 1)
    y, exact = scan.running_sums(x, from_end), x[:, order].astype("longdouble").cumsum(1)[:, order]
    assert y.dtype == dtype and y.flags.c_contiguous
    scale = max(1.0, np.abs(exact).max(initial=0))
    np.testing.assert_allclose(y, exact, rtol=0, atol=TOLERANCE[dtype] * scale)
    for few in (0, 10**9):  # on all threads, and on one
        monkeypatch.setattr(module("scan"), "FEW", few, raising=False)
        assert y.tobytes() == scan.running_sums(x, from_end).tobytes()


def test_running_sums_go_on_with_nan_and_inf():
    x = np.ones((1, 5, 3), "float32")
    x[0, 1], x[0, 3, 1] = (np.nan, np.inf, np.inf), -np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(scan.running_sums(x, False), x.cumsum(1))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 70_001), (301, 337), (0, 3)], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_share(dtype, shape):
    x, dz = _arrays([shape, shape[:1]], dtype)
    x = np.round(x)
    if shape[0] > 2:
        x[1, 2], x[2, :3] = np.nan, np.inf
    z = x.max(1, initial=-np.inf)
    dx = sums.share(dz, z, x)
    equal = np.array([np.isnan(row) if np.isnan(best) else row == best for row, best in zip(x, z)]).reshape(shape)
    exact = equal * (dz / equal.sum(1).clip(1))[:, None]
    assert dx.dtype == dtype and dx.tobytes() == sums.share(dz, z, x).tobytes()
    np.testing.assert_allclose(dx, exact, rtol=TOLERANCE[dtype], atol=0)
