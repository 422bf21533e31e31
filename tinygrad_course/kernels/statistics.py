"""What an array is like, in one pass: the numbers that a recorder keeps in place of it.

A row of a table an array: √(mean of x²), max |x|, Σ x, how many zeros, how many NaN or Inf, how many numbers. The
pass looks at the bits: as an integer, |x| is the number without its sign bit, in the same order; 0 for a zero, from
INFINITY on for Inf and NaN. Maxima and counts of integers are vectorized whatever the numbers are; those of floats
that may be NaN cannot be. The casts keep Numba from counting in 64 bits what fits 32.

An array is looked at in shares, and what they give is added up in their order: which thread does a share, and which
other arrays are measured in the same call, changes no bit of the result.
"""

import numba
import numpy as np
from numba import types

from .alike import find_if_alike
from .call import pointer_to, share, word_at
from .jit import inner, kernel, shared
from .objects import ARRAY, CLASS, COUNT, DOUBLE, DTYPE, EXTENTS, FLAGS, NDIM, NONE, NUMBERS, SINGLE, list_item

RMS, LARGEST, SUM, ZEROS, NOT_FINITE, SIZE = range(6)
COLUMNS = 6
_CHUNK = 4096  # numbers that are summed in their own precision, before float64 takes over
_SHARE = 8 * _CHUNK  # numbers that one thread takes at a time
_ALONE = 65_000  # numbers of an array that one thread has most likely written
_MANY = 250_000  # numbers of larger arrays, from which on it is worth while to wake threads
_IN_ROWS, _CONTIGUOUS, _ALIGNED = 1, 3, 256  # NumPy's flags: in C's order; that or Fortran's; at places that fit
_KINDS = ARRAY, SINGLE, DOUBLE, NONE
_NO_PLAN = np.empty(0, np.int64)
_NOT_ALIKE = -1
_MASK_32, _INFINITY_32 = np.int32(0x7FFFFFFF), np.int32(0x7F800000)
_SMALL_32, _LARGE_32 = 1e-30, 1e36  # a mean or a sum of float32 squares outside has lost digits on the way
_SMALL_64, _LARGE_64 = 1e-280, 1e300
_MASK_64, _INFINITY_64 = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(0x7FF0000000000000)
# Of an array: where it is, how many numbers, bytes of each, its first share, and where the output that gates it, or 0.
_PLACE, _COUNT, _BYTES, _FIRST, _GATE = range(5)


@inner
def _number(bits, mask):
    """The number that has these bits, of as many bits as the mask."""
    return np.float64(np.int32(bits).view(np.float32)) if mask == _MASK_32 else np.int64(bits).view(np.float64)


@inner
def _measure(place, size, width, real, integer, mask, infinity, row):
    """Add the numbers at `place`, of `width` bytes each, to a row; their squares to its first column."""
    for first in range(0, size, _CHUNK):
        start, count = pointer_to(place + first * width), min(_CHUNK, size - first)
        x, bits = numba.carray(start, count, real), numba.carray(start, count, integer)
        squares, total, largest, zeros = real(0), real(0), integer(0), integer(0)
        for i in range(count):  # from 0: Numba sees that no index is negative, and the loop is a quarter quicker
            squares += x[i] * x[i]
            total += x[i]
            magnitude = integer(bits[i] & mask)
            largest = integer(max(largest, magnitude))
            zeros = integer(zeros + integer(magnitude == 0))
        row[RMS] += squares
        row[SUM] += total
        row[ZEROS] += zeros
        row[LARGEST] = max(row[LARGEST], _number(largest, mask))
        if largest >= infinity:
            row[LARGEST] = np.inf
            for i in range(count):
                row[NOT_FINITE] += (bits[i] & mask) >= infinity


@inner
def _pass(place, gate, size, real, passed):
    """Copy the numbers at `place`, with 0 for those where the output of a ReLU, at `gate`, is not above 0 (nor nan)."""
    x, output, zero = numba.carray(pointer_to(place), size, real), numba.carray(pointer_to(gate), size, real), real(0)
    copy = numba.carray(pointer_to(passed), size, real)
    for i in range(size):
        copy[i] = zero if output[i] <= zero else x[i]


@inner
def _finish(place, gate, size, real, small, large, row):
    """From the sum of squares to the RMS, by a second look at numbers that are too small or too large to square."""
    squares, largest = row[RMS], row[LARGEST]
    if row[NOT_FINITE] > 0.0:
        row[RMS] = np.nan if squares != squares else np.inf
    elif largest == 0.0 or (squares > small * size and squares < large):
        row[RMS] = (squares / max(1, size)) ** 0.5
    else:
        x, total = numba.carray(pointer_to(place), size, real), 0.0
        if gate != 0:  # and then one loop for all, so that all give the same bits
            x = np.empty(size, real)
            _pass(place, gate, size, real, x.ctypes.data)
        for i in range(size):
            share = x[i] / largest
            total += share * share
        row[RMS] = largest * (total / size) ** 0.5


