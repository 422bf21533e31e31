"""Layers that only change the shape."""

from .. import ops
from .module import Module


class Flatten(Module):
    """(N, C, H, W) -> (N, C·H·W): the dimensions from `start_dim` to `end_dim` become one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return ops.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """y = x. Takes and ignores any arguments, so that it can stand in for any layer."""

    def __init__(self, *arguments, **keywords):
        super().__init__()

    def forward(self, x):
        return x
