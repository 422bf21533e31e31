"""Layers as functions, by PyTorch's names: `import tinygrad_course.nn.functional as F`."""

from ..ops import FAMILIES
from ..ops.activation import *
from ..ops.adaptive_pool import *
from ..ops.arrange import pad
from ..ops.conv import *
from ..ops.conv_transpose import *
from ..ops.distance import *
from ..ops.dropout import *
from ..ops.einsum import bilinear
from ..ops.embedding import *
from ..ops.folding import *
from ..ops.layer_norm import *
from ..ops.linear import *
from ..ops.loss import *
from ..ops.loss_binary import *
from ..ops.loss_classes import *
from ..ops.loss_density import *
from ..ops.loss_margin import *
from ..ops.mask import one_hot
from ..ops.norm import *
from ..ops.piecewise import *
from ..ops.pool import *
from ..ops.resample import *
from ..ops.smooth import *
from ..ops.unpool import *

__all__ = [
    name
    for family in (
        "activation", "conv", "distance", "linear", "loss", "loss_binary", "loss_classes", "loss_density",
        "loss_margin", "norm", "pool", "conv_transpose", "adaptive_pool", "unpool", "resample", "folding",
        "piecewise", "smooth", "dropout", "embedding", "layer_norm",
    )
    for name in FAMILIES[family].__all__
] + ["bilinear", "one_hot", "pad"]  # fmt: skip
