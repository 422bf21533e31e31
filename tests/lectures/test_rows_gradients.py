"""What the lectures say of gradients, in numbers: chains, gates, initialization, normalization, skip connections."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim
from tinygrad_course.nn import functional as F


def rms(array):
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))


def profile(layers, x):
    """RMS of each layer's output, and of the gradient that arrives there when a random cotangent is sent back."""
    outputs = []
    for layer in layers:
        x = layer(x)
        x.retain_grad()
        outputs.append(x)
    x.backward(tg.randn_like(x))
    return [rms(h.data) for h in outputs], [rms(h.grad.data) for h in outputs]


def dense(width, depth, scale, activation):
    """`depth` maps h -> φ(W h) with W_ij ~ N(0, scale/width)."""
    weights = [tg.randn(width, width) * math.sqrt(scale / width) for _ in range(depth)]
    return [lambda h, w=w: activation(h @ w) for w in weights]


@pytest.mark.parametrize("c", [1.0, 2.0, 3.0])
def test_A6_relu_changes_the_square_by_half_of_c(c):
    tg.manual_seed(0)
    forward, backward = profile(dense(512, 30, c, F.relu), tg.randn(16, 512, requires_grad=True))
    for rates in (forward, backward[::-1]):
        assert (rates[-1] / rates[0]) ** (2 / 29) == pytest.approx(c / 2, rel=0.03)


def test_A10_lsuv_gives_every_layer_variance_one():
    tg.manual_seed(0)
    net = nn.Sequential(*[module for _ in range(8) for module in (nn.Linear(64, 64), nn.Tanh())])
    x = tg.randn(256, 64)
    nn.init.lsuv_(net, x, tolerance=0.01)
    for module in net:
        x = module(x)
        if isinstance(module, nn.Linear):
            assert float(x.data.var()) == pytest.approx(1, abs=0.011)


def test_A19_the_bias_before_a_batch_norm_has_no_gradient():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh()).double()
    (net(tg.randn(16, 5, dtype=tg.float64)) ** 2).sum().backward()
    assert np.abs(net[0].bias.grad.data).max() < 1e-14 < np.abs(net[0].weight.grad.data).max()


@pytest.mark.parametrize("before", [True, False])
def test_A20_and_C42_batch_norm_makes_a_plain_relu_net_explode(before):
    """π/(π-1) = 1.467 a layer for the square, on whichever side of the activation the norm stands."""
    tg.manual_seed(0)
    layers = []
    for _ in range(30):
        parts = (nn.BatchNorm1d(256), nn.ReLU()) if before else (nn.ReLU(), nn.BatchNorm1d(256))
        linear = nn.Linear(256, 256, bias=False)
        nn.init.normal_(linear.weight, std=256**-0.5)
        layers.append(nn.Sequential(linear, *parts))
    _, backward = profile(layers, tg.randn(128, 256, requires_grad=True))
    assert (backward[2] / backward[-3]) ** (2 / 25) == pytest.approx(math.pi / (math.pi - 1), rel=0.03)


def test_C29_derivative_of_a_neuron():
    x, w, b = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (0.7, -1.3, 0.4))
    y = (w * x + b).sigmoid()
    y.backward()
    slope = y.item() * (1 - y.item())
    assert [t.grad.item() for t in (x, w, b)] == pytest.approx([slope * w.item(), slope * x.item(), slope], rel=1e-12)


def test_C31_the_sigmoid_is_38_times_flatter_at_5():
    x = tg.tensor([0.0, 5.0, -5.0], dtype=tg.float64, requires_grad=True)
    x.sigmoid().sum().backward()
    assert x.grad.data[0] / x.grad.data[1:] == pytest.approx([37.6, 37.6], abs=0.05)  # "30 times", says the slide


def test_C32_ten_sigmoids():
    x = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    h = x
    for _ in range(10):
        h = (h - 0.5 if h is not x else h).sigmoid()
    h.backward()
    assert x.grad.item() == pytest.approx(0.25**10, rel=1e-12)
    quarter, smallest = np.float32(0.25), np.finfo(np.float32).tiny
    assert quarter**63 >= smallest > np.float32(0.25) ** np.float32(64) > 0 and np.float32(0.25) ** np.float32(75) == 0


def test_C33_products_along_the_path_are_the_gradient():
    x, w, b, v = (tg.tensor(n, dtype=tg.float64, requires_grad=True) for n in (0.5, 2.0, -0.3, 1.7))
    z = w * x + b
    p = z.tanh()
    loss = (v * p - 1.0) ** 2
    loss.backward()
    dp = 2 * (v.item() * p.item() - 1) * v.item()
    dz = dp * (1 - p.item() ** 2)
    assert w.grad.item() == pytest.approx(dz * x.item(), rel=1e-12)
    assert b.grad.item() == pytest.approx(dz, rel=1e-12)


