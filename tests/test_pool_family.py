"""Pools of every kind: oracle, gradients, gradients of gradients, ties, NaN, empty batches, errors."""

import math

import numpy as np
import pytest
from checks import raises_clearly

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def draw(*shape, seed=0):
    """Numbers that are all different: no step of a finite difference changes a winner."""
    count = math.prod(shape)
    return np.random.default_rng([seed, *shape]).permutation(count).reshape(shape) / 10 - count / 20


def plain(x, windows, reduce):
    """reduce of x over each of `windows`, a list (rows) of lists (columns) of (slice, slice)."""
    return np.stack([np.stack([reduce(x[:, :, a, b], axis=(2, 3)) for a, b in line], -1) for line in windows], 2)


def sliding(size, k, s=None, p=0):
    """The windows of a pool without what lies outside."""
    s = s or k
    axes = [[slice(max(0, i * s - p), max(0, i * s - p + k)) for i in range((n + 2 * p - k) // s + 1)] for n in size]
    return [[(a, b) for b in axes[1]] for a in axes[0]]


def adaptive(size, output):
    axes = [[slice(i * n // o, -(-(i + 1) * n // o)) for i in range(o)] for n, o in zip(size, output)]
    return [[(a, b) for b in axes[1]] for a in axes[0]]


def root_of_squares(x, axis):
    return np.sqrt((x * x).sum(axis))


def signal(oracle):
    return lambda x: oracle(x[:, :, None])[:, :, 0]


ROWS = {  # name: (operation, oracle, shape)
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), lambda x: plain(x, sliding((4, 6), 2), np.max), (2, 2, 4, 6)),
    "max_pool2d padded": (
        lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: plain(x, sliding((5, 6), 3, 2, 1), np.max), (1, 2, 5, 6),
    ),
    "max_pool2d one image": (
        lambda x: F.max_pool2d(x, 2, 1), lambda x: plain(x[None], sliding((3, 4), 2, 1), np.max)[0], (2, 3, 4),
    ),
    "max_pool1d": (
        lambda x: F.max_pool1d(x, 3, 2, 1),
        signal(lambda x: plain(x, [[(slice(0, 1), b) for _, b in sliding((7, 7), 3, 2, 1)[0]]], np.max)), (2, 3, 7),
    ),
    "max_pool2d dilated": (
        lambda x: F.max_pool2d(x, 2, 1, 0, 2),
        lambda x: np.max([x[:, :, u : 2 + u, v : 3 + v] for u in (0, 2) for v in (0, 2)], 0), (1, 2, 4, 5),
    ),
    "max_pool2d ceil": (
        lambda x: F.max_pool2d(x, 2, ceil_mode=True),
        lambda x: plain(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), "edge"), sliding((6, 4), 2), np.max), (1, 2, 5, 3),
    ),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 2)), lambda x: plain(x, sliding((4, 6), 2), np.mean), (2, 2, 4, 6)),
    "avg_pool2d without padding": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        lambda x: plain(x, sliding((5, 6), 3, 2, 1), np.mean), (1, 2, 5, 6),
    ),
    "avg_pool2d divisor": (
        lambda x: F.avg_pool2d(x, 2, divisor_override=3),
        lambda x: plain(x, sliding((4, 4), 2), np.sum) / 3, (1, 2, 4, 4),
    ),
    "avg_pool1d": (
        lambda x: F.avg_pool1d(x, 3, 2, 1),
        lambda x: np.stack([np.pad(x, ((0, 0), (0, 0), (1, 1)))[:, :, i : i + 3].sum(2) / 3 for i in (0, 2, 4, 6)], 2),
        (2, 3, 7),
    ),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x, (3, 5)), lambda x: plain(x, adaptive((5, 7), (3, 5)), np.mean), (2, 2, 5, 7),
    ),
    "adaptive_avg_pool2d larger": (
        lambda x: F.adaptive_avg_pool2d(x, (5, None)),
        lambda x: plain(x, adaptive((3, 2), (5, 2)), np.mean), (1, 2, 3, 2),
    ),
    "adaptive_avg_pool2d global": (
        lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: x.mean((2, 3), keepdims=True), (2, 3, 4, 5),
    ),
    "adaptive_avg_pool1d": (
        lambda x: F.adaptive_avg_pool1d(x, 3), signal(lambda x: plain(x, adaptive((1, 7), (1, 3)), np.mean)), (2, 3, 7),
    ),
    "adaptive_max_pool2d": (
        lambda x: F.adaptive_max_pool2d(x, (3, 5)), lambda x: plain(x, adaptive((5, 7), (3, 5)), np.max), (2, 2, 5, 7),
    ),
    "adaptive_max_pool2d equal": (
        lambda x: F.adaptive_max_pool2d(x, 2), lambda x: plain(x, adaptive((4, 6), (2, 2)), np.max), (1, 2, 4, 6),
    ),
    "adaptive_max_pool1d": (
        lambda x: F.adaptive_max_pool1d(x, 3), signal(lambda x: plain(x, adaptive((1, 7), (1, 3)), np.max)), (2, 3, 7),
    ),
    "lp_pool2d": (
        lambda x: F.lp_pool2d(x, 2, 2), lambda x: plain(x, sliding((4, 6), 2), root_of_squares), (1, 2, 4, 6),
    ),
    "lp_pool1d": (lambda x: F.lp_pool1d(x + 9, 1, 2), lambda x: x[:, :, ::2] + x[:, :, 1::2] + 18, (1, 2, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_oracle(name):
    operation, oracle, shape = ROWS[name]
    x = draw(*shape)
    y = operation(tg.tensor(x))
    np.testing.assert_allclose(y.data, oracle(x), rtol=1e-12, atol=1e-12)
    single = operation(tg.tensor(x).float())
    assert single.dtype == tg.float32
    np.testing.assert_allclose(single.data, y.data, rtol=1e-5, atol=1e-5)
    turned = tg.tensor(np.ascontiguousarray(x[..., ::-1]).swapaxes(-1, -2))
    np.testing.assert_array_equal(operation(turned.transpose(-1, -2)[..., ::-1]).data, y.data)


@pytest.mark.parametrize("name", ROWS)
def test_gradients_and_their_gradients(name):
    operation, _, shape = ROWS[name]
    x = tg.tensor(draw(*shape), requires_grad=True)
    assert tg.gradcheck(operation, [x])
    assert tg.gradgradcheck(lambda x: operation(x) ** 2, [x])


def test_the_first_of_equal_numbers_takes_the_gradient():
    for pool in (lambda x: F.max_pool2d(x, 2), lambda x: F.adaptive_max_pool2d(x, 1)):
        x = tg.tensor([[[[1.0, 3.0], [3.0, 3.0]]]], requires_grad=True)
        pool(x).sum().backward()
        assert x.grad.tolist() == [[[[0, 1], [0, 0]]]]
    x = tg.tensor([[[2.0, 2.0, 2.0]]], requires_grad=True)
    F.adaptive_max_pool1d(x, 2).sum().backward()  # windows 0, 1 and 1, 2
    assert x.grad.tolist() == [[[1, 1, 0]]]


def test_nan_and_infinity():
    x = tg.tensor([[[1.0, np.nan, 3.0, -np.inf, -np.inf, np.inf]]])
    np.testing.assert_array_equal(F.max_pool1d(x, 2).data, [[[np.nan, 3, np.inf]]])
    np.testing.assert_array_equal(F.adaptive_max_pool1d(x, 4).data, [[[np.nan, np.nan, -np.inf, np.inf]]])
    np.testing.assert_array_equal(F.adaptive_avg_pool1d(x, 3).data, [[[np.nan, -np.inf, np.nan]]])
    np.testing.assert_array_equal(F.adaptive_avg_pool1d(x[..., 2:5], 2).data, [[[-np.inf, -np.inf]]])


@pytest.mark.parametrize("operation", [lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2),
                                       lambda x: F.adaptive_avg_pool2d(x, 3), lambda x: F.adaptive_max_pool2d(x, 3),
                                       lambda x: F.adaptive_avg_pool2d(x, 2)])  # fmt: skip
def test_an_empty_batch(operation):
    x = tg.zeros(0, 2, 4, 4, requires_grad=True)
    y = operation(x)
    assert y.shape[:2] == (0, 2)
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_an_adaptive_pool_may_have_no_output():
    assert F.adaptive_avg_pool2d(tg.ones(1, 2, 4, 4), (0, 3)).shape == (1, 2, 0, 3)
    assert F.adaptive_max_pool1d(tg.ones(1, 2, 4), 0).shape == (1, 2, 0)


def test_places_of_the_maxima():
    x = tg.tensor(draw(2, 3, 5, 7))
    for y, places in (F.max_pool2d(x, 3, 2, 1, return_indices=True), nn.AdaptiveMaxPool2d((3, 4), True)(x),
                      nn.MaxPool2d(2, return_indices=True)(x), F.adaptive_max_pool2d(x, (5, 1), True)):  # fmt: skip
        assert places.dtype == tg.int64 and not places.requires_grad
        flat = np.take_along_axis(x.data.reshape(2, 3, -1), places.data.reshape(2, 3, -1), 2)
        np.testing.assert_array_equal(flat.reshape(y.shape), y.data)
    assert F.max_pool1d(tg.tensor([[1.0, 5.0, 2.0]]), 2, 1, return_indices=True)[1].tolist() == [[1, 1]]


def test_unpool_puts_maxima_back():
    x = tg.tensor(draw(2, 2, 5, 4), requires_grad=True)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, places, 2, output_size=(5, 4))
    np.testing.assert_array_equal(back.data, np.where(np.isin(x.data, y.data), x.data, 0))
    assert nn.MaxUnpool2d(2)(y, places).shape == (2, 2, 4, 4)
    again = nn.MaxUnpool1d(2)(*nn.MaxPool1d(2, return_indices=True)(x[0]), output_size=(4,))
    np.testing.assert_array_equal(again.data, np.where(np.isin(x.data[0], F.max_pool1d(x[0], 2).data), x.data[0], 0))
    leaf = tg.tensor(y.data, requires_grad=True)
    places = F.max_pool2d(x, 2, return_indices=True)[1]
    assert tg.gradcheck(lambda y: F.max_unpool2d(y, places, 2), [leaf])
    assert tg.gradgradcheck(lambda y: F.max_unpool2d(y, places, 2) ** 2, [leaf])


