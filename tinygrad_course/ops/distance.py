"""Distances and similarities between vectors."""

import numpy as np

from ..base import tensor_of
from ..modes import where
from .convert import expect_tensor
from .loss import broadcast
from .measure import vector_norm
from .reduce import sum
from .select import choose

__all__ = ["cdist", "cosine_similarity", "pairwise_distance", "pdist"]
METHODS = []  # of Tensor


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """‖x1 - x2 + eps‖_p over the last dimension, the others broadcast."""
    expect_tensor(x1, "pairwise_distance")
    expect_tensor(x2, "pairwise_distance", "second input")
    x1, x2 = broadcast("pairwise_distance", x1, x2)
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) over `dim`: the cosine of the angle between them."""
    expect_tensor(x1, "cosine_similarity")
    expect_tensor(x2, "cosine_similarity", "second input")
    x1, x2 = broadcast("cosine_similarity", x1, x2)
    if x1._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}cosine_similarity needs floating tensors, got {x1._data.dtype}")
    lengths = [vector_norm(x, 2, dim, True) for x in (x1, x2)]
    # The lower bound lets the gradient through, as in PyTorch.
    a, b = (x / (n + np.maximum(eps - n._data, 0)) for x, n in zip((x1, x2), lengths, strict=True))
    return sum(a * b, dim)


def cdist(x1, x2, p=2.0, compute_mode=None):
    """‖x1[…, i, :] - x2[…, j, :]‖_p for all pairs of rows: (…, P, M) and (…, R, M) give (…, P, R).

    `compute_mode` chooses PyTorch's way to compute it, not the result. The gradient is 0 where two rows agree.
    """
    expect_tensor(x1, "cdist")
    expect_tensor(x2, "cdist", "second input")
    a, b = x1._data.shape, x2._data.shape
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-1]:
        raise RuntimeError(f"{where()}cdist: needs rows of one length, (…, P, M) and (…, R, M), got {a} and {b}")
    if p < 0:
        raise RuntimeError(f"{where()}cdist: p must be at least 0, got {p}")
    return _norm_of(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def pdist(input, p=2.0):
    """‖x_i - x_j‖_p for all i < j of the rows of a matrix (N, M): a vector of N (N - 1)/2."""
    expect_tensor(input, "pdist")
    if input._data.ndim != 2:
        raise RuntimeError(f"{where()}pdist: needs a matrix (N, M), got shape {input._data.shape}")
    if p < 0:
        raise RuntimeError(f"{where()}pdist: p must be at least 0, got {p}")
    i, j = (tensor_of(k.astype(np.int64)) for k in np.triu_indices(input._data.shape[0], 1))
    return _norm_of(input[i] - input[j], p)


def _norm_of(difference, p):
    """The p-norm over the last dimension, with gradient 0 for no difference, for every p."""
    if difference._data.shape[-1] == 0:
        return sum(difference, -1)
    if p in (0, 1, 2, float("inf")):
        return vector_norm(difference, p, -1)
    equal = (difference._data == 0).all(-1)
    apart = choose(equal[..., np.newaxis], 1.0, difference)
    return choose(equal, 0.0, vector_norm(apart, p, -1))
