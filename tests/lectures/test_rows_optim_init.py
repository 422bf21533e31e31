"""The lectures' numbers about losses, optimizers and initialization, a test for each row of their inventory."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim
from tinygrad_course.nn import functional as F
from tinygrad_course.nn import init


def rms(x):
    return float(np.sqrt((np.asarray(x, np.float64) ** 2).mean()))


class Profile:
    """A deep net h ← φ(W h) without biases: the activations and the gradients that arrive at them, layer by layer.

    The loss is the product of the output with random numbers. Index 0 is the input.
    """

    def __init__(self, widths, std, phi, batch=1000, seed=0):
        tg.manual_seed(seed)
        h = tg.randn(batch, widths[0]).requires_grad_()
        self.h, self.z = [h], []
        for fan_in, fan_out in itertools.pairwise(widths):
            w = init.normal_(tg.zeros(fan_out, fan_in), 0.0, std(fan_in, fan_out))
            self.z.append(F.linear(self.h[-1], w))
            self.h.append(phi(self.z[-1]))
        for t in (*self.h, *self.z):
            t.retain_grad()
        self.h[-1].backward(tg.randn(batch, widths[-1]))
        self.std = [float(t.data.std()) for t in self.h[1:]]
        self.delta = [rms(t.grad.data) for t in self.z]


# ------------------------------------------------------------------------------------------ optimizers


def descend(make, steps, eigenvalues=(1.0, 100.0)):
    """Distances from the minimum of ½ Σ λ w², relative to the first, from where both terms are equal."""
    scale = tg.tensor(np.array(eigenvalues))
    w = (1 / scale.sqrt()).requires_grad_()
    start = np.linalg.norm(w.data)
    optimizer, distances = make([w]), []
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * scale * w * w).sum().backward()
        optimizer.step()
        distances.append(float(np.linalg.norm(w.data) / start))
    return distances


def test_A1_learning_rates_and_the_best_momentum_of_a_quadratic():
    assert descend(lambda p: optim.SGD(p, 1.99 / 100), 1000)[-1] < 1e-4
    assert descend(lambda p: optim.SGD(p, 2.01 / 100), 1000)[-1] > 1e3
    root = math.sqrt(100)
    beta = ((root - 1) / (root + 1)) ** 2
    assert beta == pytest.approx(0.6694, abs=5e-5) and math.sqrt(beta) == pytest.approx(0.818, abs=5e-4)
    heavy_ball = descend(lambda p: optim.SGD(p, 4 / (root + 1) ** 2, momentum=beta), 200)
    assert heavy_ball[-1] ** (1 / 200) == pytest.approx(0.8345, abs=5e-5)  # a double root: it comes down to √β slowly
    for make in (lambda p: optim.Adagrad(p, 1.0), lambda p: optim.RMSprop(p, 0.01), lambda p: optim.Adam(p, 0.05)):
        distances = descend(make, 400)
        assert distances[-1] < 0.02 * distances[0]


@pytest.mark.parametrize("options", [{}, dict(momentum=0.9), dict(momentum=0.9, nesterov=True)])
def test_A2_weight_decay_is_an_l2_term_for_sgd(options):
    ends = []
    for decay, strength in ((0.03, 0.0), (0.0, 0.03)):
        w = tg.tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
        optimizer = optim.SGD([w], 0.05, weight_decay=decay, **options)
        for _ in range(100):
            optimizer.zero_grad()
            (w.tanh().sum() + nn.l2_penalty([w], strength)).backward()
            optimizer.step()
        ends.append(w.data)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)


@pytest.mark.parametrize("decay, shrunk", [(0.01, 0.9990), (0.1, 0.9900), (1.0, 0.9048)])
def test_A3_adam_with_l2_does_not_care_for_its_strength_and_adamw_does(decay, shrunk):
    ends = []
    for make in (optim.Adam, optim.AdamW):
        w = tg.tensor(np.ones(1), requires_grad=True)
        optimizer = make([w], lr=1e-3, weight_decay=decay)
        for _ in range(100):
            w.grad = tg.tensor(np.zeros(1))
            optimizer.step()
        ends.append(w.item())
    assert ends[0] == pytest.approx(0.9017, abs=5e-5)
    assert ends[1] == pytest.approx((1 - 1e-3 * decay) ** 100, rel=1e-12) and ends[1] == pytest.approx(shrunk, abs=5e-5)


def test_A9_a_constant_start_stays_a_single_neuron():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    for parameter in net.parameters():
        init.constant_(parameter, 0.1)
    x, y = tg.randn(40, 6), tg.randint(0, 3, (40,))
    optimizer = optim.SGD(net.parameters(), 0.5)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    w = net[0].weight.data
    assert losses[-1] < losses[0]  # it learns, as one neuron does
    assert np.ptp(w, axis=0).max() == 0.0 and np.ptp(net[2].weight.data, axis=1).max() == 0.0
    assert np.linalg.matrix_rank(w) == 1


# ------------------------------------------------------------------------------------------ initialization


def xavier_fan_in(fan_in, fan_out):
    return 1 / math.sqrt(fan_in)


def test_A11_one_over_n_keeps_neither_tanh_nor_sigmoid():
    """The lecture's 1/n: tanh's variance falls as 1/(2l), its gradient grows with l; sigmoid's gradient vanishes."""
    L = 40
    tanh = Profile([400] * (L + 1), xavier_fan_in, lambda z: z.tanh(), batch=200)
    q = np.array(tanh.std) ** 2
    assert q[19] == pytest.approx(1 / (2 * 20), rel=0.15) and q[-1] == pytest.approx(1 / (2 * L), rel=0.25)
    squares = np.array(tanh.delta) ** 2  # ∝ l/L: from layer L to layer L/2 by a half, not constant
    assert squares[19] / squares[-1] == pytest.approx(0.5, abs=0.15)
    sigmoid = Profile([400] * 11, xavier_fan_in, lambda z: z.sigmoid(), batch=200)
    per_layer = (sigmoid.delta[0] / sigmoid.delta[-1]) ** (2 / 9)
    assert per_layer == pytest.approx(0.0557, abs=0.003)


