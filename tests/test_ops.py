"""Every operation: against NumPy, by finite differences, and on every awkward kind of array.

A row of OPS: the operation on tensors, the same in NumPy (None where `test_against_torch.py` is the oracle), and
its inputs' shapes. Positive inputs are drawn where a function asks for them.
"""

import functools

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import ops
from tinygrad_course.nn import functional as F

Y = np.array([1, 0, 2, 1])  # labels of 4 samples, 3 classes


def like(x, numbers):
    return tg.tensor(numbers).to(x.dtype)


def np_softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def np_cross_entropy(x, weight=None, ignore=-100, reduction="mean", smoothing=0.0):
    logp, w = np.log(np_softmax(x, 1)), np.ones(3) if weight is None else weight
    losses = [
        0.0 if t == ignore else -(1 - smoothing) * w[t] * logp[n, t] - smoothing / 3 * (w * logp[n]).sum()
        for n, t in enumerate(Y)
    ]
    total = sum(w[t] for t in Y if t != ignore)
    return np.array(losses) if reduction == "none" else np.sum(losses) / (total if reduction == "mean" else 1)


def np_batch_norm(x, w, b, eps=1e-5):
    axes, shape = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    x = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return x * w.reshape(shape) + b.reshape(shape)


def np_conv2d(x, w, b=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    (N, _, H, W), (O, I, KH, KW) = x.shape, w.shape
    OH = (H - dilation[0] * (KH - 1) - 1) // stride[0] + 1
    OW = (W - dilation[1] * (KW - 1) - 1) // stride[1] + 1
    y = np.zeros((N, O, OH, OW))
    for o in range(O):
        first = o // (O // groups) * I
        for i in range(OH):
            for j in range(OW):
                top, left = i * stride[0], j * stride[1]
                window = x[:, first : first + I, top : top + dilation[0] * KH : dilation[0]]
                window = window[:, :, : KH, left : left + dilation[1] * KW : dilation[1]][..., :KW]
                y[:, o, i, j] = (window * w[o]).sum((1, 2, 3))
    return y if b is None else y + b[:, None, None]


def np_pool(x, k, s, p, reduce, fill):
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=fill)
    OH, OW = ((n - k) // s + 1 for n in x.shape[2:])
    windows = [[reduce(x[:, :, i * s : i * s + k, j * s : j * s + k]) for j in range(OW)] for i in range(OH)]
    return np.moveaxis(np.array(windows), (0, 1), (2, 3))


maximum, average = functools.partial(np.max, axis=(2, 3)), functools.partial(np.mean, axis=(2, 3))
LABELS, W3 = tg.tensor(Y), np.array([0.5, 2.0, 1.0])
MASK = np.array([[True, False, True, False], [False] * 4, [True] * 4])
A, B, C4, IMG = (3, 4), (4,), (2, 3, 4), (2, 2, 6, 5)

OPS = {
    # name: (operation, oracle, shapes, positive)
    "add": (ops.add, np.add, [A, A]),
    "add broadcast": (ops.add, np.add, [(3, 1), (2, 1, 4)]),
    "add scalar": (lambda x: 2 + x + 1, lambda x: x + 3, [A]),
    "sub broadcast": (ops.sub, np.subtract, [A, B]),
    "rsub": (lambda x: 2 - x, lambda x: 2 - x, [A]),
    "mul broadcast": (ops.mul, np.multiply, [(), A]),
    "mul 0-d": (ops.mul, np.multiply, [(), ()]),
    "div broadcast": (ops.div, np.divide, [B, A], True),
    "rdiv": (lambda x: 2 / x, lambda x: 2 / x, [A], True),
    "pow": (ops.pow, np.power, [A, B], True),
    "pow 2": (lambda x: x**2, np.square, [A]),
    "pow -1.5": (lambda x: x**-1.5, lambda x: x**-1.5, [A], True),
    "rpow": (lambda x: 2.0**x, lambda x: 2.0**x, [A]),
    "maximum": (ops.maximum, np.maximum, [A, B], True),
    "minimum": (lambda x: ops.minimum(x, 0.2), lambda x: np.minimum(x, 0.2), [A]),
    "neg": (ops.neg, np.negative, [A]),
    "exp": (ops.exp, np.exp, [A]),
    "log": (ops.log, np.log, [A], True),
    "sqrt": (ops.sqrt, np.sqrt, [A], True),
    "abs": (ops.abs, np.abs, [A]),
    "sum": (ops.sum, np.sum, [A]),
    "sum 1": (lambda x: x.sum(1), lambda x: x.sum(1), [C4]),
    "sum -1 keep": (lambda x: x.sum(-1, keepdim=True), lambda x: x.sum(-1, keepdims=True), [C4]),
    "sum 0,-1": (lambda x: x.sum((0, -1)), lambda x: x.sum((0, -1)), [C4]),
    "mean": (ops.mean, np.mean, [C4]),
    "mean 0,2 keep": (lambda x: x.mean((0, 2), keepdim=True), lambda x: x.mean((0, 2), keepdims=True), [C4]),
    "mean -2": (lambda x: x.mean(-2), lambda x: x.mean(-2), [C4]),
    "matmul 1-1": (ops.matmul, np.matmul, [(4,), (4,)]),
    "matmul 1-2": (ops.matmul, np.matmul, [(4,), (4, 3)]),
    "matmul 2-1": (ops.matmul, np.matmul, [(3, 4), (4,)]),
    "matmul 2-2": (ops.matmul, np.matmul, [(3, 4), (4, 2)]),
    "matmul batch": (ops.matmul, np.matmul, [(2, 3, 4), (2, 4, 2)]),
    "matmul broadcast": (ops.matmul, np.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "matmul 1-3": (ops.matmul, np.matmul, [(4,), (2, 4, 3)]),
    "matmul 3-1": (ops.matmul, np.matmul, [(2, 3, 4), (4,)]),
    "matmul 2-3": (ops.matmul, np.matmul, [(3, 4), (2, 4, 2)]),
    "linear": (ops.linear, lambda x, w, b: x @ w.T + b, [(3, 4), (2, 4), (2,)]),
    "linear no bias": (ops.linear, lambda x, w: x @ w.T, [(3, 4), (2, 4)]),
    "linear 1-d": (ops.linear, lambda x, w, b: x @ w.T + b, [(4,), (2, 4), (2,)]),
    "linear 3-d": (ops.linear, lambda x, w, b: x @ w.T + b, [(2, 3, 4), (2, 4), (2,)]),
    "reshape": (lambda x: x.reshape(4, -1), lambda x: x.reshape(4, -1), [A]),
    "flatten": (lambda x: x.flatten(1), lambda x: x.reshape(2, 12), [C4]),
    "flatten 0,1": (lambda x: x.flatten(0, 1), lambda x: x.reshape(6, 4), [C4]),
    "permute": (lambda x: x.permute(2, 0, -2), lambda x: x.transpose(2, 0, 1), [C4]),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, -1), [C4]),
    "T": (lambda x: x.T, lambda x: x.T, [A]),
    "squeeze": (lambda x: x.squeeze(), np.squeeze, [(1, 3, 1)]),
    "squeeze 0": (lambda x: x.squeeze(0).squeeze(0), lambda x: x[0], [(1, 3, 1)]),
    "unsqueeze": (lambda x: x.unsqueeze(-1).unsqueeze(1), lambda x: x[:, None, :, None], [A]),
    "expand": (lambda x: x.expand(2, -1, 4), lambda x: np.broadcast_to(x, (2, 3, 4)), [(3, 1)]),
    "x[1]": (lambda x: x[1], lambda x: x[1], [A]),
    "x[1, 2]": (lambda x: x[1, 2], lambda x: x[1, 2], [A]),
    "x[-1, 1:]": (lambda x: x[-1, 1:], lambda x: x[-1, 1:], [A]),
    "x[::-2]": (lambda x: x[::-2], lambda x: x[::-2], [A]),
    "x[..., 0]": (lambda x: x[..., 0], lambda x: x[..., 0], [C4]),
    "x[:, None]": (lambda x: x[:, None], lambda x: x[:, None], [A]),
    "x[mask]": (lambda x: x[tg.tensor(MASK)], lambda x: x[MASK], [A]),
    "x[[0,0,1]]": (lambda x: x[[0, 0, 1]], lambda x: x[[0, 0, 1]], [A]),
    "x[t, t]": (lambda x: x[tg.tensor([0, 0, 2]), tg.tensor([1, 1, -1])], lambda x: x[[0, 0, 2], [1, 1, -1]], [A]),
    "x[t]": (lambda x: x[tg.tensor(1)], lambda x: x[1], [A]),
    "cat": (lambda *t: ops.cat(t, 1), lambda *a: np.concatenate(a, 1), [(3, 4), (3, 1), (3, 2)]),
    "cat self": (lambda x: ops.cat([x, x], -1), lambda x: np.concatenate([x, x], -1), [A]),
    "stack": (lambda *t: ops.stack(t, -1), lambda *a: np.stack(a, -1), [A, A]),
    "clone": (ops.clone, np.copy, [A]),
    "cast": (lambda x: x.double() * 1, lambda x: x, [A]),
    "relu": (ops.relu, lambda x: np.maximum(x, 0), [A]),
    "tanh": (ops.tanh, np.tanh, [A]),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), [A]),
    "softmax 1": (lambda x: ops.softmax(x, 1), lambda x: np_softmax(x, 1), [A]),
    "softmax 0": (lambda x: ops.softmax(x, 0), lambda x: np_softmax(x, 0), [C4]),
    "log_softmax -1": (lambda x: ops.log_softmax(x, -1), lambda x: np.log(np_softmax(x, -1)), [C4]),
    "conv2d": (ops.conv2d, np_conv2d, [IMG, (3, 2, 3, 2), (3,)]),
    "conv2d no bias": (ops.conv2d, np_conv2d, [IMG, (3, 2, 3, 2)]),
    "conv2d 1x1": (ops.conv2d, np_conv2d, [IMG, (3, 2, 1, 1), (3,)]),
    "conv2d stride": (
        lambda x, w, b: ops.conv2d(x, w, b, stride=(2, 1), padding=(1, 2)),
        lambda x, w, b: np_conv2d(x, w, b, (2, 1), (1, 2)), [IMG, (3, 2, 3, 3), (3,)],
    ),
    "conv2d dilation": (
        lambda x, w, b: ops.conv2d(x, w, b, dilation=2, padding=1),
        lambda x, w, b: np_conv2d(x, w, b, (1, 1), (1, 1), (2, 2)), [IMG, (1, 2, 3, 2), (1,)],
    ),
    "conv2d groups": (
        lambda x, w, b: ops.conv2d(x, w, b, groups=2, padding=1),
        lambda x, w, b: np_conv2d(x, w, b, padding=(1, 1), groups=2), [IMG, (4, 1, 3, 3), (4,)],
    ),
    "conv2d same": (
        lambda x, w: ops.conv2d(x, w, padding="same"),
        lambda x, w: np_conv2d(x, w, padding=(1, 1)), [IMG, (3, 2, 3, 3)],
    ),
    "conv2d 3-d": (ops.conv2d, lambda x, w: np_conv2d(x[None], w)[0], [(2, 5, 4), (3, 2, 3, 2)]),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), lambda x: np_pool(x, 2, 2, 0, maximum, -np.inf), [IMG]),
    "max_pool2d overlap": (
        lambda x: ops.max_pool2d(x, 3, 1, 1), lambda x: np_pool(x, 3, 1, 1, maximum, -np.inf), [IMG],
    ),
    "max_pool2d ceil": (
        lambda x: ops.max_pool2d(x[:, :, :5], 2, ceil_mode=True),
        lambda x: np_pool(np.pad(x[:, :, :5], ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf), 2, 2, 0,
                          maximum, 0), [IMG],
    ),
    "max_pool2d 3-d": (
        lambda x: ops.max_pool2d(x, 2), lambda x: np_pool(x[None], 2, 2, 0, maximum, -np.inf)[0], [(2, 4, 6)],
    ),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 2), lambda x: np_pool(x, 2, 2, 0, average, 0), [IMG]),
    "avg_pool2d padded": (lambda x: ops.avg_pool2d(x, 3, 1, 1), lambda x: np_pool(x, 3, 1, 1, average, 0), [IMG]),
    "avg_pool2d exclude": (
        lambda x: ops.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        lambda x: np_pool(x, 3, 2, 1, functools.partial(np.nanmean, axis=(2, 3)), np.nan), [IMG],
    ),
    "adaptive_avg_pool2d": (
        lambda x: ops.adaptive_avg_pool2d(x, (3, 1)),
        lambda x: x.reshape(2, 2, 3, 2, 5).mean((3, 4))[..., None], [IMG],
    ),
    "batch_norm 2-d": (
        lambda x, w, b: ops.batch_norm(x, None, None, w, b, True), np_batch_norm, [(5, 3), (3,), (3,)],
    ),
    "batch_norm 4-d": (
        lambda x, w, b: ops.batch_norm(x, None, None, w, b, True), np_batch_norm, [(3, 2, 3, 2), (2,), (2,)],
    ),
    "batch_norm plain": (
        lambda x: ops.batch_norm(x, None, None, training=True),
        lambda x: np_batch_norm(x, np.ones(3), np.zeros(3)), [(5, 3, 2)],
    ),
    "batch_norm eval": (
        lambda x, w, b: ops.batch_norm(x, like(x, W3), like(x, W3 * 2), w, b),
        lambda x, w, b: (x - W3) / np.sqrt(2 * W3 + 1e-5) * w + b, [(5, 3), (3,), (3,)],
    ),
    "cross_entropy": (lambda x: ops.cross_entropy(x, LABELS), np_cross_entropy, [(4, 3)]),
    "cross_entropy weight": (
        lambda x: ops.cross_entropy(x, LABELS, like(x, W3)), lambda x: np_cross_entropy(x, W3), [(4, 3)],
    ),
    "cross_entropy ignore": (
        lambda x: ops.cross_entropy(x, LABELS, like(x, W3), ignore_index=1),
        lambda x: np_cross_entropy(x, W3, 1), [(4, 3)],
    ),
    "cross_entropy smoothing": (
        lambda x: ops.cross_entropy(x, LABELS, like(x, W3), ignore_index=1, reduction="sum", label_smoothing=0.3),
        lambda x: np_cross_entropy(x, W3, 1, "sum", 0.3), [(4, 3)],
    ),
    "cross_entropy none": (
        lambda x: ops.cross_entropy(x, LABELS, reduction="none"),
        lambda x: np_cross_entropy(x, reduction="none"), [(4, 3)],
    ),
    "cross_entropy 1-d": (
        lambda x: ops.cross_entropy(x, tg.tensor(1)), lambda x: -np.log(np_softmax(x, 0))[1], [(3,)],
    ),
    "cross_entropy images": (
        lambda x: ops.cross_entropy(x, tg.tensor(Y.reshape(2, 2))),
        lambda x: np_cross_entropy(x.transpose(0, 2, 1).reshape(4, 3)), [(2, 3, 2)],
    ),
    "cross_entropy probabilities": (
        lambda x, p: ops.cross_entropy(x, p), lambda x, p: -(np.log(np_softmax(x, 1)) * p).sum(1).mean(),
        [(4, 3), (4, 3)],
    ),
    "mse_loss": (ops.mse_loss, lambda x, y: ((x - y) ** 2).mean(), [A, A]),
    "mse_loss none": (lambda x, y: ops.mse_loss(x, y, "none"), lambda x, y: (x - y) ** 2, [A, A]),
    "l1_loss sum": (lambda x, y: ops.l1_loss(x, y, "sum"), lambda x, y: np.abs(x - y).sum(), [A, A]),
}  # fmt: skip
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


