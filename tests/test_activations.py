"""Activations: the formula in NumPy as oracle, finite differences for both backward passes, kinks, errors, layers."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def sigma(x):
    return 1 / (1 + np.exp(-x))


def Phi(x):
    return 0.5 * (1 + np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def np_softmax(x, axis):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


A, ALPHA, LAMBDA = (3, 4), 1.6732632423543772, 1.0507009873554805
ACTIVATIONS = {
    # name: (operation, oracle, shapes of the inputs)
    "relu": (F.relu, lambda x: np.maximum(x, 0), [A]),
    "relu6": (lambda x: F.relu6(4 * x), lambda x: np.clip(4 * x, 0, 6), [A]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x), [A]),
    "prelu": (F.prelu, lambda x, a: np.where(x > 0, x, a * x), [A, (1,)]),
    "prelu of channels": (F.prelu, lambda x, a: np.where(x > 0, x, a[:, None] * x), [(2, 3, 4), (3,)]),
    "rrelu": (F.rrelu, lambda x: np.where(x > 0, x, 11 / 48 * x), [A]),
    "elu": (lambda x: F.elu(x, 0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)), [A]),
    "selu": (F.selu, lambda x: LAMBDA * np.where(x > 0, x, ALPHA * np.expm1(x)), [A]),
    "celu": (lambda x: F.celu(x, 2), lambda x: np.where(x > 0, x, 2 * np.expm1(x / 2)), [A]),
    "gelu": (F.gelu, lambda x: x * Phi(x), [A]),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), tanh_gelu, [A]),
    "silu": (F.silu, lambda x: x * sigma(x), [A]),
    "swish": (lambda x: F.swish(x, 1.7), lambda x: x * sigma(1.7 * x), [A]),
    "swish of a tensor": (F.swish, lambda x, b: x * sigma(b * x), [A, ()]),
    "mish": (F.mish, lambda x: x * np.tanh(np.log1p(np.exp(x))), [A]),
    "softplus": (F.softplus, lambda x: np.log1p(np.exp(x)), [A]),
    "softplus beta": (lambda x: F.softplus(x, 3, 2), lambda x: np.where(3 * x > 2, x, np.log1p(np.exp(3 * x)) / 3),
                      [A]),
    "softsign": (F.softsign, lambda x: x / (1 + abs(x)), [A]),
    "softmin": (lambda x: F.softmin(x, 1), lambda x: np_softmax(-x, 1), [A]),
    "softmax": (lambda x: F.softmax(x, 0), lambda x: np_softmax(x, 0), [A]),
    "log_softmax": (lambda x: F.log_softmax(x, -1), lambda x: np.log(np_softmax(x, -1)), [A]),
    "sigmoid": (F.sigmoid, sigma, [A]),
    "tanh": (F.tanh, np.tanh, [A]),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 1), lambda x: np.clip(x, -0.5, 1), [A]),
    "hardsigmoid": (lambda x: F.hardsigmoid(3 * x), lambda x: np.clip(3 * x + 3, 0, 6) / 6, [A]),
    "hardswish": (lambda x: F.hardswish(3 * x), lambda x: 3 * x * np.clip(3 * x + 3, 0, 6) / 6, [A]),
    "hardshrink": (F.hardshrink, lambda x: np.where(abs(x) <= 0.5, 0, x), [A]),
    "softshrink": (F.softshrink, lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0), [A]),
    "tanhshrink": (F.tanhshrink, lambda x: x - np.tanh(x), [A]),
    "threshold": (lambda x: F.threshold(x, 0.4, -2), lambda x: np.where(x > 0.4, x, -2), [A]),
    "logsigmoid": (F.logsigmoid, lambda x: np.log(sigma(x)), [A]),
    "glu": (F.glu, lambda x: x[:, :2] * sigma(x[:, 2:]), [A]),
    "glu of dimension 0": (lambda x: F.glu(x, 0), lambda x: x[:2] * sigma(x[2:]), [(4, 3)]),
    "maxout": (lambda x: F.maxout(x, 2), lambda x: x.reshape(3, 2, 2).max(2), [A]),
    "maxout of dimension 0": (lambda x: F.maxout(x, 3, 0), lambda x: x.reshape(2, 3, 4).max(1), [(6, 4)]),
}  # fmt: skip


def inputs_of(name, dtype=np.float64):
    """The row's inputs: none is at a kink, no two tie."""
    shapes = ACTIVATIONS[name][2]
    draw = np.random.default_rng(sum(map(ord, name)))
    sizes = [math.prod(s) for s in shapes]
    numbers = draw.permutation(np.linspace(-2.513, 2.487, sum(sizes))).astype(dtype)
    return [part.reshape(s) for part, s in zip(np.split(numbers, np.cumsum(sizes)[:-1]), shapes, strict=True)]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_against_the_formula(name):
    operation, oracle, _ = ACTIVATIONS[name]
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        inputs = inputs_of(name, dtype)
        expected = oracle(*[a.astype(np.float64) for a in inputs])
        found = operation(*[tg.Tensor(a) for a in inputs])
        assert found.shape == expected.shape and found.dtype == dtype
        np.testing.assert_allclose(found.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_first_and_second_gradient_by_finite_differences(name):
    inputs = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name)]
    assert tg.gradcheck(ACTIVATIONS[name][0], inputs)
    assert tg.gradgradcheck(ACTIVATIONS[name][0], inputs)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layouts_float32_and_empty(name):
    """Strided, reversed and read-only inputs give the same gradients; float32 stays float32; empty stays empty."""
    operation = ACTIVATIONS[name][0]
    reference = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name)]
    z = operation(*reference)
    weights = tg.tensor(np.cos(np.arange(z.numel())).reshape(z.shape))
    z.backward(weights)
    for layout in (np.asfortranarray, lambda a: a[::-1].copy()[::-1], lambda a: np.repeat(a, 2, -1)[..., ::2]):
        arrays = [layout(a) if a.ndim else a.copy() for a in inputs_of(name)]
        for array in arrays:
            array.flags.writeable = False
        leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
        operation(*leaves).backward(weights)
        for leaf, expected in zip(leaves, reference, strict=True):
            np.testing.assert_allclose(leaf.grad.data, expected.grad.data, rtol=1e-12, atol=1e-12)
    leaves = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name, np.float32)]
    operation(*leaves).backward(weights)
    assert {leaf.grad.dtype for leaf in leaves} == {np.dtype(np.float32)}
    first, *others = inputs_of(name)
    empty = tg.zeros(0, *first.shape[1:], dtype=np.float64, requires_grad=True)
    y = operation(empty, *[tg.Tensor(a) for a in others])
    y.sum().backward()
    assert y.shape[0] == 0 and empty.grad.shape == empty.shape


