"""Optimizers, schedules and initializers against PyTorch: 50 steps each, over their options."""

import inspect
import math
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def starts():
    draw = np.random.default_rng(0)
    return [draw.standard_normal((3, 4)), draw.standard_normal(5), np.array(0.7)]


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", dict(lr=0.05, momentum=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1, foreach=False)),
    ("SGD", dict(lr=0.05, maximize=True, weight_decay=0.1, fused=False)),
    ("Adagrad", {}),
    ("Adagrad", dict(lr=0.1, lr_decay=0.01, weight_decay=0.1, initial_accumulator_value=0.2, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, maximize=True)),
    ("Adadelta", {}),
    ("Adadelta", dict(lr=0.5, rho=0.8, eps=1e-4, weight_decay=0.1, maximize=True)),
    ("RMSprop", {}),
    ("RMSprop", dict(lr=0.02, alpha=0.9, eps=1e-4, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.02, centered=True, momentum=0.9)),
    ("RMSprop", dict(lr=0.02, momentum=0.5, maximize=True)),
    ("Adam", {}),
    ("Adam", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)),
    ("Adam", dict(lr=0.05, amsgrad=True, capturable=False)),
    ("Adam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True)),
    ("AdamW", dict(lr=0.05)),
    ("AdamW", dict(lr=0.05, weight_decay=0.5, amsgrad=True, maximize=True)),
    ("Adamax", {}),
    ("Adamax", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adamax", dict(lr=0.05, maximize=True)),
    ("NAdam", {}),
    ("NAdam", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1, momentum_decay=0.1)),
    ("NAdam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", {}),
    ("RAdam", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)),
    ("RAdam", dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("ASGD", {}),
    ("ASGD", dict(lr=0.05, lambd=0.01, alpha=0.5, t0=10, weight_decay=0.1)),
    ("ASGD", dict(lr=0.05, maximize=True)),
    ("Rprop", {}),
    ("Rprop", dict(lr=0.05, etas=(0.4, 1.3), step_sizes=(1e-3, 0.2))),
    ("Rprop", dict(maximize=True)),
]


@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_trajectories(name, options):
    ours = [tg.tensor(a, requires_grad=True) for a in starts()]
    theirs = [torch.tensor(a, requires_grad=True) for a in starts()]
    mine, yours = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(50):
        for params, optimizer in ((ours, mine), (theirs, yours)):
            optimizer.zero_grad()
            sum(((p * p + 1).log() * np.cos(step) + p.tanh()).sum() for p in params).backward()
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-10, atol=1e-10)
    own, other = mine.state_dict(), yours.state_dict()
    assert set(own["param_groups"][0]) == set(other["param_groups"][0])
    assert [g["params"] for g in own["param_groups"]] == [g["params"] for g in other["param_groups"]]
    for i in other["state"]:
        filled = {key: value for key, value in other["state"][i].items() if value is not None}
        assert set(own["state"].get(i, ())) == set(filled)
        for key, value in filled.items():
            np.testing.assert_allclose(own["state"][i][key], value.numpy(), rtol=1e-10, atol=1e-10, err_msg=key)


@pytest.mark.parametrize("name", sorted({name for name, _ in OPTIMIZERS}))
def test_signatures(name):
    """Positional arguments stand in PyTorch's order, with PyTorch's defaults."""
    ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (optim, torch.optim))
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [(p.name, p.default) for p in ours.values() if p.kind is positional]
    assert own == [(p.name, p.default) for p in theirs.values() if p.kind is positional]
    keywords = {p.name: p.default for p in theirs.values() if p.name != "params"}
    getattr(optim, name)([tg.ones(1, requires_grad=True)], **keywords)
    with pytest.raises(TypeError, match="sparse"):
        getattr(optim, name)([tg.ones(1, requires_grad=True)], sparse=True)


