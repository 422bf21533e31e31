"""A ReLU that leaves its mask to the batch norm before it, while somebody records."""

import threading

import numpy as np
import pytest
from recorded_facts import facts, run

import tinygrad_course as tg
import viz
from tinygrad_course import engine, nn
from tinygrad_course.ops.activation import ReLU
from viz.graph.gathered import Gathered

_kept = []


def _loss(z):
    """A number whose gradient is an array of its own, which a kernel measures; that of a sum has one number for all."""
    return nn.functional.mse_loss(z, tg.full_like(z, -0.5))


def _hooked(z):
    z.register_hook(lambda gradient: gradient * 3.0)
    return z


def _retained(z):
    z.retain_grad()
    _kept.append(z)
    return z


def _held(z):
    _kept.append(z)
    return z


def _now_and_then(z, k):
    return _held(z) if k % 2 else z


def _in_another_thread(norm, x, k):
    made = [norm(x)]
    thread = threading.Thread(target=lambda: made.append(made[0].exp()))
    thread.start()
    thread.join()
    made[0] = made[0].relu()
    return _loss(made[0] * made[1])


def _read_elsewhere(norm, x, k):
    z, made = _held(norm(x)), []
    z.retain_grad()
    thread = threading.Thread(target=lambda: made.append(z.relu()))
    thread.start()
    thread.join()
    return _loss(made[0] * x)


class _Straight(ReLU):
    """Passes the gradient where it is 0, too."""

    def backward(self, dy):
        return dy


class _Leaky(ReLU):
    def backward(self, dy):
        return super().backward(dy) + dy * 0.1


class _Raised(ReLU):
    def forward(self, x):
        return super().forward(x) + 1.0


class _Same(ReLU):
    pass


def _by(operation):
    return lambda norm, x, k: _loss(operation()(norm(x)) * x)


def _asked_for(norm, x, k):
    z = norm(x)
    (gradient,) = tg.grad(z.relu().exp().sum(), [z], retain_graph=True)
    return _loss(z.relu() * gradient)


def _two_roots(norm, x, k):
    z = norm(x)
    total = z.relu().sum()
    engine.backward([total, z], [np.ones((), np.float32), np.ones(z.shape, np.float32)], retain_graph=True)
    return _loss(z.relu())


def _scaled(by):
    return lambda norm, x, k: _loss(norm(x).relu() * x) * by


def _transposed(norm, x, k):
    return _loss(norm(x).relu().T)


def _with_nan(norm, x, k):
    norm.weight.data[1] = float("nan")
    return _loss(norm(x).relu() * x)


def _twice(norm, x, k):
    loss = _loss(norm(x).relu())
    loss.backward(retain_graph=True)
    return loss * 2.0


# name: (loss, of a batch norm, its input and the step's number; how many ReLUs of the last 4 steps leave their mask)
PROGRAMS = {
    "nobody else looks": (lambda norm, x, k: _loss(norm(x).relu()), 4),
    "twice": (lambda norm, x, k: _loss(norm(norm(x).relu().exp()).relu()), 8),
    "also a sum": (lambda norm, x, k: (lambda h: _loss(h.exp() * h))(norm(x).relu()), 4),
    "another operation": (lambda norm, x, k: (lambda z: _loss(z.relu() + z))(norm(x)), 0),
    "two of them": (lambda norm, x, k: (lambda z: _loss(z.relu() * z.relu()))(norm(x)), 0),
    "another thread": (_in_another_thread, 0),
    "read in another thread": (_read_elsewhere, 0),
    "straight through": (_by(_Straight), 0),
    "leaky": (_by(_Leaky), 0),
    "raised": (_by(_Raised), 0),
    "a class of its own": (_by(_Same), 4),
    "a hook": (lambda norm, x, k: _loss(_hooked(norm(x)).relu()), 0),
    "a hook behind": (lambda norm, x, k: _loss(_hooked(norm(x).relu())), 0),
    "retained": (lambda norm, x, k: _loss(_retained(norm(x)).relu()), 0),
    "held": (lambda norm, x, k: _loss(_held(norm(x)).relu()), 0),
    "held now and then": (lambda norm, x, k: _loss(_now_and_then(norm(x), k).relu()), None),
    "asked for": (_asked_for, 0),
    "two roots": (_two_roots, 0),
    "tiny": (_scaled(1e-25), 4),
    "huge": (_scaled(1e25), 4),
    "infinite": (_scaled(float("inf")), 4),
    "transposed": (_transposed, 4),
    "nan": (_with_nan, 4),
    "through one graph twice": (_twice, None),
    "large": (lambda norm, x, k: _loss(norm(x.repeat(4000, 1)).relu()), 4),
    "float64": (lambda norm, x, k: _loss(norm.double()(x.double()).relu()), 4),
}