@pytest.mark.parametrize("name", [
    n for n in ACTIVATIONS if "soft" not in n[:4] and "max" not in n and "glu" not in n[:3] and "channels" not in n
])  # fmt: skip
def test_a_single_number(name):
    operation, oracle, shapes = ACTIVATIONS[name]
    numbers = [np.asarray(-0.3), *[np.full(s, 0.4) for s in shapes[1:]]]
    leaves = [tg.tensor(a, requires_grad=True) for a in numbers]
    y = operation(*leaves)
    y.backward()
    assert y.shape == () and leaves[0].grad.shape == ()
    assert y.item() == pytest.approx(np.asarray(oracle(*numbers)).item(), rel=1e-12)


KINKS = {
    # name: (operation, the points, PyTorch's derivatives there)
    "relu": (F.relu, [-1, 0, 1], [0, 0, 1]),
    "relu6": (F.relu6, [-1, 0, 3, 6, 7], [0, 0, 1, 0, 0]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), [-1, 0, 1], [0.1, 0.1, 1]),
    "prelu": (lambda x: F.prelu(x, tg.tensor([0.5], tg.float64)), [-1, 0, 1], [0.5, 0.5, 1]),
    "elu": (lambda x: F.elu(x, 0.5), [0, 1], [0.5, 1]),
    "selu": (F.selu, [0, 1], [ALPHA * LAMBDA, LAMBDA]),
    "hardtanh": (F.hardtanh, [-2, -1, 0, 1, 2], [0, 0, 1, 0, 0]),
    "hardsigmoid": (F.hardsigmoid, [-3, 0, 3], [0, 1 / 6, 0]),
    "hardswish": (F.hardswish, [-3, 0, 3, 4], [0, 0.5, 1, 1]),
    "hardshrink": (F.hardshrink, [-0.5, 0, 0.5, 1], [0, 0, 0, 1]),
    "softshrink": (F.softshrink, [-0.5, 0, 0.5, 1], [0, 0, 0, 1]),
    "threshold": (lambda x: F.threshold(x, 1, 5), [0, 1, 2], [0, 0, 1]),
    "softsign": (F.softsign, [0], [1]),
    "logsigmoid": (F.logsigmoid, [-1000, 0, 1000], [1, 0.5, 0]),
    "softplus": (F.softplus, [-1000, 0, 1000], [0, 0.5, 1]),
    "maxout": (lambda x: F.maxout(x, 2), [3, 3, 1, 2], [1, 0, 0, 1]),
    "sigmoid": (F.sigmoid, [-1000, 0, 1000], [0, 0.25, 0]),
    "mish": (F.mish, [-1000, 1000], [0, 1]),
    "silu": (F.silu, [-1000, 0, 1000], [0, 0.5, 1]),
    "gelu": (F.gelu, [-1000, 0, 1000], [0, 0.5, 1]),
}


