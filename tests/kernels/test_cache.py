"""Compiled kernels on the disk: a notice when there are none, none when there are, one folder for all processors."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

SIGMOID = """
import sys
import tinygrad_course as tg
x = tg.tensor([[-1.0, 2.0]], requires_grad=True, dtype=tg.{dtype})
x.sigmoid().sum().backward()
from tinygrad_course.kernels import module
hits = module("activation").sigmoid.kernel.serial.func.stats.cache_hits
print(sum(hits.values()), x.grad.numpy().round(6).tolist())
"""
GRADIENT = "[[0.196612, 0.104994]]"
NOTICE = "tinygrad_course: compiling kernels for this processor, once"


def _start(folder, dtype="float64", **environment):
    environment = {**os.environ, "TINYGRAD_COURSE_CACHE": str(folder), "TINYGRAD_COURSE_BACKEND": "numba"} | environment
    command = [sys.executable, "-c", SIGMOID.format(dtype=dtype)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(process):
    """(how many kernels came from the cache, stderr)"""
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    hits, gradient = output.split(" ", 1)
    assert gradient.strip() == GRADIENT or "float32" in process.args[2]
    return int(hits), errors


def test_the_notice_appears_once_and_only_if_something_is_compiled(tmp_path):
    assert _finish(_start(tmp_path)) == (0, NOTICE + "\n")
    assert _finish(_start(tmp_path)) == (1, "")
    hits, errors = _finish(_start(tmp_path, dtype="float32"))  # the folder exists, these kernels do not
    assert (hits, errors) == (0, NOTICE + "\n")


def test_two_processes_fill_one_cache(tmp_path):
    together = [_start(tmp_path, dtype) for dtype in ("float64", "float32", "float64", "float32")]
    for process in together:
        _finish(process)
    for dtype in ("float64", "float32"):
        assert _finish(_start(tmp_path, dtype)) == (1, "")


def test_each_processor_has_its_own_kernels(tmp_path):
    others = [{}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}]
    for environment in others:
        assert _finish(_start(tmp_path, **environment))[0] == 0
    for environment in others:
        assert _finish(_start(tmp_path, **environment)) == (1, "")


CPUS = {
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2,+bmi,+bmi2,+popcnt"},
}


@pytest.mark.processors
@pytest.mark.parametrize("cpu", CPUS)
def test_kernels_are_right_on_other_processors(cpu, tmp_path):
    """The oracle tests in a process that compiles for an older processor."""
    here = os.path.dirname(os.path.abspath(__file__))
    families = ("activation", "conv", "loss", "norm", "optim", "pool")
    files = [os.path.join(here, f"test_{family}_kernels.py") for family in families]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    environment = {**os.environ, **CPUS[cpu], "TINYGRAD_COURSE_CACHE": str(tmp_path)}
    environment["TINYGRAD_COURSE_BACKEND"] = "numba"
    root = os.path.dirname(os.path.dirname(here))
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout[-5000:]