def arrays(name, dtype=np.float64, seed=0):
    """The row's operation, oracle and inputs. No two numbers tie, none is at a kink."""
    operation, oracle, shapes, *positive = OPS[name]
    draw = np.random.default_rng(seed)
    inputs = [draw.permutation(np.prod(s, dtype=int)).reshape(s) * 0.17 + 0.1 + 0.03 * i for i, s in enumerate(shapes)]
    inputs = [np.asarray(a if positive else a - a.mean() + 0.045, dtype) for a in inputs]
    return operation, oracle, inputs


def gradients(operation, inputs):
    """Output and the inputs' gradients, with a cotangent that does not depend on the inputs' layout."""
    tensors = [tg.Tensor(a, requires_grad=True) for a in inputs]
    z = operation(*tensors)
    z.backward(tg.tensor(np.cos(np.arange(z.data.size)).reshape(z.shape).astype(z.dtype)))
    return [z.data, *[t.grad.data for t in tensors]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", OPS)
def test_against_numpy(name, dtype):
    operation, oracle, inputs = arrays(name, dtype)
    with np.errstate(all="ignore"):
        expected = np.asarray(oracle(*[a.astype(np.float64) for a in inputs]))
    got = operation(*[tg.Tensor(a) for a in inputs])
    assert got.shape == expected.shape and type(got.data) is np.ndarray
    assert got.dtype == (np.float64 if name == "cast" else dtype)  # float32 stays float32
    np.testing.assert_allclose(got.data, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", OPS)
def test_gradient_by_finite_differences(name):
    operation, _, inputs = arrays(name)
    assert tg.gradcheck(operation, [tg.Tensor(a, requires_grad=True) for a in inputs])


@pytest.mark.parametrize("name", OPS)
def test_gradients_have_their_inputs_shape_and_dtype(name):
    operation, _, inputs = arrays(name, np.float32)
    reference = gradients(operation, [a.astype(np.float64) for a in inputs])
    found = gradients(operation, inputs)
    for array, gradient, expected in zip(inputs, found[1:], reference[1:], strict=True):
        assert type(gradient) is np.ndarray and gradient.shape == array.shape and gradient.dtype == np.float32
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


def fortran(a):
    return np.asfortranarray(a)


def strided(a):
    return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a


def reversed_(a):
    return np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("layout", [fortran, strided, reversed_, read_only], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", OPS)
def test_any_memory_layout_gives_the_same(name, layout):
    operation, _, inputs = arrays(name)
    changed = [layout(a) for a in inputs]
    kept = [a.copy() for a in changed]
    for got, expected in zip(gradients(operation, changed), gradients(operation, inputs), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    for array, before in zip(changed, kept, strict=True):  # and leaves its inputs alone
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name", [n for n, row in OPS.items() if () not in row[2] and "ross_entropy" not in n])
def test_a_non_contiguous_gradient_arrives(name):
    operation, _, inputs = arrays(name)

    def swapped(*tensors):
        z = operation(*tensors)
        return z.permute(*range(len(z.shape)))[::-1].T if z.ndim else z

    assert tg.gradcheck(swapped, [tg.Tensor(a, requires_grad=True) for a in inputs])


EMPTY = {  # name: operation on an x of the shape, expected shape
    "add": (lambda x: x + 1, (0, 3), (0, 3)),
    "mul broadcast": (lambda x: x * tg.ones(1, 3).double(), (0, 3), (0, 3)),
    "sum": (lambda x: x.sum(), (0, 3), ()),
    "sum 0": (lambda x: x.sum(0), (0, 3), (3,)),
    "mean 1": (lambda x: x.mean(1), (0, 3), (0,)),
    "matmul": (lambda x: x @ tg.ones(3, 2).double(), (0, 3), (0, 2)),
    "inner": (lambda x: x.T @ x, (0, 3), (3, 3)),
    "linear": (lambda x: ops.linear(x, tg.ones(2, 3).double(), tg.ones(2).double()), (0, 3), (0, 2)),
    "reshape": (lambda x: x.reshape(3, 0), (0, 3), (3, 0)),
    "flatten": (lambda x: x.flatten(1), (0, 3, 2), (0, 6)),
    "cat": (lambda x: ops.cat([x, tg.ones(2, 3).double()]), (0, 3), (2, 3)),
    "getitem": (lambda x: x[:, 1:], (0, 3), (0, 2)),
    "getitem list": (lambda x: x[[]], (2, 3), (0, 3)),
    "relu": (ops.relu, (0, 3), (0, 3)),
    "tanh": (ops.tanh, (0, 3), (0, 3)),
    "sigmoid": (ops.sigmoid, (0, 3), (0, 3)),
    "softmax": (lambda x: ops.softmax(x, 1), (0, 3), (0, 3)),
    "log_softmax": (lambda x: ops.log_softmax(x, 0), (0, 3), (0, 3)),
    "conv2d": (lambda x: ops.conv2d(x, tg.ones(4, 2, 3, 3).double()), (0, 2, 5, 5), (0, 4, 3, 3)),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), (0, 2, 4, 4), (0, 2, 2, 2)),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 2), (0, 2, 4, 4), (0, 2, 2, 2)),
    "batch_norm": (lambda x: ops.batch_norm(x, tg.ones(3).double(), tg.ones(3).double()), (0, 3), (0, 3)),
    "batch_norm train": (lambda x: ops.batch_norm(x, None, None, training=True), (0, 3, 2), (0, 3, 2)),
    "cross_entropy sum": (lambda x: F.cross_entropy(x, tg.zeros(0).long(), reduction="sum"), (0, 3), ()),
    "cross_entropy none": (lambda x: F.cross_entropy(x, tg.zeros(0).long(), reduction="none"), (0, 3), (0,)),
    "mse_loss": (lambda x: F.mse_loss(x, x.detach(), "sum"), (0, 3), ()),
}


