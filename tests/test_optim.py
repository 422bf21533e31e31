"""Optimizers against their formulas in plain NumPy, and what lectures say of them."""

import copy

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim

SHAPES = [(3, 4), (), (5,)]


def sgd(w, g, s, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    g = (-g if maximize else g) + weight_decay * w
    if momentum:
        s["v"] = g if "v" not in s else momentum * s["v"] + (1 - dampening) * g
        g = g + momentum * s["v"] if nesterov else s["v"]
    return w - lr * g


def adam(w, g, s, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, maximize=False,
         decoupled=False):  # fmt: skip
    g, (b1, b2) = -g if maximize else g, betas
    if decoupled:
        w = w - lr * weight_decay * w
    else:
        g = g + weight_decay * w
    t = s["t"] = s.get("t", 0) + 1
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    s["peak"] = np.maximum(s.get("peak", 0), s["v"])
    v = s["peak"] if amsgrad else s["v"]
    return w - lr * s["m"] / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)


def adamw(w, g, s, weight_decay=1e-2, **options):
    return adam(w, g, s, weight_decay=weight_decay, decoupled=True, **options)


def adagrad(w, g, s, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, maximize=False):
    g = (-g if maximize else g) + weight_decay * w
    t = s["t"] = s.get("t", -1) + 1
    s["sum"] = s.get("sum", initial_accumulator_value) + g * g
    return w - lr / (1 + t * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def adadelta(w, g, s, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0):
    g = g + weight_decay * w
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    delta = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * delta * delta
    return w - lr * delta


def rmsprop(w, g, s, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    g = g + weight_decay * w
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["mean"] = alpha * s.get("mean", 0) + (1 - alpha) * g
    step = g / (np.sqrt(s["v"] - s["mean"] ** 2 * centered) + eps)
    s["b"] = momentum * s.get("b", 0) + step
    return w - lr * s["b"]


def adamax(w, g, s, lr=2e-3, betas=(0.9, 0.999), eps=1e-8):
    t = s["t"] = s.get("t", 0) + 1
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["u"] = np.maximum(betas[1] * s.get("u", 0), np.abs(g) + eps)
    return w - lr / (1 - betas[0] ** t) * s["m"] / s["u"]


def radam(w, g, s, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    t, (b1, b2) = s.get("t", 0) + 1, betas
    s["t"], s["m"], s["v"] = t, b1 * s.get("m", 0) + (1 - b1) * g, b2 * s.get("v", 0) + (1 - b2) * g * g
    m, most = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return w - lr * m
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return w - lr * r * m * np.sqrt(1 - b2**t) / (np.sqrt(s["v"]) + eps)


def lion(w, g, s, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    g, m = -g if maximize else g, s.get("m", 0)
    s["m"] = betas[1] * m + (1 - betas[1]) * g
    return w - lr * weight_decay * w - lr * np.sign(betas[0] * m + (1 - betas[0]) * g)


CASES = [
    (optim.SGD, sgd, {}),
    (optim.SGD, sgd, dict(lr=0.1)),
    (optim.SGD, sgd, dict(lr=0.1, weight_decay=0.01)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.1)),
    (optim.SGD, sgd, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)),
    (optim.SGD, sgd, dict(lr=0.01, momentum=0.5, maximize=True)),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3)),
    (optim.Adam, adam, dict(lr=0.1, weight_decay=0.1)),
    (optim.Adam, adam, dict(lr=0.1, amsgrad=True, weight_decay=0.1)),
    (optim.Adam, adam, dict(lr=0.01, maximize=True)),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, dict(lr=0.1, weight_decay=0.3)),
    (optim.AdamW, adamw, dict(lr=0.1, weight_decay=0.3, amsgrad=True)),
    (optim.Adagrad, adagrad, {}),
    (optim.Adagrad, adagrad, dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3)),
    (optim.Adagrad, adagrad, dict(maximize=True)),
    (optim.Adadelta, adadelta, {}),
    (optim.Adadelta, adadelta, dict(lr=0.5, rho=0.7, eps=1e-3, weight_decay=0.1)),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, dict(lr=0.05, alpha=0.9, momentum=0.9, weight_decay=0.1)),
    (optim.RMSprop, rmsprop, dict(lr=0.05, eps=1e-4, centered=True)),
    (optim.Adamax, adamax, dict(lr=0.05)),
    (optim.RAdam, radam, dict(lr=0.05)),
    (optim.RAdam, radam, dict(lr=0.05, betas=(0.8, 0.99), eps=1e-4)),
    (optim.Lion, lion, {}),
    (optim.Lion, lion, dict(lr=0.01, betas=(0.8, 0.9), weight_decay=0.3)),
    (optim.Lion, lion, dict(lr=0.01, maximize=True)),
]


