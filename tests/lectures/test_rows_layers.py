"""LECTURES.md, the rows whose expectation is a number for an activation, a norm or dropout. Named after the rows.

Gaussian means are taken by the midpoint rule over ±12 standard deviations; a kink at 0 lies between its cells.
"""

import math

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn

Z = (np.arange(24_000) + 0.5) / 1000 - 12
WEIGHTS = np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi) / 1000


def second_moments(activation, q=1.0):
    """(E[φ(z)²], E[φ'(z)²]) for z ~ N(0, q), φ' by backward."""
    z = tg.tensor(math.sqrt(q) * Z, requires_grad=True)
    y = activation(z)
    y.backward(tg.ones(Z.size))
    return float(WEIGHTS @ y.data**2), float(WEIGHTS @ z.grad.data**2)


def slope(activation, at):
    x = tg.tensor(np.asarray(at, np.float64), requires_grad=True)
    activation(x).sum().backward()
    return x.grad.data


def count(layer):
    return sum(p.numel() for p in layer.parameters())


# ------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("activation, c, chi", [
    (F.relu, 2, 1), (F.tanh, 2.536, 1.178), (F.sigmoid, 3.409, 0.153), (F.elu, 1.5505, 1.036), (F.selu, 1, 1.0716),
    (F.silu, 2.811, 1.067), (F.gelu, 2.352, 1.072), (lambda x: F.leaky_relu(x, 0.2), 2 / 1.04, 1),
])  # fmt: skip
def test_T4_gains(activation, c, chi):
    """The weight variance that keeps the mean square, c = 1/E[φ²], and what it does to the gradient, c E[φ'²]."""
    square, slope_square = second_moments(activation)
    assert 1 / square == pytest.approx(c, rel=3e-4) and slope_square / square == pytest.approx(chi, rel=2e-3)


def test_B7_logistic_and_tanh():
    assert slope(F.sigmoid, 0.0) == 0.25 and slope(F.tanh, 0.0) == 1
    z = tg.linspace(-9, 9, 181, dtype=tg.float64)
    np.testing.assert_allclose(F.tanh(z).data, (2 * F.sigmoid(2 * z) - 1).data, rtol=1e-12, atol=1e-14)


def test_B16_relu_halves_the_mean_square():
    assert second_moments(F.relu)[0] == pytest.approx(0.5, abs=1e-9)


def test_C30_C31_C32_products_of_logistic_slopes():
    assert slope(F.sigmoid, 0.0) == 0.25 and slope(F.sigmoid, [-5.0, 5.0]) == pytest.approx(0.006648, abs=5e-7)
    assert 0.25 / slope(F.sigmoid, 5.0) == pytest.approx(37.6, abs=0.05)

    def chain(layers):
        """∂/∂x of `layers` logistic units in a row, each at the middle of its curve."""
        x = tg.tensor([0.0], requires_grad=True)
        h = x
        for _ in range(layers):
            h = F.sigmoid(h) - 0.5
        h.backward()
        return x.grad.item()

    assert chain(10) == pytest.approx(9.5e-7, rel=0.005)
    assert chain(63) == np.finfo(np.float32).tiny and chain(74) > 0 and chain(75) == 0


def test_C34_tanh_does_not_overflow():
    z = tg.tensor([-1e6, -400.0, -350.0, 350.0, 400.0, 1e6])
    with np.errstate(all="raise"):
        assert F.tanh(z).tolist() == [-1, -1, -1, 1, 1, 1]
    assert slope(F.tanh, 5.0) == pytest.approx(1.8e-4, rel=0.01)


def test_C35_relu_has_derivative_0_at_0():
    assert slope(F.relu, [-1.0, 0.0, 1.0]).tolist() == [0, 0, 1] and "ELTE" in F.relu.__doc__


