"""How a process begins, and what memory it takes: each figure from processes of its own."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

LIBRARIES = {
    "ours": ("tinygrad_course as tg", "from tinygrad_course import models as nets, nn, optim"),
    "torch": ("torch as tg", "from torch import nn, optim; from benchmarks import peers as nets"),
}
STEP = """
import {library}
{names}
model = nets.{net}()
optimizer = optim.{optimizer}(model.parameters(), lr=0.01)
x, y = tg.randn({n}, *{shape}), tg.randint(10, ({n},))
for _ in range({steps}):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""
PEAK = """
import re
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def program(side, net, optimizer, n, shape, steps):
    library, names = LIBRARIES[side]
    return STEP.format(library=library, names=names, net=net, optimizer=optimizer, n=n, shape=shape, steps=steps)


def run(code, **environment):
    """(seconds from the start of a Python process to its end, what it printed)."""
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    paths = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")]))
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": paths, **environment}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - begin, done.stdout


def seconds(code, rounds=5):
    return statistics.median([run(code)[0] for _ in range(rounds + 1)][1:])


def table():
    """Measure, print and return {what: {side: figure}}."""
    figures = {}
    bare = seconds("pass")
    lenet = {side: program(side, "LeNet5", "Adam", 64, (1, 32, 32), 1) for side in LIBRARIES}
    resnet = {side: program(side, "CifarResNet", "SGD", 32, (3, 32, 32), 5) for side in LIBRARIES}
    figures["import, s"] = {side: seconds(f"import {LIBRARIES[side][0]}") - bare for side in LIBRARIES}
    figures["process start to the end of the first LeNet-5 step, s"] = {s: seconds(lenet[s]) for s in LIBRARIES}
    with tempfile.TemporaryDirectory() as empty:
        figures["the same with no compiled kernels, s"] = {"ours": run(lenet["ours"], TINYGRAD_COURSE_CACHE=empty)[0]}
    if os.path.exists("/proc/self/status"):
        figures["peak memory of five ResNet-20 steps, batch 32, MB"] = {
            side: statistics.median(float(run(resnet[side] + PEAK)[1]) for _ in range(3)) for side in LIBRARIES
        }
    print("\n| process | ours | torch |\n|---|---|---|")
    for what, row in figures.items():
        theirs = f"{row['torch']:.3g}" if "torch" in row else "–"
        print(f"| {what} | {row['ours']:.3g} | {theirs} |", flush=True)
    return figures