BAD = [
    ("SGD", dict(momentum=-1)), ("Adagrad", dict(lr_decay=-1)), ("Adagrad", dict(initial_accumulator_value=-1)),
    ("Adagrad", dict(eps=-1)), ("Adadelta", dict(rho=1.5)), ("Adadelta", dict(eps=-1)), ("RMSprop", dict(alpha=-1)),
    ("RMSprop", dict(momentum=-1)), ("Adam", dict(betas=(0.5, 1.0))), ("Adamax", dict(betas=(1.0, 0.5))),
    ("NAdam", dict(momentum_decay=-1)), ("RAdam", dict(betas=(-0.1, 0.5))), ("RAdam", dict(weight_decay=-1)),
    ("Rprop", dict(etas=(1.5, 2.0))), ("ASGD", dict(lr=-1)), ("ASGD", dict(weight_decay=-1)),
]  # fmt: skip


@pytest.mark.parametrize("name, options", BAD)
def test_wrong_options(name, options):
    for module, library in ((optim, tg), (torch.optim, torch)):
        with pytest.raises(ValueError):
            getattr(module, name)([library.ones(1, requires_grad=True)], **options)


# ------------------------------------------------------------------------------------------ schedules

SGD = ("SGD", dict(lr=0.5, momentum=0.9))
ADAM = ("Adam", dict(lr=0.01))
SCHEDULES = [
    ("LambdaLR", lambda s, o: s.LambdaLR(o, lambda t: 0.95**t), SGD),
    ("LambdaLR two", lambda s, o: s.LambdaLR(o, [lambda t: 0.95**t, lambda t: 1 / (t + 1)]), SGD),
    ("MultiplicativeLR", lambda s, o: s.MultiplicativeLR(o, lambda t: 1 - 0.01 * t), SGD),
    ("StepLR", lambda s, o: s.StepLR(o, 7), SGD),
    ("StepLR gamma", lambda s, o: s.StepLR(o, step_size=3, gamma=0.7), SGD),
    ("MultiStepLR", lambda s, o: s.MultiStepLR(o, [5, 12, 12, 30], gamma=0.5), SGD),
    ("ConstantLR", lambda s, o: s.ConstantLR(o), SGD),
    ("ConstantLR factor", lambda s, o: s.ConstantLR(o, factor=0.2, total_iters=9), SGD),
    ("LinearLR", lambda s, o: s.LinearLR(o), SGD),
    ("LinearLR down", lambda s, o: s.LinearLR(o, 1.0, 0.1, total_iters=20), SGD),
    ("ExponentialLR", lambda s, o: s.ExponentialLR(o, 0.9), SGD),
    ("PolynomialLR", lambda s, o: s.PolynomialLR(o), SGD),
    ("PolynomialLR power", lambda s, o: s.PolynomialLR(o, total_iters=40, power=0.9), SGD),
    ("CosineAnnealingLR", lambda s, o: s.CosineAnnealingLR(o, 10), SGD),
    ("CosineAnnealingLR eta", lambda s, o: s.CosineAnnealingLR(o, T_max=50, eta_min=0.01), SGD),
    ("WarmRestarts", lambda s, o: s.CosineAnnealingWarmRestarts(o, 5), SGD),
    ("WarmRestarts mult", lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=4, T_mult=2, eta_min=0.001), SGD),
    ("OneCycleLR", lambda s, o: s.OneCycleLR(o, 1.0, total_steps=60), SGD),
    ("OneCycleLR epochs", lambda s, o: s.OneCycleLR(o, max_lr=0.1, epochs=6, steps_per_epoch=10, pct_start=0.25), ADAM),
    ("OneCycleLR linear", lambda s, o: s.OneCycleLR(o, [1.0, 2.0], 55, anneal_strategy="linear", div_factor=10), SGD),
    ("OneCycleLR three", lambda s, o: s.OneCycleLR(o, 1.0, 70, three_phase=True, final_div_factor=100), ADAM),
    ("OneCycleLR no momentum", lambda s, o: s.OneCycleLR(o, 1.0, 60, cycle_momentum=False), SGD),
    ("CyclicLR", lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=7), SGD),
    ("CyclicLR 2", lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, 9, mode="triangular2", base_momentum=0.7), SGD),
    ("CyclicLR exp", lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 6, mode="exp_range", gamma=0.95), ADAM),
    ("CyclicLR own", lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4, scale_fn=lambda x: 1 / x, cycle_momentum=False), SGD),
    ("CyclicLR iterations", lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4, scale_fn=lambda x: 0.9**x,
                                                    scale_mode="iterations"), SGD),
    ("SequentialLR", lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 6), s.ExponentialLR(o, 0.9)], [6]), SGD),
    ("SequentialLR three", lambda s, o: s.SequentialLR(o, schedulers=[
        s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20), s.StepLR(o, 4)], milestones=[5, 25]), SGD),
    ("SequentialLR nested", lambda s, o: s.SequentialLR(o, [s.SequentialLR(
        o, [s.StepLR(o, 3), s.ExponentialLR(o, 0.8)], [10]), s.LinearLR(o, 0.2, total_iters=4)], [15]), SGD),
    ("ChainedScheduler", lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 6), s.ExponentialLR(o, 0.9)]), SGD),
    ("ChainedScheduler 3", lambda s, o: s.ChainedScheduler([s.LinearLR(o), s.CosineAnnealingLR(o, 9), s.StepLR(o, 5)],
                                                           optimizer=o), SGD),
]  # fmt: skip


