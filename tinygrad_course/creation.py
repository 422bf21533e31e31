"""New tensors, by PyTorch's names. The default dtype is float32.

A size is given as ints, `zeros(2, 3)`, or as one tuple, `zeros((2, 3))`. Every function takes `dtype` and
`requires_grad`. Random numbers come from the generator that `manual_seed` seeds, or from `generator=`.
"""

import math
import numbers

import numpy as np

from . import dtypes
from .base import TensorBase
from .dtypes import bool_, float32, int64
from .generator import default_generator
from .ops.shape import sizes_of
from .tensor import Tensor

__all__ = [
    "arange", "as_tensor", "asarray", "bernoulli", "empty", "empty_like", "eye", "full", "full_like", "linspace",
    "logspace", "normal", "ones", "ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm", "range", "scalar_tensor", "zeros", "zeros_like",
]  # fmt: skip


def _made(array, requires_grad, device=None):
    if device is not None and not str(device).startswith("cpu"):
        raise RuntimeError(f"there is no device {device!r}: tensors are on the CPU")
    return Tensor(np.asarray(array), requires_grad)


def _size(size, keyword):
    size = sizes_of(size if keyword is None else (keyword,))
    if min(size, default=0) < 0:
        raise RuntimeError(f"a tensor cannot have a negative size: {size}")
    return size


def _number(value):
    """A bound: a number, or a tensor of one element."""
    return value.item() if isinstance(value, TensorBase | np.generic) else value


# ------------------------------------------------------------------------------------- constants


def zeros(*shape, size=None, dtype=None, requires_grad=False, device=None):
    """All 0."""
    return _made(np.zeros(_size(shape, size), dtype or float32), requires_grad, device)


def ones(*shape, size=None, dtype=None, requires_grad=False, device=None):
    """All 1."""
    return _made(np.ones(_size(shape, size), dtype or float32), requires_grad, device)


def empty(*shape, size=None, dtype=None, requires_grad=False, device=None):
    """Numbers that happen to be in memory."""
    return _made(np.empty(_size(shape, size), dtype or float32), requires_grad, device)


def full(size, fill_value, dtype=None, requires_grad=False, device=None):
    """All `fill_value`, whose type decides the dtype."""
    value = _number(fill_value)
    if dtype is None:
        dtype = bool_ if isinstance(value, bool) else int64 if isinstance(value, numbers.Integral) else float32
    return _made(np.full(_size((), size), value, dtype), requires_grad, device)


def eye(n, m=None, dtype=None, requires_grad=False, device=None):
    """Ones on the diagonal of a matrix n×m, which is n×n by default."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: n and m must not be negative, got {n} and {m}")
    return _made(np.eye(n, m, dtype=dtype or float32), requires_grad, device)


def scalar_tensor(value, dtype=None, requires_grad=False):
    """A 0-d tensor."""
    return _made(np.asarray(value, dtype or float32), requires_grad)


def zeros_like(input, dtype=None, requires_grad=False, device=None):
    """All 0, of the shape and dtype of `input`."""
    return _made(np.zeros(input._data.shape, dtype or input._data.dtype), requires_grad, device)


def ones_like(input, dtype=None, requires_grad=False, device=None):
    """All 1, of the shape and dtype of `input`."""
    return _made(np.ones(input._data.shape, dtype or input._data.dtype), requires_grad, device)


def empty_like(input, dtype=None, requires_grad=False, device=None):
    """Numbers that happen to be in memory, of the shape and dtype of `input`."""
    return _made(np.empty(input._data.shape, dtype or input._data.dtype), requires_grad, device)


def full_like(input, fill_value, dtype=None, requires_grad=False, device=None):
    """All `fill_value`, of the shape and dtype of `input`."""
    value = _number(fill_value)
    return _made(np.full(input._data.shape, value, dtype or input._data.dtype), requires_grad, device)


# ------------------------------------------------------------------------------------- sequences


def arange(start, end=None, step=1, dtype=None, requires_grad=False, device=None):
    """start, start + step, … up to, not including, `end`; `arange(n)` counts from 0."""
    start, end = (0, start) if end is None else (start, end)
    start, end, step = map(_number, (start, end, step))
    if not step or (end - start) * step < 0:
        raise RuntimeError(f"arange: no steps of {step} lead from {start} to {end}")
    if dtype is None:
        dtype = float32 if any(isinstance(v, float) for v in (start, end, step)) else int64
    return _made(_steps(start, step, math.ceil((end - start) / step), dtype), requires_grad, device)


def range(start=0, end=None, step=1, dtype=None, requires_grad=False):
    """start, start + step, … up to `end`, which is included. (`arange` is what one usually wants.)"""
    return _made(_steps(start, step, int((end - start) / step) + 1, dtype or float32), requires_grad)


def _steps(start, step, count, dtype):
    return (np.arange(count) * step + start).astype(dtype)


def linspace(start, end, steps, dtype=None, requires_grad=False, device=None):
    """`steps` numbers at equal distances, both ends included."""
    return _made(_spaced(start, end, steps).astype(dtype or float32), requires_grad, device)


def logspace(start, end, steps, base=10.0, dtype=None, requires_grad=False, device=None):
    """`steps` numbers from base^start to base^end at equal ratios, both ends included."""
    return _made((float(base) ** _spaced(start, end, steps)).astype(dtype or float32), requires_grad, device)


def _spaced(start, end, steps):
    if steps < 0:
        raise RuntimeError(f"the number of steps must not be negative, got {steps}")
    return np.linspace(_number(start), _number(end), int(steps))


# ------------------------------------------------------------------------------------- data


def as_tensor(data, dtype=None, device=None):
    """`data` as a tensor: a tensor itself and a NumPy array's memory are shared where the dtype allows it."""
    if isinstance(data, np.ndarray):
        data = Tensor(data)
    tensor = dtypes.as_tensor(data)
    return tensor if dtype is None else tensor.to(dtype)


