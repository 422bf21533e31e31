"""Activations, element by element: one loop forward, one backward.

`@elementwise` makes of a loop over flat arrays, whose last one is the result, the function that callers see: it
takes arrays of any one shape, and Python's numbers, and returns the result. Where the derivative is a function of
the output alone, backward takes y, so that x need not be kept. Every one of these passes NaN on.
"""

import functools
import math

import numpy as np

from . import elementary
from .buffers import empty_like
from .jit import places, shared

SERIAL_BELOW = 65_000  # elements; here a serial loop takes about as long as waking the threads
FEW = 1_000  # elements; for less NumPy's call costs less than a kernel's
INVERSE_ROOT_2, DENSITY_AT_0 = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
TANH_RATE, TANH_CUBE = math.sqrt(2 / math.pi), 0.044715  # of gelu's approximation


def elementwise(loop=None, *, serial_below=SERIAL_BELOW // 4):
    """loop(thread, threads, x, …, number, …, y) as a function (x, …, number, …) -> y, a new array like x.

    Arrays are C-contiguous, of one shape and dtype. `serial_below`: with fewer elements one thread does it.
    """
    if loop is None:
        return functools.partial(elementwise, serial_below=serial_below)
    compiled = shared(loop)

    @functools.wraps(loop)
    def function(x, *others):
        y = empty_like(x)
        run = compiled.serial if x.size < serial_below else compiled
        real = x.dtype.type
        others = [other.reshape(-1) if isinstance(other, np.ndarray) else real(other) for other in others]
        run(x.reshape(-1), *others, y.reshape(-1))
        return y

    del function.__wrapped__  # its signature is another one
    function.kernel = compiled
    return function


cheap = elementwise(serial_below=SERIAL_BELOW)  # a loop that does no more than move its numbers


def relu(x):
    """y = max(x, 0)."""
    return np.maximum(x, 0, out=empty_like(x)) if x.size < FEW else _relu(x)


@cheap
def _relu(thread, threads, x, y):
    zero = x.dtype.type(0)
    for i in places(thread, threads, x.size):
        y[i] = zero if x[i] <= zero else x[i]


@cheap
def relu_backward(thread, threads, dy, y, dx):
    """dx = dy where y > 0, else 0, so relu'(0) = 0; dy passes where y is NaN, as in PyTorch."""
    zero = dy.dtype.type(0)
    for i in places(thread, threads, dy.size):
        dx[i] = zero if y[i] <= zero else dy[i]


@cheap
def hardtanh(thread, threads, x, low, high, y):
    """y = min(max(x, low), high)."""
    for i in places(thread, threads, x.size):
        y[i] = low if x[i] <= low else (high if x[i] >= high else x[i])


@cheap
def hardtanh_backward(thread, threads, dy, x, low, high, dx):
    """dx = 0 where x ≤ low or x ≥ high, else dy."""
    zero = dy.dtype.type(0)
    for i in places(thread, threads, dy.size):
        dx[i] = zero if (x[i] <= low) | (x[i] >= high) else dy[i]


@cheap
def leaky_relu(thread, threads, x, slope, y):
    """y = x where x > 0, else slope · x."""
    zero = x.dtype.type(0)
    for i in places(thread, threads, x.size):
        y[i] = x[i] if x[i] > zero else slope * x[i]


@cheap
def leaky_relu_backward(thread, threads, dy, x, slope, dx):
    """dx = dy where x > 0, else slope · dy."""
    zero = dy.dtype.type(0)
    for i in places(thread, threads, dy.size):
        dx[i] = dy[i] if x[i] > zero else slope * dy[i]


def exp(x):
    """y = eˣ. Few numbers, and those of float64, take NumPy's own loop."""
    return np.exp(x) if x.size < FEW or x.itemsize > 4 else _exp(x)


@elementwise
def _exp(thread, threads, x, y):
    for i in places(thread, threads, x.size):
        y[i] = elementary.exp(x[i])


def tanh(x):
    """y = tanh x. Few numbers, and those of float64, take NumPy's own loop, which is vectorized."""
    return np.tanh(x) if x.size < FEW or x.itemsize > 4 else _tanh(x)


@elementwise
def _tanh(thread, threads, x, y):
    for i in places(thread, threads, x.size):
        y[i] = elementary.tanh(x[i])


@cheap
def tanh_backward(thread, threads, dy, y, dx):
    """dx = dy · (1 − y²)."""
    one = dy.dtype.type(1)
    for i in places(thread, threads, dy.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


@elementwise
def sigmoid(thread, threads, x, y):
    """y = 1 / (1 + e⁻ˣ)."""
    for i in places(thread, threads, x.size):
        y[i] = elementary.sigmoid(x[i])


@cheap
def sigmoid_backward(thread, threads, dy, y, dx):
    """dx = dy · y · (1 − y)."""
    one = dy.dtype.type(1)
    for i in places(thread, threads, dy.size):
        dx[i] = dy[i] * (y[i] * (one - y[i]))


@elementwise
def silu(thread, threads, x, beta, y):
    """y = x · σ(βx)."""
    for i in places(thread, threads, x.size):
        y[i] = x[i] * elementary.sigmoid(beta * x[i])


@elementwise
def silu_backward(thread, threads, dy, x, beta, dx):
    """dx = dy · s · (1 + βx (1 − s)), s = σ(βx)."""
    one = dy.dtype.type(1)
    for i in places(thread, threads, dy.size):
        s = elementary.sigmoid(beta * x[i])
        dx[i] = dy[i] * (s * (one + beta * x[i] * (one - s)))


@elementwise
def elu(thread, threads, x, alpha, scale, rate, y):
    """y = scale · x where x > 0, else scale · alpha · (e^(rate · x) − 1)."""
    zero = x.dtype.type(0)
    for i in places(thread, threads, x.size):
        y[i] = scale * x[i] if x[i] > zero else alpha * scale * elementary.expm1(rate * x[i])


@elementwise
def elu_backward(thread, threads, dy, x, alpha, scale, rate, dx):
    """dx = dy · scale · alpha · rate · e^(rate · x) where x ≤ 0, else dy · scale."""
    zero = dy.dtype.type(0)
    for i in places(thread, threads, dy.size):
        dx[i] = dy[i] * (alpha * scale * rate * elementary.exp(rate * x[i]) if x[i] <= zero else scale)


@elementwise
def softplus(thread, threads, x, beta, threshold, y):
    """y = ln(1 + e^βx) / β, and x where βx > threshold."""
    zero = x.dtype.type(0)
    for i in places(thread, threads, x.size):
        t = beta * x[i]
        positive = zero if t <= zero else t
        y[i] = x[i] if t > threshold else (positive + elementary.log1p_of_unit(elementary.exp(-abs(t)))) / beta


@elementwise
def softplus_backward(thread, threads, dy, x, beta, threshold, dx):
    """dx = dy · σ(βx), and dy where βx > threshold."""
    for i in places(thread, threads, dy.size):
        t = beta * x[i]
        dx[i] = dy[i] if t > threshold else dy[i] * elementary.sigmoid(t)


@elementwise
def gelu(thread, threads, x, y):
    """y = x Φ(x), Φ(x) = (1 + erf(x/√2)) / 2."""
    half, one, root = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(INVERSE_ROOT_2)
    for i in places(thread, threads, x.size):
        y[i] = half * x[i] * (one + elementary.erf(x[i] * root))


@elementwise
def gelu_backward(thread, threads, dy, x, dx):
    """dx = dy · (Φ(x) + x φ(x)), φ(x) = e^(−x²/2) / √2π."""
    half, one, root = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(INVERSE_ROOT_2)
    density = x.dtype.type(DENSITY_AT_0)
    for i in places(thread, threads, dy.size):
        below = half * (one + elementary.erf(x[i] * root))
        dx[i] = dy[i] * (below + x[i] * (density * elementary.exp(-half * (x[i] * x[i]))))


@elementwise
def tanh_gelu(thread, threads, x, y):
    """y = x (1 + t) / 2, t = tanh(√(2/π) (x + 0.044715 x³))."""
    half, one, rate, cube = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(TANH_RATE), x.dtype.type(TANH_CUBE)
    for i in places(thread, threads, x.size):
        t = elementary.tanh(rate * (x[i] + cube * (x[i] * x[i] * x[i])))
        y[i] = half * x[i] * (one + t)


@elementwise
def tanh_gelu_backward(thread, threads, dy, x, dx):
    """dx = dy · ((1 + t) / 2 + x (1 − t²) / 2 · √(2/π) (1 + 3 · 0.044715 x²))."""
    half, one, rate, cube = x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(TANH_RATE), x.dtype.type(3 * TANH_CUBE)
    for i in places(thread, threads, dy.size):
        square = x[i] * x[i]
        t = elementary.tanh(rate * (x[i] + x.dtype.type(TANH_CUBE) * (square * x[i])))
        slope = rate * (one + cube * square)
        dx[i] = dy[i] * (half * (one + t) + half * x[i] * (one - t * t) * slope)


@cheap
def keep(thread, threads, x, mask, other, y):
    """y = x where the mask is true, else the number `other`. A loop, unlike NumPy's, without jumps."""
    for i in places(thread, threads, x.size):
        y[i] = x[i] if mask[i] else other


@cheap
def choose(thread, threads, x, mask, other, y):
    """y = x where the mask is true, else what the array `other` has there."""
    for i in places(thread, threads, x.size):
        y[i] = x[i] if mask[i] else other[i]


@elementwise
def erf(thread, threads, x, y):
    """y = erf x."""
    for i in places(thread, threads, x.size):
        y[i] = elementary.erf(x[i])
