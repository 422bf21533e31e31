"""Functions of one number for kernels to call: exp, expm1, log1p, tanh, erf, sigmoid, in x's own type.

Numba's own call the C library for each number, which nothing can vectorize. In float32 these are polynomials, with
both sides of each condition computed and one selected, so that LLVM runs them on a whole vector at a time; each
is within 3 ulp, right at both ends, and NaN for NaN. float64 is for gradient checks: all but `exp` call the C library.
"""

import functools
import math

import numpy as np

from .jit import inner

always_inner = functools.partial(inner, forceinline=True)  # one call left in a loop keeps it from being vectorized
LOG2_E = 1.4426950408889634
LN2_HIGH_32, LN2_LOW_32 = 0.693359375, -2.12194440054690583e-4  # ln 2 in two parts: n · HIGH is exact
LN2_HIGH_64, LN2_LOW_64 = 0.693147180369123816490, 1.90821492927058770002e-10


# exp(x) = 2ⁿ · exp(r), n = round(x / ln 2), |r| ≤ ln 2 / 2, exp(r) a polynomial. In `r = x - n · HIGH - m · LOW`, m is
# n by another way: seeing n twice, the compiler (allowed to reorder sums) would merge HIGH + LOW and lose r's last
# digits.
# 2ⁿ is added to the exponent's bits; a result in the subnormal tail is made 2²⁴ (2⁵⁴) times too large first.


@always_inner
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


@always_inner
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


@always_inner
def _is_single(x):
    """Whether x is a float32; known when compiling, so that only one branch is left."""
    return type(x)(1) + type(x)(1e-10) == type(x)(1)


@always_inner
def exp(x):
    """eˣ."""
    real = type(x)
    if _is_single(x):
        return real(_exp32(np.float32(x)))
    return real(_exp64(np.float64(x)))


@always_inner
def sigmoid(x):
    """1 / (1 + e⁻ˣ); e⁻ˣ overflows to inf, which gives the right 0."""
    one = type(x)(1)
    return one / (one + exp(-x))


@always_inner
def _expm1_32(x):
    r = min(max(x, np.float32(-0.45)), np.float32(0.45))
    p = np.float32(1.9875691500e-4)  # the polynomial of exp without its 1, whose digits would push out those of r
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    near = p * (r * r) + r
    return near if r == x else _exp32(x) - np.float32(1.0)


@always_inner
def expm1(x):
    """eˣ − 1, exact near 0."""
    real = type(x)
    if _is_single(x):
        return real(_expm1_32(np.float32(x)))
    return real(math.expm1(np.float64(x)))


@always_inner
def _log1p_of_unit32(x):
    above = x > np.float32(0.41421356)
    t = (x - np.float32(1.0)) * np.float32(0.5) if above else x  # 1 + x = 2 (1 + t)
    p = np.float32(7.0376836292e-2)  # the Cephes library's logarithm
    p = p * t - np.float32(1.1514610310e-1)
    p = p * t + np.float32(1.1676998740e-1)
    p = p * t - np.float32(1.2420140846e-1)
    p = p * t + np.float32(1.4249322787e-1)
    p = p * t - np.float32(1.6668057665e-1)
    p = p * t + np.float32(2.0000714765e-1)
    p = p * t - np.float32(2.4999993993e-1)
    p = p * t + np.float32(3.3333331174e-1)
    y = (p * t - np.float32(0.5)) * (t * t) + t
    return y + np.float32(0.69314718) if above else y


@always_inner
def log1p_of_unit(x):
    """ln(1 + x) of x in [0, 1]."""
    real = type(x)
    if _is_single(x):
        return real(_log1p_of_unit32(np.float32(x)))
    return real(math.log1p(np.float64(x)))


@always_inner
def _tanh32(x):
    a = abs(x)
    s = min(x * x, np.float32(0.5))
    p = np.float32(-5.70498872745e-3)  # the Cephes library's, for |x| < 5/8
    p = p * s + np.float32(2.06390887954e-2)
    p = p * s - np.float32(5.37397155531e-2)
    p = p * s + np.float32(1.33314422036e-1)
    p = p * s - np.float32(3.33332819422e-1)
    near = p * s * x + x
    far = np.float32(1.0) - np.float32(2.0) / (_exp32(a + a) + np.float32(1.0))
    return near if a < np.float32(0.625) else (-far if x < np.float32(0.0) else far)


@always_inner
def tanh(x):
    """(e²ˣ − 1) / (e²ˣ + 1)."""
    real = type(x)
    if _is_single(x):
        return real(_tanh32(np.float32(x)))
    return real(math.tanh(np.float64(x)))


@always_inner
def _erf32(x):
    a = min(abs(x), np.float32(4.0))  # erf 4 is 1
    s = a * a
    p = np.float32(-5.96761703e-4)  # both polynomials are Norbert Juffa's
    p = p * s + np.float32(4.99119423e-3)
    p = p * s - np.float32(2.67681349e-2)
    p = p * s + np.float32(1.12819925e-1)
    p = p * s - np.float32(3.76125336e-1)
    p = p * s + np.float32(1.28379166e-1)
    near = p * x + x
    q = np.float32(-1.72853470e-5) * a + np.float32(3.83197126e-4)
    q = q * s + (np.float32(-3.88396438e-3) * a + np.float32(2.42546219e-2))
    q = q * a - np.float32(1.06777877e-1)
    q = q * a - np.float32(6.34846687e-1)
    q = q * a - np.float32(1.28717512e-1)
    far = np.float32(1.0) - _exp32(q * a - a)
    far = -far if x < np.float32(0.0) else far
    return x if x != x else (far if a > np.float32(0.927734375) else near)


@always_inner
def erf(x):
    """2/√π ∫₀ˣ e^−t² dt."""
    real = type(x)
    if _is_single(x):
        return real(_erf32(np.float32(x)))
    return real(math.erf(np.float64(x)))
