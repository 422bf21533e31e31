"""Activations as layers: the classics. The others are in `piecewise.py` and `smooth.py`."""

from .. import ops
from ..modes import where
from ..ops.activation import Rectified
from .module import Module


class InPlace(Module):
    """A layer with PyTorch's `inplace` argument. It is accepted; the result is always a new tensor."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU(InPlace):
    """y = max(x, 0), with derivative 0 at 0. It turns half of the units off: E[y²] = E[x²]/2, gain √2."""

    def forward(self, x, done=False):
        return Rectified()(x) if done else ops.relu(x)


class Tanh(Module):
    """y = tanh x. gain 1.5925 keeps the variance 1; PyTorch's table says 5/3."""

    def forward(self, x):
        return ops.tanh(x)


class Sigmoid(Module):
    """y = 1 / (1 + e^-x). Its derivative is at most 1/4, at x = 0."""

    def forward(self, x):
        return ops.sigmoid(x)


class Softmax(Module):
    """y = e^x / Σ e^x along `dim`."""

    def __init__(self, dim=None):
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


class Softmin(Softmax):
    """y = softmax(-x) along `dim`."""

    def forward(self, x):
        return ops.softmin(x, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of images (N, C, H, W) or (C, H, W), for each pixel. ValueError for others."""

    def forward(self, x):
        if x.ndim not in (3, 4):
            raise ValueError(f"{where()}Softmax2d: expected an input (N, C, H, W) or (C, H, W), got shape {x.shape}")
        return ops.softmax(x, -3)
