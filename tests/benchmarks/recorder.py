"""What it costs to record: training steps with and without `viz.record`, in turn, in one process."""

import contextlib
import statistics
import time
from itertools import pairwise

import numpy as np

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn, optim

WAYS = {"recorded": {}, "details=True": {"details": True}, "every=10": {"every": 10}}


def _layers(*sizes, between=nn.Tanh):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), between())]
    return nn.Sequential(*layers[:-1])


NETS = {
    "tanh MLP of 10 layers of 32, batch 32": (lambda: _layers(*[32] * 11), (32, 32), 32),
    "tanh MLP of 10 layers of 64, batch 64": (lambda: _layers(*[64] * 11), (64, 64), 64),
    "MLP 784-128-64-10, batch 64": (lambda: _layers(784, 128, 64, 10, between=nn.ReLU), (64, 784), 10),
    "LeNet-5, batch 64": (models.LeNet5, (64, 1, 32, 32), 10),
    "ResNet-20, batch 32": (lambda: models.CifarResNet(20), (32, 3, 32, 32), 10),
}


def _step_of(net, shape, classes):
    tg.manual_seed(0)
    model, x = net(), tg.randn(*shape)
    y = tg.tensor(np.random.default_rng(0).integers(classes, size=shape[0]))
    optimizer = optim.SGD(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return model, step


def _times(step, count, group=1):
    """Seconds of a step, the median of `count` groups of steps."""
    runs = []
    for _ in range(count):
        begin = time.perf_counter()
        for _ in range(group):
            step()
        runs.append((time.perf_counter() - begin) / group)
    return statistics.median(runs)


def overhead(name, seconds):
    """{"ms": of an unrecorded step, way of recording: the share of it that recording adds}.

    In each round each way trains for about 100 ms in a recording of its own, whose first steps are not counted, and so
    does the net without one; who comes first changes from round to round.
    """
    model, step = _step_of(*NETS[name])
    for _ in range(3):
        step()
    count = max(2, round(0.1 / _times(step, 3)))
    ways = {"plain": None, **WAYS}
    rounds, order = [], list(ways)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rounds) < 4:
        rounds.append({way: _time_of(model, step, count, ways[way]) for way in order})
        order.append(order.pop(0))
    added = {way: statistics.median(one[way] / one["plain"] - 1 for one in rounds) for way in WAYS}
    return {"ms": 1e3 * statistics.median(one["plain"] for one in rounds), **added}


def _time_of(model, step, count, options):
    """Seconds of a step, recorded with these options or not at all (None)."""
    group = (options or {}).get("every", 1)
    with contextlib.nullcontext() if options is None else viz.record(model, **options):
        for _ in range(max(4, count // 4) if group == 1 else 2 * group):  # by then it knows what a step does
            step()
        return _times(step, max(1, count // group), group)


def table(seconds):
    """Measure, print and return {net: what `overhead` says}."""
    print("| net | step, ms | " + " | ".join(WAYS) + " |\n|---|---|" + "---|" * len(WAYS))
    rows = {}
    for name in NETS:
        rows[name] = row = overhead(name, seconds)
        shares = " | ".join(f"{100 * row[way]:+.0f} %" for way in WAYS)
        print(f"| {name} | {row['ms']:.3g} | {shares} |", flush=True)
    return rows
