"""Schedules of the learning rate against their formulas."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import optim
from tinygrad_course.optim import lr_scheduler as schedules

LR = 0.4


def warm_restarts(t, first=4, factor=2):
    while t >= first:
        t, first = t - first, first * factor
    return (1 + math.cos(math.pi * t / first)) / 2


def triangle(t, up=4, down=6):
    t %= up + down
    return t / up if t <= up else (up + down - t) / down


def one_cycle(t, total=40, rise=0.3):
    top = rise * total - 1
    if t <= top:
        return 1 + (1 / 25 - 1) / 2 * (math.cos(math.pi * t / top) + 1)
    end = 1 / 25 / 1e4
    return end + (1 - end) / 2 * (math.cos(math.pi * (t - top) / (total - 1 - top)) + 1)


# name -> the schedule of an optimizer, its rate at step t
CLOSED = {
    "LambdaLR": (lambda o: schedules.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: LR / (1 + t)),
    "MultiplicativeLR": (lambda o: schedules.MultiplicativeLR(o, lambda t: 0.9), lambda t: LR * 0.9**t),
    "StepLR": (lambda o: schedules.StepLR(o, 5, 0.5), lambda t: LR * 0.5 ** (t // 5)),
    "MultiStepLR": (
        lambda o: schedules.MultiStepLR(o, [3, 8, 8, 20]), lambda t: LR * 0.1 ** ((t >= 3) + 2 * (t >= 8) + (t >= 20)),
    ),
    "ConstantLR": (lambda o: schedules.ConstantLR(o, 0.25, 6), lambda t: LR * (0.25 if t < 6 else 1)),
    "LinearLR": (lambda o: schedules.LinearLR(o, 0.1, 0.7, 9), lambda t: LR * (0.1 + 0.6 * min(t, 9) / 9)),
    "ExponentialLR": (lambda o: schedules.ExponentialLR(o, 0.93), lambda t: LR * 0.93**t),
    "PolynomialLR": (lambda o: schedules.PolynomialLR(o, 12, 2.0), lambda t: LR * (1 - min(t, 12) / 12) ** 2),
    "CosineAnnealingLR": (
        lambda o: schedules.CosineAnnealingLR(o, 15, 0.1), lambda t: 0.1 + 0.3 * (1 + math.cos(math.pi * t / 15)) / 2,
    ),
    "CosineAnnealingWarmRestarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 4, 2), lambda t: LR * warm_restarts(t),
    ),
    "CyclicLR": (lambda o: schedules.CyclicLR(o, 0.1, 0.5, 4, 6), lambda t: 0.1 + 0.4 * triangle(t)),
    "CyclicLR triangular2": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.5, 4, 6, mode="triangular2"),
        lambda t: 0.1 + 0.4 * triangle(t) / 2 ** (t // 10),
    ),
    "CyclicLR exp_range": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.5, 4, 6, mode="exp_range", gamma=0.9),
        lambda t: 0.1 + 0.4 * triangle(t) * 0.9**t,
    ),
    "OneCycleLR": (lambda o: schedules.OneCycleLR(o, 1.0, 40), one_cycle),
    "SequentialLR": (
        lambda o: schedules.SequentialLR(o, [schedules.LinearLR(o, 0.1, total_iters=5),
                                             schedules.ExponentialLR(o, 0.9)], [5]),
        lambda t: LR * (0.1 + 0.9 * t / 5 if t < 5 else 0.9 ** (t - 5)),
    ),
    "ChainedScheduler": (
        lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 7), schedules.StepLR(o, 4, 0.5)]),
        lambda t: LR * (0.5 if t < 7 else 1) * 0.5 ** (t // 4),
    ),
}  # fmt: skip


def sgd(**options):
    return optim.SGD([tg.ones(1, requires_grad=True)], LR, momentum=0.9, **options)


@pytest.mark.parametrize("name", CLOSED)
def test_rates(name):
    make, formula = CLOSED[name]
    optimizer = sgd()
    schedule = make(optimizer)
    for t in range(40):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(formula(t), rel=1e-11, abs=1e-13)
        assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        optimizer.step()
        schedule.step()


def test_momentum_goes_the_other_way():
    optimizer = sgd()
    schedule = schedules.OneCycleLR(optimizer, 1.0, 20, anneal_strategy="linear", pct_start=0.5)
    momenta = []
    for _ in range(20):
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if len(momenta) < 20:
            schedule.step()
    assert momenta[0] == momenta[-1] == 0.95 and min(momenta) == momenta[9] == pytest.approx(0.85)
    adam = optim.Adam([tg.ones(1, requires_grad=True)])
    schedules.CyclicLR(adam, 1e-4, 1e-3)
    assert adam.param_groups[0]["betas"] == (0.9, 0.999)
    with pytest.raises(ValueError, match="cycle_momentum=False"):
        schedules.OneCycleLR(optim.Adagrad([tg.ones(1, requires_grad=True)]), 1.0, 20)
    with pytest.raises(ValueError, match="step 21 is past the 20 steps"):
        for _ in range(3):
            schedule.step()


def test_every_group_has_its_own_rate():
    optimizer = optim.SGD([{"params": [tg.ones(1, requires_grad=True)]},
                           {"params": [tg.ones(1, requires_grad=True)], "lr": 1.0}], LR)  # fmt: skip
    schedule = schedules.LambdaLR(optimizer, [lambda t: 0.5**t, lambda t: 1.0])
    for _ in range(3):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [LR / 8, 1.0]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [LR, 1.0]
    with pytest.raises(ValueError, match="2 values, one a group, got 1"):
        schedules.LambdaLR(optimizer, [lambda t: 1.0])


def test_plateau_waits_cools_down_and_stops_at_its_least():
    optimizer = sgd()
    schedule = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, cooldown=1, min_lr=0.15)
    rates = []
    for metric in [1.0, 0.9, 0.95, 0.9, 0.91, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]:
        schedule.step(tg.tensor(metric))
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [LR] * 4 + [LR / 2] * 4 + [0.15] * 3
    assert schedule.get_last_lr() == [0.15] and schedule.best == pytest.approx(0.9)


class Halving:
    """A function with a memory, for a state_dict to keep."""

    def __init__(self, base):
        self.base = base

    def __call__(self, t):
        return self.base**t


def test_a_state_dict_keeps_functions_with_attributes():
    optimizer = sgd()
    schedule = schedules.LambdaLR(optimizer, Halving(0.5))
    schedule.step(3)
    resumed_optimizer = sgd()
    resumed = schedules.LambdaLR(resumed_optimizer, Halving(0.1))
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.last_epoch == 3 and resumed.lr_lambdas[0].base == 0.5
    plain = schedules.LambdaLR(sgd(), lambda t: 0.5**t).state_dict()
    assert plain["lr_lambdas"] == [None] and "optimizer" not in plain
    cyclic = schedules.CyclicLR(sgd(), 0.1, 0.5, scale_fn=Halving(0.7))
    other = schedules.CyclicLR(sgd(), 0.1, 0.5, scale_fn=Halving(0.2))
    other.load_state_dict(cyclic.state_dict())
    assert other.scale_fn(1) == 0.7


def test_a_schedule_of_a_net_that_trains():
    w = tg.tensor(np.array([5.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)
    schedule = schedules.CosineAnnealingLR(optimizer, T_max=30)
    for _ in range(30):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        schedule.step()
    assert abs(w.item()) < 1e-6 and optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
