"""Functions of one number, element by element. Integers and bools are taken as float32.

Each class is NumPy's function and, beside it, the slope that backward multiplies into the gradient: as a function of
the input x (`OfInput`) or, where that is cheaper, of the output z (`OfOutput`). A slope is written with operators
and NumPy's functions, so that it can be taken of tensors as well and differentiated again.
"""

import math

import numpy as np

from ..function import Function
from ..kernels import activation as kernels
from . import convert
from .arithmetic import add, exp, log, mul
from .convert import contiguous
from .select import choose, clamp

__all__ = [
    "exp2", "expm1", "log2", "log10", "log1p", "rsqrt", "reciprocal", "square", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh",
    "atan2", "arctan2", "hypot", "erf", "erfc", "deg2rad", "rad2deg", "logit", "logaddexp", "logaddexp2", "xlogy",
    "sinc",
]  # fmt: skip
METHODS = __all__  # of Tensor
IN_PLACE = [name for name in __all__ if name not in ("logaddexp", "logaddexp2")]


class OfInput(Function):
    """z = function(x);  ∂z/∂x = slope(x)."""

    __slots__ = ()
    replayable = True
    function = None  # NumPy's
    slope = None

    def forward(self, x):
        self.saved = (x,)
        return self.function(x)

    def backward(self, dz):
        (x,) = self.saved
        return dz * self.slope(x)


class OfOutput(Function):
    """z = function(x);  ∂z/∂x = slope(z)."""

    __slots__ = ()
    replayable = True
    function = None
    slope = None

    def forward(self, x):
        z = self.function(x)
        self.saved = (z,)
        return z

    def backward(self, dz):
        (z,) = self.saved
        return dz * self.slope(z)


class Exp2(OfOutput):
    """z = 2^x;  ∂z/∂x = z ln 2."""

    __slots__ = ()
    function = np.exp2
    slope = staticmethod(lambda z: z * math.log(2))


class Expm1(OfOutput):
    """z = e^x - 1, exact near 0;  ∂z/∂x = z + 1."""

    __slots__ = ()
    function = np.expm1
    slope = staticmethod(lambda z: z + 1)


class Log2(OfInput):
    """z = log₂ x;  ∂z/∂x = 1/(x ln 2)."""

    __slots__ = ()
    function = np.log2
    slope = staticmethod(lambda x: 1 / (x * math.log(2)))


class Log10(OfInput):
    """z = log₁₀ x;  ∂z/∂x = 1/(x ln 10)."""

    __slots__ = ()
    function = np.log10
    slope = staticmethod(lambda x: 1 / (x * math.log(10)))


class Log1p(OfInput):
    """z = ln(1 + x), exact near 0;  ∂z/∂x = 1/(1 + x)."""

    __slots__ = ()
    function = np.log1p
    slope = staticmethod(lambda x: 1 / (x + 1))


class Rsqrt(OfOutput):
    """z = 1/√x;  ∂z/∂x = -z³/2."""

    __slots__ = ()
    function = staticmethod(lambda x: 1 / np.sqrt(x))
    slope = staticmethod(lambda z: -0.5 * (z * z * z))


class Reciprocal(OfOutput):
    """z = 1/x;  ∂z/∂x = -z²."""

    __slots__ = ()
    function = np.reciprocal
    slope = staticmethod(lambda z: -(z * z))


class Square(OfInput):
    """z = x²;  ∂z/∂x = 2x."""

    __slots__ = ()
    function = np.square
    slope = staticmethod(lambda x: 2 * x)


class Sin(OfInput):
    """z = sin x;  ∂z/∂x = cos x."""

    __slots__ = ()
    function = np.sin
    slope = np.cos


class Cos(OfInput):
    """z = cos x;  ∂z/∂x = -sin x."""

    __slots__ = ()
    function = np.cos
    slope = staticmethod(lambda x: -np.sin(x))


class Tan(OfOutput):
    """z = tan x;  ∂z/∂x = 1 + z²."""

    __slots__ = ()
    function = np.tan
    slope = staticmethod(lambda z: 1 + z * z)


class Asin(OfInput):
    """z = arcsin x;  ∂z/∂x = 1/√(1 - x²)."""

    __slots__ = ()
    function = np.arcsin
    slope = staticmethod(lambda x: 1 / np.sqrt(1 - x * x))


class Acos(OfInput):
    """z = arccos x;  ∂z/∂x = -1/√(1 - x²)."""

    __slots__ = ()
    function = np.arccos
    slope = staticmethod(lambda x: -1 / np.sqrt(1 - x * x))


class Atan(OfInput):
    """z = arctan x;  ∂z/∂x = 1/(1 + x²)."""

    __slots__ = ()
    function = np.arctan
    slope = staticmethod(lambda x: 1 / (1 + x * x))


class Sinh(OfInput):
    """z = (e^x - e^-x)/2;  ∂z/∂x = cosh x."""

    __slots__ = ()
    function = np.sinh
    slope = np.cosh


class Cosh(OfInput):
    """z = (e^x + e^-x)/2;  ∂z/∂x = sinh x."""

    __slots__ = ()
    function = np.cosh
    slope = np.sinh


class Asinh(OfInput):
    """z = arsinh x;  ∂z/∂x = 1/√(x² + 1)."""

    __slots__ = ()
    function = np.arcsinh
    slope = staticmethod(lambda x: 1 / np.sqrt(x * x + 1))