def parameters(order="C"):
    draw = np.random.default_rng(0)
    return [tg.Tensor(np.asarray(draw.standard_normal(s), order=order), requires_grad=True) for s in SHAPES]


def gradient(w, step):
    """Another function at each step: Σ ln cosh w + cos(step) w."""
    return np.tanh(w) + np.cos(step)


@pytest.mark.parametrize("order", ["C", "F"])  # parameters need not be contiguous
@pytest.mark.parametrize("row", range(len(CASES)))
def test_50_steps_follow_the_formula(row, order):
    make, formula, options = CASES[row]
    params = parameters(order)
    expected, states = [p.data.copy() for p in params], [{} for _ in params]
    arrays = [p.data for p in params]
    optimizer = make(params, **options)
    for step in range(50):
        for p in params:
            p.grad = tg.tensor(gradient(p.data, step))
        optimizer.step()
        expected = [formula(w, gradient(w, step), s, **options) for w, s in zip(expected, states, strict=True)]
    for p, w, array in zip(params, expected, arrays, strict=True):
        np.testing.assert_allclose(p.data, w, rtol=1e-12, atol=1e-12)
        assert p.data is array  # changed in place


def test_groups_have_their_own_options():
    a, b, c = parameters()
    start = [p.data.copy() for p in (a, b, c)]
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.1, weight_decay=0.5)
    optimizer.add_param_group({"params": [c], "weight_decay": 0})
    for p in (a, b):
        p.grad = tg.tensor(np.ones(p.shape))
    optimizer.step()
    np.testing.assert_allclose(a.data, start[0] - (1 + 0.5 * start[0]), rtol=1e-12)
    np.testing.assert_allclose(b.data, start[1] - 0.1 * (1 + 0.5 * start[1]), rtol=1e-12)
    np.testing.assert_array_equal(c.data, start[2])  # no gradient, no step
    assert [g["lr"] for g in optimizer.param_groups] == [1.0, 0.1, 0.1]
    optimizer.param_groups[1]["lr"] = 0.0
    before = b.data.copy()
    optimizer.step()
    np.testing.assert_array_equal(b.data, before)
    assert "Parameter Group 2" in repr(optimizer) and "weight_decay: 0" in repr(optimizer)


@pytest.mark.parametrize("row", [3, 10, 13, 16, 19, 21, 22, 23, 24, 27])
def test_a_saved_state_continues_bit_identically(row):
    make, _, options = CASES[row]

    def steps(params, optimizer, first, last):
        for step in range(first, last):
            for p in params:
                p.grad = tg.tensor(gradient(p.data, step))
            optimizer.step()

    straight, stopped = parameters(), parameters()
    optimizer = make(straight, **options)
    steps(straight, optimizer, 0, 20)
    first = make(stopped, **options)
    steps(stopped, first, 0, 10)
    saved = copy.deepcopy(first.state_dict())
    steps(stopped, first, 10, 12)  # does not touch what was saved
    resumed = parameters()
    second = make(resumed, lr=77.0)
    second.load_state_dict(saved)
    check = parameters()
    steps(check, make(check, **options), 0, 10)
    for p, q in zip(resumed, check, strict=True):
        p.data = q
    steps(resumed, second, 10, 20)
    for p, q in zip(straight, resumed, strict=True):
        assert p.data.tobytes() == q.data.tobytes()


def test_zero_grad_and_closure():
    (p,) = params = [tg.tensor([1.0], requires_grad=True)]
    optimizer = optim.SGD(params, 0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0 and p.item() == 0.0
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_choices_of_implementation_change_nothing():
    for name in ("SGD", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop",
                 "Lion"):  # fmt: skip
        make = getattr(optim, name)
        ends = []
        for choices in ({}, {key: True for key in make.choices}):
            (p,) = params = [tg.tensor(np.ones(3), requires_grad=True)]
            optimizer = make(params, lr=0.01, **choices)
            for _ in range(3):
                p.grad = tg.tensor(np.array([1.0, -2.0, 3.0]))
                optimizer.step()
            ends.append(p.data)
        np.testing.assert_array_equal(*ends)
        assert np.isfinite(ends[0]).all() and (ends[0] != 1).any()


def test_named_parameters_and_the_closure():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), 0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with tg.no_grad():  # the closure records all the same
        loss = optimizer.step(lambda: net(tg.ones(1, 2)).sum())
    assert loss.requires_grad and optimizer.state[net.weight] == {}


def test_a_step_before_backward_is_noticed():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = optim.SGD(net.parameters(), 0.1)
    loss = net(tg.ones(1, 2)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"changed in place: the input 1 of 1 \(linear\)"):
        loss.backward()


