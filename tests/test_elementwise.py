"""Elementwise functions, comparisons and reductions: NumPy as oracle, finite differences for both backward passes."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import ops

A, B, V = (3, 4), (4,), (2, 3, 2)
EYE = np.eye(3, 4, dtype=bool)


def each(function):
    return lambda x: np.vectorize(function, otypes=[np.float64])(x)


def np_logsumexp(x, axis):
    return np.log(np.exp(x).sum(axis=axis))


OPS = {
    # name: (operation, oracle, shapes, (low, high) of the inputs)
    "add alpha": (lambda x, y: tg.add(x, y, alpha=3), lambda x, y: x + 3 * y, [A, B]),
    "sub alpha": (lambda x, y: x.sub(y, alpha=0.5), lambda x, y: x - y / 2, [A, B]),
    "rsub": (lambda x, y: tg.rsub(x, y, alpha=2), lambda x, y: y - 2 * x, [A, (3, 1)]),
    "div": (lambda x, y: tg.divide(x, y), np.divide, [A, B], (0.3, 2)),
    "pow": (lambda x, y: x**y, np.power, [A, B], (0.3, 2)),
    "pow number": (lambda x: x**3 + x**-1 + x**0, lambda x: x**3 + 1 / x + 1, [A], (0.3, 2)),
    "number pow": (lambda x: 2**x, lambda x: 2**x, [A]),
    "remainder": (lambda x, y: x % y, np.remainder, [A, B], (0.3, 2)),
    "remainder of numbers": (lambda x: 5 % x + x % -0.7, lambda x: 5 % x + x % -0.7, [A], (0.3, 2)),
    "fmod": (lambda x, y: tg.fmod(-x, y), lambda x, y: np.fmod(-x, y), [A, B], (0.3, 2)),
    "floor_divide": (lambda x, y: x // y + x, lambda x, y: x // y + x, [A, B], (0.3, 2)),
    "div floor": (lambda x, y: tg.div(-x, y, rounding_mode="floor") + x, lambda x, y: -x // y + x, [A, B], (0.3, 2)),
    "div trunc": (lambda x, y: tg.div(-x, y, rounding_mode="trunc") + y, lambda x, y: np.trunc(-x / y) + y,
                  [A, B], (0.3, 2)),
    "neg": (lambda x: +x - (-x), lambda x: 2 * x, [A]),
    "abs": (lambda x: abs(x) * x, lambda x: abs(x) * x, [A]),
    "exp": (ops.exp, np.exp, [A]),
    "log": (ops.log, np.log, [A], (0.3, 2)),
    "sqrt": (ops.sqrt, np.sqrt, [A], (0.3, 2)),
    "lerp": (tg.lerp, lambda x, y, w: x + w * (y - x), [A, A, B]),
    "addcmul": (lambda x, y, z: tg.addcmul(x, y, z, value=2), lambda x, y, z: x + 2 * y * z, [A, B, A]),
    "addcdiv": (lambda x, y, z: tg.addcdiv(x, y, z, value=2), lambda x, y, z: x + 2 * y / z, [A, B, A], (0.3, 2)),
    "exp2": (tg.exp2, np.exp2, [A]),
    "expm1": (tg.expm1, np.expm1, [A]),
    "log2": (tg.log2, np.log2, [A], (0.3, 2)),
    "log10": (tg.log10, np.log10, [A], (0.3, 2)),
    "log1p": (tg.log1p, np.log1p, [A], (-0.5, 2)),
    "rsqrt": (tg.rsqrt, lambda x: x**-0.5, [A], (0.3, 2)),
    "reciprocal": (tg.reciprocal, np.reciprocal, [A], (0.3, 2)),
    "square": (tg.square, np.square, [A]),
    "sin": (np.sin, np.sin, [A]),
    "cos": (np.cos, np.cos, [A]),
    "tan": (tg.tan, np.tan, [A], (-1, 1)),
    "asin": (tg.arcsin, np.arcsin, [A], (-0.9, 0.9)),
    "acos": (tg.acos, np.arccos, [A], (-0.9, 0.9)),
    "atan": (tg.atan, np.arctan, [A]),
    "sinh": (tg.sinh, np.sinh, [A]),
    "cosh": (tg.cosh, np.cosh, [A]),
    "asinh": (tg.asinh, np.arcsinh, [A]),
    "acosh": (tg.acosh, np.arccosh, [A], (1.2, 3)),
    "atanh": (tg.atanh, np.arctanh, [A], (-0.9, 0.9)),
    "atan2": (tg.atan2, np.arctan2, [A, B]),
    "hypot": (tg.hypot, np.hypot, [A, B]),
    "erf": (tg.erf, each(math.erf), [A]),
    "erfc": (tg.erfc, each(math.erfc), [A]),
    "deg2rad": (tg.deg2rad, np.deg2rad, [A]),
    "rad2deg": (tg.rad2deg, np.rad2deg, [A]),
    "logit": (tg.logit, lambda x: np.log(x / (1 - x)), [A], (0.1, 0.9)),
    "logaddexp": (tg.logaddexp, np.logaddexp, [A, B]),
    "logaddexp2": (tg.logaddexp2, np.logaddexp2, [A, B]),
    "xlogy": (tg.xlogy, lambda x, y: x * np.log(y), [A, B], (0.3, 2)),
    "sinc": (tg.sinc, np.sinc, [A]),
    "where": (lambda x, y: tg.where(tg.tensor(EYE), x, y), lambda x, y: np.where(EYE, x, y), [A, B]),
    "where number": (lambda x: tg.where(tg.tensor(EYE), 2.0, x * x), lambda x: np.where(EYE, 2, x * x), [A]),
    "maximum": (tg.maximum, np.maximum, [A, B]),
    "minimum": (lambda x, y: np.minimum(x * x, y), lambda x, y: np.minimum(x * x, y), [A, B]),
    "fmax": (tg.fmax, np.fmax, [A, B]),
    "fmin": (tg.fmin, np.fmin, [A, B]),
    "clamp": (lambda x: x.clamp(-0.5, max=0.6) * x, lambda x: np.clip(x, -0.5, 0.6) * x, [A]),
    "clamp tensors": (lambda x, y, z: tg.clamp(x, y - 1, z * z + 1), lambda x, y, z: np.clip(x, y - 1, z * z + 1),
                      [A, B, (3, 1)]),
    "clip": (lambda x: np.clip(x, 0.1, None), lambda x: np.clip(x, 0.1, None), [A]),
    "floor": (lambda x: x.floor() * x, lambda x: np.floor(x) * x, [A]),
    "ceil": (lambda x: x.ceil() * x, lambda x: np.ceil(x) * x, [A]),
    "trunc": (lambda x: x.trunc() * x, lambda x: np.trunc(x) * x, [A]),
    "round": (lambda x: x.round(decimals=1) * x, lambda x: x.round(1) * x, [A]),
    "frac": (lambda x: x.frac() * x, lambda x: np.fmod(x, 1) * x, [A]),
    "sign": (lambda x: x.sign() * x, abs, [A]),
    "nan_to_num": (lambda x: x.nan_to_num() * x, np.square, [A]),
    "sum": (lambda x: x.sum(axis=(0, -1), keepdims=True), lambda x: x.sum((0, -1), keepdims=True), [V]),
    "nansum": (lambda x: tg.nansum(x, 1), lambda x: x.sum(1), [V]),
    "mean": (lambda x: np.mean(x, axis=1), lambda x: x.mean(1), [V]),
    "nanmean": (lambda x: tg.nanmean(x, (0, 2), True), lambda x: x.mean((0, 2), keepdims=True), [V]),
    "prod": (lambda x: x.prod(), np.prod, [A]),
    "prod 1 keep": (lambda x: x.prod(1, keepdim=True), lambda x: x.prod(1, keepdims=True), [V]),
    "var": (lambda x: x.var(), lambda x: x.var(ddof=1), [A]),
    "var 0,2 biased": (lambda x: x.var((0, 2), unbiased=False, keepdim=True), lambda x: x.var((0, 2), keepdims=True),
                       [V]),
    "var correction": (lambda x: x.var(1, correction=0.5), lambda x: x.var(1, ddof=0.5), [V]),
    "std": (lambda x: x.std(-1), lambda x: x.std(-1, ddof=1), [A]),
    "std of np": (np.std, np.std, [A]),
    "max": (lambda x: x.max() * x.min(), lambda x: x.max() * x.min(), [A]),
    "max 1": (lambda x: x.max(1).values * x.min(1, keepdim=True)[0][:, 0], lambda x: x.max(1) * x.min(1), [V]),
    "amax": (lambda x: x.amax((0, 1)) * x.amin(-1, True), lambda x: x.max((0, 1)) * x.min(-1, keepdims=True), [V]),
    "median": (lambda x: x.median(1).values, lambda x: np.median(x, 1), [V]),
    "median of all": (lambda x: x[0].median() * x.sum(), lambda x: np.sort(x[0])[1] * x.sum(), [A]),
    "logsumexp": (lambda x: x.logsumexp((0, 2)), lambda x: np_logsumexp(x, (0, 2)), [V]),
    "norm": (lambda x: x.norm(), np.linalg.norm, [A]),
    "norm 1": (lambda x: x.norm(1, dim=1), lambda x: np.linalg.norm(x, 1, 1), [A]),
    "norm 3": (lambda x: x.norm(3, dim=0, keepdim=True), lambda x: np.linalg.norm(x, 3, 0, True), [A]),
    "norm 0.5": (lambda x: x.norm(0.5, -1), lambda x: np.linalg.norm(x, 0.5, -1), [A]),
    "norm inf": (lambda x: x.norm(math.inf, 1) * x.norm(-math.inf, 1),
                 lambda x: np.linalg.norm(x, np.inf, 1) * np.linalg.norm(x, -np.inf, 1), [A]),
    "vector_norm": (lambda x: tg.linalg.vector_norm(x, 1.5), lambda x: (abs(x) ** 1.5).sum() ** (2 / 3), [A]),
    "dist": (tg.dist, lambda x, y: np.linalg.norm(x - y), [A, B]),
    "cumsum": (lambda x: x.cumsum(1), lambda x: x.cumsum(1), [V]),
    "cumprod": (lambda x: x.cumprod(-2), lambda x: x.cumprod(-2), [V]),
    "logcumsumexp": (lambda x: x.logcumsumexp(0), np.logaddexp.accumulate, [A]),
    "cummax": (lambda x: x.cummax(0).values, np.maximum.accumulate, [A]),
    "relu": (ops.relu, lambda x: np.maximum(x, 0), [A]),
    "tanh": (ops.tanh, np.tanh, [A]),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), [A]),
    "softmax": (lambda x: x.softmax(0), lambda x: np.exp(x) / np.exp(x).sum(0), [A]),
    "log_softmax": (lambda x: x.log_softmax(-1), lambda x: x - np_logsumexp(x, -1)[:, None], [A]),
    "cast": (lambda x: x.double() * x, np.square, [A]),
}  # fmt: skip


def inputs_of(name, dtype=np.float64):
    """The row's inputs: no two numbers tie, none is at a kink."""
    _, _, shapes, *limits = OPS[name]
    low, high = limits[0] if limits else (-1.9, 2)
    draw = np.random.default_rng(sum(map(ord, name)))
    sizes = [math.prod(s) for s in shapes]
    numbers = draw.permutation(np.linspace(low + 0.013, high - 0.017, sum(sizes))).astype(dtype)
    return [part.reshape(s) for part, s in zip(np.split(numbers, np.cumsum(sizes)[:-1]), shapes, strict=True)]


