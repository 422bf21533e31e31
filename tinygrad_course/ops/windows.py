"""Windows of a tensor along one of its dimensions: `Tensor.unfold`. (The windows of images are in `folding.py`.)"""

import numpy as np

from ..modes import where
from .index import getitem
from .reduce import normalize_dims
from .shape import movedim, reshape

__all__ = []
METHODS = ["unfold"]  # of Tensor


def unfold(x, dimension, size, step):
    """The windows of `size` numbers along `dimension`, one each `step`: (…, n, …) becomes (…, windows, …, size).

    There are ⌊(n - size) / step⌋ + 1. A number (0-d) is one window of itself. RuntimeError if `size` is greater than n.
    The result is a copy.
    """
    ndim = x._data.ndim
    (axis,) = normalize_dims(dimension, max(ndim, 1), "dimension")
    x = x if ndim else reshape(x, 1)
    n = x._data.shape[axis]
    if not 0 <= size <= n:
        raise RuntimeError(f"{where()}unfold: size {size} must be from 0 to {n}, the size of dimension {dimension}")
    if step < 1:
        raise RuntimeError(f"{where()}unfold: step must be at least 1, got {step}")
    places = np.arange(0, n - size + 1, step)[:, None] + np.arange(size)
    z = movedim(getitem(x, (slice(None),) * axis + (places,)), axis + 1, -1)
    return z if ndim else reshape(z, size)
