"""Elementwise arithmetic with broadcasting.

Each class is one formula: forward, and the derivative that backward multiplies into dz = ∂L/∂z. The functions
below them take tensors, NumPy arrays and Python numbers on either side.
"""

import numpy as np

from ..engine import Function, where
from . import convert

__all__ = ["abs", "add", "div", "exp", "log", "maximum", "minimum", "mul", "neg", "pow", "sqrt", "sub"]
METHODS = __all__  # of Tensor


class Add(Function):
    """z = x + y;  ∂z/∂x = 1, ∂z/∂y = 1: addition hands the gradient on to both."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        return x + y

    def backward(self, dz):
        return dz, dz


class Sub(Function):
    """z = x - y;  ∂z/∂x = 1, ∂z/∂y = -1."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        return x - y

    def backward(self, dz):
        return dz, -dz if self.needs[1] else None


class Mul(Function):
    """z = x y;  ∂z/∂x = y, ∂z/∂y = x: multiplication swaps its inputs."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = (y if self.needs[0] else None, x if self.needs[1] else None)
        return x * y

    def backward(self, dz):
        y, x = self.saved
        return None if y is None else dz * y, None if x is None else dz * x


class Div(Function):
    """z = x / y;  ∂z/∂x = 1/y, ∂z/∂y = -x/y²."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = (x if self.needs[1] else None, y)
        return x / y

    def backward(self, dz):
        x, y = self.saved
        return dz / y, None if x is None else -dz * x / (y * y)


class Pow(Function):
    """z = x^y;  ∂z/∂x = y x^(y-1), which is 0 where y = 0;  ∂z/∂y = x^y ln x, which is 0 where x = 0 and y ≥ 0."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        z = x**y
        self.saved = (x, y, z if self.needs[1] else None)
        return z

    def backward(self, dz):
        x, y, z = self.saved
        dx = dy = None
        if self.needs[0]:
            dx = np.where(y == 0, 0, dz * y * x ** (y - 1)).astype(dz.dtype, copy=False)
        if self.needs[1]:
            dy = np.where((x == 0) & (y >= 0), 0, dz * z * np.log(x)).astype(dz.dtype, copy=False)
        return dx, dy


class Maximum(Function):
    """z = max(x, y);  the larger one gets the gradient, equal ones get half of it each."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = x, y
        return np.maximum(x, y)

    def backward(self, dz):
        x, y = self.saved
        return _winner(dz, x, x < y, x == y), _winner(dz, y, y < x, x == y)


class Minimum(Function):
    """z = min(x, y);  the smaller one gets the gradient, equal ones get half of it each."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = x, y
        return np.minimum(x, y)

    def backward(self, dz):
        x, y = self.saved
        return _winner(dz, x, x > y, x == y), _winner(dz, y, y > x, x == y)


def _winner(dz, x, lost, tied):
    return np.where(lost, 0, np.where(tied, dz / 2, dz)).astype(x.dtype, copy=False)


class Neg(Function):
    """z = -x;  ∂z/∂x = -1."""

    __slots__ = ()

    def forward(self, x):
        return -x

    def backward(self, dz):
        return -dz


class Exp(Function):
    """z = e^x;  ∂z/∂x = z."""

    __slots__ = ()

    def forward(self, x):
        z = np.exp(x)
        self.saved = (z,)
        return z

    def backward(self, dz):
        (z,) = self.saved
        return dz * z


class Log(Function):
    """z = ln x;  ∂z/∂x = 1/x."""

    __slots__ = ()

    def forward(self, x):
        self.saved = (x,)
        return np.log(x)

    def backward(self, dz):
        (x,) = self.saved
        return dz / x


class Sqrt(Function):
    """z = √x;  ∂z/∂x = 1/(2z)."""

    __slots__ = ()

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

    def forward(self, x):
        self.saved = (x,)
        return np.abs(x)

    def backward(self, dz):
        (x,) = self.saved
        return dz * np.sign(x)


def _binary(operation, x, y):
    """Apply a binary operation to operands of any kind; NotImplemented lets Python try the other side."""
    operands = convert.pair(x, y)
    if operands is None:
        return NotImplemented
    x, y = operands
    try:
        return operation()(x, y)
    except (ValueError, TypeError) as error:
        raise RuntimeError(_mismatch(operation.name, x._data, y._data) or f"{where()}{error}") from None


def _mismatch(name, x, y):
    """The sentence for shapes that do not broadcast, naming the first clashing dimension from the right."""
    a, b = x.shape, y.shape
    for back in range(1, min(len(a), len(b)) + 1):
        if a[-back] != b[-back] and 1 not in (a[-back], b[-back]):
            return (
                f"{where()}{name}: shapes {a} and {b} do not broadcast: sizes {a[-back]} and {b[-back]} differ at "
                f"dimension {max(len(a), len(b)) - back}, and neither is 1"
            )
    return None


def add(x, y):
    """x + y, elementwise with broadcasting."""
    return _binary(Add, x, y)


def sub(x, y):
    """x - y, elementwise with broadcasting."""
    return _binary(Sub, x, y)


def mul(x, y):
    """x · y, elementwise with broadcasting."""
    return _binary(Mul, x, y)


def div(x, y):
    """x / y, elementwise with broadcasting; integers are divided as float32."""
    operands = convert.pair(x, y)
    if operands is None:
        return NotImplemented
    if operands[0]._data.dtype.kind != "f":
        operands = [convert.cast(t, convert.DEFAULT_FLOAT) for t in operands]
    return _binary(Div, *operands)


def pow(x, y):
    """x^y, elementwise with broadcasting."""
    return _binary(Pow, x, y)


def maximum(x, y):
    """The larger of x and y, elementwise with broadcasting; nan if one is nan."""
    return _binary(Maximum, x, y)


def minimum(x, y):
    """The smaller of x and y, elementwise with broadcasting; nan if one is nan."""
    return _binary(Minimum, x, y)


def neg(x):
    """-x."""
    if x._data.dtype.kind == "b":
        raise RuntimeError(f"{where()}neg: a bool tensor has no negative; convert it with .long()")
    return Neg()(x)


def _floating(x, operation):
    """Apply a function of real numbers; integers are taken as float32."""
    if x._data.dtype.kind != "f":
        x = convert.cast(x, convert.DEFAULT_FLOAT)
    return operation()(x)


def exp(x):
    """e^x."""
    return _floating(x, Exp)


def log(x):
    """Natural logarithm: nan below 0, -inf at 0."""
    return _floating(x, Log)


def sqrt(x):
    """√x: nan below 0."""
    return _floating(x, Sqrt)


def abs(x):
    """|x|, with gradient 0 at 0."""
    return Abs()(x)