def test_A12_he_keeps_the_mean_square_of_relu_nets():
    ratios = []
    tg.manual_seed(0)
    for _ in range(16):
        h = tg.randn(1, 512)
        for _ in range(50):
            z = F.linear(h, init.kaiming_normal_(tg.zeros(512, 512), nonlinearity="relu")).relu()
            ratios.append((rms(z.data) / rms(h.data)) ** 2)
            h = z
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.01)


def test_B8_small_weights_shrink_activations_and_gradients():
    net = Profile([500] * 11, lambda i, o: 0.01, lambda z: z.tanh())
    assert net.std[0] == pytest.approx(0.213, rel=0.02) and net.std[1] == pytest.approx(0.0476, rel=0.03)
    assert net.std[-1] == pytest.approx(2.98e-7, rel=0.1)
    assert net.delta[0] / net.delta[-1] == pytest.approx(1.33e-6, rel=0.1)


def test_B9_saturated_units_but_an_exploding_gradient():
    """The lecture says that the gradient doesn't flow: each unit's doesn't, the layers' explodes."""
    net = Profile([500] * 11, lambda i, o: 1.0, lambda z: z.tanh())
    saturated = np.mean([(np.abs(h.data) > 0.99).mean() for h in net.h[1:]])
    assert saturated == pytest.approx(0.904, abs=0.01)
    assert net.delta[0] / net.delta[-1] == pytest.approx(7.42e4, rel=0.15)


def test_B10_variance_of_a_product():
    x, y = (init.normal_(tg.zeros(1_000_000).double(), m, s).data for m, s in ((0.5, 2.0), (-1.5, 0.7)))
    expected = (-1.5) ** 2 * 4 + 0.5**2 * 0.49 + 4 * 0.49
    assert (x * y).var() == pytest.approx(expected, rel=0.01)


def test_B11_forward_wants_fan_in_and_backward_wants_fan_out():
    for std, forward, backward in ((lambda i, o: i**-0.5, 1, 1 / 3), (lambda i, o: o**-0.5, 3, 1)):
        net = Profile([900, 300], std, lambda z: z, batch=2000)
        assert rms(net.h[1].data) ** 2 / rms(net.h[0].data) ** 2 == pytest.approx(forward, rel=0.02)
        assert rms(net.h[0].grad.data) ** 2 / net.delta[0] ** 2 == pytest.approx(backward, rel=0.02)


def test_B12_the_averaged_xavier_is_the_harmonic_mean():
    assert 2 / (300 + 100) == pytest.approx(2 / (1 / (1 / 300) + 1 / (1 / 100))) == 0.005
    w = init.xavier_normal_(tg.zeros(100, 300))
    assert w.data.var() == pytest.approx(0.005, rel=0.03)


def test_B13_the_uniform_xavier():
    a = math.sqrt(6 / 400)
    assert a**2 / 3 == pytest.approx(0.005, rel=1e-12)
    w = init.xavier_uniform_(tg.zeros(100, 300)).data
    assert w.var() == pytest.approx(0.005, rel=0.03)
    assert np.abs(w).max() <= a and np.abs(w).max() == pytest.approx(a, rel=1e-3)


def test_B14_caffes_xavier_is_one_over_fan_in():
    for initialize in (init.xavier_normal_, init.xavier_uniform_):
        assert initialize(tg.zeros(100, 300), mode="fan_in").data.var() == pytest.approx(1 / 300, rel=0.03)


def test_B15_xaviers_tanh_still_decays():
    predicted = [0.627, 0.486, 0.408, 0.358, 0.322, 0.294, 0.273, 0.255, 0.241, 0.229]
    net = Profile([500] * 11, xavier_fan_in, lambda z: z.tanh())
    np.testing.assert_allclose(net.std, predicted, rtol=0.03)


