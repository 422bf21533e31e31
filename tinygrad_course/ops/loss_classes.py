"""Losses of classification: how improbable a prediction holds the true class."""

import math

import numpy as np

from ..function import Function
from ..kernels import loss as kernels
from ..modes import where
from .activation import log_softmax, softmax
from .convert import contiguous, expect_tensor
from .loss import reduced, reduction_of
from .reduce import sum

__all__ = ["cross_entropy", "nll_loss"]
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
            weight = _weight_of_batch(target, self.weight, self.ignore_index)
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

    def backward_on_tape(self, dz):
        """The same as dz · share · (softmax(x) Σ truth - truth), truth being the smoothed, weighted one-hot target."""
        (x,) = self.saved_tensors()
        shape = x._data.shape
        truth = np.full(shape, self.label_smoothing / max(shape[1], 1), x._data.dtype)
        hot = np.where(self.target == self.ignore_index, 0, self.target)[:, np.newaxis]
        np.put_along_axis(truth, hot, np.take_along_axis(truth, hot, 1) + (1 - self.label_smoothing), 1)
        if self.weight is not None:
            truth *= self.weight.reshape(-1, *[1] * (len(shape) - 2))
        truth *= (self.target != self.ignore_index)[:, np.newaxis]
        total = truth.sum(1, keepdims=True)
        share = float(self.share) if total.any() else 0.0  # of nothing but ignored targets: 0, not 0 · ∞
        dz = dz.unsqueeze(1) if self.reduction == "none" else dz * share
        return dz * (softmax(x, 1) * total - truth)


class NLLLoss(Function):
    """L = -w x[target], then its weighted mean or sum over the batch;  ∂L/∂x = -w · share at the target, 0 elsewhere.

    w is each sample's weight, that of its class, 0 where the target is ignored.
    """

    __slots__ = ("classes", "reduction", "share", "target", "weight")

    def __init__(self, target, weight, reduction):
        self.target, self.weight, self.reduction = target[:, np.newaxis], weight, reduction

    def forward(self, x):
        self.classes = x.shape[1]
        picked = np.take_along_axis(x, self.target, 1)[:, 0] if x.size else np.zeros(self.weight.shape, x.dtype)
        losses = np.where(self.weight == 0, x.dtype.type(0), -picked * self.weight)
        self.share = 1.0
        if self.reduction == "none":
            return losses
        total = losses.sum(dtype=np.float64)
        if self.reduction == "mean":
            with np.errstate(divide="ignore", invalid="ignore"):  # nothing but ignored targets
                self.share = 1.0 / self.weight.sum(dtype=np.float64)
                total = total * self.share
        return np.asarray(total, x.dtype)

    def backward(self, dz):
        N, *rest = self.weight.shape
        dx = np.zeros((N, self.classes, *rest), dz.dtype)
        if dx.size:
            with np.errstate(invalid="ignore"):
                slope = np.where(self.weight == 0, 0, -dz * self.weight * self.share).astype(dz.dtype, copy=False)
            np.put_along_axis(dx, self.target, slope[:, np.newaxis], 1)
        return dx

    backward_on_tape = Function.linear_on_tape


def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    """Cross-entropy between logits `input` (N, C) or (N, C, d…) or (C), and `target`.

    `target` holds class indices, of the shape of input without C, or class probabilities, of the shape of input.
    `weight` (C) weighs the classes; targets equal to `ignore_index` do not count; `label_smoothing` ε mixes the
    target with the uniform distribution. `reduction`: "mean" (divided by the sum of weights), "sum", "none".
    """
    reduction = reduction_of(size_average, reduce, reduction)
    expect_tensor(input, "cross_entropy")
    expect_tensor(target, "cross_entropy", "target")
    a, t = input._data, target._data
    if a.dtype.kind != "f":
        raise RuntimeError(f"{where()}cross_entropy: logits must be floating, got {a.dtype}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"{where()}cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if a.ndim == 0:
        raise RuntimeError(f"{where()}cross_entropy: logits need a class dimension, got a 0-d tensor")
    _check_weight("cross_entropy", weight, a)
    if t.dtype.kind == "f":
        return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
    batched, t = _labels("cross_entropy", input, t, ignore_index)
    weights = None if weight is None else np.array(weight._data)
    loss = CrossEntropy(t, weights, ignore_index, reduction, label_smoothing)(batched)
    return loss.squeeze(0) if a.ndim == 1 and reduction == "none" else loss


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-input[target] of log-probabilities (N, C), (N, C, d…) or (C): what cross-entropy does after log_softmax.

    `weight` (C) weighs the classes, and the mean is divided by the sum of weights; `ignore_index` does not count.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    expect_tensor(input, "nll_loss")
    expect_tensor(target, "nll_loss", "target")
    a = input._data
    if a.dtype.kind != "f":
        raise RuntimeError(f"{where()}nll_loss: log-probabilities must be floating, got {a.dtype}")
    if a.ndim == 0:
        raise RuntimeError(f"{where()}nll_loss: log-probabilities need a class dimension, got a 0-d tensor")
    _check_weight("nll_loss", weight, a)
    batched, t = _labels("nll_loss", input, target._data, ignore_index)
    kept = t != ignore_index
    t = np.where(kept, t, 0)
    weights = (kept if weight is None else kept * weight._data[t]).astype(a.dtype, copy=False)
    loss = NLLLoss(t, weights, reduction)(batched)
    return loss.squeeze(0) if a.ndim == 1 and reduction == "none" else loss


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
    return reduced(losses, reduction)


def _weight_of_batch(target, weight, ignore_index):
    kept = target[target != ignore_index]
    return np.float64(kept.size if weight is None else weight[kept].sum())


def _check_weight(name, weight, a):
    """RuntimeError unless `weight` is None or one number a class."""
    classes = a.shape[0 if a.ndim == 1 else 1]
    if weight is not None and (weight._data.shape != (classes,) or weight._data.dtype != a.dtype):
        raise RuntimeError(
            f"{where()}{name}: weight must have shape ({classes},) and the logits' {a.dtype}, got "
            f"{weight._data.shape} and {weight._data.dtype}"
        )


def _labels(name, x, t, ignore_index):
    """`x` with a batch dimension, and a copy of the labels: they may be changed before backward reads them."""
    a = x._data
    if t.dtype.kind not in "iu":
        raise RuntimeError(f"{where()}{name}: target must hold class indices or probabilities, got {t.dtype}")
    _check_target(name, a, t, a.shape[0 if a.ndim == 1 else 1], ignore_index)
    if a.ndim == 1:
        return x.unsqueeze(0), np.array(t[np.newaxis], dtype=np.int64)
    return x, np.array(t, dtype=np.int64, order="C")


def _check_target(name, a, t, classes, ignore_index):
    expected = a.shape[1:] if a.ndim == 1 else (a.shape[0], *a.shape[2:])
    if t.shape != expected:
        kind = ValueError if a.ndim > 1 and t.shape[:1] != a.shape[:1] else RuntimeError
        raise kind(
            f"{where()}{name}: logits of shape {a.shape} need class indices of shape {expected}, got {t.shape}"
            + ("; take the index of the hot class, target.argmax(1)" if t.shape == a.shape else "")
        )
    if t.size:
        low, high = int(t.min()), int(t.max())
        if low < 0 or high >= classes:
            bad = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
            if bad.size:
                raise IndexError(
                    f"{where()}{name}: target {int(bad.flat[0])} is out of bounds for {classes} classes; "
                    f"labels must lie in 0 … {classes - 1}"
                )
