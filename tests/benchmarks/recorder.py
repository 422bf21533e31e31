"""What it costs to record: training steps with and without `viz.record`, in turn, in one process."""

import contextlib
import math
import statistics
import time
from itertools import pairwise

import numpy as np

import tinygrad_course as tg
import viz
from tinygrad_course import models, modes, nn, optim

_TURN = 0.02  # seconds
WAYS = {"recorded": {}, "details=True": {"details": True}, "every=10": {"every": 10}}


def _layers(*sizes, between=nn.Tanh):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), between())]
    return nn.Sequential(*layers[:-1])


NETS = {
    "tanh MLP of 10 layers of 32, batch 32": (lambda: _layers(*[32] * 11), (32, 32), 32),
    "tanh MLP of 10 layers of 64, batch 64": (lambda: _layers(*[64] * 11), (64, 64), 64),
    "MLP 784-128-64-10, batch 64": (lambda: _layers(784, 128, 64, 10, between=nn.ReLU), (64, 784), 10),
    "DeepMLP(10), batch norm, batch 64": (lambda: models.DeepMLP(10), (64, 784), 10),
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


def overhead(name, seconds):
    """{"ms": of an unrecorded step, way of recording: the share of it that recording adds}.

    A net trains in turns of some steps: without a recording, and with each of several that stay open and watch in
    their own turns alone. A processor is faster at one moment than at the next; so turns are short, each is compared
    with the one without recording in the same round, and their order changes. Medians of the rounds.
    """
    model, step = _step_of(*NETS[name])
    with contextlib.ExitStack() as stack:
        recordings = {way: stack.enter_context(viz.record(model, **options)) for way, options in WAYS.items()}
        for recording in recordings.values():
            with modes.observe(recording):  # and no longer, from here on, than such a block lasts
                _time(step, 20)  # by then it knows what a step does
        steps = dict.fromkeys(["plain", *WAYS], max(1, round(_TURN / _time(step, 5))))
        lead = {way: min(2, count) for way, count in steps.items()}
        steps["every=10"], lead["every=10"] = math.ceil(steps["plain"] / 10) * 10, 0
        added, plain, order = {way: [] for way in WAYS}, [], list(steps)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(plain) < 8:
            now = {}
            for way in order:
                if way == "every=10" and len(plain) % 4:  # its turns may be long
                    continue
                with modes.observe(recordings[way]) if way in recordings else contextlib.nullcontext():
                    for _ in range(lead[way]):  # what the turn before has left in the caches is not its own
                        step()
                    now[way] = _time(step, steps[way])
            plain.append(now.pop("plain"))
            for way, taken in now.items():
                added[way].append(taken / plain[-1] - 1)
            order.append(order.pop(0))
    shares = {way: statistics.median(some) for way, some in added.items()}
    return {"ms": 1e3 * statistics.median(plain), **shares}


def _time(step, count):
    """Seconds of a step, the mean of `count`."""
    begin = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - begin) / count


def table(seconds):
    """Measure, print and return {net: what `overhead` says}."""
    print("| net | step, ms | " + " | ".join(WAYS) + " |\n|---|---|" + "---|" * len(WAYS))
    rows = {}
    for name in NETS:
        rows[name] = row = overhead(name, seconds)
        shares = " | ".join(f"{100 * row[way]:+.0f} %" for way in WAYS)
        print(f"| {name} | {row['ms']:.3g} | {shares} |", flush=True)
    return rows