def test_B16_relu_halves_the_mean_square():
    z = init.normal_(tg.zeros(1_000_000).double(), 0.0, 3.0)
    assert (z.relu() ** 2).mean().item() / z.data.var() == pytest.approx(0.5, abs=0.002)
    assert init.calculate_gain("relu") ** 2 == pytest.approx(2)


# ------------------------------------------------------------------------------------------ losses

SHOWN = [0.01, 0.11, 0.04, 0.01, 0.02, 0.01, 0.01, 0.78, 0.0, 0.01]


def test_C7_cross_entropy_of_an_ignorant_net_and_of_the_shown_one():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    y = tg.randint(0, 10, (500,))
    assert F.cross_entropy(net(0.3 * tg.randn(500, 784)), y).item() == pytest.approx(math.log(10), abs=0.02)
    assert F.cross_entropy(tg.zeros(4, 10), tg.tensor([7, 1, 2, 3])).item() == pytest.approx(2.302585, abs=1e-6)
    shown = tg.tensor([SHOWN])
    assert shown.argmax(1).item() == 7
    assert F.nll_loss((shown + 1e-12).log(), tg.tensor([7])).item() == pytest.approx(0.248, abs=5e-4)


def test_C8_the_shown_probabilities_sum_to_one():
    assert tg.tensor(SHOWN).sum().item() == pytest.approx(1.0, abs=1e-6)


def test_C17_prediction_minus_target_is_the_gradient_of_all_three():
    draw = np.random.default_rng(0)
    z = draw.standard_normal((6, 4))
    truth = draw.random((6, 4))
    labels = draw.integers(0, 4, 6)

    def gradient(loss):
        x = tg.tensor(z, requires_grad=True)
        loss(x).backward()
        return x.grad.data

    mse = gradient(lambda x: 0.5 * F.mse_loss(x, tg.tensor(truth), reduction="sum"))
    np.testing.assert_allclose(mse, z - truth, rtol=1e-12)
    bce = gradient(lambda x: F.binary_cross_entropy_with_logits(x, tg.tensor(truth), reduction="sum"))
    np.testing.assert_allclose(bce, 1 / (1 + np.exp(-z)) - truth, rtol=1e-12)
    by_hand = gradient(lambda x: F.binary_cross_entropy(x.sigmoid(), tg.tensor(truth), reduction="sum"))
    np.testing.assert_allclose(by_hand, bce, rtol=1e-10)
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    ce = gradient(lambda x: F.cross_entropy(x, tg.tensor(labels), reduction="sum"))
    np.testing.assert_allclose(ce, softmax - np.eye(4)[labels], rtol=1e-12)


def test_E7_penalties_and_their_gradients():
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal((3, 2)), np.array([0.0, -2.0])]
    flat = np.concatenate([a.ravel() for a in arrays])
    for penalty, value, slope in (
        (lambda p: nn.l1_penalty(p, 0.001), 0.001 * np.abs(flat).sum(), lambda w: 0.001 * np.sign(w)),
        (lambda p: nn.l2_penalty(p, 0.001), 0.0005 * (flat**2).sum(), lambda w: 0.001 * w),
        (lambda p: nn.elastic_net_penalty(p, 0.001, 0.002), 0.001 * np.abs(flat).sum() + 0.002 * (flat**2).sum(),
         lambda w: 0.001 * np.sign(w) + 0.004 * w),
    ):  # fmt: skip
        parameters = [tg.tensor(a, requires_grad=True) for a in arrays]
        result = penalty(iter(parameters))
        assert result.item() == pytest.approx(value, rel=1e-12)
        result.backward()
        for p, a in zip(parameters, arrays, strict=True):
            np.testing.assert_allclose(p.grad.data, slope(a), rtol=1e-12)
        single = tg.tensor(arrays[0], requires_grad=True)
        assert penalty(single).item() == pytest.approx(penalty([single]).item())


def test_E7_the_proximal_step_reaches_zeros_and_the_subgradient_does_not():
    draw = np.random.default_rng(0)
    x = draw.standard_normal((200, 10))
    y = tg.tensor(x @ np.array([3.0, -2.0] + [0.0] * 8) + 0.1 * draw.standard_normal(200))
    zeros = {}
    for proximal in (False, True):
        w = tg.tensor(np.zeros(10) + 0.5, requires_grad=True)
        optimizer = optim.SGD([w], 0.05)
        for _ in range(300):
            optimizer.zero_grad()
            loss = F.mse_loss(tg.tensor(x) @ w, y)
            (loss if proximal else loss + nn.l1_penalty(w, 0.1)).backward()
            optimizer.step()
            if proximal:
                nn.soft_threshold_(w, 0.05 * 0.1)
        zeros[proximal] = int((w.data == 0).sum())
        assert (np.abs(w.data[2:]) < 0.01).all()
    assert zeros == {False: 0, True: 8}