@pytest.mark.parametrize("name", KINKS)
def test_derivatives_at_kinks_and_far_out(name):
    operation, x, expected = KINKS[name]
    leaf = tg.tensor(np.asarray(x, np.float64), requires_grad=True)
    operation(leaf).sum().backward()
    np.testing.assert_allclose(leaf.grad.data, expected, rtol=1e-7, atol=1e-12)
    (on_tape,) = tg.grad(operation(leaf).sum(), leaf, create_graph=True)
    np.testing.assert_array_equal(on_tape.data, leaf.grad.data)


@pytest.mark.parametrize("operation", [
    F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.softplus, F.softsign, F.hardtanh,
    F.hardswish, F.hardsigmoid, F.hardshrink, F.softshrink, F.tanhshrink, F.logsigmoid, F.tanh, F.sigmoid,
    lambda x: F.threshold(x, 1, 5), lambda x: F.softmax(x, 0), F.rrelu,
])  # fmt: skip
def test_nan_stays_nan(operation):
    assert math.isnan(operation(tg.tensor([math.nan, 1.0]))[0].item())


def test_no_overflow():
    x = tg.tensor([-1e4, 1e4])
    for operation, expected in (
        (F.softplus, [0, 1e4]), (F.mish, [0, 1e4]), (F.silu, [0, 1e4]), (F.logsigmoid, [-1e4, 0]), (F.sigmoid, [0, 1]),
        (F.elu, [-1, 1e4]), (F.tanh, [-1, 1]), (lambda x: F.softmax(x, 0), [0, 1]), (lambda x: F.softmin(x, 0), [1, 0]),
    ):  # fmt: skip
        assert operation(x).tolist() == expected


def test_integers():
    n = tg.tensor([-8, 0, 8])
    assert F.relu(n).tolist() == [0, 0, 8] and F.relu6(n).tolist() == [0, 0, 6] and F.relu6(n).dtype == tg.int64
    assert F.hardtanh(n, -2, 3).tolist() == [-2, 0, 3] and F.threshold(n, 0, 5).tolist() == [5, 5, 8]
    assert F.softsign(n).dtype == F.tanhshrink(n).dtype == F.softmax(n, 0).dtype == tg.float32
    with pytest.raises(RuntimeError, match=r"gelu: expected a floating tensor, got int64; convert it with \.float"):
        F.gelu(n)


def test_arguments_by_pytorchs_names():
    x = tg.tensor([[-1.0, 2.0]])
    assert F.softmax(input=x, dim=1, dtype=tg.float64).dtype == tg.float64
    assert F.leaky_relu(input=x, negative_slope=0.5, inplace=True).tolist() == [[-0.5, 2]] and x.tolist() == [[-1, 2]]
    assert F.softplus(x, beta=2, threshold=1)[0, 1].item() == 2
    assert F.gelu(x, approximate="tanh")[0, 1].item() == pytest.approx(1.9546, abs=1e-4)
    with pytest.warns(UserWarning, match="softmax: pass dim"):
        assert F.softmax(x).tolist() == F.softmax(x, 1).tolist()
    assert x.prelu(tg.tensor([0.5])).tolist() == [[-0.5, 2]] and x.hardshrink(1.5).tolist() == [[0, 2]]
    assert tg.selu(x).tolist() == F.selu(x).tolist()


def test_gumbel_softmax():
    tg.manual_seed(0)
    logits = tg.tensor([[0.0, math.log(3.0)]]).expand(20_000, 2).clone().requires_grad_()
    soft, hard = F.gumbel_softmax(logits, tau=0.5), F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(soft.sum(1).data, 1, rtol=1e-5)
    assert set(np.unique(hard.data)) == {0, 1} and (hard.sum(1) == 1).all()
    assert hard.mean(0)[1].item() == pytest.approx(0.75, abs=0.015)  # softmax's own probability, within 5 sigma
    hard[:, 1].sum().backward()
    assert logits.grad.abs().sum().item() > 0  # through the smooth sample


def test_rrelu_in_training():
    tg.manual_seed(0)
    x = tg.full((10_000,), -1.0, requires_grad=True)
    y = F.rrelu(x, 0.1, 0.3, training=True)
    y.sum().backward()
    slopes = -y.data
    assert slopes.min() >= 0.1 and slopes.max() < 0.3 and slopes.mean() == pytest.approx(0.2, abs=0.003)
    np.testing.assert_array_equal(x.grad.data, slopes)
    layer = nn.RReLU(0.1, 0.3)
    assert layer(tg.tensor([3.0])).item() == 3 and layer.eval()(tg.tensor([-1.0])).item() == pytest.approx(-0.2)


