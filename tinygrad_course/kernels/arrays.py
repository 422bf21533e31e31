"""NumPy's arrays as they lie in memory, for kernels that are given many at once.

Numba takes some tenths of a microsecond to unpack an array. Where arrays are small and many it is quicker to hand over
the addresses of the objects, all in one array, and to find the rest behind them: NumPy's C interface says what an
array object holds, and that it stays so. Where it is not so, `READABLE` is False.
"""

import ctypes
import itertools

import numpy as np

# Where in an array object its class is, the last of what each Python object begins with, and behind that the address of
# its numbers, how many dimensions there are, their extents, the dtype and the flags.
CLASS, NUMBERS, NDIM, EXTENTS, DTYPE, FLAGS = (object.__basicsize__ + offset for offset in (-8, 0, 8, 16, 40, 48))


def _is_readable():
    """Whether arrays are laid out in memory as the constants say."""
    array = np.empty((3, 5))
    if ctypes.sizeof(ctypes.c_void_p) != 8 or np.ndarray.__basicsize__ < FLAGS + 8:
        return False
    cls, numbers, count, extents, strides, _, kind, flags = (ctypes.c_int64 * 8).from_address(id(array) + CLASS)
    shape = (ctypes.c_int64 * 4).from_address(extents) if strides == extents + 16 else ()
    return (cls, numbers, count & 0xFFFFFFFF, kind, flags & 0xFFFFFFFF, *shape) == (
        id(np.ndarray), array.ctypes.data, 2, id(array.dtype), array.flags.num, 3, 5, 40, 8
    )  # fmt: skip


READABLE = _is_readable()


def addresses(arrays, behind=()):
    """The addresses of array objects, and behind them some numbers, as one array of integers.

    What lies at an address + NUMBERS is where the array's numbers are: if arrays are not `READABLE`, only that holds.
    """
    if READABLE:
        return np.fromiter(itertools.chain(map(id, arrays), behind), np.int64, len(arrays) + len(behind))
    places = np.array([0] * len(arrays) + [array.ctypes.data for array in arrays] + list(behind), np.int64)
    places[: len(arrays)] = places.ctypes.data + 8 * np.arange(len(arrays), 2 * len(arrays)) - NUMBERS
    return places
