"""Losses: how far a prediction is from its target, as one number."""

import math
import warnings

import numpy as np

from ..engine import Function, TensorBase, where
from ..kernels import loss as kernels
from .activation import log_softmax
from .convert import contiguous, expect_tensor
from .reduce import mean, sum

__all__ = ["cross_entropy", "l1_loss", "mse_loss"]
METHODS = []  # of Tensor


class CrossEntropy(Function):
    """L = -ln softmax(x)[target], then its (weighted) mean or sum over the batch.

    ∂L/∂x = (softmax(x) - one_hot(target)) · the sample's share of the mean: prediction minus truth.
    """

    __slots__ = ("ignore_index", "label_smoothing", "log_normalizer", "reduction", "share", "target", "weight")

    def __init__(self, target, weight, ignore_index, reduction, label_smoothing):
        self.target, self.weight, self.ignore_index = target, weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, x):
        shape = (*x.shape[:2], math.prod(x.shape[2:]))
        logits, target = contiguous(x).reshape(shape), self.target.reshape(shape[0], shape[2])
        losses, self.log_normalizer = kernels.cross_entropy_forward(
            logits, target, self.weight, self.ignore_index, self.label_smoothing
        )
        self.saved = (x,)
        self.share = 1.0
        if self.reduction == "none":
            return losses.reshape(x.shape[0], *x.shape[2:])
        total = losses.sum(dtype=np.float64)
        if self.reduction == "mean":
            weight = self._weight_of_batch(target)
            self.share = 1.0 / weight
            return np.asarray(total / weight, x.dtype)
        return np.asarray(total, x.dtype)

    def backward(self, dz):
        (x,) = self.saved
        shape = (*x.shape[:2], math.prod(x.shape[2:]))
        logits, target = contiguous(x).reshape(shape), self.target.reshape(shape[0], shape[2])
        scale = np.empty(target.shape, x.dtype)
        scale[...] = np.asarray(dz).reshape(target.shape) if self.reduction == "none" else dz * self.share
        return kernels.cross_entropy_backward(
            scale, logits, target, self.log_normalizer, self.weight, self.ignore_index, self.label_smoothing
        ).reshape(x.shape)

    def _weight_of_batch(self, target):
        kept = target[target != self.ignore_index]
        return np.float64(kept.size if self.weight is None else self.weight[kept].sum())


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Cross-entropy between logits x (N, C) or (N, C, d…) or (C), and `target`.

    `target` holds class indices, of the shape of x without C, or class probabilities, of the shape of x.
    `weight` (C) weighs the classes; targets equal to `ignore_index` do not count; `label_smoothing` ε mixes the
    target with the uniform distribution. `reduction`: "mean" (divided by the sum of weights), "sum", "none".
    """
    check_reduction(reduction)
    expect_tensor(x, "cross_entropy")
    expect_tensor(target, "cross_entropy", "target")
    a, t = x._data, target._data
    if a.dtype.kind != "f":
        raise RuntimeError(f"{where()}cross_entropy: logits must be floating, got {a.dtype}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{where()}cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if a.ndim == 0:
        raise RuntimeError(f"{where()}cross_entropy: logits need a class dimension, got a 0-d tensor")
    classes = a.shape[0 if a.ndim == 1 else 1]
    if weight is not None and (weight._data.shape != (classes,) or weight._data.dtype != a.dtype):
        raise RuntimeError(
            f"{where()}cross_entropy: weight must have shape ({classes},) and the logits' {a.dtype}, got "
            f"{weight._data.shape} and {weight._data.dtype}"
        )
    if t.dtype.kind == "f":
        return _cross_entropy_of_probabilities(x, target, weight, reduction, label_smoothing)
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"{where()}cross_entropy: target must hold class indices or probabilities, got {t.dtype}")
    _check_target(a, t, classes, ignore_index)
    batched = x.unsqueeze(0) if a.ndim == 1 else x
    # Copies: labels may be changed in place before backward reads them.
    t = np.array(t[np.newaxis] if a.ndim == 1 else t, dtype=np.int64, order="C")
    weights = None if weight is None else np.array(weight._data)
    loss = CrossEntropy(t, weights, ignore_index, reduction, label_smoothing)(batched)
    return loss.squeeze(0) if a.ndim == 1 and reduction == "none" else loss


def mse_loss(x, target, reduction="mean"):
    """Mean squared error: mean of (x - target)²."""
    return _reduce(_difference("mse_loss", x, target) ** 2, reduction)


def l1_loss(x, target, reduction="mean"):
    """Mean absolute error: mean of |x - target|."""
    return _reduce(_difference("l1_loss", x, target).abs(), reduction)


def check_reduction(reduction):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{where()}reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _reduce(losses, reduction):
    check_reduction(reduction)
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def _difference(name, x, target):
    if isinstance(target, TensorBase) and x._data.shape != target._data.shape:
        warnings.warn(
            f"{where()}{name}: the target's shape {target._data.shape} differs from the input's {x._data.shape}; they "
            "will be broadcast against each other, which is likely not what you want",
            UserWarning,
            stacklevel=3,
        )
    return x - target


def _cross_entropy_of_probabilities(x, target, weight, reduction, label_smoothing):
    if x._data.shape != target._data.shape:
        raise RuntimeError(
            f"{where()}cross_entropy: class probabilities must have the shape of the logits, {x._data.shape}, got "
            f"{target._data.shape}; class indices must be integers"
        )
    axis = 0 if x._data.ndim == 1 else 1
    classes = x._data.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * weight.reshape(*([-1] + [1] * (x._data.ndim - 1 - axis)))
    losses = -sum(log_softmax(x, axis) * target, axis)
    if reduction == "mean":
        return sum(losses) / losses._data.size
    return _reduce(losses, reduction)


def _check_target(a, t, classes, ignore_index):
    expected = a.shape[1:] if a.ndim == 1 else (a.shape[0], *a.shape[2:])
    if t.shape != expected:
        kind = ValueError if a.ndim > 1 and t.shape[:1] != a.shape[:1] else RuntimeError
        raise kind(
            f"{where()}cross_entropy: logits of shape {a.shape} need class indices of shape {expected}, got {t.shape}"
            + ("; take the index of the hot class, target.argmax(1)" if t.shape == a.shape else "")
        )
    if t.size:
        low, high = int(t.min()), int(t.max())
        if low < 0 or high >= classes:
            bad = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
            if bad.size:
                raise IndexError(
                    f"{where()}cross_entropy: target {int(bad.flat[0])} is out of bounds for {classes} classes; "
                    f"labels must lie in 0 … {classes - 1}"
                )
