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


class Unflatten(Module):
    """(N, C·H·W) -> (N, C, H, W): dimension `dim` becomes several of the sizes `unflattened_size`; one may be -1."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if not isinstance(unflattened_size, tuple | list) or not all(isinstance(s, int) for s in unflattened_size):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of ints, got {unflattened_size!r}")
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, x):
        dim = range(x.ndim)[self.dim]
        return ops.reshape(x, *x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :])

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
