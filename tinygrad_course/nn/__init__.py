"""Floor 4: layers and networks, by PyTorch's names."""

from . import functional, init, loss, utils
from .activation import LogSoftmax, ReLU, Sigmoid, Softmax, Softmax2d, Softmin, Tanh
from .chain import chain
from .container import ModuleDict, ModuleList, Residual, Sequential
from .conv import Conv1d, Conv2d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d
from .dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from .embedding import Embedding
from .layer_norm import GroupNorm, InstanceNorm1d, InstanceNorm2d, LayerNorm, LocalResponseNorm, RMSNorm
from .linear import Linear
from .loss import *
from .module import Module
from .norm import BatchNorm1d, BatchNorm2d
from .parameter import Parameter, meta
from .parameter_container import ParameterDict, ParameterList
from .penalty import elastic_net_penalty, l1_penalty, l2_penalty, soft_threshold_
from .piecewise import (
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    Maxout,
    PReLU,
    ReLU6,
    RReLU,
    Softshrink,
    Threshold,
)
from .pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    LPPool1d,
    LPPool2d,
    MaxPool1d,
    MaxPool2d,
    MaxUnpool1d,
    MaxUnpool2d,
)
from .shape import Flatten, Identity, Unflatten
from .smooth import CELU, ELU, GELU, GLU, SELU, LogSigmoid, Mish, SiLU, Softplus, Softsign, Swish, Tanhshrink
from .upsample import Fold, PixelShuffle, PixelUnshuffle, Unfold, Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Flatten",
    "Fold", "Identity", "LPPool1d", "LPPool2d", "Linear", "LogSoftmax", "MaxPool1d", "MaxPool2d", "MaxUnpool1d",
    "MaxUnpool2d", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict", "ParameterList",
    "PixelShuffle", "PixelUnshuffle", "ReLU", "ReLU6", "Residual", "Sequential", "Sigmoid", "Softmax", "Tanh",
    "Unflatten", "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d", "chain", "elastic_net_penalty",
    "functional", "init", "l1_penalty", "l2_penalty", "meta", "soft_threshold_", "utils",
    "AlphaDropout", "CELU", "Dropout1d", "Dropout2d", "Dropout3d", "ELU", "Embedding", "FeatureAlphaDropout", "GELU",
    "GLU", "GroupNorm", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "InstanceNorm1d", "InstanceNorm2d",
    "LayerNorm", "LeakyReLU", "LocalResponseNorm", "LogSigmoid", "Maxout", "Mish", "PReLU", "RMSNorm", "RReLU", "SELU",
    "SiLU", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Swish", "Tanhshrink", "Threshold",
    *loss.__all__,
]  # fmt: skip
