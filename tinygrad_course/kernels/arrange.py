"""Copying large arrays whose numbers lie across, as those of a transpose do: squares are turned in registers.

NumPy reads such an array with a step, a line of the cache for each number, and takes five to ten times as long. What
lies in rows it copies as fast as memory allows.
"""

import functools

import numba
import numpy as np

from .call import pointer_to
from .jit import inner, shared
from .vector import lanes, transpose

FEW = 1 << 17  # bytes; for less NumPy, on one thread, is as fast
_LINE = 64  # bytes, a line of the cache
_WORDS = {4: np.empty(0, np.uint32), 8: np.empty(0, np.uint64)}  # what is copied, whatever it means


@functools.lru_cache(maxsize=4096)
def _loops(shape, source_strides, target_strides, itemsize):
    """(sizes, source steps, target steps) of four axes, None if it takes more.

    The source's numbers lie one behind the other along the third, the target's along the fourth. Axes that both
    arrays step through as through one are one.
    """
    axes = [axis for axis in zip(shape, source_strides, target_strides, strict=True) if axis[0] > 1]
    axes.sort(key=lambda axis: -axis[2])
    if any(step < 0 or step % itemsize for axis in axes for step in axis[1:]):
        return None
    merged = []
    for size, source, target in axes:
        if merged and merged[-1][1] == source * size and merged[-1][2] == target * size:
            merged[-1] = merged[-1][0] * size, source, target
        else:
            merged.append((size, source, target))
    across = [k for k, axis in enumerate(merged[:-1]) if axis[1] == itemsize]
    if not across or not 2 <= len(merged) <= 4 or merged[-1][1] <= itemsize or merged[-1][2] != itemsize:
        return None
    merged.insert(-1, merged.pop(across[0]))
    merged = [(1, 0, 0)] * (4 - len(merged)) + merged
    return tuple([tuple([axis[k] // (itemsize if k else 1) for axis in merged]) for k in range(3)])


@inner(borrows=True)
def _turn(source, source_step, target, target_step, rows, columns):
    """target[r · target_step + c] = source[c · source_step + r], for r < rows and c < columns."""
    width = lanes(source)
    whole_rows, whole_columns = rows - rows % width, columns - columns % width
    for r in range(0, whole_rows, width):
        for c in range(0, whole_columns, width):
            transpose(source, c * source_step + r, source_step, target, r * target_step + c, target_step)
    for r in range(rows):
        for c in range(whole_columns if r < whole_rows else 0, columns):
            target[r * target_step + c] = source[c * source_step + r]


@shared
def _copy_across(thread, threads, words, source, target, sizes, source_steps, target_steps):
    """source and target are addresses. A thread owns strips of the source as wide as a line: each is read once."""
    width = _LINE // words.itemsize
    strips = (sizes[2] + width - 1) // width
    total = sizes[0] * sizes[1] * strips
    for i in range(thread * total // threads, (thread + 1) * total // threads):
        a, b, c = i // strips // sizes[1], i // strips % sizes[1], i % strips * width
        rows = min(width, sizes[2] - c)
        read = a * source_steps[0] + b * source_steps[1] + c
        write = a * target_steps[0] + b * target_steps[1] + c * target_steps[2]
        last_read, last_write = (sizes[3] - 1) * source_steps[3] + rows, (rows - 1) * target_steps[2] + sizes[3]
        strip = numba.carray(pointer_to(source + read * words.itemsize), last_read, words.dtype)
        out = numba.carray(pointer_to(target + write * words.itemsize), last_write, words.dtype)
        _turn(strip, source_steps[3], out, target_steps[2], rows, sizes[3])


def copy_into(source, target):
    """target[...] = source, arrays of one shape and dtype that do not overlap."""
    if source.nbytes >= FEW and source.itemsize in _WORDS:
        loops = _loops(source.shape, source.strides, target.strides, source.itemsize)
        if loops is not None:
            places = [array.__array_interface__["data"][0] for array in (source, target)]
            _copy_across(_WORDS[source.itemsize], *places, *loops)
            return
    target[...] = source
