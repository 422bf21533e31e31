"""Losses of yes-or-no questions."""

import math

import numpy as np

from ..base import TensorBase
from ..kernels import activation as kernels
from ..modes import where
from .arithmetic import mul
from .convert import contiguous, expect_tensor
from .loss import Loss, broadcast, reduced, reduction_of

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]
METHODS = []  # of Tensor

LEAST = float(np.float32(1e-12))  # of x (1 - x), by which BCE's gradient is divided; PyTorch has it in float32


class BinaryCrossEntropy(Loss):
    """ℓ = -y ln x - (1 - y) ln(1 - x), logarithms not below -100;  ∂ℓ/∂x = (x - y) / (x (1 - x))."""

    __slots__ = ()

    def losses(self, x, y):
        with np.errstate(divide="ignore"):
            return (y - 1) * np.maximum(np.log1p(-x), -100) - y * np.maximum(np.log(x), -100)

    def slopes(self, x, y):
        dy = None
        with np.errstate(divide="ignore"):
            if self.needs[1]:
                dy = np.maximum(np.log(1 - x), -100) - np.maximum(np.log(x), -100)
            return (x - y) / np.maximum(x * (1 - x), LEAST), dy


class BinaryCrossEntropyWithLogits(Loss):
    """ℓ = (1 - y) x + (1 + (p - 1) y) softplus(-x): -p y ln σ(x) - (1 - y) ln(1 - σ(x));  ∂ℓ/∂x = σ(x) - y for p = 1.

    p is the weight of the positive class.
    """

    __slots__ = ()

    def losses(self, x, y, p=None):
        costs = softplus(-x)
        return (1 - y) * x + (costs if p is None else _weight_of_log(y, p) * costs)

    def slopes(self, x, y, p=None):
        if p is None:
            positive = x.sigmoid() if isinstance(x, TensorBase) else kernels.sigmoid(contiguous(x))
            return positive - y, -x if self.needs[1] else None
        log_weight, cost = _weight_of_log(y, p), softplus(-x)
        # 1 - σ(x) = σ(-x) = exp(-softplus(x)), which does not vanish for large x
        dx = 1 - y - log_weight * np.exp(-softplus(x))
        return dx, (p - 1) * cost - x, y * cost


def _weight_of_log(y, p):
    return 1 + (p - 1) * y


def softplus(x):
    """ln(1 + eˣ) of an array or a tensor, without overflow."""
    if isinstance(x, TensorBase):
        return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
    return kernels.softplus(contiguous(np.asarray(x)), 1.0, math.inf)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-y ln x - (1 - y) ln(1 - x) of probabilities x and targets y in [0, 1]; logarithms are not let below -100.

    ValueError if the shapes differ, RuntimeError if a probability is not in [0, 1]. `weight` is broadcast.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = _of_one_shape("binary_cross_entropy", input, target)
    a = x._data
    if a.dtype != y._data.dtype or a.dtype.kind != "f":
        raise RuntimeError(
            f"{where()}binary_cross_entropy: input and target must have one floating dtype, got {a.dtype} and "
            f"{y._data.dtype}"
        )
    if not ((a >= 0) & (a <= 1)).all():
        raise RuntimeError(
            f"{where()}binary_cross_entropy: all inputs must lie between 0 and 1, got {a.min()} … {a.max()}; for "
            "logits there is binary_cross_entropy_with_logits"
        )
    return _binary(BinaryCrossEntropy, weight, reduction, x, y)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """Binary cross-entropy of σ(input), from the logits: no overflow, no logarithm of 0.

    `pos_weight` weighs the positive targets (above 1: more recall), `weight` the elements; both are broadcast.
    ValueError if the target's shape differs.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = _of_one_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        x, y = broadcast("binary_cross_entropy_with_logits", x, y)
        return _binary(BinaryCrossEntropyWithLogits, weight, reduction, x, y)
    x, y, p = broadcast("binary_cross_entropy_with_logits: input, target and pos_weight", x, y, pos_weight)
    return _binary(BinaryCrossEntropyWithLogits, weight, reduction, x, y, p)


def _binary(loss, weight, reduction, *inputs):
    if weight is None:
        return loss(reduction)(*inputs)
    return reduced(mul(loss("none")(*inputs), weight), reduction)


def _of_one_shape(name, x, y):
    expect_tensor(x, name)
    expect_tensor(y, name, "target")
    if x._data.shape != y._data.shape:
        raise ValueError(f"{where()}{name}: the target's shape {y._data.shape} must be the input's, {x._data.shape}")
    return x, y
