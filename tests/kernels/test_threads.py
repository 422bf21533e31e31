"""How many threads: chosen, the same bits each time, safe beside Python threads and after a fork."""

import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import models, nn, optim
from tinygrad_course.kernels import threads

TRAIN = """
import sys
import numpy as np
import tinygrad_course as tg
from tinygrad_course import models, nn, optim
tg.manual_seed(0)
model = models.CifarResNet(8)
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
x, y = tg.randn(24, 3, 32, 32), tg.randint(10, (24,))
for _ in range(2):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
print(tg.get_num_threads(), file=sys.stderr)
sys.stdout.buffer.write(np.concatenate([p.data.ravel() for p in model.parameters()]).tobytes())
"""


@pytest.fixture
def count():
    """Give the count back as it was."""
    before = tg.get_num_threads()
    yield before
    tg.set_num_threads(before)


def _python(code, **environment):
    """(what it printed, the last line of its stderr); NUMBA_NUM_THREADS lets any machine start so many threads."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize(
    "n, error", [(0, RuntimeError), (-2, RuntimeError), (1.0, TypeError), ("2", TypeError), (True, TypeError)]
)
def test_no_such_number(count, n, error):
    with pytest.raises(error, match="set_num_threads expects a"):
        tg.set_num_threads(n)
    assert tg.get_num_threads() == count


def test_the_number_is_kept_but_never_beyond_the_processors(count):
    tg.set_num_threads(1)
    assert tg.get_num_threads() == 1
    tg.set_num_threads(10_000)
    assert tg.get_num_threads() == threads.most_threads()


def test_blas_follows(count):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    tg.set_num_threads(1)
    libraries = threadpoolctl.threadpool_info()
    assert {library["num_threads"] for library in libraries if library["user_api"] == "blas"} == {1}


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"TINYGRAD_COURSE_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, "2"),
        ({"TINYGRAD_COURSE_NUM_THREADS": "", "OMP_NUM_THREADS": "1"}, "1"),
        ({"TINYGRAD_COURSE_NUM_THREADS": "50"}, "3"),
    ],
    ids=str,
)
def test_the_environment_chooses(environment, expected):
    code = "import sys, tinygrad_course as tg; print(tg.get_num_threads(), file=sys.stderr)"
    assert _python(code, **environment)[1] == expected


def test_the_default_is_the_cores_that_the_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity")
    one = min(os.sched_getaffinity(0))
    code = f"import os, sys; os.sched_setaffinity(0, [{one}]); import tinygrad_course as tg\n"
    environment = {"TINYGRAD_COURSE_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    assert _python(code + "print(tg.get_num_threads(), file=sys.stderr)", **environment)[1] == "1"


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_same_count_same_bits_and_other_counts_nearly(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    results = {}
    for n in ("1", "2", "2", "3"):
        output, said = _python(TRAIN, TINYGRAD_COURSE_NUM_THREADS=n, TINYGRAD_COURSE_BACKEND=backend)
        assert said == n
        assert results.setdefault(n, output) == output
    one, *others = (np.frombuffer(output, np.float32) for output in results.values())
    for other in others:
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)


def _models():
    """Two trainings that share nothing but the library: functions that return the losses."""
    runs = []
    for seed, make, shape in [(0, models.LeNet5, (16, 1, 32, 32)), (1, lambda: models.CifarResNet(8), (8, 3, 32, 32))]:
        tg.manual_seed(seed)
        model = make()
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        x, y = tg.randn(*shape), tg.randint(10, shape[:1])

        def train(model=model, optimizer=optimizer, x=x, y=y):
            losses = []
            for _ in range(6):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses, hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()

        runs.append(train)
    return runs


def test_two_python_threads_train_as_one_after_the_other():
    alone = [train() for train in _models()]
    together = [None, None]
    runs = _models()

    def work(i):
        together[i] = runs[i]()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert together == alone


def _child(queue):
    queue.put(_models()[0]())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_trains_too_and_to_the_same_bits():
    """… though its parent's threads are not there any more. In a process of its own, for pytest's may have others."""
    code = """
import multiprocessing, sys
sys.path.insert(0, {folder!r})
import test_threads
expected = test_threads._models()[0]()
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
child = context.Process(target=test_threads._child, args=(queue,), daemon=True)
child.start()
child.join(200)
print(child.exitcode == 0 and queue.get() == expected == test_threads._models()[0](), file=sys.stderr)
"""
    assert _python(code.format(folder=os.path.dirname(__file__)))[1] == "True"
