"""Floor 2: the calculus. One file a family, forward and backward of each operation side by side."""

from .activation import log_softmax, relu, sigmoid, softmax, tanh
from .arithmetic import abs, add, div, exp, log, maximum, minimum, mul, neg, pow, sqrt, sub
from .conv import conv2d
from .convert import cast
from .linear import linear, matmul
from .loss import cross_entropy, l1_loss, mse_loss
from .norm import batch_norm
from .pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from .reduce import argmax, argmin, mean, sum
from .shape import cat, clone, expand, flatten, getitem, permute, reshape, squeeze, stack, transpose, unsqueeze

__all__ = [
    "abs", "adaptive_avg_pool2d", "add", "argmax", "argmin", "avg_pool2d", "batch_norm", "cast", "cat", "clone",
    "conv2d",
    "cross_entropy", "div", "exp", "expand", "flatten", "getitem", "l1_loss", "linear", "log", "log_softmax",
    "matmul", "max_pool2d", "maximum", "mean", "minimum", "mse_loss", "mul", "neg", "permute", "pow", "relu", "reshape", "sigmoid",
    "softmax", "sqrt", "squeeze", "stack", "sub", "sum", "tanh", "transpose", "unsqueeze",
]  # fmt: skip
