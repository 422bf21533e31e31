"""Comparisons and logic. Their results are bools (or bits), through which no gradient flows."""

import numbers

import numpy as np

from ..base import TensorBase, tensor_of
from ..modes import where
from .shape import common_shape

__all__ = [
    "eq", "ne", "lt", "le", "gt", "ge", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "logical_and", "logical_or", "logical_xor",
    "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "signbit",
    "isclose", "allclose", "equal",
]  # fmt: skip
METHODS = __all__  # of Tensor
IN_PLACE = ["eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
            "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"]  # fmt: skip


def _array(value):
    return value._data if isinstance(value, TensorBase) else value


def compare(ufunc, x, other):
    """ufunc(x, other) as a tensor; NotImplemented if `other` is no operand, RuntimeError if the shapes clash."""
    if not isinstance(other, TensorBase | np.ndarray | np.generic | numbers.Number):
        return NotImplemented
    try:
        return tensor_of(np.asarray(ufunc(_array(x), _array(other))))
    except ValueError:
        raise RuntimeError(
            f"{where()}{ufunc.__name__}: shapes {np.shape(_array(x))} and {np.shape(_array(other))} do not "
            "broadcast: counted from the right, sizes must be equal or 1"
        ) from None
    except TypeError:
        raise RuntimeError(
            f"{where()}{ufunc.__name__}: expected bool or integer tensors, got "
            f"{np.asarray(_array(x)).dtype} and {np.asarray(_array(other)).dtype}"
        ) from None


def _binary(ufunc, meaning):
    def function(x, other):
        result = compare(ufunc, x, other)
        if result is NotImplemented:
            raise TypeError(f"{where()}{ufunc.__name__}: expected a tensor or a number, got {other!r}")
        return result

    function.__name__ = function.__qualname__ = ufunc.__name__
    function.__doc__ = meaning
    return function


def _unary(name, test, meaning):
    def function(x):
        return tensor_of(np.asarray(test(x._data)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


eq = _binary(np.equal, "Where x = other, elementwise with broadcasting.")
ne = not_equal = _binary(np.not_equal, "Where x ≠ other, elementwise with broadcasting.")
lt = less = _binary(np.less, "Where x < other, elementwise with broadcasting.")
le = less_equal = _binary(np.less_equal, "Where x ≤ other, elementwise with broadcasting.")
gt = greater = _binary(np.greater, "Where x > other, elementwise with broadcasting.")
ge = greater_equal = _binary(np.greater_equal, "Where x ≥ other, elementwise with broadcasting.")
logical_and = _binary(np.logical_and, "Where both are not 0.")
logical_or = _binary(np.logical_or, "Where at least one is not 0.")
logical_xor = _binary(np.logical_xor, "Where exactly one is not 0.")
bitwise_and = _binary(np.bitwise_and, "x & other, of bools or of integers' bits.")
bitwise_or = _binary(np.bitwise_or, "x | other, of bools or of integers' bits.")
bitwise_xor = _binary(np.bitwise_xor, "x ^ other, of bools or of integers' bits.")
logical_not = _unary("logical_not", np.logical_not, "Where x is 0.")
isnan = _unary("isnan", np.isnan, "Where x is nan.")
isinf = _unary("isinf", np.isinf, "Where x is infinite.")
isfinite = _unary("isfinite", np.isfinite, "Where x is neither nan nor infinite.")
isposinf = _unary("isposinf", lambda x: x == np.inf, "Where x is ∞.")
isneginf = _unary("isneginf", lambda x: x == -np.inf, "Where x is -∞.")
isreal = _unary("isreal", lambda x: np.ones(x.shape, bool), "True everywhere: there are no complex tensors.")
signbit = _unary(
    "signbit", lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0, "Where x has a minus sign, -0.0 too."
)


def bitwise_not(x):
    """~x, of bools or of integers' bits; TypeError for floating numbers."""
    if x._data.dtype.kind == "f":
        raise TypeError(f"{where()}~ and bitwise_not want a bool or integer tensor, got {x._data.dtype}")
    return tensor_of(np.asarray(np.invert(x._data)))


def isclose(x, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Where |x - other| ≤ atol + rtol |other|; infinities of one sign are close, nan only with `equal_nan`."""
    if x._data.dtype != other._data.dtype:
        raise RuntimeError(f"{where()}isclose: dtypes {x._data.dtype} and {other._data.dtype} differ")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"{where()}isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    common_shape([x._data.shape, other._data.shape], "isclose")
    return tensor_of(np.asarray(np.isclose(x._data, other._data, rtol, atol, equal_nan)))


def allclose(x, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether |x - other| ≤ atol + rtol |other| everywhere, as a Python bool."""
    return bool(isclose(x, other, rtol, atol, equal_nan)._data.all())


def equal(x, other):
    """Whether x and other have the same shape and the same numbers, as a Python bool."""
    return np.array_equal(x._data, other._data)
