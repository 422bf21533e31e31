"""Floor 2: the calculus. One file a family, forward and backward of each operation side by side.

A family says in `__all__` what it offers, and in `METHODS` which of it are methods of Tensor too.
"""

import importlib

FAMILIES = {
    name: importlib.import_module(f"{__name__}.{name}")
    for name in (
        "activation", "arithmetic", "conv", "convert", "linear", "loss", "loss_classes", "loss_binary",
        "loss_density", "distance", "loss_margin", "norm", "pool", "reduce", "shape",
        "index", "scatter", "mask", "join", "arrange", "diagonal", "sort", "einsum",
        "select", "division", "rounding", "elementwise", "compare", "extrema", "statistics", "measure", "scan",
        "conv_transpose", "adaptive_pool", "unpool", "resample", "folding", "piecewise", "smooth", "dropout",
        "embedding", "layer_norm", "windows",
    )
}  # fmt: skip

from .activation import *
from .adaptive_pool import *
from .arithmetic import *
from .arrange import *
from .compare import *
from .conv import *
from .conv_transpose import *
from .convert import *
from .diagonal import *
from .distance import *
from .division import *
from .dropout import *
from .einsum import *
from .elementwise import *
from .embedding import *
from .extrema import *
from .folding import *
from .index import *
from .join import *
from .layer_norm import *
from .linear import *
from .loss import *
from .loss_binary import *
from .loss_classes import *
from .loss_density import *
from .loss_margin import *
from .mask import *
from .measure import *
from .norm import *
from .piecewise import *
from .pool import *
from .reduce import *
from .resample import *
from .rounding import *
from .scan import *
from .scatter import *
from .select import *
from .shape import *
from .smooth import *
from .sort import *
from .statistics import *
from .unpool import *