leaf = tg.tensor([1.0], requires_grad=True)
WRONG = [
    (lambda: optim.SGD([], 0.1), ValueError, "empty"),
    (lambda: optim.SGD(leaf, 0.1), TypeError, "not one tensor"),
    (lambda: optim.SGD([1.0], 0.1), TypeError, "float"),
    (lambda: optim.SGD([leaf * 2], 0.1), ValueError, "leaf"),
    (lambda: optim.SGD([leaf], -0.1), ValueError, "learning rate"),
    (lambda: optim.SGD([leaf], 0.1, momentum=-1), ValueError, "momentum"),
    (lambda: optim.SGD([leaf], 0.1, weight_decay=-1), ValueError, "weight_decay"),
    (lambda: optim.SGD([leaf], 0.1, nesterov=True), ValueError, "Nesterov"),
    (lambda: optim.Adam([leaf], betas=(1.0, 0.9)), ValueError, r"betas\[0\]"),
    (lambda: optim.Adam([leaf], eps=-1), ValueError, "eps"),
    (lambda: optim.Adadelta([leaf], rho=2), ValueError, "rho"),
    (lambda: optim.Rprop([leaf], etas=(1.1, 1.2)), ValueError, "etas"),
    (lambda: optim.Lion([leaf], betas=(0.9, 1.0)), ValueError, r"betas\[1\]"),
    (lambda: optim.Lion([leaf], lr=1e-4, sparse=True), TypeError, "'sparse'"),
    (lambda: optim.SGD([{"params": [leaf]}, {"params": [leaf]}], 0.1), ValueError, "more than one"),
    (lambda: optim.SGD([leaf], 0.1).load_state_dict({"state": {}, "param_groups": []}), ValueError, "sizes"),
]


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_wrong_options(row):
    wrong, kind, message = WRONG[row]
    with pytest.raises(kind, match=message):
        wrong()


# --------------------------------------------------------------------------------- the lectures' claims


def descend(optimizer_of, steps, eigenvalues=(1.0, 100.0)):
    """Distances from the minimum of ½ Σ λ w² while an optimizer runs from w = (1, 1)."""
    w = tg.tensor(np.ones(2), requires_grad=True)
    scale = tg.tensor(np.array(eigenvalues))
    optimizer = optimizer_of([w])
    norms = []
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (scale * w * w)).sum().backward()
        optimizer.step()
        norms.append(np.linalg.norm(w.data))
    return np.array(norms)


def test_gradient_descent_converges_below_two_over_the_largest_curvature():
    assert descend(lambda p: optim.SGD(p, 1.99 / 100), 2000)[-1] < 1e-8
    assert descend(lambda p: optim.SGD(p, 2.01 / 100), 2000)[-1] > 1e6


def test_best_momentum_on_a_quadratic_of_condition_100():
    root = np.sqrt(100)
    beta = ((root - 1) / (root + 1)) ** 2
    lr = 4 / (np.sqrt(100) + 1) ** 2
    norms = descend(lambda p: optim.SGD(p, lr, momentum=beta), 400)
    assert beta == pytest.approx(0.6694, abs=1e-4) and np.sqrt(beta) == pytest.approx(0.818, abs=1e-3)
    # a double root: the error is (a + b t) βᵗᐟ², so the mean rate comes down to √β slowly
    assert 0.818 < norms[199] ** (1 / 200) < 0.845
    assert norms[349] / norms[348] == pytest.approx(np.sqrt(beta), abs=5e-3)
    assert norms[199] < 1e-12 * descend(lambda p: optim.SGD(p, 1 / 100), 200)[-1]


def test_weight_decay_and_an_l2_term_are_the_same_for_sgd():
    ws = []
    for decay, l2 in ((0.1, 0.0), (0.0, 0.1)):
        w = tg.tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
        optimizer = optim.SGD([w], 0.05, momentum=0.9, weight_decay=decay)
        for _ in range(100):
            optimizer.zero_grad()
            (w.exp().sum() + l2 / 2 * (w * w).sum()).backward()
            optimizer.step()
        ws.append(w.data)
    np.testing.assert_allclose(ws[0], ws[1], rtol=1e-12)


@pytest.mark.parametrize(("decay", "adamw_w"), [(0.01, 0.9990), (0.1, 0.9900), (1.0, 0.9048)])
def test_adam_makes_l2_independent_of_its_strength_and_adamw_does_not(decay, adamw_w):
    def run(make):
        w = tg.tensor(np.array([1.0]), requires_grad=True)
        optimizer = make([w], lr=1e-3, weight_decay=decay)
        for _ in range(100):
            w.grad = tg.tensor(np.zeros(1))
            optimizer.step()
        return w.item()

    assert run(optim.Adam) == pytest.approx(0.9017, abs=5e-5)
    assert run(optim.AdamW) == pytest.approx((1 - 1e-3 * decay) ** 100, rel=1e-12)
    assert run(optim.AdamW) == pytest.approx(adamw_w, abs=5e-5)