@pytest.mark.parametrize("name", OPS)
def test_against_numpy(name):
    operation, oracle, *_ = OPS[name]
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        inputs = inputs_of(name, dtype)
        with np.errstate(all="ignore"):
            expected = np.asarray(oracle(*[a.astype(np.float64) for a in inputs]))
        found = operation(*[tg.Tensor(a) for a in inputs])
        assert found.shape == expected.shape and found.dtype == (np.float64 if name == "cast" else dtype)
        np.testing.assert_allclose(found.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPS)
def test_first_and_second_gradient_by_finite_differences(name):
    inputs = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name)]
    assert tg.gradcheck(OPS[name][0], inputs)
    assert tg.gradgradcheck(OPS[name][0], inputs)


@pytest.mark.parametrize("name", OPS)
def test_layouts_and_float32(name):
    """Strided, reversed and read-only inputs give the same gradients, and float32 stays float32."""
    reference = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name)]
    z = OPS[name][0](*reference)
    weights = np.cos(np.arange(z.numel())).reshape(z.shape)
    z.backward(tg.tensor(weights))
    for layout in (np.asfortranarray, lambda a: a[::-1].copy()[::-1], lambda a: np.repeat(a, 2, -1)[..., ::2]):
        arrays = [layout(a) for a in inputs_of(name)]
        for array in arrays:
            array.flags.writeable = False
        leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
        OPS[name][0](*leaves).backward(tg.tensor(weights))
        for leaf, expected in zip(leaves, reference, strict=True):
            np.testing.assert_allclose(leaf.grad.data, expected.grad.data, rtol=1e-12, atol=1e-12)
    if name != "cast":
        leaves = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name, np.float32)]
        OPS[name][0](*leaves).backward(tg.tensor(weights))
        assert {leaf.grad.dtype for leaf in leaves} == {np.dtype(np.float32)}


