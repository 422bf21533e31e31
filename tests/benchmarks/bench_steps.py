"""A whole training step against PyTorch's, interleaved in one process: `python3 run.py bench`.

Each row is the median over rounds of (our time / PyTorch's time of the same round), so that what else the machine
does meanwhile strikes both. Both sides start from the same weights, and the first loss must agree.
"""

import json
import os
import pathlib
import statistics
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import peers  # noqa: E402

import tinygrad_course as tg  # noqa: E402
from tinygrad_course import models, nn, optim  # noqa: E402

RESULTS = pathlib.Path(os.environ.get("BENCHMARK_RESULTS", pathlib.Path(__file__).with_name("results.json")))

WORKLOADS = {  # name: (our net, PyTorch's, input shape, optimizers)
    "LeNet-5 64x1x32x32 Adam": (
        models.LeNet5, peers.LeNet5, (64, 1, 32, 32),
        lambda p: optim.Adam(p, 1e-3), lambda p: torch.optim.Adam(p, 1e-3),
    ),
    "ResNet-20 32x3x32x32 SGD": (
        models.CifarResNet, peers.CifarResNet, (32, 3, 32, 32),
        lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-4),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-4),
    ),
    "plain MLP 54 layers 100x784 SGD": (
        lambda: models.DeepMLP(54), None, (100, 784), lambda p: optim.SGD(p, 0.02, momentum=0.9), None,
    ),
}  # fmt: skip


def our_step(model, optimizer, x, y):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def torch_step(model, optimizer, x, y):
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", WORKLOADS)
def test_step(name):
    ours, theirs, shape, our_optimizer, their_optimizer = WORKLOADS[name]
    tg.manual_seed(0)
    model = ours()
    x, y = tg.randn(*shape), tg.randint(10, (shape[0],))
    sides = {"ours": (our_step, model, our_optimizer(model.parameters()), x, y)}
    if theirs is not None:
        peer = peers.take_weights(theirs(), model)
        sides["torch"] = (
            torch_step, peer, their_optimizer(peer.parameters()), torch.from_numpy(x.data), torch.from_numpy(y.data),
        )  # fmt: skip
    first = [step(*arguments) for step, *arguments in sides.values()]
    assert np.allclose(first, first[0], rtol=1e-5), f"the losses differ: {first}"
    for _ in range(3):
        for step, *arguments in sides.values():
            step(*arguments)
    times = {side: [] for side in sides}
    for _ in range(60):
        for side, (step, *arguments) in sides.items():
            begin = time.perf_counter()
            step(*arguments)
            times[side].append(time.perf_counter() - begin)
    row = {f"{side}_ms": round(1e3 * statistics.median(t), 3) for side, t in times.items()}
    row |= {f"{side}_fastest_ms": round(1e3 * min(t), 3) for side, t in times.items()}
    if "torch" in times:
        ratios = [a / b for a, b in zip(times["ours"], times["torch"], strict=True)]
        low, middle, high = np.percentile(ratios, [25, 50, 75]).tolist()
        row |= {"ratio": round(middle, 3), "ratio_quartiles": [round(low, 3), round(high, 3)]}
    print(f"\n{name}: {row}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = row
    RESULTS.write_text(json.dumps(results, indent=1))