@pytest.mark.parametrize("weight, grows", [(3.0, False), (5.0, True)])
def test_C38_a_chain_vanishes_or_explodes_with_w_times_the_slope(weight, grows):
    x = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    h = x
    for _ in range(40):
        h = (h * weight).sigmoid() - 0.5
    h.backward()
    assert x.grad.item() == pytest.approx((weight / 4) ** 40, rel=1e-10)
    assert (x.grad.item() > 1) == grows


def test_C39_a_product_of_random_numbers_is_rarely_near_one():
    logs = np.log(np.abs(np.random.default_rng(0).standard_normal((4000, 50)))).sum(1)
    assert logs.mean() == pytest.approx(-50 * (np.euler_gamma + math.log(2)) / 2, rel=0.02)
    assert np.median(np.exp(logs)) == pytest.approx(1.6e-14, rel=0.5)


def test_C40_gates():
    x, y = tg.tensor([2.0], requires_grad=True), tg.tensor([-3.0], requires_grad=True)
    (x * y).backward(tg.tensor([5.0]))  # multiplication swaps
    assert (x.grad.item(), y.grad.item()) == (-15, 10)
    x.grad = y.grad = None
    (x + y).backward(tg.tensor([5.0]))  # addition distributes
    assert (x.grad.item(), y.grad.item()) == (5, 5)
    x.grad = y.grad = None
    tg.maximum(x, y).backward(tg.tensor([5.0]))  # the maximum routes
    assert (x.grad.item(), y.grad.item()) == (5, 0)


def test_C41_batch_statistics_in_training_running_ones_in_evaluation():
    tg.manual_seed(0)
    norm, x = nn.BatchNorm1d(3), tg.randn(64, 3) * 4 + 2
    assert norm(x).data.mean(0) == pytest.approx(np.zeros(3), abs=1e-6)
    norm.eval()
    expected = (x.data - norm.running_mean.data) / np.sqrt(norm.running_var.data + 1e-5)
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-5, atol=1e-6)


def test_C48_and_C50_the_skip_hands_the_gradient_on():
    tg.manual_seed(0)
    block = nn.Residual(nn.Linear(6, 6, bias=False)).double()
    x = tg.randn(4, 6, dtype=tg.float64, requires_grad=True)
    dy = tg.randn(4, 6, dtype=tg.float64)
    block(x).backward(dy)
    np.testing.assert_allclose(x.grad.data, dy.data + dy.data @ block.branch.weight.data, rtol=1e-12)  # F' + 1
    nn.init.zeros_(block.branch.weight)
    x.grad = None
    y = block(x)
    y.backward(dy)
    assert np.array_equal(y.data, x.data) and np.array_equal(x.grad.data, dy.data)  # the identity


def test_C43_and_C49_scaled_branches_keep_the_size_below_e():
    tg.manual_seed(0)
    depth, width = 50, 256
    weights = [tg.randn(width, width) * math.sqrt(2 / width) for _ in range(depth)]
    layers = [lambda h, w=w: h + F.relu(h) @ w * depth**-0.5 for w in weights]
    forward, backward = profile(layers, tg.randn(32, width, requires_grad=True))
    expected = (1 + 1 / depth) ** (depth - 1)
    assert (forward[-1] / forward[0]) ** 2 == pytest.approx(expected, rel=0.15)
    assert (backward[0] / backward[-1]) ** 2 == pytest.approx(expected, rel=0.15)


def test_C55_a_frozen_layer_does_not_move():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    for param in model[0].parameters():
        param.requires_grad = False
    before = [p.data.copy() for p in model.parameters()]
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    model(tg.randn(3, 4)).sum().backward()
    optimizer.step()
    changed = [not np.array_equal(p.data, old) for p, old in zip(model.parameters(), before, strict=True)]
    assert changed == [False, False, True, True]
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]


def test_C57_a_new_head_is_what_is_trained():
    head = nn.Linear(2048, 2)
    assert sum(p.numel() for p in head.parameters()) == 4098


def test_D1_a_two_layer_net():
    tg.manual_seed(0)
    x, w1, w2 = (tg.randn(*s, dtype=tg.float64, requires_grad=True) for s in ((3, 4), (4, 5), (5, 2)))
    assert tg.gradcheck(lambda x, w1, w2: F.relu(x @ w1) @ w2, [x, w1, w2])


def test_D7_positive_inputs_give_weight_gradients_of_one_sign():
    tg.manual_seed(0)

    def signs(samples):
        w = tg.randn(10, 4, requires_grad=True)
        (tg.rand(samples, 10) @ w).backward(tg.randn(samples, 4))
        return np.abs(np.sign(w.grad.data).sum(0))

    assert (signs(1) == 10).all()
    assert (signs(64) < 10).any()  # "minibatches help"


