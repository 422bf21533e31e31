"""Who changes numbers in place tells those who watch, who may have kept them; optimizers leave gradients alone."""

import contextlib
import re

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.modes import Observer, observe


def test_a_change_in_place_is_told_before():
    """Every method of a tensor that writes into it says so, and so does every initializer."""
    changed, before = set(), []
    watch = Observer()
    watch.changing = watch.exposing = lambda: before.append(x._data.tobytes())
    some, rows = tg.ones(3, 3) * 0.5, tg.tensor(np.array([0, 2, 1]))
    mask, places = tg.tensor(np.eye(3) > 0), tg.tensor(np.array([[0, 1, 2]] * 3))
    arguments = [(), (0.3,), (0.1, 0.2), (some,), (some, some), (0,), (0, 1), (mask, 2.0), (mask, tg.ones(9)),
                 (0, rows, some), (0, rows, 3.0), (0, places, some), (0, places, 2.0), ((rows,), some)]  # fmt: skip
    names = [n for n in dir(tg.Tensor) if (n.endswith("_") and n[0] != "_") or re.fullmatch("__(i[a-z]+|setitem)__", n)]
    methods = {name: getattr(tg.Tensor, name) for name in names if name != "__init__"}
    initializers = {f"init.{n}": getattr(nn.init, n) for n in dir(nn.init) if n.endswith("_") and n[0] != "_"}
    for name, method in (methods | initializers).items():
        for row in arguments:
            x = tg.tensor(np.linspace(-0.9, 0.9, 9, dtype=np.float32).reshape(3, 3))
            array, was = x._data, x._data.tobytes()
            before.clear()
            with observe(watch), contextlib.suppress(Exception), np.errstate(all="ignore"):
                method(x, *row)
            if array.tobytes() != was:
                changed.add(name)
                assert was in before, name
    assert {"add_", "zero_", "exp_", "clamp_", "masked_fill_", "__iadd__", "init.normal_"} <= changed
    assert len(changed) > 60


OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "dampening": 0.5}],
    "ASGD": [{"t0": 1}],
    "Adam": [{}, {"amsgrad": True}], "AdamW": [{}, {"amsgrad": True}], "Adamax": [{}], "NAdam": [{}], "RAdam": [{}],
    "Adagrad": [{}, {"lr_decay": 0.1}], "Adadelta": [{}],
    "RMSprop": [{}, {"momentum": 0.9}, {"centered": True}, {"centered": True, "momentum": 0.9}],
    "Lion": [{}], "Rprop": [{}],
}  # fmt: skip


def _optimizers():
    known = {name for name, one in vars(tg.optim).items() if isinstance(one, type) and name != "Optimizer"}
    known = {name for name in known if issubclass(getattr(tg.optim, name), tg.optim.Optimizer)}
    return sorted(known | OPTIMIZERS.keys())


@pytest.mark.parametrize("name", _optimizers())
def test_an_optimizer_leaves_gradients_alone(name):
    """It does not tell who watches, who may have kept them: so it must write to none, of whatever layout and dtype."""
    kind = getattr(tg.optim, name)
    rows = [{**row, **more} for row in OPTIMIZERS[name] for more in ({}, {"weight_decay": 0.1}, {"maximize": True},
            {"weight_decay": 0.1, "maximize": True})]  # fmt: skip
    for options in rows:
        try:
            kind([tg.zeros(1)], **options)
        except TypeError:  # one that has no weight decay
            continue
        random = np.random.default_rng(0)
        shapes = [(3, 4), (7,), (), (0, 2), (300, 200)]
        arrays = [random.standard_normal(s).astype(t) for s in shapes for t in (np.float32, np.float64)]
        arrays.append(random.standard_normal((5, 6)).astype(np.float32).T)
        parameters = [nn.Parameter(tg.from_numpy(np.array(array))) for array in arrays]
        optimizer = kind(parameters, lr=0.1, **options)
        for _ in range(3):
            for parameter in parameters:
                gradient = random.standard_normal(parameter.shape).astype(parameter.dtype)
                parameter.grad = tg.from_numpy(np.asarray(gradient))
                parameter.grad._data.flags.writeable = False
            before = [parameter.grad._data.tobytes() for parameter in parameters]
            optimizer.step()
            assert before == [parameter.grad._data.tobytes() for parameter in parameters]
