"""Floor 2: the calculus. One file a family, forward and backward of each operation side by side.

A family says in `__all__` what it offers, and in `METHODS` which of it are methods of Tensor too.
"""

import importlib

FAMILIES = {
    name: importlib.import_module(f"{__name__}.{name}")
    for name in (
        "activation", "arithmetic", "conv", "convert", "linear", "loss", "norm", "pool", "reduce", "shape",
    )
}  # fmt: skip

from .activation import *
from .arithmetic import *
from .conv import *
from .convert import *
from .linear import *
from .loss import *
from .norm import *
from .pool import *
from .reduce import *
from .shape import *
