"""Floor 1: plain loops over arrays, Numba-jitted. They know no Tensor.

A family's module is loaded when its first kernel is called, and Numba (0.3 to 0.6 s) with it, so that
`import tinygrad_course` stays quick: `from ..kernels import conv` gives a module that fills itself on first use.
"""

import importlib.util
import sys


def _lazy(name):
    """The module `name`, whose code runs when one of its attributes is first read."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def __getattr__(family):
    if family in {"activation", "conv", "group_norm", "loss", "norm", "optim", "pool", "softmax"}:
        module = globals()[family] = _lazy(f"{__name__}.{family}")
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {family!r}")
