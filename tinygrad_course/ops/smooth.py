"""Smooth activations, and the gates made of them.

`gain` in a docstring is 1/√E[y²] for x ~ N(0, 1): what weights of variance gain²/fan_in keep the mean square at.
"""

import math

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..generator import default_generator
from ..kernels import activation as kernels
from ..modes import where
from .activation import sigmoid, softmax
from .convert import contiguous, expect_floating, expect_tensor
from .elementwise import OfInput, erf
from .reduce import normalize_dims
from .select import choose

__all__ = ["elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus", "softsign", "tanhshrink", "logsigmoid",
           "glu", "gumbel_softmax"]  # fmt: skip
METHODS = []  # of Tensor

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _sigmoid(x):
    """σ(x) of an array or a tensor."""
    return sigmoid(x) if isinstance(x, TensorBase) else kernels.sigmoid(contiguous(np.asarray(x)))


def _softplus(x):
    """ln(1 + eˣ) of an array or a tensor."""
    return softplus(x) if isinstance(x, TensorBase) else np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))


class Smooth(Function):
    """An activation with kernels of its own. On the tape,  ∂y/∂x = slope(x), the same formula for tensors."""

    __slots__ = ()
    replayable = True

    def backward_on_tape(self, dy):
        (x,) = self.saved_tensors()
        return dy * self.slope(x)


class ELU(Smooth):
    """y = s x where x > 0, else s α (e^kx - 1);  ∂y/∂x = s α k e^kx where x ≤ 0, else s."""

    __slots__ = ("alpha", "rate", "scale")
    name = "elu"

    def __init__(self, alpha, scale=1.0, rate=1.0):
        self.alpha, self.scale, self.rate = alpha, scale, rate

    def forward(self, x):
        self.saved = (x,)
        return kernels.elu(contiguous(x), self.alpha, self.scale, self.rate)

    def backward(self, dy):
        (x,) = self.saved
        return kernels.elu_backward(contiguous(dy), contiguous(x), self.alpha, self.scale, self.rate)

    def slope(self, x):
        below = np.exp(self.rate * choose(x < 0, x, 0)) * (self.alpha * self.scale * self.rate)
        return choose(x <= 0, below, self.scale)


class SELU(ELU):
    """y = λ x where x > 0, else λ α (e^x - 1);  ∂y/∂x = λ where x > 0, else λ α e^x."""

    __slots__ = ()
    name = "selu"


class CELU(ELU):
    """y = x where x > 0, else α (e^(x/α) - 1);  ∂y/∂x = 1 where x > 0, else e^(x/α)."""

    __slots__ = ()
    name = "celu"


class GELU(Smooth):
    """y = x Φ(x), Φ(x) = (1 + erf(x/√2))/2;  ∂y/∂x = Φ(x) + x e^(-x²/2)/√2π."""

    __slots__ = ()
    name = "gelu"

    def forward(self, x):
        self.saved = (x,)
        return kernels.gelu(contiguous(x))

    def backward(self, dy):
        (x,) = self.saved
        return kernels.gelu_backward(contiguous(dy), contiguous(x))

    def slope(self, x):
        density = np.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
        return 0.5 * (1 + erf(x * math.sqrt(0.5))) + x * density


class TanhGELU(Smooth):
    """y = x (1 + t)/2, t = tanh u, u = √(2/π) (x + 0.044715 x³);  ∂y/∂x = (1 + t)/2 + x (1 - t²)/2 ∂u/∂x."""

    __slots__ = ()
    name = "gelu"

    def forward(self, x):
        self.saved = (x,)
        return kernels.tanh_gelu(contiguous(x))

    def backward(self, dy):
        (x,) = self.saved
        return kernels.tanh_gelu_backward(contiguous(dy), contiguous(x))

    def slope(self, x):
        t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x))
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du


class Swish(Smooth):
    """y = x σ(βx);  ∂y/∂x = s + βx s (1 - s), s = σ(βx)."""

    __slots__ = ("beta",)

    def __init__(self, beta):
        self.beta = beta

    def forward(self, x):
        self.saved = (x,)
        return kernels.silu(contiguous(x), self.beta)

    def backward(self, dy):
        (x,) = self.saved
        return kernels.silu_backward(contiguous(dy), contiguous(x), self.beta)

    def slope(self, x):
        s = sigmoid(x * self.beta)
        return s * (1 + x * self.beta * (1 - s))


class SiLU(Swish):
    """y = x σ(x);  ∂y/∂x = s + x s (1 - s), s = σ(x)."""

    __slots__ = ()
    name = "silu"


class Mish(OfInput):
    """y = x t, t = tanh(ln(1 + e^x));  ∂y/∂x = t + x (1 - t²) σ(x)."""

    __slots__ = ()

    def function(self, x):
        return x * np.tanh(_softplus(x))

    def slope(self, x):
        t = np.tanh(_softplus(x))
        return t + x * (1 - t * t) * _sigmoid(x)


