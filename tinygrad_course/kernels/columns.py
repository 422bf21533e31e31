"""Many arrays for one call of a kernel: it finds the numbers of each by their address.

Numba takes some tenths of a microsecond to unpack an array, and a kernel as long as that again to start. Where the
arrays are small and many, the parameters of a net, that is most of the time. So their addresses are handed over in one
array, a column for each array and a row for each role it has:

    table = columns([parameters, gradients])                # equally long lists of equally shaped arrays
    gradient = own(thread, threads, table, 1, k)            # inside a kernel: a thread's part of the k-th gradient

The arrays of a row are cut as if they lay one behind the other, so that threads have equally much to do, however
large one of them is.
"""

import itertools

import numba
import numpy as np

from .call import pointer_to, word_at
from .jit import inner
from .objects import NUMBERS, addresses

_LIKE = {dtype: np.empty(0, dtype) for dtype in (np.dtype("float32"), np.dtype("float64"))}


def columns(rows):
    """A table for `own`, and how many elements a row has.

    `rows` are equally long lists of C-contiguous float arrays: all of one dtype, those in a column of one size.
    ValueError for others: a kernel would read beyond their ends. The arrays must live as long as the table is used.

    The table: the array objects row by row and where in a row each array begins, the number of arrays, and an empty
    array of their dtype.
    """
    first = rows[0]
    dtype, sizes = first[0].dtype, [array.size for array in first]
    for row in rows:
        for array, size in zip(row, sizes, strict=True):
            if array.dtype is not dtype or array.size != size or not array.flags.carray:
                raise ValueError(
                    f"expected a contiguous array of {size} numbers of {dtype}, as the parameter has, "
                    f"got one of shape {array.shape} and {array.dtype}"
                )
    starts = list(itertools.accumulate(sizes, initial=0))
    objects = addresses([array for row in rows for array in row], starts)
    return (objects, len(first), _LIKE[dtype]), starts[-1]


@inner
def own(thread, threads, table, row, k):
    """The part that is this thread's of the k-th array in a row, flat; most often all of it, or nothing."""
    objects, count, like = table
    starts = objects[objects.size - count - 1 :]
    size = starts[k + 1] - starts[k]
    begin = _cut(thread * starts[-1] // threads - starts[k], size)
    end = _cut((thread + 1) * starts[-1] // threads - starts[k], size)
    numbers = pointer_to(word_at(objects[row * count + k] + NUMBERS))
    return numba.carray(numbers, size, like.dtype)[begin:end]


@inner
def _cut(place, size):
    """Where to cut near `place`: at whole vectors, so that the numbers left over are the same for any threads."""
    return size if place >= size else max(place, 0) // 64 * 64
