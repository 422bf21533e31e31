"""Python's and NumPy's objects as they lie in memory, for kernels that are given many at once.

Numba takes some tenths of a microsecond to unpack an array, and Python as long to look at an object. Where objects are
small and many it is quicker to hand over the addresses of all, and to find the rest behind them: CPython's and NumPy's
C interfaces say what objects hold, and that it stays so. Where it is not so, `READABLE` is False.
"""

import ctypes
import itertools
import sys

import numpy as np

from .call import word_at
from .jit import inner

_BEGIN = object.__basicsize__  # of each object: what Python counts its holders with, and last, its class
CLASS = _BEGIN - 8
# Behind it, in an array: the address of its numbers, how many dimensions there are, extents, dtype and flags.
NUMBERS, NDIM, EXTENTS, DTYPE, FLAGS = (_BEGIN + offset for offset in (0, 8, 16, 40, 48))
# The addresses by which kernels know what an object is: an array, its dtype, None, a list.
ARRAY, SINGLE, DOUBLE, NONE, LIST = map(id, (np.ndarray, np.dtype(np.float32), np.dtype(np.float64), None, list))
COUNT = _BEGIN  # how many items a list or tuple has
_LIST_ITEMS, _TUPLE_ITEMS = _BEGIN + 8, tuple.__basicsize__  # the address of a list's items; a tuple's items themselves


@inner
def list_item(place, index):
    """The address of an item of the list at `place`."""
    return word_at(word_at(place + _LIST_ITEMS) + 8 * index)


@inner
def tuple_item(place, index):
    """The address of an item of the tuple at `place`."""
    return word_at(place + _TUPLE_ITEMS + 8 * index)


def _words(place, count):
    return tuple((ctypes.c_int64 * count).from_address(place))


def _is_readable():
    """Whether objects are laid out in memory as the constants say."""
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.implementation.name != "cpython":
        return False
    array = np.empty((3, 5))
    if np.ndarray.__basicsize__ < FLAGS + 8 or list.__basicsize__ < _LIST_ITEMS + 8:
        return False
    cls, numbers, count, extents, strides, _, kind, flags = _words(id(array) + CLASS, 8)
    shape = _words(extents, 4) if strides == extents + 16 else ()
    if (cls, numbers, count & 0xFFFFFFFF, kind, flags & 0xFFFFFFFF, *shape) != (
        id(np.ndarray), array.ctypes.data, 2, id(array.dtype), array.flags.num, 3, 5, 40, 8
    ):  # fmt: skip
        return False
    items = [array, object()]
    expected = tuple(map(id, items))
    pair = tuple(items)
    if _words(id(pair) + COUNT, 1) + _words(id(pair) + _TUPLE_ITEMS, 2) != (2, *expected):
        return False
    return _words(id(items) + COUNT, 1) == (2,) and _words(_words(id(items) + _LIST_ITEMS, 1)[0], 2) == expected


READABLE = _is_readable()


def slots(cls, *names):
    """Where in an object of a class the values of these slots are: offsets from its address."""
    probe, offsets = cls.__new__(cls), []
    for name in names:
        value = object()
        setattr(probe, name, value)
        offsets.append(8 * _words(id(probe), cls.__basicsize__ // 8).index(id(value)))
    return offsets


def addresses(arrays, behind=()):
    """The addresses of array objects, and behind them some numbers, as one array of integers.

    What lies at an address + NUMBERS is where the array's numbers are: if arrays are not `READABLE`, only that holds.
    """
    if READABLE:
        return np.fromiter(itertools.chain(map(id, arrays), behind), np.int64, len(arrays) + len(behind))
    places = np.array([0] * len(arrays) + [array.ctypes.data for array in arrays] + list(behind), np.int64)
    places[: len(arrays)] = places.ctypes.data + 8 * np.arange(len(arrays), 2 * len(arrays)) - NUMBERS
    return places
