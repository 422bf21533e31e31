"""Floor 1: loops over arrays. They know no Tensor.

`kernels/conv.py` and its siblings, the families, hold the loops that Numba compiles; `kernels/reference/` has a file
of the same name for each, whose functions compute the same as plain NumPy. What the floors above import is neither:

    from ..kernels import conv as kernels    # a Family: each of its functions is looked up in the backend in use
    kernels.conv2d_forward(…)                # at its first call, and kept

So the backend can be chosen while the program runs (`tg.set_backend`), and Numba (0.3 to 0.6 s) is loaded when the
first kernel is called: `import tinygrad_course` stays quick.
"""

import importlib
import os
import sys
import threading
import types

import numpy as np

from .threads import get_num_threads, set_num_threads

FAMILIES = (
    "activation", "arithmetic", "arrange", "conv", "group_norm", "index", "loss", "matmul", "norm", "optim", "pool",
    "reduce", "resample", "scan", "softmax",
)  # fmt: skip
BACKENDS = ("numba", "numpy")

_lock = threading.RLock()
_backend = None  # in use; None until somebody asks


class Family:
    """The functions of one family, in the backend in use."""

    __slots__ = ("__dict__", "family")

    def __init__(self, family):
        self.family = family

    def __getattr__(self, name):  # called for what is not in __dict__ yet
        if name.startswith("__"):
            raise AttributeError(name)
        with _lock:
            found = getattr(module(self.family), name)
            if get_backend() == "numpy":  # as silent about inf and NaN as compiled loops are
                found = np.errstate(all="ignore")(found)
            self.__dict__[name] = found
        return found

    def forget(self):
        """Look everything up again: the backend has changed."""
        self.__dict__.clear()

    def __repr__(self):
        return f"<kernels.{self.family}>"


_families = {name: Family(name) for name in FAMILIES}
globals().update(_families)


class _Package(types.ModuleType):
    """The import system sets a package's attribute to each submodule that it loads; here the families stay."""

    def __setattr__(self, name, value):
        if name not in _families:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def module(family, backend=None):
    """The module with a family's functions, loaded: in the backend in use, or in another one."""
    folder = ".reference" if (backend or get_backend()) == "numpy" else ""
    return importlib.import_module(f"{__name__}{folder}.{family}")


def get_backend():
    """What kernels run on: "numba", or "numpy", which is slower and gives the same results.

    Until `set_backend` is called, it is what the environment variable TINYGRAD_COURSE_BACKEND says, else Numba,
    else, where Numba cannot be imported, NumPy, with a notice.
    """
    with _lock:
        if _backend is None:
            asked = os.environ.get("TINYGRAD_COURSE_BACKEND")
            if asked:
                set_backend(asked)
            else:
                try:
                    set_backend("numba")
                except ImportError as error:
                    print(f"tinygrad_course: {error}; kernels run on NumPy, more slowly", file=sys.stderr)
                    set_backend("numpy")
        return _backend


def set_backend(name):
    """Run kernels on "numba" or on "numpy" from now on, in all threads.

    ValueError for another name; ImportError if Numba is asked for and cannot be imported.
    """
    global _backend
    if name not in BACKENDS:
        raise ValueError(f"the backend must be one of {', '.join(map(repr, BACKENDS))}, got {name!r}")
    if name == "numba":
        try:
            importlib.import_module(f"{__name__}.jit")
        except ImportError as error:
            raise ImportError(f"Numba cannot be imported ({error})") from error
    with _lock:
        _backend = name
        for family in _families.values():
            family.forget()


def cache_root():
    """The folder that compiled kernels are kept in."""
    return importlib.import_module(f"{__name__}.jit").cache_root()


def quiet():
    """Do without the notice that kernels are compiled: the caller says it."""
    importlib.import_module(f"{__name__}.jit").quiet()