# ------------------------------------------------------------------------------------- kinks, ties, nan, inf


def gradient(operation, *arrays):
    leaves = [tg.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays]
    operation(*leaves).sum().backward()
    found = [leaf.grad.tolist() for leaf in leaves]
    return found[0] if len(found) == 1 else found


TIES = {
    "abs": (abs, [-2, 0, 3], [-1, 0, 1]),
    "relu": (ops.relu, [-2, 0, 3], [0, 0, 1]),
    "sign": (ops.sign, [-2, 0, 3], [0, 0, 0]),
    "clamp": (lambda x: x.clamp(0, 1), [-1, 0, 0.5, 1, 2], [0, 1, 1, 1, 0]),
    "clamp min > max": (lambda x: x.clamp(2, 1), [0, 1.5, 3], [0, 0, 0]),
    "max": (lambda x: x.max(), [1, 3, 3, 0], [0, 0.5, 0.5, 0]),
    "amin": (lambda x: x.amin(0), [1, 0, 3, 0], [0, 0.5, 0, 0.5]),
    "max 0": (lambda x: x.max(0).values, [1, 3, 3, 0], [0, 1, 0, 0]),
    "min 0": (lambda x: x.min(0)[0], [1, 0, 3, 0], [0, 1, 0, 0]),
    "prod of one 0": (lambda x: x.prod(), [2, 0, 3], [0, 6, 0]),
    "prod of two 0": (lambda x: x.prod(), [2, 0, 0], [0, 0, 0]),
    "cumprod of 0": (lambda x: x.cumprod(0), [2, 0, 3], [1, 8, 0]),
    "norm of 0": (lambda x: x.norm(), [0, 0], [0, 0]),
    "std of equal ones": (lambda x: x.std(), [2, 2], [0, 0]),
    "pow 0": (lambda x: x**0, [0, 1], [0, 0]),
    "pow 2 at 0": (lambda x: x**2, [0, 1], [0, 2]),
    "nan_to_num": (lambda x: x.nan_to_num(), [math.nan, math.inf, 2], [0, 0, 1]),
    "median": (lambda x: x.median(), [5, 1, 3, 2], [0, 0, 0, 1]),
}


