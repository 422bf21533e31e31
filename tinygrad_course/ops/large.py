"""x + y, x - y, x y, x / y and x^y of arrays, as fast as NumPy can, or of tensors: for formulas of hot operations.

A large result has memory from `kernels/buffers.py`; to fill fresh memory takes longer than to multiply.
"""

import numpy as np

from ..kernels import buffers

MANY = buffers.LARGE // 4  # elements of x; for fewer this file is out of the way


def plus(x, y):
    return x + y if type(x) is not np.ndarray or x.size < MANY else buffers.binary(np.add, x, y)


def minus(x, y):
    return x - y if type(x) is not np.ndarray or x.size < MANY else buffers.binary(np.subtract, x, y)


def times(x, y):
    return x * y if type(x) is not np.ndarray or x.size < MANY else buffers.binary(np.multiply, x, y)


def over(x, y):
    return x / y if type(x) is not np.ndarray or x.size < MANY else buffers.binary(np.divide, x, y)


def power(x, y):
    """x^y. Squares and cubes are products, as in PyTorch: the general power takes 50 times as long."""
    if type(x) is not np.ndarray or y.ndim or x.dtype.kind != "f" or y not in (2, 3):
        return x**y
    return times(x, x) if y == 2 else times(times(x, x), x)
