"""Arithmetic of two large arrays with broadcasting, shared by the threads: x + y, x − y, x y, x / y, and masks.

However many axes the arrays have, neighbouring axes along which both of them go on, or one of them is repeated, are
one: a bias on rows is (rows, columns) and (1, columns), one on images (samples, channels, pixels) and
(1, channels, 1). Up to three such axes are a loop here; what has more goes to NumPy.
"""

import functools
import math

import numpy as np

from .buffers import copy, empty
from .elementary import always_inner
from .jit import inner, shared

FEW = 100_000  # numbers; for less NumPy, on one thread, is as fast
ADD, SUBTRACT, MULTIPLY, DIVIDE, FILL = range(5)
SHORT = 8  # numbers in a row that are not worth a loop of their own


@functools.lru_cache(maxsize=4096)
def _loop(shape, x_shape, y_shape):
    """((outer, middle, inner), steps of x, steps of y): the sizes of three loops, and how far x and y go on in each."""
    ndim = len(shape)
    x_shape, y_shape = (1,) * (ndim - len(x_shape)) + x_shape, (1,) * (ndim - len(y_shape)) + y_shape
    sizes, goes_on = [], []
    for size, x_size, y_size in zip(shape, x_shape, y_shape, strict=True):
        if size == 1:
            continue
        own = x_size == size, y_size == size
        if goes_on and goes_on[-1] == own:
            sizes[-1] *= size
        else:
            sizes.append(size)
            goes_on.append(own)
    missing = 3 - len(sizes)
    if missing < 0 or (len(sizes) > 1 and sizes[-1] < SHORT) or not any(goes_on[-1]):
        return None
    sizes, goes_on = [1] * missing + sizes, [(False, False)] * missing + goes_on
    steps = []
    for operand in range(2):
        own = [size if here[operand] else 1 for size, here in zip(sizes, goes_on, strict=True)]
        steps.append(tuple(math.prod(own[k + 1 :]) if goes_on[k][operand] else 0 for k in range(3)))
    return tuple(sizes), *steps


def _once(x):
    """x without what is repeated in it, in C order."""
    if x.flags.carray:
        return x
    if 0 in x.strides:
        x = x[tuple([slice(1) if step == 0 else slice(None) for step in x.strides])]
    return x if x.flags.carray else copy(x)


def _combined(loop, numpy_loop, x, y):
    shape = np.broadcast(x, y).shape
    z = empty(shape, x.dtype)
    if z.size < FEW:
        return numpy_loop(x, y, out=z)
    a, b = _once(x), _once(y)
    plan = _loop(shape, a.shape, b.shape)
    if plan is None:
        return numpy_loop(x, y, out=z)
    loop(a.reshape(-1), b.reshape(-1), z.reshape(-1), *plan)
    return z


@always_inner
def _apply(operation, a, b, value):
    """Each kernel names one operation, so that the compiler leaves the others out."""
    if operation == FILL:
        return value if b else a
    if operation == ADD:
        return a + b
    if operation == SUBTRACT:
        return a - b
    if operation == MULTIPLY:
        return a * b
    return a / b


@inner(borrows=True, forceinline=True)
def _rows(operation, thread, threads, x, y, value, z, sizes, x_steps, y_steps):
    _, middle, columns = sizes
    i, last = thread * z.size // threads, (thread + 1) * z.size // threads
    while i < last:
        row, column = i // columns, i % columns
        count = min(columns - column, last - i)
        out = z[i : i + count]
        a = x[row // middle * x_steps[0] + row % middle * x_steps[1] + column * x_steps[2] :]
        b = y[row // middle * y_steps[0] + row % middle * y_steps[1] + column * y_steps[2] :]
        if x_steps[2] == 0:
            for k in range(count):
                out[k] = _apply(operation, a[0], b[k], value)
        elif y_steps[2] == 0:
            for k in range(count):
                out[k] = _apply(operation, a[k], b[0], value)
        else:
            for k in range(count):
                out[k] = _apply(operation, a[k], b[k], value)
        i += count


@shared(borrows=True)
def _add(thread, threads, x, y, z, sizes, x_steps, y_steps):
    _rows(ADD, thread, threads, x, y, 0, z, sizes, x_steps, y_steps)


@shared(borrows=True)
def _subtract(thread, threads, x, y, z, sizes, x_steps, y_steps):
    _rows(SUBTRACT, thread, threads, x, y, 0, z, sizes, x_steps, y_steps)


@shared(borrows=True)
def _multiply(thread, threads, x, y, z, sizes, x_steps, y_steps):
    _rows(MULTIPLY, thread, threads, x, y, 0, z, sizes, x_steps, y_steps)


@shared(borrows=True)
def _divide(thread, threads, x, y, z, sizes, x_steps, y_steps):
    _rows(DIVIDE, thread, threads, x, y, 0, z, sizes, x_steps, y_steps)


@shared(borrows=True)
def _fill(thread, threads, x, mask, value, z, sizes, x_steps, mask_steps):
    _rows(FILL, thread, threads, x, mask, value, z, sizes, x_steps, mask_steps)


def add(x, y):
    """z = x + y, a new array. Here and below: x and y are of one floating dtype, and broadcast."""
    return _combined(_add, np.add, x, y)


def subtract(x, y):
    """z = x − y."""
    return _combined(_subtract, np.subtract, x, y)


def multiply(x, y):
    """z = x y."""
    return _combined(_multiply, np.multiply, x, y)


def divide(x, y):
    """z = x / y."""
    return _combined(_divide, np.divide, x, y)


def fill(x, mask, value):
    """z = value, a number, where the mask is true, else x."""
    z = empty(np.broadcast(x, mask).shape, x.dtype)
    a, b = _once(x), _once(mask)
    plan = _loop(z.shape, a.shape, b.shape) if z.size >= FEW else None
    if plan is None:
        z[...] = x
        np.copyto(z, x.dtype.type(value), where=mask)
    else:
        _fill(a.reshape(-1), b.reshape(-1), x.dtype.type(value), z.reshape(-1), *plan)
    return z
