"""Gathering numbers that tensors of integers name, along a dimension, and scattering them."""

import numpy as np

from ..base import TensorBase
from ..modes import where
from . import convert
from .index import GetItem, IndexPut, check_range, in_place, integers_of, pick
from .reduce import normalize_dims
from .shape import common_shape, expand, reshape, reshaped

__all__ = ["gather", "take", "take_along_dim", "scatter", "scatter_add", "index_add", "index_copy", "index_fill"]
METHODS = [*__all__, "scatter_", "scatter_add_", "index_add_", "index_copy_", "index_fill_"]  # of Tensor


class Gather(GetItem):
    """z_ij = x_{index_ij, j}, and so along any axis;  ∂L/∂x adds up what each place was given."""

    __slots__ = ()


def _grid(array, axis):
    """Index arrays that name x[i, array_ij] for axis 1, and so for any axis."""
    sizes = array.shape
    return tuple(
        array if a == axis else np.arange(n).reshape([n if a == b else 1 for b in range(len(sizes))])
        for a, n in enumerate(sizes)
    )


def _along(x, dim, index, name, source=None):
    """(axis, index array) of a gather or scatter, checked; 0-d tensors are vectors of one number."""
    array = integers_of(index, name)
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    sizes = x._data.shape or (1,)
    array = array if array.ndim else array.reshape(1)
    if not array.size:
        return axis, array
    limits = [(sizes, "the input's")] + ([] if source is None else [(source._data.shape or (1,), "the source's")])
    for shape, whose in limits:
        free = axis if shape is sizes else None
        if len(shape) != array.ndim or any(n > m for a, (n, m) in enumerate(zip(array.shape, shape)) if a != free):
            raise RuntimeError(
                f"{where()}{name}: an index of shape {array.shape} does not fit {whose} shape {shape}: it must have as "
                f"many dimensions, and be no larger{'' if free is None else f' but along dim {axis}'}"
            )
    check_range(array, sizes[axis], name)
    return axis, array


def gather(x, dim, index, *, sparse_grad=False):
    """z_ij = x_{index_ij, j} for dim 0, x_{i, index_ij} for dim 1, …: z has the shape of `index`."""
    axis, array = _along(x, dim, index, "gather")
    shape = index._data.shape
    if not array.size:
        return GetItem((np.zeros((0,), np.intp),))(reshape(x, -1)).reshape(shape)
    flat = x if x._data.ndim else reshape(x, 1)
    return reshaped(Gather(_grid(array, axis))(flat), shape)


def take(x, index):
    """The numbers of the flattened x at the places `index`: z has the shape of `index`."""
    array, size = integers_of(index, "take"), x._data.size
    check_range(array, size, "take", IndexError, least=-size)
    return Gather((array,))(reshape(x, -1 if size else 0))


def take_along_dim(x, indices, dim=None):
    """`gather` with broadcasting; without `dim`, `take` by the flattened indices."""
    if dim is None:
        return take(x, reshape(indices, -1))
    if x._data.ndim != indices._data.ndim:
        raise RuntimeError(
            f"{where()}take_along_dim: shapes {x._data.shape} and {indices._data.shape} must have as many dimensions"
        )
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    ones = [tuple(1 if a == axis else n for a, n in enumerate(t._data.shape)) for t in (x, indices)]
    shape = common_shape(ones, "take_along_dim")
    x, indices = (
        expand(t, tuple(t._data.shape[axis] if a == axis else n for a, n in enumerate(shape))) for t in (x, indices)
    )
    array, size = integers_of(indices, "take_along_dim"), x._data.shape[axis]
    return gather(x, dim, pick(np.where(array < 0, array + size, array)))


def scatter(x, dim, index, src=None, *, value=None, reduce=None):
    """A copy of x in which z_{index_ij, j} = src_ij (dim 0), and so along any dim; `src` may be one number.

    `reduce="add"` adds to what is there. Where `index` names a place twice, one of the two stays.
    """
    source = src if value is None else value
    if reduce not in (None, "add"):
        raise NotImplementedError(f'{where()}scatter: reduce={reduce!r} is not supported, only "add"')
    return _scatter(x, dim, index, source, reduce == "add", "scatter")


def scatter_add(x, dim, index, src):
    """A copy of x in which src_ij is added to z_{index_ij, j} (dim 0), and so along any dim, every time."""
    return _scatter(x, dim, index, src, True, "scatter_add")


def _scatter(x, dim, index, source, accumulate, name):
    one = not isinstance(source, TensorBase)
    axis, array = _along(x, dim, index, name, None if one else source)
    if not array.size:
        return x.clone()
    if one:
        source = convert.cast(convert.as_operand(source, x), x._data.dtype)
    elif source._data.dtype != x._data.dtype:
        raise RuntimeError(f"{where()}{name}: the source is {source._data.dtype}, the input {x._data.dtype}")
    elif source._data.shape != array.shape:
        source = GetItem(tuple(slice(n) for n in array.shape))(source if source._data.ndim else reshape(source, 1))
    flat = x if x._data.ndim else reshape(x, 1)
    return reshaped(IndexPut(_grid(array, axis), accumulate)(flat, source), x._data.shape)


def index_add(x, dim, index, source, *, alpha=1):
    """A copy of x in which slice i of `alpha · source` along `dim` is added to slice index_i."""
    return _index_put_along("index_add", x, dim, index, source if alpha == 1 else source * alpha, True)


def index_copy(x, dim, index, source):
    """A copy of x in which slice i of `source` along `dim` replaces slice index_i."""
    return _index_put_along("index_copy", x, dim, index, source, False)


def index_fill(x, dim, index, value):
    """A copy of x in which the slices along `dim` that `index` names hold `value`, a number or a 0-d tensor."""
    value, index = convert.as_operand(value, x), pick(np.unique(integers_of(index, "index_fill")))
    return _index_put_along("index_fill", x, dim, index, value, False)


def _index_put_along(name, x, dim, index, source, accumulate):
    array = integers_of(index, name).reshape(-1)
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    flat = x if x._data.ndim else reshape(x, 1)
    shape = flat._data.shape
    check_range(array, shape[axis], name, IndexError, least=-shape[axis])
    place = (*shape[:axis], array.size, *shape[axis + 1 :])
    if name != "index_fill":
        if (source._data.shape or (1,)) != place:
            raise RuntimeError(f"{where()}{name}: the source has shape {source._data.shape}, its place {place}")
        source = reshaped(source, place)
    source = convert.cast(source, x._data.dtype)
    return reshaped(IndexPut((*(slice(None),) * axis, array), accumulate)(flat, source), x._data.shape)


scatter_, scatter_add_ = in_place(scatter), in_place(scatter_add)
index_add_, index_copy_, index_fill_ = in_place(index_add), in_place(index_copy), in_place(index_fill)
