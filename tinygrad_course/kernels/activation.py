"""Activations, element by element: relu, tanh, sigmoid, and the vectorizable `exp` they and the losses need.

Each backward takes y, not x: relu', tanh' and sigmoid' are functions of the output alone, so that x need not
be kept. Small arrays take a serial loop (or NumPy), for waking the threads costs more than they save.
"""

import numpy as np

from .buffers import empty_like
from .jit import inner, kernel, prange

SERIAL_BELOW = 65_000  # elements; here a serial loop takes about as long as waking the threads

LOG2_E = 1.4426950408889634
LN2_HIGH_32, LN2_LOW_32 = 0.693359375, -2.12194440054690583e-4  # ln 2 in two parts: n · HIGH is exact
LN2_HIGH_64, LN2_LOW_64 = 0.693147180369123816490, 1.90821492927058770002e-10


# exp(x) = 2ⁿ · exp(r), n = round(x / ln 2), |r| ≤ ln 2 / 2, exp(r) a polynomial. Numba's own np.exp calls the
# C library for each number, which nothing can vectorize. In `r = x - n · HIGH - m · LOW`, m is n by another
# way: seeing n twice, the compiler (allowed to reorder sums) would merge HIGH + LOW and lose r's last digits.
# 2ⁿ is added to the exponent's bits; a result in the subnormal tail is made 2²⁴ (2⁵⁴) times too large first.


@inner
def _exp32(x):
    bounded = min(max(x, np.float32(-104.0)), np.float32(89.0))
    rounded = np.rint(bounded * np.float32(LOG2_E))
    n = np.int32(rounded)
    r = bounded - rounded * np.float32(LN2_HIGH_32) - np.float32(n) * np.float32(LN2_LOW_32)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    tail = n < -100
    bits = np.float32(p).view(np.int32) + ((n + np.int32(24) if tail else n) << 23)
    y = np.int32(bits).view(np.float32) * (np.float32(2**-24) if tail else np.float32(1.0))
    return x if x != x else (np.float32(np.inf) if x > np.float32(88.72283) else y)


@inner
def _exp64(x):
    bounded = min(max(x, -746.0), 710.0)
    rounded = np.rint(bounded * LOG2_E)
    n = np.int32(rounded)
    r = bounded - rounded * LN2_HIGH_64 - np.float64(n) * LN2_LOW_64
    p = 1 / 6227020800.0  # Taylor's series to r¹³ / 13!, whose rest is below 5e-18
    p = p * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    tail = n < -1000
    bits = np.float64(p).view(np.int64) + (np.int64(n + np.int32(54) if tail else n) << 52)
    y = np.int64(bits).view(np.float64) * (2.0**-54 if tail else 1.0)
    return x if x != x else (np.inf if x > 709.782712893384 else y)


@inner
def exp(x):
    """eˣ in x's own type, within 2 ulp, in operations that LLVM vectorizes."""
    real = type(x)
    if real(1) + real(1e-10) == real(1):  # float32; known when compiling, so only one of the two is left
        return real(_exp32(np.float32(x)))
    return real(_exp64(np.float64(x)))


@inner
def _sigmoid(x):
    one = type(x)(1)
    return one / (one + exp(-x))


def relu(x):
    """y = max(x, 0), NaN stays NaN; any shape."""
    if x.size < SERIAL_BELOW:
        return np.maximum(x, 0)
    y = empty_like(x)
    _relu_parallel(x.reshape(-1), y.reshape(-1))
    return y


@kernel(parallel=True)
def _relu_parallel(x, y):
    zero = x.dtype.type(0)
    for i in prange(x.size):
        y[i] = zero if x[i] <= zero else x[i]


def relu_backward(dy, y):
    """dx = dy where y > 0, else 0, so relu'(0) = 0; dy passes where y is NaN, as in PyTorch. Any shape."""
    dx = empty_like(dy)
    loop = _relu_backward if dy.size < SERIAL_BELOW else _relu_backward_parallel
    loop(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@kernel
def _relu_backward(dy, y, dx):
    zero = dy.dtype.type(0)
    for i in range(dy.size):
        dx[i] = zero if y[i] <= zero else dy[i]


@kernel(parallel=True)
def _relu_backward_parallel(dy, y, dx):
    zero = dy.dtype.type(0)
    for i in prange(dy.size):
        dx[i] = zero if y[i] <= zero else dy[i]


def tanh(x):
    """y = tanh(x), any shape. NumPy's own loop is vectorized: our polynomial on two threads is no faster."""
    return np.tanh(x)


def tanh_backward(dy, y):
    """dx = dy · (1 − y²), any shape."""
    dx = empty_like(dy)
    loop = _tanh_backward if dy.size < SERIAL_BELOW else _tanh_backward_parallel
    loop(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@kernel
def _tanh_backward(dy, y, dx):
    one = dy.dtype.type(1)
    for i in range(dy.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@kernel(parallel=True)
def _tanh_backward_parallel(dy, y, dx):
    one = dy.dtype.type(1)
    for i in prange(dy.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


def sigmoid(x):
    """y = 1 / (1 + e⁻ˣ), any shape; e⁻ˣ overflows to inf without a warning, which gives the right 0."""
    y = empty_like(x)
    loop = _sigmoid_serial if x.size < SERIAL_BELOW // 4 else _sigmoid_parallel
    loop(x.reshape(-1), y.reshape(-1))
    return y


@kernel
def _sigmoid_serial(x, y):
    for i in range(x.size):
        y[i] = _sigmoid(x[i])


@kernel(parallel=True)
def _sigmoid_parallel(x, y):
    for i in prange(x.size):
        y[i] = _sigmoid(x[i])


def sigmoid_backward(dy, y):
    """dx = dy · y · (1 − y), any shape."""
    dx = empty_like(dy)
    loop = _sigmoid_backward if dy.size < SERIAL_BELOW else _sigmoid_backward_parallel
    loop(dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@kernel
def _sigmoid_backward(dy, y, dx):
    one = dy.dtype.type(1)
    for i in range(dy.size):
        dx[i] = dy[i] * (y[i] * (one - y[i]))


@kernel(parallel=True)
def _sigmoid_backward_parallel(dy, y, dx):
    one = dy.dtype.type(1)
    for i in prange(dy.size):
        dx[i] = dy[i] * (y[i] * (one - y[i]))
