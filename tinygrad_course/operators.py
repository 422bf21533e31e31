"""The operators of a tensor: arithmetic, comparisons, and NumPy's functions on tensors."""

import numpy as np

from . import ops
from .base import TensorBase
from .dtypes import as_tensor


class Operators(TensorBase):
    """The part of Tensor that makes `x + y`, `x < y` and `np.tanh(x)` operations of the tape."""

    __slots__ = ()
    __array_priority__ = 1000  # `array * x` is ours to compute

    __add__, __sub__, __mul__, __truediv__ = ops.add, ops.sub, ops.mul, ops.div
    __pow__, __mod__, __floordiv__ = ops.pow, ops.remainder, ops.floor_divide
    __neg__, __abs__, __invert__, __getitem__ = ops.neg, ops.abs, ops.bitwise_not, ops.getitem

    def __radd__(self, other):
        return ops.add(other, self)

    def __rsub__(self, other):
        return ops.sub(other, self)

    def __rmul__(self, other):
        return ops.mul(other, self)

    def __rtruediv__(self, other):
        return ops.div(other, self)

    def __rpow__(self, other):
        return ops.pow(other, self)

    def __rmod__(self, other):
        return ops.remainder(other, self)

    def __rfloordiv__(self, other):
        return ops.floor_divide(other, self)

    def __matmul__(self, other):
        return ops.matmul(self, as_tensor(other))

    def __rmatmul__(self, other):
        return ops.matmul(as_tensor(other), self)

    def __pos__(self):
        return self

    def __and__(self, other):
        return ops.compare.compare(np.bitwise_and, self, other)

    def __or__(self, other):
        return ops.compare.compare(np.bitwise_or, self, other)

    def __xor__(self, other):
        return ops.compare.compare(np.bitwise_xor, self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __eq__(self, other):
        return ops.compare.compare(np.equal, self, other)

    def __ne__(self, other):
        return ops.compare.compare(np.not_equal, self, other)

    def __lt__(self, other):
        return ops.compare.compare(np.less, self, other)

    def __le__(self, other):
        return ops.compare.compare(np.less_equal, self, other)

    def __gt__(self, other):
        return ops.compare.compare(np.greater, self, other)

    def __ge__(self, other):
        return ops.compare.compare(np.greater_equal, self, other)

    __hash__ = object.__hash__  # by identity, whatever `==` means

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        """`np.tanh(x)`, `array * x`: NumPy's functions on tensors are ours, and recorded."""
        operation = _UFUNCS.get(ufunc)
        if method == "__call__" and operation is not None and out is None and not keywords:
            return operation(*inputs)
        if method != "__call__" or out is None or any(isinstance(o, TensorBase) for o in out):
            return NotImplemented
        arrays = [i.numpy() if isinstance(i, TensorBase) else i for i in inputs]
        return ufunc(*arrays, out=out, **keywords)

    def where(self, condition, other):
        """self where `condition` is true, else `other`."""
        return ops.where(condition, self, other)


_COMPARISONS = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor,
)  # fmt: skip
_SAME_NAME = (
    "exp", "log", "sqrt", "tanh", "exp2", "expm1", "log2", "log10", "log1p", "reciprocal", "square", "sin", "cos",
    "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "arctan2", "hypot",
    "deg2rad", "rad2deg", "floor", "ceil", "trunc", "sign", "floor_divide", "remainder", "fmod", "maximum", "minimum",
    "fmax", "fmin", "isnan", "isinf", "isfinite", "logical_and", "logical_or", "logical_xor", "logical_not",
    "signbit", "logaddexp", "logaddexp2", "absolute", "negative", "float_power", "positive",
)  # fmt: skip
_UFUNCS = {
    np.add: ops.add, np.subtract: ops.sub, np.multiply: ops.mul, np.divide: ops.div, np.power: ops.pow,
    np.matmul: lambda x, y: ops.matmul(as_tensor(x), as_tensor(y)), np.invert: ops.bitwise_not,
    np.rint: ops.round, **{getattr(np, name): getattr(ops, name) for name in _SAME_NAME},
    **{ufunc: (lambda x, y, ufunc=ufunc: ops.compare.compare(ufunc, x, y)) for ufunc in _COMPARISONS},
}  # fmt: skip
