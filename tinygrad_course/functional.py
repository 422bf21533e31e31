"""Operations as functions of the top level: `tg.tanh(x)`, `tg.matmul(x, y)`.

Arrays and numbers may stand for tensors.
"""

import functools
import numbers

import numpy as np

from .base import TensorBase
from .dtypes import as_tensor
from .ops import FAMILIES

_SHOWN = ("activation", "arithmetic", "linear", "reduce", "shape", "index", "scatter", "mask", "join",
          "arrange", "diagonal", "sort", "einsum", "select", "division", "rounding", "elementwise", "compare",
          "extrema", "statistics", "measure", "scan", "distance",
          "conv", "conv_transpose", "pool", "adaptive_pool",
          "piecewise", "smooth", "dropout")  # fmt: skip

__all__ = [name for family in _SHOWN for name in FAMILIES[family].__all__]


def _lifted(operation):
    """`operation` with arrays made tensors, and a number too where no tensor stands beside it."""

    @functools.wraps(operation)
    def function(*arguments, **keywords):
        if "input" in keywords and not arguments:
            arguments = (keywords.pop("input"),)
        operands = [as_tensor(a) if isinstance(a, np.ndarray) else a for a in arguments[:2]]
        if operands and isinstance(operands[0], numbers.Number) and not isinstance(operands[-1], TensorBase):
            operands[0] = as_tensor(operands[0])
        result = operation(*operands, *arguments[2:], **keywords)
        if result is NotImplemented:
            raise TypeError(f"{operation.__name__}: expected tensors, arrays or numbers, got {operands}")
        return result

    return function


for _family in _SHOWN:
    for _name in FAMILIES[_family].__all__:
        globals()[_name] = _lifted(getattr(FAMILIES[_family], _name))
