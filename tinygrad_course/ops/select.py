"""One of several numbers, element by element: where, maximum, minimum, clamp. The chosen one takes the gradient."""

import numpy as np

from .. import modes
from ..base import TensorBase, tensor_of
from ..function import Function
from ..kernels import activation as kernels
from . import convert

__all__ = ["where", "maximum", "minimum", "fmax", "fmin", "clamp", "clip", "clamp_min", "clamp_max", "nan_to_num"]
METHODS = [name for name in __all__ if name != "where"]  # of Tensor
MANY = 1 << 15  # elements; for fewer NumPy's loop is as fast as a kernel
IN_PLACE = ["clamp", "clip", "clamp_min", "clamp_max", "nan_to_num"]


def choose(mask, x, y):
    """x where `mask` is true, else y, for arrays or tensors: so that one formula of backward does for both."""
    if isinstance(x, TensorBase) or isinstance(y, TensorBase):
        return where(mask, x, y)
    if type(mask) is np.ndarray and mask.size >= MANY:
        full = [convert.contiguous(a) if _is_full(a, mask) else None for a in (x, y)]
        if full[0] is not None and full[1] is not None and x.dtype == y.dtype:
            return kernels.choose(full[0], convert.contiguous(mask), full[1])
        if full[0] is not None and np.ndim(y) == 0:
            return kernels.keep(full[0], convert.contiguous(mask), float(y))
        if full[1] is not None and np.ndim(x) == 0:
            return kernels.keep(full[1], convert.contiguous(~mask), float(x))
    return np.where(mask, x, y)


def _is_full(x, mask):
    """Whether x is an array of floating numbers, one for each place of the mask."""
    return type(x) is np.ndarray and x.dtype.kind == "f" and x.shape == mask.shape


class Where(Function):
    """z = x where the condition holds, else y;  each takes the gradient of the places where it was chosen."""

    __slots__ = ("condition",)
    broadcasts = True

    def __init__(self, condition):
        self.condition = condition

    def forward(self, x, y):
        return choose(self.condition, x, y)

    def backward(self, dz):
        return choose(self.condition, dz, 0), choose(self.condition, 0, dz)


class Maximum(Function):
    """z = max(x, y);  the larger one gets the gradient, equal ones get half of it each."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        self.saved = x, y
        return np.maximum(x, y)

    def backward(self, dz):
        x, y = self.saved
        dz = choose(x == y, dz / 2, dz)
        return choose(x < y, 0, dz), choose(y < x, 0, dz)


class Minimum(Function):
    """z = min(x, y);  the smaller one gets the gradient, equal ones get half of it each."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        self.saved = x, y
        return np.minimum(x, y)

    def backward(self, dz):
        x, y = self.saved
        dz = choose(x == y, dz / 2, dz)
        return choose(x > y, 0, dz), choose(y > x, 0, dz)


class Clamp(Function):
    """z = min(max(x, low), high);  x takes the gradient where low ≤ x ≤ high, else the bound that stopped it."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, low, high):
        self.saved = x, low, high
        return np.minimum(np.maximum(x, low), high)

    def backward(self, dz):
        x, low, high = self.saved
        needs_low, needs_high = self.needs[1:]
        return (
            choose((x >= low) & (x <= high), dz, 0),
            choose((x < low) & (low < high), dz, 0) if needs_low else None,
            choose((x > high) | (high < low), dz, 0) if needs_high else None,
        )


def where(condition, input=None, other=None):
    """`input` where the bool tensor `condition` is true, else `other`, all three broadcast.

    What was not chosen gets gradient 0. (An infinite slope further back makes that nan: choose before log(0), not
    after it.) With the condition alone: the indices of its true elements, one tensor per dimension.
    """
    mask = condition._data if isinstance(condition, TensorBase) else np.asarray(condition)
    if input is None and other is None:
        return tuple(tensor_of(np.asarray(i, np.int64)) for i in np.nonzero(np.atleast_1d(mask)))
    if mask.dtype.kind != "b":
        raise RuntimeError(
            f"{modes.where()}where: the condition must be a bool tensor, got {mask.dtype}; write condition != 0"
        )
    if not isinstance(input, TensorBase) and not isinstance(other, TensorBase):
        input, other = (_free(value) for value in (input, other))
    x, y = convert.pair(input, other) or (None, None)
    if x is None:
        raise TypeError(f"{modes.where()}where: expected tensors or numbers, got {input!r} and {other!r}")
    try:
        return Where(mask)(x, y)
    except ValueError:
        raise RuntimeError(
            f"{modes.where()}where: the condition of shape {mask.shape} and the choices of shapes {x._data.shape} and "
            f"{y._data.shape} do not broadcast: counted from the right, sizes must be equal or 1"
        ) from None


def _free(value):
    """A number or array that no tensor stands beside, as a tensor."""
    if isinstance(value, float):
        value = np.float32(value)
    return tensor_of(np.asarray(value))


def maximum(x, other):
    """The larger of x and other, elementwise with broadcasting; nan if one is nan."""
    return convert.binary(Maximum, x, other)


def minimum(x, other):
    """The smaller of x and other, elementwise with broadcasting; nan if one is nan."""
    return convert.binary(Minimum, x, other)


def fmax(x, other):
    """The larger of x and other, elementwise; where one is nan, the other one. x takes the gradient of ties."""
    x, other = convert.pair(x, other)
    return where((x >= other) | (other != other), x, other)


def fmin(x, other):
    """The smaller of x and other, elementwise; where one is nan, the other one. x takes the gradient of ties."""
    x, other = convert.pair(x, other)
    return where((x <= other) | (other != other), x, other)


def clamp(x, min=None, max=None):
    """x raised to `min` where it is below and lowered to `max` where above; `max` wins if `min` > `max`.

    The bounds are numbers or tensors that broadcast with x; RuntimeError if there is neither.
    """
    if min is None and max is None:
        raise RuntimeError(f"{modes.where()}clamp: at least one of min and max must be given")
    given = [convert.as_operand(bound, x) for bound in (min, max) if bound is not None]
    if None in given:
        raise TypeError(f"{modes.where()}clamp: min and max must be numbers or tensors, got {min!r} and {max!r}")
    dtype = x._data.dtype
    for bound in given:
        if bound._data.dtype != dtype:
            dtype = convert.result_type(tensor_of(np.empty(x._data.shape, dtype)), bound)
    if dtype.kind == "f":
        least, most = -np.inf, np.inf
    else:
        least, most = (False, True) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low = tensor_of(np.asarray(least, dtype)) if min is None else convert.cast(given[0], dtype)
    high = tensor_of(np.asarray(most, dtype)) if max is None else convert.cast(given[-1], dtype)
    return convert.checked(Clamp(), convert.cast(x, dtype), low, high)


@convert.numpy_names
def clip(x, min=None, max=None):
    """`clamp` by NumPy's name."""
    return clamp(x, min, max)


def clamp_min(x, min):
    """x raised to `min` where it is below."""
    return clamp(x, min=min)


def clamp_max(x, max):
    """x lowered to `max` where it is above."""
    return clamp(x, max=max)


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with `nan` for nan, `posinf` for ∞ and `neginf` for -∞: by default the dtype's largest and least numbers."""
    if x._data.dtype.kind != "f":
        return x
    limits = np.finfo(x._data.dtype)
    replacement = np.where(
        np.isnan(x._data), nan if nan is not None else 0.0,
        np.where(x._data > 0, limits.max if posinf is None else posinf, limits.min if neginf is None else neginf),
    )  # fmt: skip
    return where(np.isfinite(x._data), x, tensor_of(replacement.astype(x._data.dtype)))
