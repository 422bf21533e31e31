"""Joining tensors, and taking them apart."""

import functools

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..kernels import buffers
from ..modes import where
from . import convert
from .index import getitem, narrow
from .reduce import normalize_dims
from .shape import atleast_1d, atleast_2d, unsqueeze

__all__ = [
    "cat", "concat", "concatenate", "stack", "hstack", "vstack", "split", "chunk", "tensor_split", "unbind",
]  # fmt: skip
METHODS = ["split", "chunk", "tensor_split", "unbind"]  # of Tensor


class Concatenate(Function):
    """z = the inputs one after the other along `axis`;  each gets its own piece of ∂L/∂z."""

    __slots__ = ("axis", "ends")
    replayable = True
    name = "cat"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, *arrays):
        ends = np.cumsum([a.shape[self.axis] for a in arrays])
        self.ends = ends[:-1]
        shape = list(arrays[0].shape)
        shape[self.axis] = int(ends[-1])
        return np.concatenate(arrays, axis=self.axis, out=buffers.empty(shape, arrays[0].dtype))

    def backward(self, dz):
        pieces = np.split(dz, self.ends, axis=self.axis)
        return tuple([convert.contiguous(piece) if piece.nbytes >= buffers.LARGE else piece for piece in pieces])

    def backward_on_tape(self, dz):
        return tensor_split(dz, self.ends.tolist(), self.axis)


def cat(tensors, dim=0):
    """Tensors one after the other along `dim`; their other sizes must agree. Empty vectors (0,) are passed over."""
    if isinstance(tensors, TensorBase):
        raise TypeError(f"{where()}cat: expected a list of tensors, got one tensor; use cat([a, b])")
    tensors = tuple(tensors)
    if not tensors:
        raise ValueError("cat needs at least one tensor")
    for t in tensors:
        convert.expect_tensor(t, "cat")
        if not t._data.shape:
            raise RuntimeError("zero-dimensional tensors cannot be concatenated; use stack")
    dtype = functools.reduce(convert.promote, [t._data.dtype for t in tensors])
    tensors = tuple(t for t in tensors if t._data.shape != (0,)) or tensors[:1]
    first = tensors[0]._data.shape
    (axis,) = normalize_dims(dim, len(first))
    for position, t in enumerate(tensors):
        shape = t._data.shape
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise RuntimeError(
                f"{where()}cat: tensor 0 has shape {first} and tensor {position} shape {shape}; "
                f"they must agree in all dimensions but {axis}"
            )
    return Concatenate(axis)(*[convert.cast(t, dtype) for t in tensors])


concat = concatenate = cat


def stack(tensors, dim=0):
    """Tensors of one shape along a new dimension."""
    tensors = tuple(tensors)
    for position, t in enumerate(tensors):
        if t._data.shape != tensors[0]._data.shape:
            raise RuntimeError(
                f"{where()}stack: tensor 0 has shape {tensors[0]._data.shape} and tensor {position} shape "
                f"{t._data.shape}; they must be equal"
            )
    (axis,) = normalize_dims(dim, _some(tensors, "stack")[0]._data.ndim + 1)
    return cat([unsqueeze(t, axis) for t in tensors], axis)


def hstack(tensors):
    """Tensors side by side: along dimension 1, vectors along 0."""
    tensors = atleast_1d(_some(tensors, "hstack"))
    return cat(tensors, 0 if tensors[0]._data.ndim == 1 else 1)


def vstack(tensors):
    """Tensors one below the other: along dimension 0, vectors as rows."""
    return cat(atleast_2d(_some(tensors, "vstack")), 0)


def _some(tensors, name):
    tensors = tuple(tensors)
    if not tensors:
        raise RuntimeError(f"{where()}{name} needs at least one tensor")
    return tensors


def split(x, split_size_or_sections, dim=0):
    """Pieces along `dim`: of one size (the last one may be smaller), or of the listed sizes."""
    (axis,) = _axis(x, dim, "split")
    total, sizes = x._data.shape[axis], split_size_or_sections
    if isinstance(sizes, int | np.integer):
        if sizes < 0 or (sizes == 0 and total):
            raise RuntimeError(f"{where()}split: split_size must be positive, got {sizes} for size {total}")
        sizes = [min(sizes, total - start) for start in range(0, total, sizes)] if total else [0]
    elif sum(sizes) != total or min(sizes, default=0) < 0:
        raise RuntimeError(f"{where()}split: sizes {list(sizes)} must add up to size {total} of dim {dim}")
    starts = np.cumsum([0, *sizes]).tolist()
    return tuple(narrow(x, axis, start, size) for start, size in zip(starts, sizes))


def chunk(x, chunks, dim=0):
    """At most `chunks` pieces along `dim`, of one size but for the last."""
    if chunks <= 0:
        raise RuntimeError(f"{where()}chunk: chunks must be positive, got {chunks}")
    (axis,) = _axis(x, dim, "chunk")
    size = -(-x._data.shape[axis] // chunks)
    return split(x, size, axis) if size else tuple(narrow(x, axis, 0, 0) for _ in range(chunks))


def tensor_split(x, indices_or_sections, dim=0):
    """`sections` pieces along `dim` whose sizes differ by 1 at most, or pieces that end at the listed indices."""
    (axis,) = _axis(x, dim, "tensor_split")
    total, ends = x._data.shape[axis], indices_or_sections
    if isinstance(ends, TensorBase):
        ends = ends.tolist()
    if isinstance(ends, int | np.integer):
        if ends <= 0:
            raise RuntimeError(f"{where()}tensor_split: the number of sections must be positive, got {ends}")
        small, larger = divmod(total, ends)
        ends = np.cumsum([small + (i < larger) for i in range(ends)]).tolist()[:-1]
    all_of = (slice(None),) * axis
    return tuple(
        getitem(x, (*all_of, slice(start, end)))
        for start, end in zip([0, *ends], [*ends, total], strict=True)
    )  # fmt: skip


def unbind(x, dim=0):
    """The slices along `dim`, without that dimension."""
    if not x._data.ndim:
        raise IndexError(f"{where()}unbind: a 0-d tensor has no dimension {dim}")
    (axis,) = normalize_dims(dim, x._data.ndim)
    all_of = (slice(None),) * axis
    return tuple(getitem(x, (*all_of, i)) for i in range(x._data.shape[axis]))


def _axis(x, dim, name):
    if not x._data.ndim:
        raise RuntimeError(f"{where()}{name}: a 0-d tensor has no dimension to take apart")
    return normalize_dims(dim, x._data.ndim)