def test_integers():
    x = tg.tensor([[[[1, -7, 3, 2**60 + 1], [-4, 5, 0, 9]]]])
    assert F.max_pool2d(x, 2).tolist() == [[[[5, 2**60 + 1]]]]
    assert F.avg_pool2d(x[..., :2], 2).tolist() == [[[[-1]]]] and F.avg_pool2d(x, 2).dtype == tg.int64
    for wrong in (lambda: F.max_pool1d(x[0], 2), lambda: F.max_pool2d(x > 0, 2), lambda: F.adaptive_avg_pool2d(x, 3),
                  lambda: F.adaptive_max_pool2d(x, 3)):  # fmt: skip
        with pytest.raises(NotImplementedError, match=r"convert the input with \.float\(\)"):
            wrong()


REPR = {
    "MaxPool1d(3)": "MaxPool1d(kernel_size=3, stride=3, padding=0, dilation=1, ceil_mode=False)",
    "AvgPool1d(3)": "AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))",
    "AvgPool2d((3, 2), 1)": "AvgPool2d(kernel_size=(3, 2), stride=1, padding=0)",
    "LPPool2d(2, 3)": "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)",
    "MaxUnpool2d(2)": "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))",
    "AdaptiveMaxPool2d((3, None))": "AdaptiveMaxPool2d(output_size=(3, None))",
    "AdaptiveAvgPool1d(3)": "AdaptiveAvgPool1d(output_size=3)",
}


