"""Operations as functions of the top level: `tg.tanh(x)`, `tg.matmul(x, y)`.

Arrays and numbers may stand for tensors.
"""

import functools

from . import ops
from .engine import TensorBase
from .tensor import _as_tensor

_UNARY = (
    "abs", "argmax", "argmin", "exp", "flatten", "log", "log_softmax", "mean", "permute", "relu", "reshape", "sigmoid",
    "softmax", "sqrt", "squeeze", "sum", "tanh", "transpose", "unsqueeze",
)  # fmt: skip
_BINARY = ("add", "div", "matmul", "maximum", "minimum", "mul", "pow", "sub")

__all__ = [*_UNARY, *_BINARY, "cat", "stack"]


def _lifted(operation, count):
    """`operation` with its first `count` arguments made tensors."""

    @functools.wraps(operation)
    def function(*arguments, **keywords):
        operands = [a if isinstance(a, TensorBase) else _as_tensor(a) for a in arguments[:count]]
        return operation(*operands, *arguments[count:], **keywords)

    return function


for _name in _UNARY:
    globals()[_name] = _lifted(getattr(ops, _name), 1)


def _binary(operation):
    """`operation` on two operands; a number beside a tensor keeps the tensor's dtype."""

    @functools.wraps(operation)
    def function(x, y):
        if not isinstance(x, TensorBase) and not isinstance(y, TensorBase):
            x, y = _as_tensor(x), _as_tensor(y)
        return operation(x, y)

    return function


for _name in _BINARY:
    globals()[_name] = _lifted(ops.matmul, 2) if _name == "matmul" else _binary(getattr(ops, _name))

cat = ops.cat
stack = ops.stack