@pytest.mark.parametrize("n, layers, expected", [(2, 10, 0.9437)])
def test_C36_born_dead(n, layers, expected):
    """A layer of n units with symmetric weights is dead at one input with probability 2^-n."""
    tg.manual_seed(0)
    nets = 20_000
    h = tg.ones(nets, 1, n)
    for _ in range(layers):
        h = F.relu(h @ tg.randn(nets, n, n))
    dead = (h.data == 0).all(axis=(1, 2)).mean()
    assert 1 - (1 - 2.0**-n) ** layers == pytest.approx(expected, abs=5e-5)
    assert dead == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / nets))


@pytest.mark.parametrize("beta, c", [(0.01, 1.9998), (0.2, 1.9231)])
def test_C37_leaky_relu(beta, c):
    square, slope_square = second_moments(lambda x: F.leaky_relu(x, beta))
    assert 1 / square == pytest.approx(c, abs=5e-5) and slope_square / square == pytest.approx(1, abs=1e-6)
    x = tg.linspace(-3, 3, 13)
    assert (F.leaky_relu(x, beta) == tg.maximum(beta * x, x)).all()


def test_D3_two_slopes():
    x = tg.tensor([-1.0, 1.0])
    assert nn.LeakyReLU()(x).tolist() == pytest.approx([-0.01, 1])
    assert nn.LeakyReLU(0.1)(x).tolist() == pytest.approx([-0.1, 1])


def test_D4_maxout():
    layer, linear = nn.Maxout(4, 3), nn.Linear(4, 3)
    assert count(layer) == 2 * count(linear)
    x = tg.randn(7, 4)
    pieces = [x @ layer.linear.weight[i::2].T + layer.linear.bias[i::2] for i in (0, 1)]
    np.testing.assert_allclose(layer(x).detach().data, tg.maximum(*pieces).detach().data, rtol=1e-5)
    layer.linear.weight.data[1::2], layer.linear.bias.data[1::2] = 0, 0
    layer.linear.weight.data[::2], layer.linear.bias.data[::2] = linear.weight.data, linear.bias.data
    np.testing.assert_allclose(layer(x).detach().data, F.relu(linear(x)).detach().data, rtol=1e-5, atol=1e-6)


def test_D5_elu():
    square, slope_square = second_moments(nn.ELU())
    assert square == pytest.approx(0.6450, abs=1e-4) and square**-0.5 == pytest.approx(1.245, abs=5e-4)
    assert slope_square / square == pytest.approx(1.036, abs=5e-4)


def test_D6_a_saturated_sigmoid():
    assert slope(F.sigmoid, [-10.0, 0, 10]) == pytest.approx([4.54e-5, 0.25, 4.54e-5], rel=1e-3)


def test_D12_prelu_learns_its_slope():
    x, dy = (np.random.default_rng(i).normal(size=(6, 3)) for i in (0, 1))
    layer = nn.PReLU(init=0.25).double()
    layer(tg.tensor(x)).backward(tg.tensor(dy))
    assert layer.weight.grad.item() == pytest.approx((x * dy)[x < 0].sum(), rel=1e-12)
    t, steep = tg.linspace(-2, 2, 9), tg.tensor([1.5])
    assert (F.prelu(t, tg.tensor([0.9])) == tg.maximum(0.9 * t, t)).all()
    assert (F.prelu(t, steep) != tg.maximum(1.5 * t, t)).any()  # max(αx, x) is right for α ≤ 1 alone


def test_D13_selu():
    assert F.selu(tg.tensor([1.0], tg.float64)).item() == pytest.approx(1.0507009873555, abs=1e-13)
    low = -F.selu(tg.tensor([-1e3], tg.float64)).item()
    assert low / 1.0507009873555 == pytest.approx(1.6732632423544, abs=1e-12)
    y = F.selu(tg.tensor(Z)).data
    assert WEIGHTS @ y == pytest.approx(0, abs=1e-7) and WEIGHTS @ y**2 == pytest.approx(1, abs=1e-7)
    assert second_moments(F.selu)[1] == pytest.approx(1.0716, abs=5e-5)
    for q, after in ((0.25, 1.010), (1.0, 1.003), (4.0, 1.015)):
        for _ in range(40):
            q = second_moments(F.selu, q)[0]
        assert q == pytest.approx(after, abs=0.05)