@pytest.mark.parametrize("name", EMPTY)
def test_tensors_without_elements(name):
    operation, shape, expected = EMPTY[name]
    x = tg.tensor(np.zeros(shape), requires_grad=True)
    z = operation(x)
    assert z.shape == expected
    z.backward(tg.ones(*expected).double() if expected else None)
    assert x.grad.shape == shape and not x.grad.data.any()


def test_means_of_nothing_are_nan():
    empty = tg.zeros(0, 3)
    for z in (empty.mean(), empty.mean(0), F.cross_entropy(empty, tg.zeros(0).long()), F.mse_loss(empty, empty)):
        assert np.isnan(z.data).all()
    probabilities = F.cross_entropy(empty, empty)
    assert np.isnan(probabilities.item())
    assert np.isnan(F.cross_entropy(tg.zeros(2, 3), tg.tensor([-100, -100])).item())


# ------------------------------------------------------------------------------- kinks, ties, NaN


def gradient_at(operation, values):
    x = tg.tensor(np.array(values), requires_grad=True)
    operation(x).sum().backward()
    return x.grad.data.tolist()


KINKS = {
    "relu": (ops.relu, [-1.0, -0.0, 0.0, 2.0], [0, 0, 0, 1]),
    "abs": (ops.abs, [-1.0, 0.0, 2.0], [-1, 0, 1]),
    "l1": (lambda x: F.l1_loss(x, tg.tensor(np.ones(3)), "sum"), [0.0, 1.0, 2.0], [-1, 0, 1]),
    "maximum": (lambda x: ops.maximum(x, 1.0), [0.0, 1.0, 2.0], [0, 0.5, 1]),
    "minimum": (lambda x: ops.minimum(1.0, x), [0.0, 1.0, 2.0], [1, 0.5, 0]),
    "0 ** 2": (lambda x: x**2, [0.0, 1.0], [0, 2]),
    "0 ** 1": (lambda x: x**1, [0.0, 1.0], [1, 1]),
    "0 ** 0": (lambda x: x**0, [0.0, 1.0], [0, 0]),
    "exponent of 0": (lambda y: tg.tensor(np.zeros(2)) ** y, [0.0, 2.0], [0, 0]),
    "max_pool2d": (lambda x: ops.max_pool2d(x.reshape(1, 1, 2, 2), 2), [3.0, 5.0, 5.0, 5.0], [0, 1, 0, 0]),
    "max_pool2d -inf": (lambda x: ops.max_pool2d(x.reshape(1, 1, 2, 2), 2), [-np.inf] * 4, [1, 0, 0, 0]),
    "softmax of huge": (lambda x: ops.softmax(x, 0)[0], [1000.0, 1000.0], [0.25, -0.25]),
    "log_softmax of huge": (lambda x: ops.log_softmax(x, 0)[0], [1e4, -1e4], [0, 0]),
    "sigmoid of huge": (ops.sigmoid, [-1e4, 1e4], [0, 0]),
    "tanh of huge": (ops.tanh, [-1e4, 1e4], [0, 0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks_ties_and_extremes(name):
    operation, values, expected = KINKS[name]
    assert gradient_at(operation, values) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [4, 60_000])  # serial and parallel kernels
def test_nan_and_inf_travel_through_activations(dtype, bad, size):
    x = np.ones(size, dtype)
    x[2] = bad
    for operation, oracle in (
        (ops.relu, lambda x: np.maximum(x, 0)), (ops.tanh, np.tanh), (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (ops.exp, np.exp), (ops.abs, np.abs),
    ):  # fmt: skip
        t = tg.Tensor(x, requires_grad=True)
        y = operation(t)
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(y.data[:4], oracle(x[:4]), rtol=1e-6)
        y.backward(tg.Tensor(np.ones_like(x)))
        assert np.isfinite(t.grad.data[[0, 1, 3]]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_travel_through_the_rest(bad):
    image = np.ones((1, 2, 4, 4))
    image[0, 0, 1, 1] = bad
    x, w = tg.tensor(image), tg.ones(3, 2, 2, 2).double()
    assert (~np.isfinite(ops.conv2d(x, w).data)).sum() == 3 * 4
    assert (~np.isfinite(ops.max_pool2d(x, 2).data)).sum() == 1
    assert (~np.isfinite(ops.avg_pool2d(x, 2).data)).sum() == 1
    y = ops.batch_norm(x, None, None, training=True).data
    assert np.isnan(y[:, 0]).all() and np.isfinite(y[:, 1]).all()
    logits = tg.tensor([[0.0, bad], [0.0, 1.0]])
    losses = F.cross_entropy(logits, tg.tensor([0, 0]), reduction="none").data
    assert not np.isfinite(losses[0]) and np.isfinite(losses[1])
    assert np.isnan(ops.softmax(logits, 1).data[0]).any()
    m = np.eye(3)
    m[0, 0] = bad
    assert not np.isfinite((tg.tensor(m) @ tg.ones(3, 2).double()).data[0]).any()


# ------------------------------------------------------------------------------- dtypes

i, f, d, b, u = tg.int64, tg.float32, tg.float64, tg.bool_, tg.uint8
PROMOTIONS = [  # (dtype, dims), (dtype, dims) or a number, result of +: PyTorch's
    ((f, 1), (d, 1), d), ((f, 1), (d, 0), f), ((f, 0), (d, 1), d), ((i, 1), (f, 0), f), ((i, 1), (d, 0), d),
    ((i, 0), (f, 1), f), ((b, 1), (i, 1), i), ((b, 1), (f, 1), f), ((u, 1), (tg.int32, 1), tg.int32),
    ((u, 1), (i, 0), u), ((f, 1), 2, f), ((f, 1), 2.5, f), ((f, 1), np.float64(2.5), f), ((i, 1), 2, i),
    ((i, 1), 2.5, f), ((d, 1), 2.5, d), ((b, 1), 1, i), ((b, 1), 1.5, f), ((b, 1), True, b), ((i, 1), True, i),
    ((u, 1), 2, u),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y", "expected"), PROMOTIONS)
def test_promotion(x, y, expected):
    def made(what):
        return tg.tensor(np.ones((2,) * what[1], what[0])) if isinstance(what, tuple) else what

    assert (made(x) + made(y)).dtype == expected
    assert (made(y) * made(x)).dtype == expected


def test_integers_in_functions_of_reals():
    x = tg.tensor([1, 4])
    for operation in (ops.exp, ops.log, ops.sqrt, ops.tanh, ops.sigmoid, lambda x: x / 2, lambda x: x / x):
        assert operation(x).dtype == f
    assert ops.relu(x - 2).tolist() == [0, 2] and ops.relu(x).dtype == i
    assert (x**2).tolist() == [1, 16] and (x**2).dtype == i and (x**0.5).dtype == f
    assert tg.tensor([200, 100], dtype=u).sum().item() == 300 and tg.tensor([True, True]).sum().dtype == i
    assert x.abs().dtype == i and (-x).tolist() == [-1, -4]
    with pytest.raises(RuntimeError, match="floating"):
        x.mean()


def test_cat_promotes_and_gives_each_gradient_its_dtype():
    x, y = tg.ones(2, requires_grad=True), tg.tensor(np.ones(2), requires_grad=True)
    z = tg.cat([x, y, tg.tensor([1])])
    assert z.dtype == d and tg.cat([x, tg.tensor([1])]).dtype == f
    z.sum().backward()
    assert x.grad.dtype == f and y.grad.dtype == d


def test_mixed_dtypes_give_each_gradient_its_dtype():
    x, y = tg.ones(2, requires_grad=True), tg.tensor(np.ones(2), requires_grad=True)
    (x * y + x).sum().backward()
    assert x.grad.dtype == f and y.grad.dtype == d
    z = tg.ones(2, requires_grad=True)
    (z.double().exp() * 2).sum().backward()
    assert z.grad.dtype == f


def test_arg_max_and_min():
    x = tg.tensor([[1.0, 5.0, 5.0], [7.0, 0.0, 7.0]])
    assert x.argmax().item() == 3 and x.argmax(1).tolist() == [1, 0] and x.argmin(0).tolist() == [0, 1, 0]
    assert x.argmax(-1, keepdim=True).shape == (2, 1) and x.argmax(1).dtype == i
    assert tg.tensor(3.0).argmax(0).item() == 0


def test_sum_of_no_dims_is_the_sum_of_all():
    assert tg.ones(2, 3).sum(()).item() == 6
