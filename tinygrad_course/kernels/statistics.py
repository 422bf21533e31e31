"""What an array is like, in one pass: the numbers that a recorder keeps in place of it.

A row of a table an array: √(mean of x²), max |x|, Σ x, how many zeros, how many NaN or Inf, how many numbers. The
pass looks at the bits: as an integer, |x| is the number without its sign bit, in the same order; 0 for a zero, from
INFINITY on for Inf and NaN. Maxima and counts of integers are vectorized whatever the numbers are; those of floats
that may be NaN cannot be. The casts keep Numba from counting in 64 bits what fits 32.
"""

import ctypes
import functools

import numba
import numpy as np

from .call import pointer_to, word_at
from .jit import inner, kernel, prange

SERIAL_BELOW = 1_000_000  # elements; up to here it is not the threads that are too few, but the memory too slow
RMS, LARGEST, SUM, ZEROS, NOT_FINITE, SIZE = range(6)
COLUMNS = 6
_CHUNK = 4096  # numbers that are summed in their own precision, before float64 takes over
_CONTIGUOUS, _ALIGNED = 3, 256  # NumPy's flags: in C's or in Fortran's order; a number at a place that fits it
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_READABLE = frozenset([np.ndarray, type(None)])
_SHARE = 16 * _CHUNK  # numbers that one iteration of the parallel loop takes
_MASK_32, _INFINITY_32 = np.int32(0x7FFFFFFF), np.int32(0x7F800000)
_SMALL_32, _LARGE_32 = 1e-30, 1e36  # a mean or a sum of float32 squares outside has lost digits on the way
_SMALL_64, _LARGE_64 = 1e-280, 1e300
_MASK_64, _INFINITY_64 = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)


@inner
def _number(bits, mask):
    """The number that has these bits, of as many bits as the mask."""
    return np.float64(np.int32(bits).view(np.float32)) if mask == _MASK_32 else np.int64(bits).view(np.float64)


@inner
def _measure(x, bits, mask, infinity, start, end, row):
    """Add the numbers x[start:end], whose bits are `bits`, to a row; their squares to its first column."""
    real, integer = x.dtype.type, bits.dtype.type
    for first in range(start, end, _CHUNK):
        last = min(end, first + _CHUNK)
        squares, total, largest, zeros = real(0), real(0), integer(0), integer(0)
        for i in range(first, last):
            squares += x[i] * x[i]
            total += x[i]
            size = integer(bits[i] & mask)
            largest = integer(max(largest, size))
            zeros = integer(zeros + integer(size == 0))
        row[RMS] += squares
        row[SUM] += total
        row[ZEROS] += zeros
        row[LARGEST] = max(row[LARGEST], _number(largest, mask))
        if largest >= infinity:
            row[LARGEST] = np.inf
            for i in range(first, last):
                row[NOT_FINITE] += (bits[i] & mask) >= infinity


@inner
def _finish(x, small, large, row):
    """From the sum of squares to the RMS, by a second look at numbers that are too small or too large to square."""
    squares, largest = row[RMS], row[LARGEST]
    if row[NOT_FINITE] > 0.0:
        row[RMS] = np.nan if squares != squares else np.inf
    elif largest == 0.0 or (squares > small * x.size and squares < large):
        row[RMS] = (squares / max(1, x.size)) ** 0.5
    else:
        total = 0.0
        for i in range(x.size):
            part = x[i] / largest
            total += part * part
        row[RMS] = largest * (total / x.size) ** 0.5


@inner
def _measure_share(x, k, row):
    """The k-th share of x: a function of its own, for inside `prange` nothing would be vectorized."""
    share = x[k * _SHARE : min(x.size, (k + 1) * _SHARE)]
    _measure(share, share.view(np.int32), _MASK_32, _INFINITY_32, 0, share.size, row)


@kernel
def measure_32(x, table, number):
    """Describe a flat, contiguous array of float32 in row `number` of a table of float64."""
    row = table[number]
    row[:] = 0.0
    row[SIZE] = x.size
    _measure(x, x.view(np.int32), _MASK_32, _INFINITY_32, 0, x.size, row)
    _finish(x, _SMALL_32, _LARGE_32, row)


