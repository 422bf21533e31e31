"""How many threads kernels and matrix products use. Numba need not be loaded for it.

One number for the whole process: `tg.set_num_threads`, else TINYGRAD_COURSE_NUM_THREADS, else OMP_NUM_THREADS (as
in PyTorch), else the physical cores that this process may run on. The same number gives the same bits, run after
run; another number adds up some sums in another order.
"""

import os
import pathlib
import sys

_count = None  # of threads; None until somebody asks


def get_num_threads():
    """How many threads kernels use."""
    global _count
    if _count is None:
        for variable in ("TINYGRAD_COURSE_NUM_THREADS", "OMP_NUM_THREADS"):
            value = os.environ.get(variable, "")
            if value.isdigit() and int(value) > 0:
                _count = min(int(value), most_threads())
                break
        else:
            _count = min(len(_physical_cores()), most_threads())
    return _count


def set_num_threads(n):
    """Let kernels, and NumPy's matrix products, use n threads from now on, but no more than there are processors.

    NumPy's BLAS is told through threadpoolctl; without that package, it goes by OPENBLAS_NUM_THREADS alone.
    TypeError if n is no int, RuntimeError if it is not positive, as in PyTorch.
    """
    global _count
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n}")
    _count = min(n, most_threads())
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(_count, user_api="blas")


def most_threads():
    """How many threads Numba starts, and cannot exceed later: the processors, or what NUMBA_NUM_THREADS says."""
    numba = sys.modules.get("numba")
    if numba is not None:
        return numba.config.NUMBA_NUM_THREADS
    value = os.environ.get("NUMBA_NUM_THREADS", "")
    return int(value) if value.isdigit() and int(value) > 0 else len(_processors())


def _processors():
    """The numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _physical_cores():
    """The same as cores: two hyperthreads share one's vector units, and a second kernel there gains nothing."""
    cores = set()
    for processor in _processors():
        siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:  # not Linux
            cores.add(processor)
    return cores


if os.environ.get("TINYGRAD_COURSE_NUM_THREADS"):
    set_num_threads(get_num_threads())
