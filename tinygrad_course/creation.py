"""New tensors, by PyTorch's names. The default dtype is float32."""

import numpy as np

from .generator import default_generator
from .ops.shape import sizes_of
from .tensor import Tensor, float32, int64


def _made(array, requires_grad):
    result = Tensor(array)
    result.requires_grad = requires_grad
    return result


def zeros(*size, dtype=None, requires_grad=False):
    """All 0."""
    return _made(np.zeros(sizes_of(size), dtype or float32), requires_grad)


def ones(*size, dtype=None, requires_grad=False):
    """All 1."""
    return _made(np.ones(sizes_of(size), dtype or float32), requires_grad)


def full(size, fill_value, dtype=None, requires_grad=False):
    """All `fill_value`."""
    if dtype is None:
        dtype = float32 if isinstance(fill_value, float) else np.asarray(fill_value).dtype
    return _made(np.full(size, fill_value, dtype), requires_grad)


def arange(start, end=None, step=1, dtype=None, requires_grad=False):
    """start, start + step, … up to, not including, `end`; `arange(n)` counts from 0."""
    start, end = (0, start) if end is None else (start, end)
    if dtype is None:
        dtype = float32 if any(isinstance(v, float) for v in (start, end, step)) else int64
    return _made(np.arange(start, end, step).astype(dtype), requires_grad)


def linspace(start, end, steps, dtype=None, requires_grad=False):
    """`steps` numbers at equal distances, both ends included."""
    return _made(np.linspace(start, end, steps, dtype=dtype or float32), requires_grad)


def eye(n, m=None, dtype=None, requires_grad=False):
    """Ones on the diagonal."""
    return _made(np.eye(n, m, dtype=dtype or float32), requires_grad)


def randn(*size, dtype=None, requires_grad=False):
    """Standard normal numbers."""
    return _made(np.asarray(default_generator().standard_normal(sizes_of(size), dtype or float32)), requires_grad)


def rand(*size, dtype=None, requires_grad=False):
    """Uniform numbers in [0, 1)."""
    return _made(np.asarray(default_generator().random(sizes_of(size), dtype or float32)), requires_grad)


def randint(low, high, size=None, dtype=None):
    """Integers from `low` up to, not including, `high`; `randint(high, size)` counts from 0."""
    low, high, size = (0, low, high) if size is None else (low, high, size)
    return Tensor(np.asarray(default_generator().integers(low, high, size), dtype or int64))


def randperm(n):
    """The integers 0 … n - 1 in random order."""
    return Tensor(default_generator().permutation(n))


def zeros_like(x, dtype=None, requires_grad=False):
    """All 0, of the shape and dtype of x."""
    return _made(np.zeros_like(x._data, dtype), requires_grad)


def ones_like(x, dtype=None, requires_grad=False):
    """All 1, of the shape and dtype of x."""
    return _made(np.ones_like(x._data, dtype), requires_grad)


def randn_like(x, dtype=None, requires_grad=False):
    """Standard normal numbers, of the shape and dtype of x."""
    return randn(*x._data.shape, dtype=dtype or x._data.dtype, requires_grad=requires_grad)
