"""How large the numbers of an array are: counts by octave; units that are dead, outputs that are saturated."""

import numpy as np

from .jit import inner, kernel

LOWEST, OCTAVES = -48, 64  # |x| from 2^-48 to 2^16; what lies outside is counted at the ends
ZEROS, NOT_FINITE = 2 * OCTAVES, 2 * OCTAVES + 1  # places of their counts, behind the octaves' of either sign
PLACES = 2 * OCTAVES + 2
_LANES = 4  # counts side by side: one that has just been written is slow to read

_SIGN_32, _SIGN_64 = np.int32(-(2**31)), np.int64(-(2**63))  # the bits of -0.0


@inner
def _count(bits, begins, length, digits, exponents, sign, counts):
    """Count numbers that have these bits: a sign, an exponent, and so many digits."""
    raw = np.zeros((2 * exponents, _LANES), np.int32)  # by sign and exponent
    zeros = negative = 0
    for begin in begins:
        for i in range(begin, begin + length):
            word = bits[i]
            raw[(word >> digits) & (2 * exponents - 1), i % _LANES] += 1
            zeros += word == 0
            negative += word == sign
    counts[:] = 0
    for k in range(2 * exponents):
        found = raw[k].sum()
        if found == 0:
            continue
        exponent = k % exponents
        octave = min(max(exponent - exponents // 2 + 1 - LOWEST, 0), OCTAVES - 1)
        place = NOT_FINITE if exponent == exponents - 1 else octave + (OCTAVES if k < exponents else 0)
        counts[place] += found
    counts[OCTAVES] -= zeros
    counts[0] -= negative
    counts[ZEROS] = zeros + negative


@kernel
def count_octaves(x, begins, length, counts):
    """Count runs of numbers of a flat, contiguous array of float32 or float64, by sign and octave.

    counts[k] is how many are in (-2^(LOWEST+k+1), -2^(LOWEST+k)], counts[OCTAVES + k] how many in
    [2^(LOWEST+k), 2^(LOWEST+k+1)); zeros and what is not finite have places of their own.
    """
    if x.itemsize == 4:
        _count(x.view(np.int32), begins, length, 23, 256, _SIGN_32, counts)
    else:
        _count(x.view(np.int64), begins, length, 52, 2048, _SIGN_64, counts)


@kernel
def count_dead(x):
    """How many units of x (samples, units, places of a unit) are 0 everywhere."""
    samples, units, places = x.shape
    dead = 0
    for unit in range(units):
        alive = False
        for sample in range(samples):
            for place in range(places):
                if x[sample, unit, place] != 0:
                    alive = True
                    break
            if alive:
                break
        dead += not alive
    return dead


@kernel
def count_beyond(x, scale, shift, limit):
    """How many numbers of a flat array have |scale x + shift| > limit."""
    real = x.dtype.type
    scale, shift, limit = real(scale), real(shift), real(limit)
    count = 0
    for i in range(x.size):
        count += abs(scale * x[i] + shift) > limit
    return count