@pytest.mark.parametrize("name", TIES)
def test_ties_and_kinks(name):
    operation, x, expected = TIES[name]
    assert gradient(operation, x) == pytest.approx(expected)


def test_maximum_and_minimum_share_ties():
    for operation in (tg.maximum, tg.minimum):
        assert gradient(operation, [1, 2], [1, 2]) == [[0.5, 0.5], [0.5, 0.5]]
    assert gradient(lambda x, low, high: tg.clamp(x, low, high), [0, 2, 5], [1, 1, 1], [3, 3, 3]) == [
        [0, 1, 0], [1, 0, 0], [0, 0, 1],
    ]  # fmt: skip


def test_second_gradients_where_there_are_zeros():
    x = tg.tensor(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.5], [1.0, 2.0, 3.0]]), requires_grad=True)
    assert tg.gradgradcheck(lambda x: x.prod(1), x)
    assert tg.gradgradcheck(lambda x: x.cumprod(0), x)
    assert tg.gradgradcheck(lambda x: x**2, x)


def test_nan_and_inf():
    x = tg.tensor([math.nan, math.inf, -math.inf, 1.0])
    assert x.isnan().tolist() == [True, False, False, False]
    assert x.isinf().tolist() == [False, True, True, False]
    assert np.isfinite(x).tolist() == [False, False, False, True]
    of_all = (x.max(), x.min(), x.amax(0), x.max(0).values, x.median(), x.sum())
    for z in (*of_all, tg.maximum(x, 0.0)[0], x.clamp(0, 1)[0]):
        assert math.isnan(z.item())
    assert x.argmax().item() == x.argmin().item() == 0
    assert x.sign().tolist() == [0, 1, -1, 1]
    assert x.nan_to_num(7.0, 8.0, 9.0).tolist() == [7, 8, 9, 1]
    assert tg.fmax(x, 0.0).tolist() == [0, math.inf, 0, 1]
    assert tg.tensor([-math.inf, -math.inf]).logsumexp(0).item() == -math.inf
    assert tg.tensor([1000.0, 1000.0]).logsumexp(0).item() == pytest.approx(1000 + math.log(2))


