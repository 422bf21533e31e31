"""Losses with a margin: they are content once an answer is right by enough, and measure by how much it is not."""

import numpy as np

from ..base import tensor_of
from ..modes import where
from .arithmetic import mul
from .convert import expect_tensor
from .distance import pairwise_distance
from .loss import broadcast, check_reduction, reduced, reduction_of
from .loss_binary import softplus
from .reduce import mean, sum
from .select import choose, clamp_min, minimum

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip
METHODS = []  # of Tensor


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where y = 1, max(0, margin - x) where y = -1: distances of similar and of dissimilar pairs."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("hinge_embedding_loss", input, target)
    x, y = broadcast("hinge_embedding_loss", input, target)
    return reduced(choose(y != 1, clamp_min(margin - x, 0), 0) + choose(y != -1, x, 0), reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"):
    """max(0, margin - y (x1 - x2)): y = 1 wants x1 above x2 by the margin, y = -1 below."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("margin_ranking_loss", input1, input2, target)
    shapes = [t._data.shape for t in (input1, input2, target)]
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(
            f"{where()}margin_ranking_loss: all inputs must have the same number of dimensions, got shapes {shapes}"
        )
    x1, x2, y = broadcast("margin_ranking_loss", input1, input2, target)
    return reduced(clamp_min(margin - y * (x1 - x2), 0), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """ln(1 + e^(-y x)), y = ±1: the logistic loss, without overflow."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("soft_margin_loss", input, target)
    x, y = broadcast("soft_margin_loss", input, target)
    return reduced(softplus(-y * x), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1, over the last dimension.

    Inputs (N, D) and targets (N), or (D) and a 0-d target. RuntimeError for other shapes.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("cosine_embedding_loss", input1, input2, target)
    shapes = [t._data.shape for t in (input1, input2, target)]
    if len(shapes[2]) > 1 or len(shapes[0]) != len(shapes[2]) + 1 or len(shapes[1]) != len(shapes[2]) + 1:
        raise RuntimeError(
            f"{where()}cosine_embedding_loss: needs inputs (N, D) and a target (N), or (D) and a 0-d target, "
            f"got shapes {shapes}"
        )
    x1, x2 = broadcast("cosine_embedding_loss", input1, input2)
    squares = (sum(x1 * x1, -1) + 1e-12) * (sum(x2 * x2, -1) + 1e-12)
    cosine = sum(x1 * x2, -1) / squares.sqrt()
    losses = choose(target == 1, 1 - cosine, 0) + choose(target == -1, clamp_min(cosine - margin, 0), 0)
    return reduced(losses, reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None,
    reduction="mean",
):  # fmt: skip
    """max(0, margin + d(anchor, positive) - d(anchor, negative)) with `pairwise_distance` for d.

    With `swap`, d(positive, negative) takes the place of d(anchor, negative) where it is smaller (Balntas 2016).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda x, y: pairwise_distance(x, y, p, eps), margin=margin,
        swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with any function of two tensors for the distance."""
    check_reduction(reduction)
    _expect("triplet_margin_loss", anchor, positive, negative)
    shapes = [t._data.shape for t in (anchor, positive, negative)]
    if margin <= 0:
        raise ValueError(f"{where()}triplet_margin_loss: margin must be above 0, got {margin}")
    if len({len(shape) for shape in shapes}) > 1:
        raise RuntimeError(
            f"{where()}triplet_margin_loss: anchor, positive and negative must have the same number of dimensions, "
            f"got shapes {shapes}"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)


def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):  # fmt: skip
    """Σ_{j≠y} w_y max(0, margin - x_y + x_j)^p / C of scores (N, C) or (C) against class numbers y; p is 1 or 2."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("multi_margin_loss", input, target)
    if p not in (1, 2):
        raise ValueError(f"{where()}multi_margin_loss: only p = 1 and p = 2 are supported, got {p}")
    x, y = _rows("multi_margin_loss", input, target, 0)
    N, C = x._data.shape
    if weight is not None and weight._data.ndim != 1:
        raise ValueError(f"{where()}multi_margin_loss: weight must be one-dimensional, got shape {weight._data.shape}")
    labels = y._data.astype(np.int64)
    if labels.size and not (labels.min() >= 0 and labels.max() < C):
        raise RuntimeError(f"{where()}multi_margin_loss: targets must lie in 0 … {C - 1}")
    if weight is not None and weight._data.shape != (C,):
        raise RuntimeError(f"{where()}multi_margin_loss: weight must have shape ({C},), got {weight._data.shape}")
    rows = np.arange(N)
    excess = clamp_min(margin - x[rows, labels].unsqueeze(1) + x, 0)
    others = np.ones((N, C), x._data.dtype)
    others[rows, labels] = 0
    if weight is not None:
        others *= weight._data[labels][:, np.newaxis]
    losses = sum((excess if p == 1 else excess * excess) * others, 1) / C
    return _back(losses, input, reduction)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Σ_{j∈T, i∉T} max(0, 1 - (x_j - x_i)) / C of scores (N, C) or (C), T the classes before the first -1 in target."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("multilabel_margin_loss", input, target)
    x, y = _rows("multilabel_margin_loss", input, target, 1)
    N, C = x._data.shape
    labels = y._data.astype(np.int64)
    if labels.size and not (labels.min() >= -1 and labels.max() < C):
        raise RuntimeError(f"{where()}multilabel_margin_loss: targets must lie in -1 … {C - 1}")
    listed = np.logical_and.accumulate(labels >= 0, 1)
    labels = np.where(listed, labels, 0)
    rows = np.arange(N)[:, np.newaxis]
    outside = np.ones((N, C), bool)
    outside[np.broadcast_to(rows, labels.shape)[listed], labels[listed]] = False
    pairs = (listed[:, :, np.newaxis] & outside[:, np.newaxis]).astype(x._data.dtype)
    excess = clamp_min(1 - x[rows, labels].unsqueeze(2) + x.unsqueeze(1), 0)
    return _back(sum(excess * pairs, (1, 2)) / C, input, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over classes of -y ln σ(x) - (1 - y) ln σ(-x): a logistic regression for each class."""
    reduction = reduction_of(size_average, reduce, reduction)
    _expect("multilabel_soft_margin_loss", input, target)
    x, y = broadcast("multilabel_soft_margin_loss", input, target)
    losses = y * softplus(-x) + (1 - y) * softplus(x)
    if weight is not None:
        losses = mul(losses, weight)
    return reduced(mean(losses, -1), reduction)


def _expect(name, *tensors):
    for tensor, role in zip(tensors, ("first input", "second input", "third input"), strict=False):
        expect_tensor(tensor, name, role)


def _rows(name, x, y, more):
    """Scores (N, C) and their targets, (N) or with `more` (N, C), from a batch or from one sample."""
    a, t = x._data, y._data
    if a.ndim > 2 or a.shape[-1:] == (0,):
        raise RuntimeError(f"{where()}{name}: scores must have shape (N, C) or (C) with C > 0, got {a.shape}")
    if a.ndim == 2:
        fits = t.shape == (a.shape if more else a.shape[:1])
    else:
        fits = t.size == (a.size if more else 1) and t.ndim < 2
    if not fits:
        raise RuntimeError(f"{where()}{name}: scores of shape {a.shape} do not fit targets of shape {t.shape}")
    if a.ndim == 2:
        return x, y
    return x.reshape(1, -1), tensor_of(t.reshape((1, -1) if more else (1,)))


def _back(losses, x, reduction):
    """Reduced; one sample's loss is 0-d."""
    return losses.squeeze(0) if x._data.ndim < 2 and reduction == "none" else reduced(losses, reduction)
