"""How long a process takes until it has something: the import, and the first training step with kernels compiled."""

import statistics
import subprocess
import sys

IMPORT = "import time; t = time.perf_counter(); import tinygrad_course; print(time.perf_counter() - t)"

FIRST_STEP = """
import time; start = time.perf_counter()
import tinygrad_course as tg
from tinygrad_course import models, nn, optim
model = models.LeNet5()
optimizer = optim.Adam(model.parameters())
x, y = tg.randn(64, 1, 32, 32), tg.randint(10, (64,))
nn.functional.cross_entropy(model(x), y).backward()
optimizer.step()
print(time.perf_counter() - start)
"""


def seconds(program):
    """What the program prints, in a process of its own: median of several runs, after one that fills the caches."""
    runs = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
        for _ in range(8)
    ]
    return statistics.median(runs[1:])


def test_import():
    print(f"\nimport tinygrad_course: {seconds(IMPORT):.3f} s")


def test_first_step():
    print(f"\nfirst LeNet-5 step of a process, compiled kernels on disk: {seconds(FIRST_STEP):.2f} s")
