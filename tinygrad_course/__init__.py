"""tinygrad_course: learn how deep networks train.

A reverse-mode autograd engine on NumPy and Numba, with PyTorch's names: `Tensor`, `nn`, `optim`. The package
`viz`, beside this one, draws the gradient on its way back through the graph.
"""

import warnings as _warnings

# Networks that explode are part of the course: NaN and inf travel through our operations without a comment.
_warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning, r"tinygrad_course\.")

from . import data, nn, optim, random  # noqa: E402
from .creation import (  # noqa: E402
    arange,
    eye,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randn_like,
    randperm,
    zeros,
    zeros_like,
)  # fmt: skip
from .engine import Observer, enable_grad, is_grad_enabled, no_grad, observe, set_grad_enabled  # noqa: E402
from .functional import *  # noqa: E402
from .functional import __all__ as _functional  # noqa: E402
from .generator import manual_seed  # noqa: E402
from .gradient import grad, gradcheck  # noqa: E402
from .tensor import Tensor, bool_, float32, float64, from_numpy, int32, int64, tensor, uint8  # noqa: E402

__version__ = "0.1.0"
