"""Elementwise arithmetic with broadcasting. Division is in division.py.

Each class is one formula: forward, and the derivative that backward multiplies into dz = ∂L/∂z. The functions
below them take tensors, NumPy arrays and Python numbers on either side.
"""

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..kernels import activation as kernels
from ..modes import where
from . import convert, large
from .division import div
from .large import MANY
from .select import choose

__all__ = [
    "add", "sub", "subtract", "rsub", "mul", "multiply", "pow", "float_power", "neg", "negative", "positive", "abs",
    "absolute", "exp", "log", "sqrt", "lerp", "addcmul", "addcdiv",
]  # fmt: skip
METHODS = [name for name in __all__ if name != "rsub"]  # of Tensor
IN_PLACE = [name for name in METHODS if name != "positive"]


class Add(Function):
    """z = x + y;  ∂z/∂x = 1, ∂z/∂y = 1: addition hands the gradient on to both."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        return x + y if x.size + y.size < MANY else large.add(x, y)

    def backward(self, dz):
        return (dz, dz) if dz.size < MANY else (large.sum_to(dz, self, 0), large.sum_to(dz, self, 1))

    def backward_on_tape(self, dz):
        return dz, dz


class Sub(Function):
    """z = x - y;  ∂z/∂x = 1, ∂z/∂y = -1."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        return x - y if x.size + y.size < MANY else large.sub(x, y)

    def backward(self, dz):
        dy = large.sum_to(dz, self, 1)  # before the sign is changed: there may be fewer numbers
        return large.sum_to(dz, self, 0), None if dy is None else large.neg(dy)


class Mul(Function):
    """z = x y;  ∂z/∂x = y, ∂z/∂y = x: multiplication swaps its inputs."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        self.saved = (y if self.needs[0] else None, x if self.needs[1] else None)
        return x * y if x.size + y.size < MANY else large.mul(x, y)

    def backward(self, dz):
        y, x = self.saved
        if dz.size < MANY:
            return None if y is None else dz * y, None if x is None else dz * x
        return (
            None if y is None else large.sum_to(large.mul(dz, y), self, 0),
            None if x is None else large.sum_to(large.mul(dz, x), self, 1),
        )

    def backward_on_tape(self, dz):
        y, x = self.saved_tensors()
        return None if y is None else dz * y, None if x is None else dz * x


class Pow(Function):
    """z = x^y;  ∂z/∂x = y x^(y-1), which is 0 where y = 0;  ∂z/∂y = x^y ln x, which is 0 where x = 0 and y ≥ 0."""

    __slots__ = ()
    replayable = True
    broadcasts = True

    def forward(self, x, y):
        z = _power(x, y)
        self.saved = (x, y, z if self.needs[1] else None)
        return z

    def backward(self, dz):
        x, y, z = self.saved
        dx = dy = None
        if self.needs[0]:
            one_for_all = not y.ndim
            dx = large.mul(large.mul(dz, y), x if one_for_all and y == 2 else _power(x, y - 1))
            dx = dx if one_for_all and y != 0 else choose(y == 0, 0, dx)
        if self.needs[1]:
            dy = dz * choose((x == 0) & (y >= 0), 0, z * np.log(x))
        return dx, dy


def _power(x, y):
    """x^y. Squares and cubes are products, as in PyTorch: the general power takes 50 times as long."""
    if type(x) is not np.ndarray or y.ndim or x.dtype.kind != "f" or y not in (2, 3):
        return x**y
    square = large.mul(x, x)
    return square if y == 2 else large.mul(square, x)


class Neg(Function):
    """z = -x;  ∂z/∂x = -1."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        return large.neg(x)

    def backward(self, dz):
        return large.neg(dz)


class Exp(Function):
    """z = e^x;  ∂z/∂x = z."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        z = kernels.exp(convert.contiguous(x))
        self.saved = (z,)
        return z

    def backward(self, dz):
        (z,) = self.saved
        return large.mul(dz, z)


class Log(Function):
    """z = ln x;  ∂z/∂x = 1/x."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        self.saved = (x,)
        return np.log(x)

    def backward(self, dz):
        (x,) = self.saved
        return large.div(dz, x)


class Sqrt(Function):
    """z = √x;  ∂z/∂x = 1/(2z)."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        z = np.sqrt(x)
        self.saved = (z,)
        return z

    def backward(self, dz):
        (z,) = self.saved
        return dz / (2 * z)


class Abs(Function):
    """z = |x|;  ∂z/∂x = sign(x), 0 at 0."""

    __slots__ = ()
    replayable = True

    def forward(self, x):
        self.saved = (x,)
        return np.abs(x)

    def backward(self, dz):
        (x,) = self.saved
        return dz * np.sign(x)


def _scaled(name, x, other, alpha):
    """alpha · other, for add and sub."""
    operands = convert.pair(x, other)
    if operands is None:
        return other
    if operands[0]._data.dtype.kind != "f" and isinstance(alpha, float):
        raise RuntimeError(f"{where()}{name}: for integer tensors alpha must be an integer, got {alpha}")
    return mul(other, alpha) if isinstance(other, TensorBase) else other * alpha


def add(x, other, *, alpha=1):
    """x + alpha · other, elementwise with broadcasting."""
    return convert.binary(Add, x, other if alpha == 1 else _scaled("add", x, other, alpha))


def sub(x, other, *, alpha=1):
    """x - alpha · other, elementwise with broadcasting."""
    return convert.binary(Sub, x, other if alpha == 1 else _scaled("sub", x, other, alpha))


def rsub(x, other, *, alpha=1):
    """other - alpha · x, elementwise with broadcasting."""
    return sub(other, x, alpha=alpha)


def mul(x, other):
    """x · other, elementwise with broadcasting."""
    return convert.binary(Mul, x, other)


def pow(x, exponent):
    """x^exponent, elementwise with broadcasting. RuntimeError for integers with negative integer exponents."""
    return convert.binary(Pow, x, exponent)


def float_power(x, exponent):
    """x^exponent in float64."""
    x, exponent = convert.pair(x, exponent)
    return pow(convert.cast(x, np.float64), convert.cast(exponent, np.float64))


def neg(x):
    """-x."""
    if x._data.dtype.kind == "b":
        raise RuntimeError(f"{where()}neg: a bool tensor has no negative; use ~x, or convert it with .long()")
    return Neg()(x)


def positive(x):
    """x itself."""
    return x


def abs(x):
    """|x|, with gradient 0 at 0."""
    return Abs()(x)


def exp(x):
    """e^x; integers are taken as float32, here and below."""
    return Exp()(convert.floating(x))


def log(x):
    """Natural logarithm: nan below 0, -inf at 0."""
    return Log()(convert.floating(x))


def sqrt(x):
    """√x: nan below 0."""
    return Sqrt()(convert.floating(x))


def lerp(x, end, weight):
    """x + weight · (end - x): from x at weight 0 to `end` at weight 1."""
    return x + weight * (end - x)


def addcmul(x, tensor1, tensor2, *, value=1):
    """x + value · tensor1 · tensor2."""
    return add(x, mul(tensor1, tensor2), alpha=value)


def addcdiv(x, tensor1, tensor2, *, value=1):
    """x + value · tensor1 / tensor2."""
    return add(x, div(tensor1, tensor2), alpha=value)


subtract, multiply, negative, absolute = sub, mul, neg, abs
