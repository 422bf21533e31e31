"""Choosing what kernels run on: by call, by the environment, by what is installed."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import kernels, nn, optim

NO_NUMBA = "import sys; sys.modules['numba'] = None\n"
TRAIN = """
import tinygrad_course as tg
from tinygrad_course import nn, optim
tg.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                      nn.Linear(27, 4), nn.Tanh(), nn.Linear(4, 4))
optimizer = optim.Adam(model.parameters(), lr=0.01)
x, y = tg.randn(16, 1, 8, 8), tg.randint(4, (16,))
for _ in range(5):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
print(f"{loss.item():.7f} {tg.get_backend()} {bool(sys.modules.get('numba'))}")
"""


def _python(code, **environment):
    environment = {**os.environ, **environment}
    if environment.get("TINYGRAD_COURSE_BACKEND") == "":
        del environment["TINYGRAD_COURSE_BACKEND"]
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )  # fmt: skip


@pytest.fixture
def backend():
    """Give the backend back as it was."""
    before = tg.get_backend()
    yield before
    tg.set_backend(before)


def _trained():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Sigmoid(), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = tg.randn(16, 5), tg.randint(3, (16,))
    for _ in range(10):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def test_a_backend_is_chosen_at_run_time(backend):
    pytest.importorskip("numba")
    results = []
    for name in ("numba", "numpy", "numba"):
        tg.set_backend(name)
        assert tg.get_backend() == name
        module = kernels.module("optim")
        assert module.__name__.startswith("tinygrad_course.kernels.reference.") == (name == "numpy")
        results.append(_trained())
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1e-6)
    assert results[2].tobytes() == results[0].tobytes()


def test_a_family_stays_what_it_is_when_its_module_is_imported(backend):
    family = kernels.optim
    for name in kernels.BACKENDS if importlib.util.find_spec("numba") else ["numpy"]:
        module = kernels.module("optim", name)
        assert module is not family and kernels.optim is family
    assert "optim" in repr(family)
    with pytest.raises(AttributeError, match="no_such_kernel"):
        getattr(family, "no_such_kernel")  # noqa: B009


@pytest.mark.parametrize("name", ["cuda", "", None])
def test_another_name(backend, name):
    with pytest.raises(ValueError, match=r"one of 'numba', 'numpy'"):
        tg.set_backend(name)
    assert tg.get_backend() == backend


def test_numpy_is_as_silent_about_nan_and_inf_as_numba(backend, recwarn):
    tg.set_backend("numpy")
    x = tg.tensor([[np.inf, -np.inf, np.nan, -1000.0]])
    nn.functional.batch_norm(tg.sigmoid(x).expand(3, 4), None, None, training=True)
    nn.functional.cross_entropy(x, tg.tensor([2]))
    assert not recwarn.list


def test_importing_leaves_numba_alone():
    done = _python("import sys, tinygrad_course; print('numba' in sys.modules, 'llvmlite' in sys.modules)")
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_without_numba_everything_runs_with_one_notice():
    """… and trains to the same loss."""
    done = _python(NO_NUMBA + TRAIN, TINYGRAD_COURSE_BACKEND="")
    loss, name, loaded = done.stdout.split()
    assert (name, loaded) == ("numpy", "False"), done.stderr
    assert len(done.stderr.splitlines()) == 1 and "kernels run on NumPy" in done.stderr
    if importlib.util.find_spec("numba"):
        compiled = _python("import sys" + TRAIN, TINYGRAD_COURSE_BACKEND="numba").stdout.split()
        assert compiled[1:] == ["numba", "True"]
        assert float(compiled[0]) == pytest.approx(float(loss), abs=1e-6)


@pytest.mark.parametrize(
    "value, error", [("numpy", ""), ("numba", "ImportError: Numba cannot be imported"), ("cuda", "ValueError")]
)
def test_the_environment_chooses(value, error):
    done = _python(NO_NUMBA + TRAIN, TINYGRAD_COURSE_BACKEND=value)
    if error:
        assert error in done.stderr.splitlines()[-1]
    else:
        assert done.stdout.split()[1] == value and not done.stderr
