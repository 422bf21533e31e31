"""Order: sorting along a dimension. nan counts as larger than every number.

An operation has one output, so values are gathered by the positions that NumPy found: the gradient goes back to
where each number came from.
"""

import collections

import numpy as np

from ..modes import where
from .index import pick
from .reduce import normalize_dims
from .scatter import gather

__all__ = ["sort", "argsort", "msort", "topk", "kthvalue", "unique"]
METHODS = __all__  # of Tensor

SortResult = collections.namedtuple("sort", ["values", "indices"])
TopkResult = collections.namedtuple("topk", ["values", "indices"])
KthvalueResult = collections.namedtuple("kthvalue", ["values", "indices"])


def sort(x, dim=-1, descending=False, stable=False):
    """(values, indices): x in order along `dim`, and where each number stood. Equal ones keep their order."""
    indices = argsort(x, dim, descending)
    return SortResult(gather(x, dim, indices), indices)


def argsort(x, dim=-1, descending=False, stable=False):
    """Positions that put x in order along `dim`. Equal numbers keep their order."""
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    return pick(_order(x._data, axis, descending))


def _order(array, axis, descending):
    if not array.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(array, axis, kind="stable")
    backwards = np.flip(np.argsort(np.flip(array, axis), axis, kind="stable"), axis)
    return array.shape[axis] - 1 - backwards


def msort(x):
    """x in order along dimension 0."""
    return sort(x, 0).values


def topk(x, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the `k` largest numbers along `dim`, the largest first; of the smallest if not `largest`."""
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    size = x._data.shape[axis] if x._data.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"{where()}topk: k={k} is not between 0 and size {size} of dim {dim}")
    order = _order(x._data, axis, largest)
    indices = pick(order[(*(slice(None),) * axis, slice(int(k)))].copy() if order.ndim else order)
    if not order.ndim and not k:
        return TopkResult(x.reshape(1)[:0], pick(np.zeros(0, np.int64)))
    return TopkResult(gather(x, dim, indices), indices)


def kthvalue(x, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest number along `dim`, counted from 1."""
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    size = x._data.shape[axis] if x._data.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"{where()}kthvalue: k={k} is not between 1 and size {size} of dim {dim}")
    order = _order(x._data, axis, False)
    place = pick(order[(*(slice(None),) * axis, slice(int(k) - 1, int(k)))].copy() if order.ndim else order)
    values = gather(x, dim, place)
    if keepdim or not order.ndim:
        return KthvalueResult(values, place)
    return KthvalueResult(values.squeeze(axis), place.squeeze(axis))


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different numbers of x in order, without a gradient; or its different slices along `dim`.

    With `return_inverse` also where each number of x is among them, with `return_counts` how often it occurs.
    """
    if dim is not None:
        (dim,) = normalize_dims(dim, x._data.ndim)
    results = np.unique(x._data, return_inverse=return_inverse, return_counts=return_counts, axis=dim, equal_nan=False)
    if not (return_inverse or return_counts):
        return pick(results)
    values, *others = results
    if return_inverse:
        others[0] = others[0].reshape(x._data.shape if dim is None else -1)
    return (pick(values), *(pick(o) for o in others))