ERRORS = [
    (lambda: F.prelu(tg.zeros(2, 3), tg.zeros(2)), RuntimeError,
     r"shape \(2, 3\) has 3 channels.*2 weights.*num_parameters=3"),
    (lambda: F.prelu(tg.zeros(2, 3), tg.zeros(3, dtype=tg.float64)), RuntimeError, "float32 but the weight is float64"),
    (lambda: F.glu(tg.zeros(2, 3)), RuntimeError, r"dimension 1 of the input of shape \(2, 3\) must be even"),
    (lambda: F.celu(tg.zeros(1), 0), RuntimeError, "alpha must not be 0"),
    (lambda: F.softshrink(tg.zeros(1), -1), RuntimeError, "lambd must not be negative, got -1"),
    (lambda: F.hardtanh(tg.zeros(1), 2, 1), ValueError, "min_val must not be greater"),
    (lambda: F.gelu(tg.zeros(1), "exact"), RuntimeError, "'none' or 'tanh', got 'exact'"),
    (lambda: F.rrelu(tg.zeros(1), 1, 0), RuntimeError, "lower must not be greater"),
    (lambda: F.maxout(tg.zeros(2, 5), 2), ValueError, r"dimension 1 .* \(2, 5\) cannot be cut into groups of 2"),
    (lambda: F.relu([1.0]), TypeError, "must be a Tensor, not list"),
    (lambda: F.softmax(tg.zeros(3), 1), IndexError, "dim"),
    (lambda: nn.Softmax2d()(tg.zeros(2, 2)), ValueError, r"\(2, 2\)"),
    (lambda: nn.Hardtanh(2, 1), AssertionError, "min_val must be less"),
    (lambda: nn.Sequential(nn.Linear(2, 3), nn.PReLU(2))(tg.zeros(1, 2)), RuntimeError, "^1: prelu"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, text", ERRORS)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


LAYERS = {
    "ReLU6(inplace=True)": F.relu6,
    "LeakyReLU(negative_slope=0.2)": lambda x: F.leaky_relu(x, 0.2),
    "PReLU(num_parameters=1)": lambda x: F.leaky_relu(x, 0.25),
    "ELU(alpha=0.5)": lambda x: F.elu(x, 0.5),
    "SELU()": F.selu,
    "CELU(alpha=2.0)": lambda x: F.celu(x, 2),
    "GELU(approximate='tanh')": lambda x: F.gelu(x, "tanh"),
    "SiLU()": F.silu,
    "Swish(beta=2.0)": lambda x: F.swish(x, 2),
    "Swish(learnable=True)": F.silu,
    "Mish(inplace=True)": F.mish,
    "Softplus(beta=2.0, threshold=1.0)": lambda x: F.softplus(x, 2, 1),
    "Softsign()": F.softsign,
    "Softmin(dim=1)": lambda x: F.softmin(x, 1),
    "Hardtanh(min_val=-2.0, max_val=0.5)": lambda x: F.hardtanh(x, -2, 0.5),
    "Hardsigmoid()": F.hardsigmoid,
    "Hardswish()": F.hardswish,
    "Hardshrink(0.7)": lambda x: F.hardshrink(x, 0.7),
    "Softshrink(0.7)": lambda x: F.softshrink(x, 0.7),
    "Tanhshrink()": F.tanhshrink,
    "Threshold(threshold=0.1, value=20)": lambda x: F.threshold(x, 0.1, 20),
    "LogSigmoid()": F.logsigmoid,
    "GLU(dim=0)": lambda x: F.glu(x, 0),
    "LogSoftmax(dim=0)": lambda x: F.log_softmax(x, 0),
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers_are_their_functions_and_print_how_they_are_made(text):
    layer = eval(f"nn.{text}")
    x = tg.tensor(np.linspace(-3, 3, 20, dtype=np.float32).reshape(4, 5))
    assert repr(layer) == text
    np.testing.assert_allclose(layer(x).detach().data, LAYERS[text](x).data, rtol=1e-6)


def test_parameters_of_activations_learn():
    x = tg.tensor(np.random.default_rng(0).normal(size=(5, 3, 2)), requires_grad=True)
    prelu = nn.PReLU(3, init=0.1).double()
    prelu(x).sum().backward()
    np.testing.assert_allclose(prelu.weight.grad.data, np.where(x.data > 0, 0, x.data).sum((0, 2)), rtol=1e-12)
    swish = nn.Swish(0.5, learnable=True).double()
    assert tg.gradcheck(lambda x, beta: F.swish(x, beta), [x, swish.beta])
    assert [name for name, _ in swish.named_parameters()] == ["beta"] and not list(nn.Swish(0.5).parameters())