def pair(make, options):
    """Our optimizer and PyTorch's, with two groups."""
    ours, theirs = (
        getattr(module, make)(
            [{"params": [library.ones(2, requires_grad=True)]},
             {"params": [library.ones(2, requires_grad=True)], "lr": 0.2}], **options
        )
        for module, library in ((optim, tg), (torch.optim, torch))
    )  # fmt: skip
    return ours, theirs


def agree(ours, theirs, mine, yours):
    for own, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        for name in ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr", "base_momentum", "max_momentum"):
            assert (name in own) == (name in other), name
            if name in own:
                np.testing.assert_allclose(own[name], other[name], rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(mine.get_last_lr(), yours.get_last_lr(), rtol=1e-12, atol=1e-15)
    assert mine.last_epoch == yours.last_epoch if hasattr(yours, "last_epoch") else True


@pytest.mark.parametrize("name, make, kind", SCHEDULES, ids=[s[0] for s in SCHEDULES])
@pytest.mark.filterwarnings("ignore")
def test_schedules(name, make, kind):
    ours, theirs = pair(*kind)
    mine, yours = make(optim.lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs)
    agree(ours, theirs, mine, yours)
    for _ in range(55):
        ours.step(), theirs.step()
        mine.step(), yours.step()
        agree(ours, theirs, mine, yours)


@pytest.mark.parametrize("name, make, kind", SCHEDULES, ids=[s[0] for s in SCHEDULES])
@pytest.mark.filterwarnings("ignore")
def test_a_saved_schedule_goes_on(name, make, kind):
    straight, _ = pair(*kind)
    expected = make(optim.lr_scheduler, straight)
    for _ in range(13):
        expected.step()
    resumed, _ = pair(*kind)
    schedule = make(optim.lr_scheduler, resumed)
    resumed.load_state_dict(straight.state_dict())
    schedule.load_state_dict(expected.state_dict())
    for _ in range(20):
        expected.step(), schedule.step()
        assert schedule.get_last_lr() == expected.get_last_lr()


PLATEAUS = [
    {}, dict(patience=2), dict(mode="max", factor=0.5, patience=1, cooldown=3),
    dict(patience=0, threshold=0.1, threshold_mode="abs", min_lr=[0.01, 0.02]),
    dict(mode="max", patience=0, threshold=0.2, threshold_mode="abs", factor=0.3, eps=0.01),
    dict(patience=1, threshold=0.05, min_lr=1e-3, factor=0.2),
]  # fmt: skip


@pytest.mark.parametrize("options", PLATEAUS)
def test_plateau(options):
    ours, theirs = pair(*SGD)
    mine = optim.lr_scheduler.ReduceLROnPlateau(ours, **options)
    yours = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    draw = np.random.default_rng(1)
    for step in range(80):
        metric = math.exp(-step / 30) + 0.2 * draw.standard_normal() + 1.0
        mine.step(tg.tensor(metric) if step % 2 else metric), yours.step(torch.tensor(metric))
        assert mine.num_bad_epochs == yours.num_bad_epochs
        agree(ours, theirs, mine, yours)


@pytest.mark.filterwarnings("ignore")
def test_steps_to_an_epoch():
    for name, make, kind in SCHEDULES:
        if name.split()[0] in ("StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
                               "CosineAnnealingLR", "WarmRestarts"):  # fmt: skip
            ours, theirs = pair(*kind)
            mine, yours = make(optim.lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs)
            for epoch in (3, 11, 2, 28):
                mine.step(epoch), yours.step(epoch)
                agree(ours, theirs, mine, yours)
    ours, theirs = pair(*SGD)
    mine, yours = (m.CosineAnnealingWarmRestarts(o, 3, 2) for m, o in
                   ((optim.lr_scheduler, ours), (torch.optim.lr_scheduler, theirs)))  # fmt: skip
    for i in range(40):
        mine.step(i / 4), yours.step(i / 4)
        agree(ours, theirs, mine, yours)


@pytest.mark.filterwarnings("ignore")
def test_schedules_resume_at_last_epoch():
    for module, library in ((optim, tg), (torch.optim, torch)):
        optimizer = module.SGD([library.ones(1, requires_grad=True)], lr=0.5)
        with pytest.raises(KeyError, match="initial_lr"):
            module.lr_scheduler.StepLR(optimizer, 3, last_epoch=4)
    for make in (lambda s, o: s.StepLR(o, 3, last_epoch=4), lambda s, o: s.CosineAnnealingLR(o, 9, last_epoch=4),
                 lambda s, o: s.ExponentialLR(o, 0.5, last_epoch=4), lambda s, o: s.LinearLR(o, last_epoch=2),
                 lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, last_epoch=2)):  # fmt: skip
        ours, theirs = pair(*SGD)
        for group in ours.param_groups + theirs.param_groups:
            group["initial_lr"] = 0.9
        mine, yours = make(optim.lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs)
        for _ in range(10):
            agree(ours, theirs, mine, yours)
            mine.step(), yours.step()


