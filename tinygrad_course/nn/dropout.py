"""Dropout: switch units off at random while training (Srivastava et al. 2014)."""

from ..generator import default_generator
from ..tensor import Tensor
from .module import Module


class Dropout(Module):
    """y = x · m / (1 - p) in training, m = 0 with probability p, else 1, anew for each element; y = x in eval mode.

    The division keeps the mean: E[y] = x.
    """

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: the probability p has to be between 0 and 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        kept = default_generator().random(x.shape, "float32") >= self.p
        return x * Tensor(kept.astype(x.dtype) * (1 / (1 - self.p) if self.p < 1 else 0))

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
