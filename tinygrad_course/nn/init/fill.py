"""All numbers alike, or all from one distribution."""

import functools
import math
import warnings

import numpy as np

from ...generator import default_generator
from ...modes import changing
from ..parameter import is_meta


def unless_meta(initializer):
    """Decorator: the initializer passes by a meta parameter, which has no memory for numbers."""

    @functools.wraps(initializer)
    def initialize(tensor, *arguments, **keywords):
        return tensor if is_meta(tensor) else initializer(tensor, *arguments, **keywords)

    return initialize


def fill(tensor, numbers):
    """Write an array of numbers into a tensor."""
    changing()
    tensor._data[...] = numbers
    tensor._changed_in_place()
    return tensor


@unless_meta
def constant_(tensor, val):
    """All `val`. A whole layer of equal weights learns as a single unit: the symmetry is never broken."""
    return fill(tensor, np.full(tensor.shape, val, tensor.dtype))


def zeros_(tensor):
    """All 0."""
    return constant_(tensor, 0)


def ones_(tensor):
    """All 1."""
    return constant_(tensor, 1)


@unless_meta
def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """N(mean, std²)."""
    draw = generator or default_generator()
    numbers = np.asarray(draw.standard_normal(tensor.shape, tensor.dtype))
    numbers *= std
    numbers += mean
    return fill(tensor, numbers)


@unless_meta
def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b)."""
    draw = generator or default_generator()
    numbers = np.asarray(draw.random(tensor.shape, tensor.dtype))
    numbers *= b - a
    numbers += a
    return fill(tensor, numbers)


@unless_meta
def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """N(mean, std²), of which only what lies in [a, b] is taken; a and b are no multiples of std but numbers.

    Its standard deviation is smaller than `std`: 0.880 std where the bounds are mean ± 2 std.
    """
    if a > b:
        raise ValueError(f"the lower bound a={a} is above the upper bound b={b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(f"the mean {mean} is more than two std outside of [{a}, {b}]: few numbers fall in", stacklevel=2)
    draw = generator or default_generator()
    numbers = np.empty(math.prod(tensor.shape), tensor.dtype)
    inside = 0.5 * (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2)))
    peak = ((max(a, min(mean, b)) - mean) / std) ** 2
    open_places = np.arange(numbers.size)
    while open_places.size:
        if inside > 0.3:
            candidates = mean + std * draw.standard_normal(open_places.size, tensor.dtype)
            taken = (candidates >= a) & (candidates <= b)
        else:  # nearly all normal numbers would be thrown away: thin out uniform ones instead
            candidates = a + (b - a) * draw.random(open_places.size, tensor.dtype)
            density = np.exp((peak - ((candidates - mean) / std) ** 2) / 2)
            taken = draw.random(open_places.size) < density
        numbers[open_places[taken]] = candidates[taken]
        open_places = open_places[~taken]
    return fill(tensor, numbers.reshape(tensor.shape))
