"""tinygrad_course: learn how deep networks train.

A reverse-mode autograd engine on NumPy and Numba, with PyTorch's names: `Tensor`, `nn`, `optim`. The package
`viz`, beside this one, draws the gradient on its way back through the graph.
"""

import warnings as _warnings
from math import e, inf, nan, pi

# Networks that explode are part of the course: NaN and inf travel through our operations without a comment.
_warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning, r"tinygrad_course\.")

from . import data, linalg, nn, optim, random
from .compiled import compile
from .creation import *
from .dtypes import bool_, float32, float64, int8, int16, int32, int64, uint8
from .functional import *
from .functional import __all__ as _functional
from .generator import manual_seed
from .gradient import grad, gradcheck, gradgradcheck
from .kernels import get_backend, get_num_threads, set_backend, set_num_threads
from .modes import Observer, enable_grad, is_grad_enabled, no_grad, observe, set_grad_enabled
from .summary import summary
from .tensor import Tensor, from_numpy, is_floating_point, is_tensor, numel, tensor

# PyTorch's other names of the dtypes
float, double, short, int, long, bool = float32, float64, int16, int32, int64, bool_

__version__ = "0.1.0"
