"""Masks: choosing and replacing numbers by truth values."""

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..kernels import arithmetic as kernels
from ..modes import where
from . import convert
from .index import GetItem, IndexPut, in_place, pick
from .shape import common_shape, expand, reshape

__all__ = ["masked_select", "masked_fill", "masked_scatter", "nonzero", "argwhere", "one_hot"]
METHODS = ["masked_select", "masked_fill", "masked_fill_", "masked_scatter", "masked_scatter_", "nonzero",
           "argwhere"]  # of Tensor  # fmt: skip
FEW = 10_000  # numbers; for less NumPy is as quick


class MaskedFill(Function):
    """z = v where the mask is true, else x;  ∂L/∂x = 0 where it is, and ∂L/∂v is the sum of ∂L/∂z there.

    x has the shape of z; the mask may be smaller, and is broadcast.
    """

    __slots__ = ("mask",)

    def __init__(self, mask):
        self.mask = mask

    def forward(self, x, value):
        if True in self.needs:
            self.mask = self.mask.copy()
        if x.dtype.kind == "f" and x.size >= FEW:
            return kernels.fill(x, self.mask, float(value))
        return np.where(self.mask, value, x)

    def backward(self, dz):
        dvalue = np.asarray(dz[np.broadcast_to(self.mask, dz.shape)].sum()) if self.needs[1] else None
        if dz.size >= FEW:
            return kernels.fill(dz, self.mask, 0.0), dvalue
        return np.where(self.mask, 0, dz).astype(dz.dtype, copy=False), dvalue

    def backward_on_tape(self, dz):
        zero = pick(np.zeros((), dz.dtype))
        return MaskedFill(self.mask)(dz, zero), GetItem((np.broadcast_to(self.mask, dz.shape),))(dz).sum()


def _mask(mask, name):
    array = mask._data if isinstance(mask, TensorBase) else np.asarray(mask)
    if array.dtype.kind != "b":
        raise RuntimeError(f"{where()}{name}: the mask must hold bools, got {array.dtype}; convert it with .bool()")
    return array


def masked_select(x, mask):
    """The numbers of x where the mask is true, as a vector; x and mask are broadcast."""
    mask = _mask(mask, "masked_select")
    shape = common_shape([x._data.shape, mask.shape], "masked_select")
    return reshape(GetItem((np.broadcast_to(mask, shape),))(_expanded(x, shape)), -1 if shape else (-1,))


def _expanded(x, shape):
    """x expanded to `shape`, or x itself if it has it."""
    return x if x._data.shape == shape else expand(x, shape)


def masked_fill(x, mask, value):
    """x with `value` (a number or a 0-d tensor) where the mask is true; x and mask are broadcast."""
    mask = _mask(mask, "masked_fill")
    value = convert.as_operand(value, x)
    if value._data.ndim:
        raise RuntimeError(f"{where()}masked_fill: the value must be one number, got shape {value._data.shape}")
    if value._data.dtype.kind == "f" and x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}masked_fill: {value._data.dtype} does not fit into a tensor of {x._data.dtype}")
    shape = common_shape([x._data.shape, mask.shape], "masked_fill")
    value = convert.cast(value, x._data.dtype)
    return MaskedFill(mask)(_expanded(x, shape), value)


def masked_scatter(x, mask, source):
    """x with the first numbers of `source`, in order, where the mask is true."""
    mask = _mask(mask, "masked_scatter")
    shape = common_shape([x._data.shape, mask.shape], "masked_scatter")
    mask = np.broadcast_to(mask, shape)
    count = int(mask.sum())
    if source._data.size < count:
        raise RuntimeError(
            f"{where()}masked_scatter: the mask has {count} places, the source {source._data.size} numbers"
        )
    numbers = GetItem((slice(count),))(reshape(source, -1 if source._data.size else 0))
    return IndexPut((mask,))(_expanded(x, shape), numbers)


def nonzero(x, *, as_tuple=False):
    """The places of the numbers that are not 0: one row each, or with `as_tuple` a vector for each dimension."""
    if as_tuple:
        return tuple(pick(axis) for axis in np.nonzero(np.atleast_1d(x._data)))
    return pick(np.argwhere(x._data))


def argwhere(x):
    """The places of the numbers that are not 0, one row each."""
    return nonzero(x)


def one_hot(tensor, num_classes=-1):
    """Integers as rows of 0 with a single 1: (…) → (…, num_classes); by default the largest integer + 1."""
    labels = tensor._data
    if labels.dtype != np.int64:
        raise RuntimeError(f"{where()}one_hot: expected labels of int64, got {labels.dtype}; convert them with .long()")
    if not labels.size and num_classes <= 0:
        raise RuntimeError(f"{where()}one_hot: an empty tensor says nothing about num_classes; pass it")
    if labels.size and labels.min() < 0:
        raise RuntimeError(f"{where()}one_hot: label {labels.min()} is negative")
    if num_classes == -1:
        num_classes = int(labels.max()) + 1
    elif labels.size and labels.max() >= num_classes:
        raise RuntimeError(f"{where()}one_hot: label {labels.max()} is too large for num_classes={num_classes}")
    return pick((labels[..., None] == np.arange(num_classes)).astype(np.int64))


masked_fill_, masked_scatter_ = in_place(masked_fill), in_place(masked_scatter)
