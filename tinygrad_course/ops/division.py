"""Division in all its forms: exact, rounded, and what remains.

The rounded quotient is a staircase: where it is flat its gradient is 0, and on its edges it is taken to be.
"""

import numpy as np

from ..function import Function
from ..modes import where
from . import convert, large
from .rounding import trunc

__all__ = ["div", "divide", "true_divide", "floor_divide", "remainder", "fmod"]
METHODS = __all__  # of Tensor
IN_PLACE = __all__


class Div(Function):
    """z = x / y;  ∂z/∂x = 1/y, ∂z/∂y = -x/y²."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        self.saved = (x if self.needs[1] else None, y)
        return large.div(x, y)

    def backward(self, dz):
        x, y = self.saved
        dx = large.div(dz, y)
        dy = None if x is None else -large.mul(dx, large.div(x, y))
        return large.sum_to(dx, self, 0), large.sum_to(dy, self, 1)


class FloorDivide(Function):
    """z = ⌊x / y⌋, a staircase: its gradients are 0."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        return np.floor_divide(x, y)

    def backward(self, dz):
        return np.zeros_like(dz), np.zeros_like(dz)

    def backward_on_tape(self, dz):
        return dz.new_zeros(dz.shape), dz.new_zeros(dz.shape)


class Remainder(Function):
    """z = x - y ⌊x / y⌋, of y's sign;  ∂z/∂x = 1, ∂z/∂y = -⌊x / y⌋."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = (x, y) if self.needs[1] else ()
        return np.remainder(x, y)

    def backward(self, dz):
        if not self.needs[1]:
            return dz, None
        x, y = self.saved
        return dz, -dz * np.floor_divide(x, y)


class Fmod(Function):
    """z = x - y trunc(x / y), of x's sign;  ∂z/∂x = 1, ∂z/∂y = -trunc(x / y)."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = (x, y) if self.needs[1] else ()
        return np.fmod(x, y)

    def backward(self, dz):
        if not self.needs[1]:
            return dz, None
        x, y = self.saved
        return dz, -dz * np.trunc(x / y)


def div(x, other, *, rounding_mode=None):
    """x / other, elementwise with broadcasting; integers are divided as float32.

    With `rounding_mode="floor"` or `"trunc"` the quotient is rounded down or towards 0; integers then stay integers,
    and the gradients are 0.
    """
    if rounding_mode == "floor":
        return floor_divide(x, other)
    operands = convert.pair(x, other)
    if operands is None:
        return NotImplemented
    if rounding_mode == "trunc":
        with_remainder = fmod(*operands)  # x - fmod(x, y) is a multiple of y, but for rounding
        if operands[0]._data.dtype.kind != "f":
            return floor_divide(operands[0] - with_remainder, operands[1])
        return trunc(convert.checked(Div(), *operands))
    if rounding_mode is not None:
        raise RuntimeError(f"{where()}div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    return convert.checked(Div(), *[convert.floating(t) for t in operands])


def floor_divide(x, other):
    """⌊x / other⌋, elementwise with broadcasting. RuntimeError if an integer is divided by 0."""
    return _integer_division(FloorDivide, x, other)


def remainder(x, other):
    """x modulo other, of the sign of `other`, as Python's %. RuntimeError if an integer is divided by 0."""
    return _integer_division(Remainder, x, other)


def fmod(x, other):
    """The rest of x / other, of the sign of x, as C's fmod. RuntimeError if an integer is divided by 0."""
    return _integer_division(Fmod, x, other)


def _integer_division(operation, x, other):
    operands = convert.pair(x, other)
    if operands is None:
        return NotImplemented
    divisor = operands[1]._data
    if divisor.dtype.kind != "f" and not divisor.all():
        raise RuntimeError(f"{where()}{operation.name}: ZeroDivisionError: an integer tensor is divided by 0")
    return convert.checked(operation(), *operands)


def true_divide(x, other):
    """x / other, elementwise with broadcasting; integers are divided as float32."""
    return div(x, other)


divide = div
