"""Embedding: a table of vectors, looked up by integers."""

import numpy as np

from ..function import Adjoint, Function
from ..modes import where
from .convert import expect_tensor
from .index import add_rows, rows_of

__all__ = ["embedding"]
METHODS = []  # of Tensor


class Embedding(Function):
    """z = W[i];  ∂L/∂W[k] = Σ f ∂L/∂z over all places where i = k, with a factor f for each place, mostly 1.

    The integers are an input, so that whoever watches the tape sees them; no gradient goes there.
    """

    __slots__ = ("factors", "lookup")

    def __init__(self, factors=None):
        self.factors = factors

    def forward(self, weight, indices):
        self.lookup = Lookup(indices.copy() if self.needs[0] else indices, weight.shape)  # backward still needs them
        return self.lookup.forward(weight)

    def backward(self, dz):
        return self.lookup.backward(self._weighed(dz)), None

    def backward_on_tape(self, dz):
        return Adjoint(self.lookup)(self._weighed(dz)), None

    def _weighed(self, dz):
        return dz if self.factors is None else dz * self.factors[..., None]


class Lookup:
    """W -> W[i] for given integers, a linear map of tables of this shape, and its adjoint."""

    __slots__ = ("indices", "shape")

    def __init__(self, indices, shape):
        self.indices, self.shape = indices, shape

    def forward(self, table):
        return rows_of(table, self.indices)

    def backward(self, dz):
        return add_rows(dz, self.indices, self.shape)


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):
    """The rows of `weight` (V, D) that the integers `input` (…) name: (…, D).

    The row `padding_idx` gets no gradient. `max_norm`: rows that are looked up and whose norm (of order `norm_type`)
    is greater are scaled down to it, in `weight` itself. `scale_grad_by_freq` divides a row's gradient by how often
    it was looked up. `sparse` is accepted; gradients are always dense. IndexError for an integer that is no row.
    """
    expect_tensor(input, "embedding", "index")
    expect_tensor(weight, "embedding", "weight")
    indices, shape = input._data, weight._data.shape
    if indices.dtype.kind not in "iu":
        raise RuntimeError(f"{where()}embedding: the indices must be integers, got {indices.dtype}; use .long()")
    if len(shape) != 2:
        raise RuntimeError(f"{where()}embedding: the weight must be a matrix (V, D), got shape {shape}")
    if indices.size and (indices.min() < 0 or indices.max() >= shape[0]):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise IndexError(f"{where()}embedding: index {wrong} is out of range: the table has {shape[0]} rows")
    padding_idx = padding_row(padding_idx, shape[0])
    if max_norm is not None:
        _renormalize(weight, indices, max_norm, norm_type)
    factors = None
    if padding_idx is not None:
        factors = (indices != padding_idx).astype(weight._data.dtype)
    if scale_grad_by_freq:
        often = np.bincount(indices.ravel(), minlength=shape[0])[indices].astype(weight._data.dtype)
        factors = (1 if factors is None else factors) / often
    return Embedding(factors)(weight, input)


def padding_row(padding_idx, rows):
    """`padding_idx`, counted from the front. AssertionError if there is no such row."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"{where()}embedding: padding_idx {padding_idx} is no row of a table of {rows}")
    return padding_idx % rows


def _renormalize(weight, indices, max_norm, norm_type):
    """Scale the rows of `weight` that are looked up down to `max_norm`."""
    rows = np.unique(indices)
    norms = np.linalg.norm(weight._data[rows], norm_type, axis=1)
    long = norms > max_norm
    if long.any():
        weight._data[rows[long]] *= (max_norm / (norms[long] + 1e-7))[:, None]
        weight._changed_in_place()
