"""Layers as functions, by PyTorch's names: `import tinygrad_course.nn.functional as F`."""

from ..ops import FAMILIES
from ..ops.activation import *
from ..ops.conv import *
from ..ops.linear import *
from ..ops.loss import *
from ..ops.norm import *
from ..ops.pool import *

__all__ = [
    name
    for family in ("activation", "conv", "linear", "loss", "norm", "pool")
    for name in FAMILIES[family].__all__
]