def test_D14_swish():
    square, _ = second_moments(lambda x: F.swish(x, 1.0))
    assert square == pytest.approx(0.3558, abs=5e-5) and square**-0.5 == pytest.approx(1.677, abs=1e-3)


# ------------------------------------------------------------------------------------- dropout


def test_A4_dropout_is_an_l2_penalty_for_linear_regression():
    """E‖y - (R∘X)w‖² = ‖y - pXw‖² + p(1 - p) Σ w²X², p the probability to keep."""
    tg.manual_seed(0)
    draw, p, times = np.random.default_rng(0), 0.8, 4000
    X, w, y = draw.normal(size=(30, 5)), draw.normal(size=5), draw.normal(size=30)
    expected = ((y - p * X @ w) ** 2).sum() + p * (1 - p) * (w**2 * X**2).sum()
    dropped = F.dropout(tg.tensor(np.broadcast_to(X, (times, 30, 5))), 1 - p) * p
    losses = ((y - dropped.data @ w) ** 2).sum(1)
    assert losses.mean() == pytest.approx(expected, abs=5 * losses.std() / math.sqrt(times))


def test_A5_train_and_eval():
    tg.manual_seed(0)
    x = tg.randn(8, 3)
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    assert (net(x).data != net(x).data).any()
    net.eval()
    assert net[0](x).data.tobytes() == x.data.tobytes()
    bn = net[1]
    expected = (x.data - bn.running_mean.data) / np.sqrt(bn.running_var.data + bn.eps)
    np.testing.assert_allclose(net(x).detach().data, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("keep, ratio", [(0.5, 2.0), (0.8, 1.25)])
def test_C5_dropout_keeps_the_mean_and_raises_the_energy(keep, ratio):
    tg.manual_seed(0)
    n = 600
    x = F.relu(tg.randn(n, n))
    y = F.dropout(F.relu(x @ (tg.randn(n, n) * math.sqrt(2 / n))), 1 - keep)
    plain = F.relu(x @ (tg.randn(n, n) * math.sqrt(2 / n)))
    assert F.dropout(x, 1 - keep).mean().item() == pytest.approx(x.mean().item(), rel=0.02)
    assert ((y * y).mean() / (plain * plain).mean()).item() == pytest.approx(ratio, rel=0.08)
    assert (F.dropout(x, 1 - keep) ** 2).mean().item() / (x**2).mean().item() == pytest.approx(ratio, rel=0.02)


# ------------------------------------------------------------------------------------- normalization


def test_A14_epsilon_inside_the_root():
    """σ² = 1e-4, ε = 1e-5: the lecture's 1/(σ + ε) is 99.90, batch norm's 1/√(σ² + ε) is 95.35."""
    x = 0.01 * np.array([[-1.0], [1.0]])
    y = F.batch_norm(tg.tensor(x), None, None, training=True).data
    inside, outside = y[1, 0] / 0.01, 1 / (0.01 + 1e-5)
    assert inside == pytest.approx(95.35, abs=0.005) and outside == pytest.approx(99.90, abs=0.005)
    assert outside / inside - 1 == pytest.approx(0.048, abs=5e-4)


def test_A15_a_sigmoid_of_normalized_numbers_is_nearly_linear():
    y = F.sigmoid(tg.tensor(Z)).data
    variance, covariance = WEIGHTS @ (y - WEIGHTS @ y) ** 2, WEIGHTS @ (y * Z)
    assert covariance**2 / variance > 0.98  # R² of the best line; z has variance 1
    wide = F.sigmoid(tg.tensor(4 * Z)).data  # γ = 4 restores the bend
    assert (WEIGHTS @ (wide * Z)) ** 2 / (WEIGHTS @ (wide - 0.5) ** 2) < 0.93


def test_A16_44_steps_to_99_percent():
    bn = nn.BatchNorm1d(1)
    for step in range(1, 45):
        bn(tg.tensor([[0.0], [2.0]]))
        assert (bn.running_mean.item() >= 0.99) == (step >= 44)
    assert 1 - bn.running_mean.item() == pytest.approx(0.0097, abs=5e-5)


def test_A17_batch_norm_gradient():
    draw = np.random.default_rng(0)
    x = tg.tensor(draw.normal(2, 3, (16, 4)), requires_grad=True)
    w, b, dy = (tg.tensor(draw.normal(size=s), requires_grad=True) for s in (4, 4, (16, 4)))
    y = F.batch_norm(x, None, None, w, b, training=True, eps=1e-30)
    y.backward(dy.detach())
    normal = (x.data - x.data.mean(0)) / x.data.std(0)
    assert abs(x.grad.data.sum(0)).max() < 1e-14 and abs((x.grad.data * normal).sum(0)).max() < 1e-14
    centered = x - x.mean(0)
    composite = w * (centered / ((centered * centered).mean(0) + 1e-30).sqrt()) + b
    for found, expected in zip((x, w, b), tg.grad(composite, [x, w, b], dy.detach()), strict=True):
        np.testing.assert_allclose(found.grad.data, expected.data, rtol=1e-12, atol=1e-12)


def test_A18_batch_norm_of_feature_maps():
    bn = nn.BatchNorm2d(5)
    y = bn(3 + 2 * tg.randn(4, 5, 6, 7)).detach().data
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, rtol=1e-4)
    assert count(bn) == 2 * 5


