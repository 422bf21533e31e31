"""Smooth activations as layers."""

import numpy as np

from .. import ops
from .activation import InPlace
from .module import Module, Parameter


class ELU(InPlace):
    """y = x where x > 0, else α (e^x - 1) (Clevert et al. 2016). gain 1.2452 for α = 1."""

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x):
        return ops.elu(x, self.alpha)

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(InPlace):
    """y = λ elu(x, α), α = 1.6733, λ = 1.0507: mean 0 and variance 1 are its stable fixed point (Klambauer 2017).

    That holds for weights N(0, 1/fan_in): gain 1.
    """

    def forward(self, x):
        return ops.selu(x)


class CELU(ELU):
    """y = x where x > 0, else α (e^(x/α) - 1): smooth at 0 for every α (Barron 2017)."""

    def forward(self, x):
        return ops.celu(x, self.alpha)


class GELU(Module):
    """y = x Φ(x), Φ the normal distribution's; approximate="tanh" for Φ by tanh (Hendrycks 2016). gain 1.5335."""

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, x):
        return ops.gelu(x, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(InPlace):
    """y = x σ(x), also called swish (Ramachandran et al. 2017). gain 1.6766."""

    def forward(self, x):
        return ops.silu(x)


class Swish(Module):
    """y = x σ(βx): x/2 for β = 0, SiLU for 1, ReLU for ∞. `learnable`: β is a parameter (Ramachandran et al. 2017)."""

    def __init__(self, beta=1.0, learnable=False, dtype=None):
        super().__init__()
        self.learnable = learnable
        self.beta = Parameter(np.asarray(beta, dtype or np.float32)) if learnable else beta

    def forward(self, x):
        return ops.swish(x, self.beta)

    def extra_repr(self):
        return "learnable=True" if self.learnable else f"beta={self.beta}"


class Mish(InPlace):
    """y = x tanh(ln(1 + e^x)) (Misra 2019)."""

    def forward(self, x):
        return ops.mish(x)


class Softplus(Module):
    """y = ln(1 + e^βx)/β, a smooth ReLU; x itself where βx > `threshold`."""

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x):
        return ops.softplus(x, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """y = x/(1 + |x|)."""

    def forward(self, x):
        return ops.softsign(x)


class Tanhshrink(Module):
    """y = x - tanh x."""

    def forward(self, x):
        return ops.tanhshrink(x)


class LogSigmoid(Module):
    """y = ln σ(x), without underflow."""

    def forward(self, x):
        return ops.logsigmoid(x)


class GLU(Module):
    """y = a σ(b), a and b the two halves of x along `dim` (Dauphin et al. 2017)."""

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return ops.glu(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