@pytest.mark.parametrize("made", REPR)
def test_repr(made):
    assert repr(eval(f"nn.{made}")) == REPR[made]


class Net(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x)


ones = tg.ones
ERRORS = {  # name: (what, error, what the message must say)
    "kernel 0": (lambda: F.max_pool2d(ones(1, 1, 4, 4), 0), RuntimeError, ["kernel_size", "at least 1"]),
    "kernel float": (lambda: F.avg_pool2d(ones(1, 1, 4, 4), 1.5), TypeError, ["kernel_size", "1.5"]),
    "kernel triple": (lambda: F.avg_pool2d(ones(1, 1, 4, 4), (1, 2, 3)), RuntimeError, ["pair", "(1, 2, 3)"]),
    "stride": (lambda: F.max_pool1d(ones(1, 4, 4), 2, 0), RuntimeError, ["stride", "at least 1"]),
    "padding": (lambda: F.avg_pool1d(ones(1, 4, 4), 2, 1, 2), RuntimeError, ["padding (2,)", "half", "(2,)"]),
    "padding negative": (lambda: F.avg_pool1d(ones(1, 4, 4), 2, 1, -1), RuntimeError, ["padding", "-1"]),
    "dilation": (lambda: F.max_pool1d(ones(1, 4, 4), 2, dilation=0), RuntimeError, ["dilation"]),
    "too large": (lambda: F.max_pool1d(ones(1, 4, 4), 5), RuntimeError, ["(5,)", "(4,)", "larger image"]),
    "dilated": (lambda: F.max_pool2d(ones(1, 1, 4, 4), 3, dilation=2), RuntimeError, ["(3, 3)", "(4, 4)"]),
    "dimensions": (lambda: F.avg_pool1d(ones(4), 2), RuntimeError, ["(N, C, L)", "(4,)"]),
    "no channels": (lambda: F.max_pool2d(ones(1, 0, 4, 4), 2), RuntimeError, ["(1, 0, 4, 4)", "only the batch"]),
    "adaptive size": (lambda: F.adaptive_avg_pool2d(ones(1, 1, 4, 4), (1, 2, 3)), RuntimeError, ["(1, 2, 3)"]),
    "adaptive float": (lambda: F.adaptive_avg_pool2d(ones(1, 1, 4, 4), 2.5), TypeError, ["2.5"]),
    "adaptive negative": (lambda: F.adaptive_max_pool2d(ones(1, 1, 4, 4), -1), RuntimeError, ["negative", "-1"]),
    "adaptive dimensions": (lambda: F.adaptive_avg_pool2d(ones(4, 4), (2, 2)), ValueError, ["(N, C, H, W)", "(4, 4)"]),
    "adaptive no pixels": (lambda: F.adaptive_avg_pool2d(ones(1, 1, 0, 4), 2), RuntimeError, ["(1, 1, 0, 4)"]),
    "unpool shape": (
        lambda: F.max_unpool2d(ones(1, 1, 2, 2), tg.zeros(1, 1, 2, 1).long(), 2), RuntimeError, ["(1, 1, 2, 1)"],
    ),
    "unpool dtype": (lambda: F.max_unpool2d(ones(1, 1, 2, 2), ones(1, 1, 2, 2), 2), RuntimeError, ["int64", "float32"]),
    "unpool place": (
        lambda: F.max_unpool2d(ones(1, 1, 1, 1), tg.tensor([[[[9]]]]), 2), RuntimeError, ["9", "(2, 2)"],
    ),
    "unpool size": (
        lambda: F.max_unpool2d(ones(1, 1, 1, 1), tg.tensor([[[[3]]]]), 2, output_size=(4, 4)), ValueError,
        ["(4, 4)", "(2, 2)", "stride"],
    ),
    "which layer": (lambda: Net(nn.MaxPool2d(9))(ones(1, 1, 4, 4)), RuntimeError, ["pool: max_pool2d: ", "(9, 9)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    raises_clearly(*ERRORS[name])