class Acosh(OfInput):
    """z = arcosh x;  ∂z/∂x = 1/√(x² - 1)."""

    __slots__ = ()
    function = np.arccosh
    slope = staticmethod(lambda x: 1 / np.sqrt(x * x - 1))


class Atanh(OfInput):
    """z = artanh x;  ∂z/∂x = 1/(1 - x²)."""

    __slots__ = ()
    function = np.arctanh
    slope = staticmethod(lambda x: 1 / (1 - x * x))


class Erf(OfInput):
    """z = erf x = 2/√π ∫₀ˣ e^-t² dt;  ∂z/∂x = 2/√π e^-x²."""

    __slots__ = ()
    function = staticmethod(lambda x: kernels.erf(contiguous(x)))
    slope = staticmethod(lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x * x)))


class Erfc(OfInput):
    """z = 1 - erf x, exact for large x;  ∂z/∂x = -2/√π e^-x²."""

    __slots__ = ()
    function = staticmethod(lambda x: _each(math.erfc, x))
    slope = staticmethod(lambda x: -2 / math.sqrt(math.pi) * np.exp(-(x * x)))


def _each(function, x):
    """A function of the standard library, in double precision, of each element: NumPy has no erf."""
    return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape).astype(x.dtype)


class Atan2(Function):
    """z = the angle of the point (y, x);  ∂z/∂x = y/(x² + y²), ∂z/∂y = -x/(x² + y²), and 0 at the origin."""

    __slots__ = ()
    broadcasts = True

    def forward(self, x, y):
        self.saved = x, y
        return np.arctan2(x, y)

    def backward(self, dz):
        x, y = self.saved
        square = x * x + y * y
        dz = choose(square == 0, 0, dz / square)
        return dz * y, dz * -x


def _function(operation, formula):
    def function(x):
        return operation()(convert.floating(x))

    function.__name__ = function.__qualname__ = operation.name
    function.__doc__ = formula
    return function


exp2 = _function(Exp2, "2^x.")
expm1 = _function(Expm1, "e^x - 1, exact near 0.")
log2 = _function(Log2, "Logarithm to base 2: nan below 0, -inf at 0.")
log10 = _function(Log10, "Logarithm to base 10: nan below 0, -inf at 0.")
log1p = _function(Log1p, "ln(1 + x), exact near 0: nan below -1, -inf at -1.")
rsqrt = _function(Rsqrt, "1/√x: nan below 0, inf at 0.")
reciprocal = _function(Reciprocal, "1/x.")
sin = _function(Sin, "Sine of x in radians.")
cos = _function(Cos, "Cosine of x in radians.")
tan = _function(Tan, "Tangent of x in radians.")
asin = arcsin = _function(Asin, "Arc sine in radians: nan outside of [-1, 1].")
acos = arccos = _function(Acos, "Arc cosine in radians: nan outside of [-1, 1].")
atan = arctan = _function(Atan, "Arc tangent in radians.")
sinh = _function(Sinh, "(e^x - e^-x)/2.")
cosh = _function(Cosh, "(e^x + e^-x)/2.")
asinh = arcsinh = _function(Asinh, "Inverse of sinh.")
acosh = arccosh = _function(Acosh, "Inverse of cosh: nan below 1.")
atanh = arctanh = _function(Atanh, "Inverse of tanh: nan outside of [-1, 1].")
erf = _function(Erf, "2/√π ∫₀ˣ e^-t² dt.")
erfc = _function(Erfc, "1 - erf(x), exact for large x.")


def square(x):
    """x²; integers stay integers, bools become them."""
    return Square()(x) if x._data.dtype.kind != "b" else convert.cast(x, np.int64)


def atan2(x, other):
    """The angle, in radians, of the point at height x over `other`: arctan(x / other) in the right quadrant."""
    operands = convert.pair(x, other)
    return convert.checked(Atan2(), *[convert.floating(t) for t in operands])


arctan2 = atan2


def hypot(x, other):
    """√(x² + other²)."""
    x, other = convert.pair(x, other)
    return (x * x + other * other).sqrt()


def deg2rad(x):
    """Degrees as radians, x π/180."""
    return convert.floating(x) * (math.pi / 180)


def rad2deg(x):
    """Radians as degrees, x 180/π."""
    return convert.floating(x) * (180 / math.pi)


def logit(x, eps=None):
    """ln(x / (1 - x)), the inverse of sigmoid. With `eps`, x is first clamped to [eps, 1 - eps]."""
    x = convert.floating(x)
    if eps is not None:
        x = clamp(x, eps, 1 - eps)
    return log(x / (1 - x))


def logaddexp(x, other):
    """ln(e^x + e^other), without overflow."""
    x, other = convert.pair(x, other)
    high = x.maximum(other).detach()
    high = choose(np.isfinite(high._data), high, 0)
    return add(high, log(exp(x - high) + exp(other - high)))


def logaddexp2(x, other):
    """log₂(2^x + 2^other), without overflow."""
    return logaddexp(mul(x, math.log(2)), mul(other, math.log(2))) / math.log(2)


def xlogy(x, other):
    """x · ln(other), which is 0 where x is 0, unless `other` is nan."""
    x, other = (convert.floating(t) for t in convert.pair(x, other))
    zero = (x == 0) & (other == other)
    return choose(zero, 0, x * log(choose(zero, 1, other)))


def sinc(x):
    """sin(πx)/(πx), which is 1 at 0."""
    angle = convert.floating(x) * math.pi
    safe = choose(angle == 0, 1, angle)
    return choose(angle == 0, 1, sin(safe) / safe)