@inner
def _find(objects, kinds, found, table, first):
    """Note where the numbers of the arrays are, and begin their rows. (Shares, numbers of large arrays, unread ones.)

    objects: the addresses of the Python objects, each with that of a gate or 0. What is None, no array or one of
    another dtype, or has gaps, gets the size -1; of None, the other columns are nan.
    """
    ndarray, single, double, none = kinds
    shares = numbers = unread = 0
    for k in range(len(objects)):
        array, gate, row = objects[k, 0], objects[k, 1], table[first + k]
        row[:] = np.nan if array == none else 0.0
        row[SIZE] = -1.0
        found[k, _FIRST], found[k, _COUNT] = shares, 0
        if array == none:
            continue
        if word_at(array + CLASS) != ndarray:
            unread += 1
            continue
        kind, flags = word_at(array + DTYPE), word_at(array + FLAGS)
        if (kind != single and kind != double) or flags & _ALIGNED == 0 or flags & _CONTIGUOUS == 0:
            unread += 1
            continue
        if gate != 0 and (flags & word_at(gate + FLAGS) & _IN_ROWS == 0 or word_at(gate + DTYPE) != kind):
            unread += 1
            continue
        size, extents = 1, word_at(array + EXTENTS)
        for axis in range(word_at(array + NDIM) & 0xFFFFFFFF):
            size *= word_at(extents + 8 * axis)
        row[SIZE] = size
        found[k, _PLACE], found[k, _COUNT] = word_at(array + NUMBERS), size
        found[k, _GATE] = 0 if gate == 0 else word_at(gate + NUMBERS)
        found[k, _BYTES] = 4 if kind == single else 8
        shares += (size + _SHARE - 1) // _SHARE
        numbers += size if size > _ALONE else 0
    found[len(objects), _FIRST] = shares
    return shares, numbers, unread


@inner
def _measure_shares(thread, threads, found, parts):
    """Describe one thread's shares of each array, in rows of their own.

    The first thread has the first shares, as in the kernels that write arrays: what lies in another core's cache takes
    longer to read, and once more when that core writes there again. (It cost LeNet-5 a twentieth of its step.)
    """
    passed = np.empty(_SHARE)
    for k in range(len(found) - 1):
        first, size, width, gate = found[k, _FIRST], found[k, _COUNT], found[k, _BYTES], found[k, _GATE]
        count, others = found[k + 1, _FIRST] - first, threads - 1
        for mine in range((thread * count + others) // threads, ((thread + 1) * count + others) // threads):
            place, row = found[k, _PLACE] + mine * _SHARE * width, parts[first + mine]
            some = min(_SHARE, size - mine * _SHARE)
            row[:] = 0.0
            if gate != 0:
                output = gate + mine * _SHARE * width
                if width == 4:
                    _pass(place, output, some, np.float32, passed.ctypes.data)
                else:
                    _pass(place, output, some, np.float64, passed.ctypes.data)
                place = np.int64(passed.ctypes.data)
            if width == 4:
                _measure(place, some, width, np.float32, np.int32, _MASK_32, _INFINITY_32, row)
            else:
                _measure(place, some, width, np.float64, np.int64, _MASK_64, _INFINITY_64, row)


@inner
def _add_up(found, parts, table, first):
    """From the shares to the arrays."""
    for k in range(len(found) - 1):
        row, place, gate, size = table[first + k], found[k, _PLACE], found[k, _GATE], found[k, _COUNT]
        if row[SIZE] < 0.0:
            continue
        for one in range(found[k, _FIRST], found[k + 1, _FIRST]):
            for column in (RMS, SUM, ZEROS, NOT_FINITE):
                row[column] += parts[one, column]
            row[LARGEST] = max(row[LARGEST], parts[one, LARGEST])
        if found[k, _BYTES] == 4:
            _finish(place, gate, size, np.float32, _SMALL_32, _LARGE_32, row)
        else:
            _finish(place, gate, size, np.float64, _SMALL_64, _LARGE_64, row)


@shared
def _measure_part(thread, threads, found, parts):
    _measure_shares(thread, threads, found, parts)


@kernel
def _measure_all(lists, plan, objects, found, kinds, table, first, launch, body, threads):
    """Describe the arrays of a step's three lists if they are what the plan says; without a plan, those of the last.

    objects, found: `room` for them, of a plan. launch, body, threads: the `_measure_part.entry`. Returns _NOT_ALIKE, or
    how many could not be read. One kernel for all, so that all give the same bits.
    """
    ran, went, others = lists
    if len(plan) == 0:
        count = word_at(others + COUNT)
        objects, found = np.zeros((count, 2), np.int64), np.empty((count + 1, 5), np.int64)
        for k in range(count):
            objects[k, 0] = list_item(others, k)
    elif not find_if_alike(ran, went, others, plan, objects):
        return _NOT_ALIKE
    shares, numbers, unread = _find(objects, kinds, found, table, first)
    parts = np.empty((shares, COLUMNS))
    if numbers >= _MANY and threads > 1:
        share(launch, body, threads, (found, parts))
    else:
        _measure_shares(0, 1, found, parts)
    _add_up(found, parts, table, first)
    return unread


def measure_many(arrays, table, first):
    """Describe NumPy arrays, or None, in the rows of a table from `first` on, None by nan.

    The size of None is -1, and of what is no array, or one that is not contiguous or not of float32 or float64: of
    these it returns how many there are. One call for many small arrays: to hand one to a kernel takes longer than to
    look at a thousand numbers. They come in a list, and must be `READABLE`.
    """
    return _measure_all((0, 0, id(arrays)), _NO_PLAN, *_NO_ROOM, _KINDS, table, first, *_measure_part.entry(*_TYPES))


def room(count):
    """Room for so many arrays: for their addresses, and for what `_find` notes of them."""
    return np.zeros((count, 2), np.int64), np.empty((count + 1, 5), np.int64)


def measure_if_alike(ran, went, others, plan, objects, found, table):
    """Describe a step's arrays if it is what the plan says (`alike.find_if_alike`). Whether it is, and whether it did.

    objects, found: the `room` for them. What is no array of floats, or has gaps, is left to `measure_many`.
    """
    lists = id(ran), id(went), id(others)
    unread = _measure_all(lists, plan, objects, found, _KINDS, table, 0, *_measure_part.entry(*_TYPES))
    return unread != _NOT_ALIKE, unread == 0


_NO_ROOM, _TYPES = room(0), (types.int64[:, ::1], types.float64[:, ::1])