def activation_statistics(std, activation=tg.tanh, layers=6, width=4096):
    """CS231n's listing: std of each layer's activations, RMS of δ = ∂L/∂(x W), and of each weight's gradient."""
    tg.manual_seed(0)
    weights = [tg.randn(width, width) * std for _ in range(layers)]
    for w in weights:
        w.requires_grad = True
    x, hs, zs = tg.randn(16, width), [], []
    for w in weights:
        z = x.dot(w)
        z.retain_grad()
        x = activation(z)
        hs.append(x)
        zs.append(z)
    x.backward(tg.randn_like(x))
    return [float(h.data.std()) for h in hs], [rms(z.grad.data) for z in zs], [rms(w.grad.data) for w in weights]


@pytest.mark.slow
def test_D18_to_D22_tanh_nets_of_the_lecture():
    small, gradients, of_weights = activation_statistics(0.01)
    assert small == pytest.approx([0.4922, 0.2889, 0.1792, 0.1132, 0.0718, 0.0460], rel=0.025)  # D18
    assert max(of_weights[1:]) / min(of_weights[1:]) < 1.1  # D19: weight gradients are equal, not "all zero"
    assert gradients[-1] / gradients[0] == pytest.approx(13.4, rel=0.1)
    large, gradients, _ = activation_statistics(0.05)
    assert large[2:] == pytest.approx([0.849] * 4, rel=0.02)  # D20
    assert gradients[0] / gradients[-1] == pytest.approx(4.9, rel=0.1)  # D21: it grows, though units saturate
    xavier, gradients, _ = activation_statistics(4096**-0.5)
    assert (xavier[0], xavier[-1]) == pytest.approx((0.6279, 0.2944), rel=0.025)  # D22: still falls
    assert gradients[0] / gradients[-1] == pytest.approx(0.37, rel=0.1)


@pytest.mark.slow
def test_D25_and_D26_relu_with_xavier_halves_and_with_kaiming_keeps():
    xavier, _, of_weights = activation_statistics(4096**-0.5, F.relu)
    assert (xavier[0], xavier[-1]) == pytest.approx((0.5837, 0.1013), rel=0.05)
    assert max(of_weights[1:]) / min(of_weights[1:]) < 1.15
    kaiming, gradients, _ = activation_statistics((2 / 4096) ** 0.5, F.relu)
    assert kaiming == pytest.approx([0.8255] * 6, rel=0.05)
    assert gradients[0] / gradients[-1] == pytest.approx(1, abs=0.05)


def test_D24_variance_of_a_sum_of_products():
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal((20_000, 30)) + 0.7, draw.standard_normal((20_000, 30)) * 0.4
    expected = 30 * (np.mean(x**2) * np.mean(w**2) - np.mean(x) ** 2 * np.mean(w) ** 2)
    assert (x * w).sum(1).var() == pytest.approx(expected, rel=0.04)


def test_D29_batch_norm_is_linear_at_test_time():
    tg.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3).double(), nn.BatchNorm2d(5).double()
    for buffer, low in ((norm.running_mean, -1), (norm.running_var, 0.5)):
        nn.init.uniform_(buffer, low, 2)
    x = tg.randn(2, 3, 8, 8, dtype=tg.float64)
    conv.eval(), norm.eval()
    expected = norm(conv(x)).data
    np.testing.assert_allclose(nn.utils.fuse_conv_bn_eval(conv, norm)(x).data, expected, rtol=0, atol=2e-14)


def test_D30_batch_norm_forgets_the_scale_of_the_weights():
    tg.manual_seed(0)
    x, w = tg.randn(32, 6, dtype=tg.float64), tg.randn(6, 4, dtype=tg.float64)
    target = tg.randn(32, 4, dtype=tg.float64)

    def run(weights):
        weights = tg.tensor(weights, requires_grad=True)
        loss = (F.batch_norm(x @ weights, None, None, training=True, eps=0.0) * target).sum()
        loss.backward()
        return loss.item(), weights.grad.data

    (loss, gradient), (same, smaller) = run(w.data), run(8 * w.data)
    assert same == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(smaller, gradient / 8, rtol=1e-9, atol=1e-12)
    assert np.abs((w.data * gradient).sum(0)).max() < 1e-12


def test_D36_error_of_a_difference_quotient():
    x = tg.tensor(np.random.default_rng(0).standard_normal((3, 3)), requires_grad=True)
    (exact,) = tg.grad((x.tanh() ** 2).sum(), x)

    def error(h):
        numeric = np.empty((3, 3))
        for place in np.ndindex(3, 3):
            step = np.zeros((3, 3))
            step[place] = h
            high, low = ((tg.tensor(x.data + s).tanh() ** 2).sum().item() for s in (step, -step))
            numeric[place] = (high - low) / (2 * h)
        return np.abs(numeric - exact.data).max()

    assert error(1e-5) < 1e-9 < min(error(1e-1), error(1e-10))


def test_E1_multiply_adds_of_a_convolution():
    table = tg.summary(nn.Sequential(nn.Conv2d(3, 10, 5, padding=2)), (3, 32, 32))
    assert "768,000" in str(table) and "760" in str(table)