def test_A23_four_norms():
    x = tg.tensor(np.random.default_rng(0).normal(1, 2, (3, 6, 4, 5)))
    np.testing.assert_array_equal(nn.GroupNorm(1, 6, affine=False)(x).data,
                                  nn.LayerNorm((6, 4, 5), elementwise_affine=False)(x).data)  # fmt: skip
    np.testing.assert_array_equal(nn.GroupNorm(6, 6, affine=False)(x).data, nn.InstanceNorm2d(6)(x).data)
    batch_norm = nn.BatchNorm2d(6, affine=False).double()
    # two kernels, which add up in another order: equal to the last digits of float64
    np.testing.assert_allclose(batch_norm(x[:1]).data, nn.InstanceNorm2d(6)(x[:1]).data, rtol=0, atol=1e-14)


def test_D28_gamma_and_beta_can_undo_batch_norm():
    x = tg.tensor(np.random.default_rng(0).normal(3, 1, (1000, 2)))
    x = (x - x.mean(0)) / x.std(0, correction=0) + 3  # σ = 1
    bn = nn.BatchNorm1d(2).double()
    bn.bias.data[...] = 3
    error = abs(bn(x).detach().data - x.data)
    np.testing.assert_allclose(error, 5e-6 * abs(x.data - 3), rtol=1e-3, atol=1e-12)
    bn.weight.data[...] = math.sqrt(1 + bn.eps)
    np.testing.assert_allclose(bn(x).detach().data, x.data, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer, axes, statistics", [
    (nn.BatchNorm2d(3), (0, 2, 3), (1, 3, 1, 1)), (nn.LayerNorm((3, 4, 5)), (1, 2, 3), (2, 1, 1, 1)),
    (nn.InstanceNorm2d(3), (2, 3), (2, 3, 1, 1)),
])  # fmt: skip
def test_D31_axes_of_the_statistics(layer, axes, statistics):
    """μ and σ of batch norm: 1×C×1×1; of layer norm one for each sample; of instance norm N×C×1×1."""
    y = layer(5 + 3 * tg.randn(2, 3, 4, 5)).detach().data
    mean, variance = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
    assert mean.shape == statistics
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(variance, 1, rtol=1e-3)
