"""Random tensors by NumPy's names, so that a lecture's `np.random.randn(…)` makes a Tensor.

They draw from the generator that `manual_seed` seeds.
"""

import numpy as np

from .generator import default_generator, manual_seed
from .tensor import Tensor

seed = manual_seed


def randn(*shape):
    """Standard normal numbers, float32."""
    return Tensor(np.asarray(default_generator().standard_normal(shape, np.float32)))


def rand(*shape):
    """Uniform numbers in [0, 1), float32."""
    return Tensor(np.asarray(default_generator().random(shape, np.float32)))


def randint(low, high=None, size=()):
    """Integers from `low` up to, not including, `high` (from 0 up to `low` if there is no `high`)."""
    return Tensor(np.asarray(default_generator().integers(low, high, size), np.int64))


def permutation(n):
    """The integers 0 … n - 1 in random order."""
    return Tensor(default_generator().permutation(n))