@kernel
def measure_64(x, table, number):
    """The same for float64."""
    row = table[number]
    row[:] = 0.0
    row[SIZE] = x.size
    _measure(x, x.view(np.int64), _MASK_64, _INFINITY_64, 0, x.size, row)
    _finish(x, _SMALL_64, _LARGE_64, row)


@kernel(parallel=True)
def measure_32_parallel(x, table, number):
    """The same for a large array of float32."""
    parts = np.zeros((max(1, (x.size + _SHARE - 1) // _SHARE), COLUMNS))
    for k in prange(len(parts)):
        _measure_share(x, k, parts[k])
    row = table[number]
    row[:] = parts.sum(0)
    row[LARGEST] = parts[:, LARGEST].max()
    row[SIZE] = x.size
    _finish(x, _SMALL_32, _LARGE_32, row)


@kernel
def _measure_objects(objects, head, single, double, none, table, first):
    """Describe the arrays that are the Python objects at these addresses, in the rows of a table from `first` on.

    Behind the `head` of a Python object, NumPy's (its C interface says so) has the address of its numbers, how many
    dimensions there are, their extents, strides, base, dtype and flags. `single` and `double` are the places of the
    dtypes float32 and float64, and `none` that of None. What is none of this, or has gaps, gets the size -1; the
    result is whether there is such an array.
    """
    unread = False
    for k in range(len(objects)):
        place, row = objects[k] + head, table[first + k]
        if objects[k] == none:
            row[:] = np.nan
            row[SIZE] = -1.0
            continue
        row[:] = 0.0
        row[SIZE] = -1.0
        kind, flags = word_at(place + 40), word_at(place + 48)
        if (kind != single and kind != double) or flags & _ALIGNED == 0 or flags & _CONTIGUOUS == 0:
            unread = True
            continue
        size, extents = 1, word_at(place + 16)
        for axis in range(word_at(place + 8) & 0xFFFFFFFF):
            size *= word_at(extents + 8 * axis)
        row[SIZE] = size
        numbers = pointer_to(word_at(place))
        if kind == single:
            x = numba.carray(numbers, size, np.float32)
            _measure(x, x.view(np.int32), _MASK_32, _INFINITY_32, 0, size, row)
            _finish(x, _SMALL_32, _LARGE_32, row)
        else:
            y = numba.carray(numbers, size, np.float64)
            _measure(y, y.view(np.int64), _MASK_64, _INFINITY_64, 0, size, row)
            _finish(y, _SMALL_64, _LARGE_64, row)
    return unread


def measure_many(arrays, table, first):
    """Describe NumPy arrays in the rows of a table from `first` on; the sizes of those that it cannot read are -1, and
    then the result is True. None, among the arrays, gets nan, and -1 too.

    One call for many small arrays: to hand one to a kernel takes longer than to look at a thousand numbers.
    """
    if not _READABLE.issuperset(map(type, arrays)):
        arrays = [array if array is None else np.asarray(array) for array in arrays]
    objects = np.fromiter(map(id, arrays), np.int64, len(arrays))
    return _measure_objects(objects, object.__basicsize__, id(_SINGLE), id(_DOUBLE), id(None), table, first)


@functools.cache
def can_measure_many():
    """Whether NumPy's arrays are laid out in memory as `measure_many` takes them to be."""
    array = np.empty((3, 5), np.float64)
    if ctypes.sizeof(ctypes.c_void_p) != 8 or array.__class__.__basicsize__ < object.__basicsize__ + 56:
        return False
    words = (ctypes.c_int64 * 7).from_address(id(array) + object.__basicsize__)
    numbers, count, extents, strides, _, kind, flags = words
    shape = (ctypes.c_int64 * 4).from_address(extents) if strides == extents + 16 else ()
    return (numbers, count & 0xFFFFFFFF, kind, flags & 0xFFFFFFFF, *shape) == (
        array.ctypes.data, 2, id(array.dtype), array.flags.num, 3, 5, 40, 8
    )  # fmt: skip