def _loop(program, gradients):
    """A loop of five such steps; what is left in `.grad` goes to a list."""

    def loop(seen, recording):
        norm, draws = nn.BatchNorm1d(4), np.random.default_rng(0)
        x = tg.zeros(6, 4, requires_grad=True)
        for k in range(5):
            norm.zero_grad()
            x.grad = None
            x.data[...] = draws.standard_normal((6, 4))
            with np.errstate(all="ignore"):
                program(norm, x, k).backward()
            seen()
            left = [x, norm.weight, norm.bias, *_kept]
            gradients.extend([None if one.grad is None else one.grad.numpy().tobytes() for one in left])
            _kept.clear()

    return loop


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mask_is_left_where_nobody_else_looks(name, kernel, monkeypatch):
    """What is recorded, and every gradient, is what it would be, to the last bit."""
    program, expected = PROGRAMS[name]
    if not kernel:
        monkeypatch.setattr("viz.graph.repeat.kernels", lambda: None)
        monkeypatch.setattr("viz.graph.repeat._places", lambda: ())
    alone, left = Gathered.alone_sees_input_of, []
    monkeypatch.setattr(Gathered, "alone_sees_input_of", lambda *two: left.append(alone(*two)) or left[-1])
    recorded, at_once, without = [], [], []
    found, _ = run(_loop(program, recorded), None)
    assert expected is None or sum(left) == expected
    count = sum(left)
    assert facts(found) == facts(run(_loop(program, at_once), None, at_once=True)[0])
    assert sum(left) == count
    tg.manual_seed(3)
    _loop(program, without)(lambda: None, None)
    assert recorded == at_once == without


def _pass_in_a_hook():
    """The gradients of a graph through whose end a hook goes, too, between the ReLU and the batch norm."""
    norm, x = nn.BatchNorm1d(4), tg.tensor(np.random.default_rng(0).standard_normal((6, 4)), requires_grad=True)
    norm, ends = norm.double(), []
    z = norm(x)
    aside, y = x.exp(), z.relu()
    del z
    ends.append((y * y).sum())
    aside.register_hook(lambda gradient: ends.pop().backward(retain_graph=True) if ends else None)
    (y * aside).sum().backward(retain_graph=True)
    return [one.grad.numpy().tobytes() for one in (x, norm.weight, norm.bias)]


def test_a_pass_in_a_hook_takes_no_mask_from_the_one_around_it(monkeypatch):
    with viz.record():
        found = [_pass_in_a_hook() for _ in range(3)]
    found.append(_pass_in_a_hook())
    monkeypatch.setattr("tinygrad_course.ops.activation.CACHED", 0)
    assert found == 4 * [_pass_in_a_hook()]


@pytest.mark.parametrize("options", [{"details": True}, {"every": 2}], ids=str)
def test_other_ways_to_record(options):
    program, _ = PROGRAMS["twice"]
    mine, others = [], []
    found, _ = run(_loop(program, mine), None, **options)
    assert facts(found) == facts(run(_loop(program, others), None, at_once=True, **options)[0])
    assert mine == others
