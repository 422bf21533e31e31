"""Cross entropy of logits (N, C, S) against class numbers (N, S), in double precision; see `kernels/loss.py`."""

import numpy as np


def cross_entropy_forward(logits, target, weight, ignore_index, label_smoothing):
    """losses = (1 − ε) · weight_t · (−log p_t) + ε / C · Σ_c weight_c · (−log p_c), p = softmax of the logits"""
    N, C, S = logits.shape
    if logits.size == 0:
        return np.zeros((N, S), logits.dtype), np.empty((N, S))
    x = logits.astype(np.float64)
    greatest = x.max(1, keepdims=True)  # e^(x − greatest) does not overflow
    log_normalizer = greatest + np.log(np.exp(x - greatest).sum(1, keepdims=True))
    kept, t, weight = _targets(target, weight, ignore_index, C)
    surprise = log_normalizer - x  # −log p
    losses = weight[t] * np.take_along_axis(surprise, t[:, None], 1)[:, 0]
    if label_smoothing:
        everywhere = (weight[:, None] * surprise).sum(1)
        losses = (1 - label_smoothing) * losses + label_smoothing / C * everywhere
    return np.where(kept, losses, 0).astype(logits.dtype), log_normalizer[:, 0]


def cross_entropy_backward(scale, logits, target, log_normalizer, weight, ignore_index, label_smoothing):
    """dlogits_c = scale · (p_c · (b + k · Σweight) − b · [c = t] − k · weight_c), b = (1 − ε) · weight_t, k = ε / C"""
    C = logits.shape[1]
    kept, t, weight = _targets(target, weight, ignore_index, C)
    p = np.exp(logits.astype(np.float64) - log_normalizer[:, None])
    scale = np.where(kept, scale.astype(np.float64), 0)
    b = (scale * (1 - label_smoothing) * weight[t])[:, None]
    k = (scale * label_smoothing / max(C, 1))[:, None]
    dlogits = p * (b + k * weight.sum()) - np.where(np.arange(C)[:, None] == t[:, None], b, 0)
    if label_smoothing:
        dlogits -= k * weight[:, None]
    return dlogits.astype(logits.dtype)


def square_of_difference(x, y):
    """(x − y)²"""
    return (x - y) ** 2


def times_difference(x, y, rate):
    """rate · (x − y)"""
    return rate * (x - y)


def huber(x, y, bound, rate):
    """rate · c (d − c/2), d = x − y, c = d held within [−bound, bound]"""
    d = x - y
    c = d.clip(-bound, bound)
    return c * (d - 0.5 * c) * rate


def huber_slope(x, y, bound, rate):
    """rate · c"""
    return (x - y).clip(-bound, bound) * rate


def _targets(target, weight, ignore_index, classes):
    """Which targets count, the targets with 0 for those that do not, and the weights, 1 if there are none."""
    kept = target != ignore_index
    weight = np.ones(max(classes, 1)) if weight is None else weight.astype(np.float64)
    return kept, np.where(kept, target, 0), weight
