"""Operands: numbers and arrays become tensors, and two tensors come to one dtype, by PyTorch's rules.

A tensor's category (bool < integer < floating) decides first; within one category, tensors with dimensions
win over 0-d tensors, and those over Python numbers. So float32 * 2.5 stays float32, and int64 * 2.5 is float32.
"""

import functools
import itertools
import numbers

import numpy as np

from ..base import TensorBase, tensor_of
from ..function import Function
from ..kernels import buffers
from ..modes import no_grad, where

__all__ = ["cast"]
METHODS = []  # of Tensor

DEFAULT_FLOAT = np.dtype(np.float32)
_INT = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)


class Cast(Function):
    """z = x in another dtype;  ∂L/∂x = ∂L/∂z in the dtype of x."""

    __slots__ = ("dtype", "source")
    replayable = True

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        self.source = x.dtype
        return x.astype(self.dtype)

    def backward(self, dz):
        return dz.astype(self.source)

    def backward_on_tape(self, dz):
        return cast(dz, self.source)


def contiguous(array):
    """`array`, or a copy, as kernels want it: C-contiguous and writable. They would be compiled anew for others."""
    return array if array.flags.carray else buffers.copy(array)


def expect_tensor(x, name, role="input"):
    """TypeError if `x` is no tensor."""
    if not isinstance(x, TensorBase):
        raise TypeError(
            f"{where()}{name}: the {role} must be a Tensor, not {type(x).__name__}; make one with tg.tensor(…)"
        )


def expect_floating(x, name):
    """x, or a RuntimeError if it does not hold floating numbers."""
    expect_tensor(x, name)
    if x._data.dtype.kind != "f":
        raise RuntimeError(
            f"{where()}{name}: expected a floating tensor, got {x._data.dtype}; convert it with .float()"
        )
    return x


def cast(x, dtype):
    """`x` in another dtype. Only a conversion between floating dtypes has a gradient."""
    dtype = np.dtype(dtype)
    if x._data.dtype == dtype:
        return x
    if dtype.kind != "f" and x._requires_grad:
        with no_grad():
            return Cast(dtype)(x)
    return Cast(dtype)(x)


def _category(dtype):
    """0 for bool, 1 for integers, 2 for floating numbers."""
    return 0 if dtype.kind == "b" else 1 if dtype.kind in "iu" else 2


def promote(a, b):
    """The dtype of the higher category; within one category the wider one."""
    if _category(a) != _category(b):
        return a if _category(a) > _category(b) else b
    return np.promote_types(a, b)


def result_type(x, y):
    """The dtype of `x op y` for two tensors of different dtypes."""
    a, b = x._data.dtype, y._data.dtype
    if _category(a) == _category(b) and (x._data.ndim == 0) != (y._data.ndim == 0):
        return b if x._data.ndim == 0 else a
    return promote(a, b)


def as_operand(value, other):
    """`value` as a tensor that can stand beside the tensor `other`; None if it cannot be one."""
    if isinstance(value, TensorBase):
        return value
    if isinstance(value, numbers.Number | np.bool_):
        dtype = other._data.dtype
        if (isinstance(value, float) and dtype.kind == "f") or isinstance(value, bool | np.bool_):
            pass
        elif isinstance(value, numbers.Integral):
            dtype = _INT if dtype == _BOOL else dtype
        elif isinstance(value, numbers.Real):
            dtype = DEFAULT_FLOAT if dtype.kind != "f" else dtype
        else:
            raise TypeError(f"complex numbers are not supported: {value!r}")
        return tensor_of(np.asarray(value, dtype))
    if isinstance(value, np.ndarray):
        return tensor_of(value)
    return None


def pair(x, y):
    """The two operands of a binary operation as tensors of one dtype; None if one cannot be an operand."""
    if isinstance(x, TensorBase):
        y = as_operand(y, x)
    else:
        x = as_operand(x, y)
    if x is None or y is None:
        return None
    if x._data.dtype is not y._data.dtype and x._data.dtype != y._data.dtype:
        dtype = result_type(x, y)
        x, y = cast(x, dtype), cast(y, dtype)
    return x, y


def numpy_names(function):
    """Decorator: NumPy's names of the arguments do as well, as they do in PyTorch.

    `axis`, `keepdims` and `ddof` are `dim`, `keepdim` and `correction`; `out=None` and `dtype=None`, which NumPy's
    functions pass on when they are called on a tensor, are left out.
    """

    @functools.wraps(function)
    def operation(x, *arguments, **keywords):
        if keywords:
            keywords = {_NUMPY_NAMES.get(name, name): value for name, value in keywords.items()
                        if value is not None or name not in ("out", "dtype")}  # fmt: skip
        return function(x, *arguments, **keywords)

    return operation


_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "ddof": "correction"}


def binary(operation, x, y):
    """Apply a binary operation to operands of any kind; NotImplemented lets Python try the other side."""
    try:
        alike = x._data.dtype is y._data.dtype
    except AttributeError:  # not both are tensors
        alike = False
    if not alike:
        operands = pair(x, y)
        if operands is None:
            return NotImplemented
        x, y = operands
    try:
        return operation().apply(x, y)
    except (ValueError, TypeError) as error:
        raise _told(operation, [x, y], error) from None


def checked(node, *operands):
    """Run an elementwise operation; shapes that do not broadcast give a RuntimeError that names them."""
    try:
        return node(*operands)
    except (ValueError, TypeError) as error:
        raise _told(node, operands, error) from None


def _told(operation, operands, error):
    """The RuntimeError that says what was wrong with an operation's operands."""
    sentence = _mismatch(operation.name, [t._data.shape for t in operands])
    return RuntimeError(sentence or f"{where()}{operation.name}: {error}")


def _mismatch(name, shapes):
    """The sentence for shapes that do not broadcast, naming the first clashing dimension from the right."""
    for a, b in itertools.combinations(shapes, 2):
        for back in range(1, min(len(a), len(b)) + 1):
            if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
                return (
                    f"{where()}{name}: shapes {a} and {b} do not broadcast: sizes {a[-back]} and {b[-back]} "
                    f"differ at dimension {max(len(a), len(b)) - back}, and neither is 1"
                )
    return None


def floating(x):
    """x, or as float32 if it holds integers or bools: what a function of real numbers takes."""
    return x if x._data.dtype.kind == "f" else cast(x, DEFAULT_FLOAT)