class Softplus(Smooth):
    """y = ln(1 + e^βx)/β, and x where βx is above a threshold;  ∂y/∂x = σ(βx), and 1 there."""

    __slots__ = ("beta", "threshold")

    def __init__(self, beta, threshold):
        self.beta, self.threshold = beta, threshold

    def forward(self, x):
        self.saved = (x,)
        return kernels.softplus(contiguous(x), self.beta, self.threshold)

    def backward(self, dy):
        (x,) = self.saved
        return kernels.softplus_backward(contiguous(dy), contiguous(x), self.beta, self.threshold)

    def slope(self, x):
        scaled = x * self.beta
        return choose(scaled > self.threshold, 1, sigmoid(scaled))


class LogSigmoid(OfInput):
    """y = ln σ(x) = -ln(1 + e^-x);  ∂y/∂x = σ(-x)."""

    __slots__ = ()
    name = "logsigmoid"

    def function(self, x):
        return np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))

    def slope(self, x):
        return _sigmoid(-x)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else α (e^x - 1) (Clevert et al. 2016). gain 1.2452 for α = 1."""
    return ELU(float(alpha))(expect_floating(input, "elu"))


def selu(input, inplace=False):
    """λ elu(x, α), with α = 1.6733 and λ = 1.0507 keeping mean 0, variance 1 (Klambauer et al. 2017). gain 1."""
    return SELU(SELU_ALPHA, SELU_SCALE)(expect_floating(input, "selu"))


def celu(input, alpha=1.0, inplace=False):
    """x where x > 0, else α (e^(x/α) - 1), smooth at 0 for every α (Barron 2017). RuntimeError for α = 0."""
    if not alpha:
        raise RuntimeError(f"{where()}celu: alpha must not be 0, for x is divided by it")
    return CELU(float(alpha), 1.0, 1 / float(alpha))(expect_floating(input, "celu"))


def gelu(input, approximate="none"):
    """x Φ(x), with Φ(x) the probability that N(0, 1) is below x (Hendrycks & Gimpel 2016). gain 1.5335.

    approximate="tanh": Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³)))/2.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"{where()}gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return (GELU if approximate == "none" else TanhGELU)()(expect_floating(input, "gelu"))


def silu(input, inplace=False):
    """x σ(x), also called swish (Ramachandran et al. 2017). gain 1.6766."""
    return SiLU(1)(expect_floating(input, "silu"))


def swish(input, beta=1.0):
    """x σ(βx): x/2 for β = 0, silu for 1, relu for ∞. β is a number, or a tensor that takes a gradient."""
    expect_floating(input, "swish")
    if isinstance(beta, TensorBase):
        return input * sigmoid(input * beta)
    return Swish(float(beta))(input)


def mish(input, inplace=False):
    """x tanh(ln(1 + e^x)) (Misra 2019)."""
    return Mish()(expect_floating(input, "mish"))


def softplus(input, beta=1.0, threshold=20.0):
    """ln(1 + e^βx)/β, a smooth relu; x itself where βx > `threshold`."""
    return Softplus(float(beta), float(threshold))(expect_floating(input, "softplus"))


def softsign(input):
    """x/(1 + |x|): like tanh, but it saturates slowly."""
    expect_tensor(input, "softsign")
    return input / (input.abs() + 1)


def tanhshrink(input):
    """x - tanh x."""
    expect_tensor(input, "tanhshrink")
    return input - input.tanh()


def logsigmoid(input):
    """ln σ(x), without underflow."""
    return LogSigmoid()(expect_floating(input, "logsigmoid"))


def glu(input, dim=-1):
    """a σ(b), a and b the two halves of x along `dim` (Dauphin et al. 2017). RuntimeError if the size is odd."""
    shape = expect_floating(input, "glu")._data.shape
    if not shape:
        raise RuntimeError(f"{where()}glu: a 0-d tensor has no halves")
    (axis,) = normalize_dims(dim, len(shape))
    if shape[axis] % 2:
        raise RuntimeError(f"{where()}glu: dimension {axis} of the input of shape {shape} must be even to be halved")
    half = shape[axis] // 2
    return input.narrow(axis, 0, half) * sigmoid(input.narrow(axis, half, half))


def gumbel_softmax(logits, tau=1.0, hard=False, eps=1e-10, dim=-1):
    """softmax((logits + g)/τ), g Gumbel noise: a smooth sample of the classes along `dim` (Jang et al. 2017).

    hard: one-hot samples, with the gradient of the smooth ones. `eps` does nothing, as in PyTorch.
    """
    a = expect_floating(logits, "gumbel_softmax")._data
    noise = np.asarray(default_generator().gumbel(size=a.shape), a.dtype)
    y = softmax((logits + noise) / tau, dim)
    if not hard:
        return y
    winner = y._data.argmax(axis=dim)
    sample = np.zeros_like(y._data)
    np.put_along_axis(sample, np.expand_dims(winner, dim), 1, dim)
    return (sample - y.detach()) + y