def test_a_schedule_before_the_first_step_warns():
    for module, library in ((optim, tg), (torch.optim, torch)):
        optimizer = module.SGD([library.ones(1, requires_grad=True)], lr=0.5)
        schedule = module.lr_scheduler.StepLR(optimizer, 3)
        with pytest.warns(UserWarning, match=r"optimizer\.step\(\)"):
            schedule.step()
        optimizer = module.SGD([library.ones(1, requires_grad=True)], lr=0.5)
        schedule = module.lr_scheduler.StepLR(optimizer, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer.step()
            schedule.step()


BAD_SCHEDULES = [
    lambda s, o: s.LambdaLR(o, [lambda t: 1]),
    lambda s, o: s.MultiplicativeLR(o, 3),
    lambda s, o: s.StepLR(3, 3),
    lambda s, o: s.ConstantLR(o, 1.5),
    lambda s, o: s.LinearLR(o, 0.0),
    lambda s, o: s.LinearLR(o, 0.5, 2.0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0),
    lambda s, o: s.OneCycleLR(o, 1.0),
    lambda s, o: s.OneCycleLR(o, 1.0, -3),
    lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=2.0),
    lambda s, o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="x"),
    lambda s, o: s.OneCycleLR(o, [1.0], 10),
    lambda s, o: s.CyclicLR(o, 0.1, 1.0, mode="x"),
    lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    lambda s, o: s.ReduceLROnPlateau(o, mode="x"),
    lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="x"),
    lambda s, o: s.ReduceLROnPlateau(o, min_lr=[1.0]),
    lambda s, o: s.SequentialLR(o, [s.StepLR(o, 2)], [3]),
    lambda s, o: s.SequentialLR(o, [], []),
    lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
    lambda s, o: s.ChainedScheduler([]),
    lambda s, o: s.ChainedScheduler([3], o),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(BAD_SCHEDULES)))
@pytest.mark.filterwarnings("ignore")
def test_wrong_schedules(row):
    errors = []
    for module, optimizer in zip((optim, torch.optim), pair(*SGD), strict=True):
        with pytest.raises(Exception) as error:
            BAD_SCHEDULES[row](module.lr_scheduler, optimizer)
        errors.append(error.type)
    assert errors[0] is errors[1]
