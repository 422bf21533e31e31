"""Memory for large arrays, used again.

A training step makes and drops the same large arrays again and again. To the C library a large block is the
system's: it is handed back as soon as it is freed, and the system clears every page of the next one. To fill a
fresh array of 40 MB takes several times as long as to fill a used one.

`empty` is `np.empty` whose memory comes back here when the last array that uses it, or a view of one, is gone:

    array --base--> _Lease --memory--> block         the lease dies with the array: the block is free again

Used and free blocks together stay within what the arrays from here took at their most, and `SLACK`: where a new
block would pass that mark, free ones of other sizes go first. So the process's peak of memory hardly grows.
"""

import ctypes
import math
import sys
import threading

import numpy as np

LARGE = 1 << 17  # bytes; smaller ones are quickly had from the C library, which keeps them
ALIGNMENT = 64  # bytes, a line of the cache
SLACK = 16 << 20  # bytes that free blocks may take beyond the most that was ever in use
MOST_KEPT = 1 << 30  # bytes of free blocks

_lock = threading.RLock()  # a lease may die while its own thread is in here
_free = {}  # size: [(memory, address)], the size that was longest not asked for first
_bytes = {"used": 0, "free": 0, "most": 0}


class _Lease(ctypes.c_char * sys.maxsize):
    """Owns a block while arrays use it. It is no array: one whose `base` is a lease is no view of another array.

    It is made for a block's address, and has no length of its own: NumPy takes memory most quickly from ctypes.
    """

    __slots__ = ("block", "size")

    def __del__(self):
        if _lock is not None:  # as it is when Python ends, and takes this module apart
            _give_back(self.size, self.block)


def empty(shape, dtype):
    """A C-contiguous array of any numbers."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    block = _take(size)
    lease = _Lease.from_address(block[1])
    lease.block, lease.size = block, size
    return np.ndarray(shape, dtype, lease)


def empty_like(x):
    """A C-contiguous array of x's shape and dtype."""
    return np.empty(x.shape, x.dtype) if x.nbytes < LARGE else empty(x.shape, x.dtype)


def copy(x):
    """A copy in C order."""
    y = empty(x.shape, x.dtype)
    if x.nbytes >= LARGE and x.strides[-1] > x.itemsize:
        from . import arrange  # a family, which needs none of what is here to be loaded

        arrange.copy_into(x, y)
    else:
        y[...] = x
    return y


def clear():
    """Give all free blocks to the system."""
    with _lock:
        _free.clear()
        _bytes["free"] = 0


def _take(size):
    with _lock:
        blocks = _free.pop(size, None)
        if blocks:
            block = blocks.pop()
            _bytes["free"] -= size
        else:
            _make_room(size)
            memory = np.empty(size + ALIGNMENT, np.uint8)
            address = memory.__array_interface__["data"][0]
            block = memory, address + -address % ALIGNMENT
        if blocks:
            _free[size] = blocks  # the last to go
        _bytes["used"] += size
        _bytes["most"] = max(_bytes["most"], _bytes["used"])
        return block


def _make_room(size):
    while _free and _bytes["used"] + _bytes["free"] + size > _bytes["most"] + SLACK:
        oldest = next(iter(_free))
        _free[oldest].pop()
        _bytes["free"] -= oldest
        if not _free[oldest]:
            del _free[oldest]


def _give_back(size, block):
    with _lock:
        _bytes["used"] -= size
        if _bytes["free"] + size <= MOST_KEPT:
            _free.setdefault(size, []).append(block)
            _bytes["free"] += size