asarray = as_tensor


# ------------------------------------------------------------------------------------- random numbers


def rand(*shape, size=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Uniform numbers in [0, 1)."""
    draw = generator or default_generator()
    return _made(draw.random(_size(shape, size), dtype or float32), requires_grad, device)


def randn(*shape, size=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Standard normal numbers."""
    draw = generator or default_generator()
    return _made(draw.standard_normal(_size(shape, size), dtype or float32), requires_grad, device)


def randint(low, high=None, size=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Integers from `low` up to, not including, `high`; `randint(high, size)` counts from 0."""
    if size is None and not isinstance(high, numbers.Integral):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if low >= high:
        raise RuntimeError(f"randint: low={low} must be below high={high}")
    draw = generator or default_generator()
    return _made(draw.integers(low, high, _size((), size)).astype(dtype or int64), requires_grad, device)


def randperm(n, dtype=None, requires_grad=False, generator=None, device=None):
    """The integers 0 … n - 1 in random order."""
    draw = generator or default_generator()
    return _made(draw.permutation(n).astype(dtype or int64), requires_grad, device)


def normal(mean=0.0, std=1.0, size=None, dtype=None, requires_grad=False, generator=None):
    """Normal numbers: of `size`, or one for each element of the tensors `mean` and `std`, broadcast."""
    of_tensors = [t._data for t in (mean, std) if isinstance(t, TensorBase)]
    shape = np.broadcast_shapes(*[a.shape for a in of_tensors]) if size is None else _size((), size)
    dtype = dtype or (of_tensors[0].dtype if of_tensors else float32)
    mean, std = (t._data if isinstance(t, TensorBase) else t for t in (mean, std))
    if np.any(np.asarray(std) < 0):
        raise RuntimeError(f"normal: the standard deviation must not be negative, got {std}")
    drawn = (generator or default_generator()).standard_normal(shape, dtype)
    return _made((mean + std * drawn).astype(dtype), requires_grad)


def bernoulli(input, p=None, generator=None):
    """1 with probability `input`, element by element (or with probability `p`), else 0, in the dtype of `input`."""
    chance = input._data if p is None else np.asarray(p)
    if ((chance < 0) | (chance > 1)).any():
        raise RuntimeError("bernoulli: probabilities must be between 0 and 1")
    drawn = (generator or default_generator()).random(input._data.shape)
    return _made((drawn < chance).astype(input._data.dtype), False)


def rand_like(input, dtype=None, requires_grad=False, generator=None, device=None):
    """Uniform numbers in [0, 1), of the shape and dtype of `input`."""
    return rand(size=input._data.shape, dtype=dtype or input._data.dtype, requires_grad=requires_grad,
                generator=generator, device=device)  # fmt: skip


def randn_like(input, dtype=None, requires_grad=False, generator=None, device=None):
    """Standard normal numbers, of the shape and dtype of `input`."""
    return randn(size=input._data.shape, dtype=dtype or input._data.dtype, requires_grad=requires_grad,
                 generator=generator, device=device)  # fmt: skip


def randint_like(input, low, high=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Integers from `low` up to, not including, `high` (from 0 to `low` without one), shaped like `input`."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input._data.shape, dtype or input._data.dtype, requires_grad, generator, device)


# ------------------------------------------------------------------------------------- drawn in place


def _drawn(draw):
    """A method that fills a tensor with what `draw(generator, shape, *parameters)` gives."""

    def method(self, *parameters, generator=None, **keywords):
        numbers = draw(generator or default_generator(), self._data.shape, *parameters, **keywords)
        return self._become(Tensor(np.asarray(numbers).astype(self._data.dtype)))

    method.__name__, method.__doc__ = draw.__name__, draw.__doc__
    return method


def uniform_(generator, shape, from_=0.0, to=1.0, **keywords):
    """Fill with uniform numbers in [from, to)."""
    return generator.uniform(keywords.get("from", from_), to, shape)


def normal_(generator, shape, mean=0.0, std=1.0):
    """Fill with normal numbers."""
    return mean + std * generator.standard_normal(shape)


def random_(generator, shape, low, high=None):
    """Fill with integers from `low` up to, not including, `high` (from 0 to `low` without one)."""
    return generator.integers(*((0, low) if high is None else (low, high)), shape)


def bernoulli_(generator, shape, p=0.5):
    """Fill with 1, with probability `p`, and 0."""
    return generator.random(shape) < (p._data if isinstance(p, TensorBase) else p)


for _draw in (uniform_, normal_, random_, bernoulli_):
    setattr(Tensor, _draw.__name__, _drawn(_draw))
Tensor.bernoulli = bernoulli
