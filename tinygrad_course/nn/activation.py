"""Activations as layers."""

from .. import ops
from .module import Module


class ReLU(Module):
    """y = max(x, 0)."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace  # accepted for PyTorch's listings; the result is always a new tensor

    def forward(self, x):
        return ops.relu(x)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU6(ReLU):
    """y = min(max(x, 0), 6): bounded, so that few bits do for it (MobileNet)."""

    def forward(self, x):
        return ops.relu6(x)


class Tanh(Module):
    """y = tanh x."""

    def forward(self, x):
        return ops.tanh(x)


class Sigmoid(Module):
    """y = 1 / (1 + e^-x)."""

    def forward(self, x):
        return ops.sigmoid(x)


class Softmax(Module):
    """y = e^x / Σ e^x along `dim`."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return ops.softmax(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """y = ln softmax(x) along `dim`."""

    def forward(self, x):
        return ops.log_softmax(x, self.dim)