# ------------------------------------------------------------------------------------- integers, bools, comparisons


def test_integers():
    n = tg.tensor([7, -7, 3])
    assert (n // 2).tolist() == [3, -4, 1] and (n % 2).tolist() == [1, 1, 1]
    assert tg.div(n, 2, rounding_mode="trunc").tolist() == [3, -3, 1]
    assert (n / 2).dtype == tg.float32 and (n // 2).dtype == (n % 2).dtype == tg.int64
    assert (10 // tg.tensor([3])).tolist() == [3] and (10 % tg.tensor([3])).tolist() == [1]
    assert n.floor().dtype == n.clamp(0, 5).dtype == n.sum().dtype == n.square().dtype == tg.int64
    assert n.clamp(min=0.5).dtype == tg.float32
    assert n.prod().item() == -147 and tg.tensor([True, False]).sum().item() == 1
    for operation in (lambda: n // 0, lambda: n % 0, lambda: tg.fmod(n, 0)):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            operation()
    with pytest.raises(RuntimeError, match="alpha must be an integer"):
        tg.add(n, n, alpha=0.5)


def test_bools():
    a, b = tg.tensor([True, True, False]), tg.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False] and (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False] and (~a).tolist() == [False, False, True]
    assert (tg.tensor([6]) & 3).item() == 2 and (~tg.tensor([0])).item() == -1
    assert tg.logical_and(tg.tensor([1.5, 0.0]), tg.tensor([2, 1])).tolist() == [True, False]
    assert a.any().item() is True and a.all().item() is False
    table = tg.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert table.any(1).tolist() == [True, False] and table.all(dim=0, keepdim=True).tolist() == [[False, False]]
    assert table.count_nonzero(0).tolist() == [0, 1]
    with pytest.raises(RuntimeError, match="expected bool or integer tensors"):
        tg.bitwise_and(table, table)
    with pytest.raises(TypeError, match="bool or integer"):
        tg.bitwise_not(table)


def test_comparisons():
    x, y = tg.tensor([1.0, 2.0, 3.0]), tg.tensor([3.0, 2.0, 1.0])
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        expected = getattr(x.data, f"__{name}__")(y.data).tolist()
        assert getattr(tg, name)(x, y).tolist() == getattr(x, name)(y).tolist() == expected
        assert getattr(x, f"__{name}__")(y.data).tolist() == expected
    assert tg.equal(x, x.clone()) is True and tg.equal(x, x[:2]) is False
    assert tg.allclose(x, x + 1e-7) is True and tg.isclose(x, y).tolist() == [False, True, False]
    assert tg.allclose(tg.tensor([math.nan]), tg.tensor([math.nan]), equal_nan=True)
    with pytest.raises(RuntimeError, match="do not broadcast"):
        x == tg.zeros(2)  # noqa: B015
    with pytest.raises(RuntimeError, match="dtypes int64 and float32 differ"):
        tg.isclose(tg.tensor([1]), tg.tensor([1.0]))


# ------------------------------------------------------------------------------------- reductions' corners


def test_named_results():
    x = tg.tensor([[1.0, 5.0, 5.0], [4.0, 0.0, 2.0]])
    values, indices = x.max(1)
    assert values.tolist() == [5, 4] and indices.tolist() == [1, 0] and indices.dtype == tg.int64
    assert x.max(dim=1, keepdim=True).indices.tolist() == [[1], [0]]
    assert tg.max(x, tg.tensor(3.0)).tolist() == [[3, 5, 5], [4, 3, 3]]
    low, high = x.aminmax(dim=0)
    assert low.tolist() == [1, 0, 2] and high.tolist() == [4, 5, 5]
    assert x.median(1).indices.tolist() in ([1, 2], [2, 2])
    assert x.mode(1).values.tolist() == [5, 0]
    variance, mean = tg.var_mean(x, 1, correction=0)
    np.testing.assert_allclose(variance.data, x.data.var(1), rtol=1e-6)
    np.testing.assert_allclose(mean.data, x.data.mean(1), rtol=1e-6)
    assert tg.tensor(5.0).max(0).indices.item() == 0


EMPTY = tg.zeros(2, 0)
REFUSED = {
    "max of nothing": (lambda: EMPTY.max(), RuntimeError, r"shape \(2, 0\) has no numbers"),
    "max of an empty dim": (lambda: EMPTY.max(1), IndexError, "dimension 1 of shape .* has size 0"),
    "amax of an empty dim": (lambda: EMPTY.amax(1), IndexError, "dimension 1"),
    "argmax of nothing": (lambda: EMPTY.argmax(), IndexError, "has size 0"),
    "dim out of range": (lambda: tg.ones(2).sum(1), IndexError, r"dim=1 is out of range"),
    "dim twice": (lambda: tg.ones(2, 2).sum((0, -2)), RuntimeError, "twice"),
    "mean of integers": (lambda: tg.tensor([1]).mean(), RuntimeError, "floating"),
    "std of integers": (lambda: tg.tensor([1]).std(), RuntimeError, "floating"),
    "norm of integers": (lambda: tg.tensor([1]).norm(), RuntimeError, "floating"),
    "prod over two": (lambda: tg.ones(2, 2).prod((0, 1)), TypeError, "one integer"),
    "clamp without bounds": (lambda: tg.ones(2).clamp(), RuntimeError, "at least one of min and max"),
    "where without bools": (lambda: tg.where(tg.ones(2), 1, 2), RuntimeError, "bool"),
    "where of clashing shapes": (lambda: tg.where(tg.ones(2) > 0, tg.ones(3), 0.0), RuntimeError, "do not broadcast"),
    "rounding_mode": (lambda: tg.div(tg.ones(2), 2, rounding_mode="up"), RuntimeError, "'trunc' or 'floor'"),
    "shapes": (lambda: tg.atan2(tg.ones(2, 3), tg.ones(2)), RuntimeError, "sizes 3 and 2 differ at dimension 1"),
    "a word": (lambda: tg.add(tg.ones(2), "a"), TypeError, "expected tensors"),
    "neg of bools": (lambda: -tg.tensor([True]), RuntimeError, "use ~x"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_empty_tensors():
    x = tg.zeros(0, 3, requires_grad=True)
    assert x.sum().item() == 0 and x.prod().item() == 1 and x.sum(0).tolist() == [0, 0, 0]
    assert x.amax(1).shape == (0,) and x.cumsum(0).shape == (0, 3) and x.norm().item() == 0
    assert math.isnan(x.mean().item()) and math.isnan(x.var().item())
    (x.sum() + x.prod(1).sum() + x.exp().sum() + x.logsumexp(1).sum() + x.max(1).values.sum()).backward()
    assert x.grad.shape == (0, 3)


# ------------------------------------------------------------------------------------- in place


def test_in_place_forms_are_on_the_tape():
    x = tg.tensor(np.array([0.4, 1.3, 2.2]), requires_grad=True)

    def changed(x):
        y = x * 1
        assert y.exp_().sqrt_().mul_(x).add_(1, alpha=2).clamp_(0, 9).pow_(2).log_().sigmoid_() is y
        y *= x
        y /= x + 1
        y **= 3
        return y.tanh_().neg_().abs_()

    def plain(x):
        y = ((x.exp().sqrt() * x + 2).clamp(0, 9) ** 2).log().sigmoid()
        return ((y * x / (x + 1)) ** 3).tanh().neg().abs()

    np.testing.assert_allclose(changed(x).data, plain(x).data, rtol=1e-12)
    assert tg.gradcheck(changed, x) and tg.gradgradcheck(changed, x)


def test_in_place_forms_change_the_array():
    array = np.array([1.0, -2.0])
    x = tg.from_numpy(array)
    x.relu_().add_(1).floor_()
    assert array.tolist() == [2, 1]
    n = tg.tensor([5, -5])
    assert n.remainder_(3).tolist() == [2, 1] and n.dtype == tg.int64
    n //= 2
    assert n.tolist() == [1, 0]
    with pytest.raises(RuntimeError, match="cannot be cast"):
        n.div_(2)
    with pytest.raises(RuntimeError, match="leaf"):
        tg.ones(2, requires_grad=True).exp_()
