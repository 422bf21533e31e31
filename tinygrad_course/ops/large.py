"""Arithmetic and sums of arrays: NumPy's for few numbers, kernels on all threads for many.

What an operation computes is the same either way. The functions take tensors as well, so that a formula of backward
can be run on the tape.
"""

import math

import numpy as np

from ..kernels import arithmetic
from ..kernels import reduce as kernels

MANY = 100_000  # numbers of both operands


def _many(x, y):
    """Whether it is worth a kernel: many floating numbers in x, and an array or a number of NumPy's beside them."""
    if type(x) is not np.ndarray or not isinstance(y, np.ndarray | np.generic):
        return False
    return x.size + y.size >= MANY and x.dtype.kind == "f" and x.dtype == y.dtype


def add(x, y):
    """x + y."""
    return arithmetic.add(x, np.asarray(y)) if _many(x, y) else x + y


def sub(x, y):
    """x − y."""
    return arithmetic.subtract(x, np.asarray(y)) if _many(x, y) else x - y


def mul(x, y):
    """x y."""
    return arithmetic.multiply(x, np.asarray(y)) if _many(x, y) else x * y


def div(x, y):
    """x / y."""
    return arithmetic.divide(x, np.asarray(y)) if _many(x, y) else x / y


def neg(x):
    """-x."""
    return mul(x, x.dtype.type(-1)) if _many(x, x) else -x


def sum_axes(x, axes, keepdim=False):
    """Σ x over some axes, of an array of floating numbers. Neighbouring axes are one for the kernel."""
    if x.size < MANY or not x.flags.carray:
        return np.asarray(x.sum(axis=axes, keepdims=keepdim))
    shape, end = x.shape, x.ndim
    result = tuple([1 if axis in axes else size for axis, size in enumerate(shape) if keepdim or axis not in axes])
    while end:
        start = end - 1
        while start and (start - 1 in axes) == (end - 1 in axes):
            start -= 1
        if start in axes:
            before, after = math.prod(shape[:start]), math.prod(shape[end:])
            x = kernels.sum_middle(x.reshape(before, math.prod(shape[start:end]), after))
            shape = (*shape[:start], *[1] * (end - start), *shape[end:])
        end = start
    return x.reshape(result)


def sum_to(dz, node, i):
    """The gradient dz of a node's input i, summed over what broadcasting repeated. The tape would do it, on one thread.

    None stays None. A node that is run again, by `compile`, knows no inputs; there the program sums.
    """
    if dz is None or not node.edges or node.edges[i] is None:
        return dz
    shape = node.edges[i].shape
    if type(dz) is not np.ndarray or dz.size < MANY or dz.shape == shape or dz.dtype.kind != "f":
        return dz
    extra = dz.ndim - len(shape)
    axes = tuple([axis for axis in range(dz.ndim) if axis < extra or shape[axis - extra] != dz.shape[axis]])
    return sum_axes(dz, axes).reshape(shape)
