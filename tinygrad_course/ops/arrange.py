"""Repeating numbers, turning them round, and padding them."""

import numpy as np

from ..base import TensorBase
from ..function import Function
from ..kernels import buffers
from ..modes import where
from .index import getitem, index_select, pick
from .reduce import normalize_dims
from .shape import atleast_1d, sizes_of, transpose

__all__ = ["repeat", "tile", "repeat_interleave", "flip", "fliplr", "flipud", "roll", "rot90", "pad"]
METHODS = [name for name in __all__ if name != "pad"]  # of Tensor


class Repeat(Function):
    """z = x laid side by side `times` along each axis;  ∂L/∂x is the sum of ∂L/∂z over the copies."""

    __slots__ = ("sizes", "times")

    def __init__(self, times):
        self.times = times

    def forward(self, x):
        self.sizes = x.shape
        return np.tile(x, self.times)

    def backward(self, dz):
        sizes = (1,) * (len(self.times) - len(self.sizes)) + self.sizes
        copies = dz.reshape([n for pair in zip(self.times, sizes, strict=True) for n in pair])
        return copies.sum(axis=tuple(range(0, copies.ndim, 2))).reshape(self.sizes)

    backward_on_tape = Function.linear_on_tape


class Flip(Function):
    """z = x with the order along some axes reversed;  so is ∂L/∂z."""

    __slots__ = ("axes",)

    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return np.flip(x, self.axes).copy()

    def backward(self, dz):
        return np.flip(dz, self.axes)

    backward_on_tape = Function.linear_on_tape


class Roll(Function):
    """z_{i + shift mod n} = x_i along each axis;  ∂L/∂z is rolled back."""

    __slots__ = ("axes", "shifts")

    def __init__(self, shifts, axes):
        self.shifts, self.axes = shifts, axes

    def forward(self, x):
        return np.roll(x, self.shifts, self.axes)

    def backward(self, dz):
        return np.roll(dz, tuple(-s for s in self.shifts), self.axes)

    backward_on_tape = Function.linear_on_tape


class Pad(Function):
    """z = x inside a frame of `value`;  ∂L/∂x is ∂L/∂z without the frame."""

    __slots__ = ("sizes", "value", "widths")

    def __init__(self, widths, value):
        self.widths, self.value = widths, value

    def forward(self, x):
        self.sizes = x.shape
        z = buffers.empty([before + n + after for n, (before, after) in zip(x.shape, self.widths, strict=True)],
                          x.dtype)  # fmt: skip
        z[...] = self.value
        z[self._inside()] = x
        return z

    def backward(self, dz):
        return dz[self._inside()]

    def backward_on_tape(self, dz):
        return getitem(dz, self._inside())

    def _inside(self):
        return tuple(slice(before, before + n) for n, (before, _) in zip(self.sizes, self.widths, strict=True))


class Surround(Function):
    """z = x with copies of its own numbers before and after it along an axis;  ∂L/∂x adds up what they were given."""

    __slots__ = ("axis", "before", "places", "size")

    def __init__(self, axis, places, before):
        self.axis, self.places, self.before = axis, places, before  # z_i = x_(places_i), which is x from `before` on

    def forward(self, x):
        self.size = x.shape[self.axis]
        z = buffers.empty((*x.shape[: self.axis], self.places.size, *x.shape[self.axis + 1 :]), x.dtype)
        z[self._at(slice(self.before, self.before + self.size))] = x
        for i, place in self._around():
            z[self._at(i)] = x[self._at(place)]
        return z

    def backward(self, dz):
        dx = buffers.copy(dz[self._at(slice(self.before, self.before + self.size))])
        for i, place in self._around():
            dx[self._at(place)] += dz[self._at(i)]
        return dx

    backward_on_tape = Function.linear_on_tape

    def _around(self):
        """(i, places_i) of what is not x itself."""
        after = self.before + self.size
        return [(i, int(self.places[i])) for i in (*range(self.before), *range(after, self.places.size))]

    def _at(self, place):
        return (*(slice(None),) * self.axis, place)


def repeat(x, *sizes, repeats=None):
    """x laid side by side, `repeats` times along each dimension (new ones in front); NumPy's `tile`."""
    times = sizes_of(sizes if repeats is None else (repeats,))
    if len(times) < x._data.ndim or min(times, default=0) < 0:
        raise RuntimeError(
            f"{where()}repeat: {times} must give a number ≥ 0 for each of the {x._data.ndim} dimensions of shape "
            f"{x._data.shape}"
        )
    return Repeat(times)(x)


def tile(x, *sizes, dims=None):
    """`repeat`, with 1 for the dimensions in front that `dims` does not name."""
    times = sizes_of(sizes if dims is None else (dims,))
    return repeat(x, (1,) * (x._data.ndim - len(times)) + times)


def repeat_interleave(x, repeats, dim=None, *, output_size=None):
    """Each element along `dim` (of the flattened tensor by default) `repeats` times in a row; NumPy's `repeat`."""
    if dim is None:
        x, dim = x.reshape(-1), 0
    (axis,) = normalize_dims(dim, max(x._data.ndim, 1))
    x = atleast_1d(x)
    times = np.asarray(repeats._data if isinstance(repeats, TensorBase) else repeats)
    size = x._data.shape[axis]
    if times.dtype.kind not in "iu" or (times < 0).any():
        raise RuntimeError(f"{where()}repeat_interleave: repeats must be integers ≥ 0")
    if times.size != 1 and times.shape != (size,):
        raise RuntimeError(f"{where()}repeat_interleave: {times.size} repeats for size {size} of dim {axis}")
    places = np.repeat(np.arange(size), times.item() if times.size == 1 else times)
    return index_select(x, axis, pick(places))


def flip(x, *axes, dims=None):
    """The order along `dims` reversed; a copy."""
    return Flip(normalize_dims(sizes_of(axes if dims is None else (dims,)), x._data.ndim, "dims"))(x)


def fliplr(x):
    """The columns in reverse order: dimension 1."""
    if x._data.ndim < 2:
        raise RuntimeError(f"{where()}fliplr: expected at least 2 dimensions, got shape {x._data.shape}")
    return flip(x, 1)


def flipud(x):
    """The rows in reverse order: dimension 0."""
    if x._data.ndim < 1:
        raise RuntimeError(f"{where()}flipud: expected at least 1 dimension, got a 0-d tensor")
    return flip(x, 0)


def roll(x, shifts, dims=None):
    """Move everything by `shifts` along `dims`; what leaves at one end enters at the other. Without `dims`, the
    flattened tensor is rolled."""
    shifts = (shifts,) if isinstance(shifts, int | np.integer) else tuple(shifts)
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"{where()}roll: shifts {shifts} and dims {dims} must be equally many")
        return roll(x.reshape(-1), shifts, 0).reshape(x._data.shape)
    dims = (dims,) if isinstance(dims, int | np.integer) else tuple(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(f"{where()}roll: shifts {shifts} and dims {dims} must be equally many")
    if not x._data.ndim:
        raise IndexError(f"{where()}roll: a 0-d tensor has no dimension {dims}")
    return Roll(shifts, tuple(normalize_dims(d, x._data.ndim, "dims")[0] for d in dims))(x)


def rot90(x, k=1, dims=(0, 1)):
    """Turn by k · 90° in the plane of `dims`, from the first towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"{where()}rot90: dims {tuple(dims)} must name two dimensions")
    if x._data.ndim < 2:
        raise RuntimeError(f"{where()}rot90: expected at least 2 dimensions, got shape {x._data.shape}")
    a, b = normalize_dims(dims, x._data.ndim, "dims")
    k %= 4
    if k == 2:
        return flip(x, a, b)
    if not k:
        return x.clone()
    return transpose(flip(x, b), a, b) if k == 1 else flip(transpose(x, a, b), b)


def pad(input, pad, mode="constant", value=None):
    """Put `pad` = (left, right, top, bottom, …) numbers around x, the last dimension first; a negative one cuts off.

    mode "constant" puts `value` (0), "reflect" mirrors without repeating the edge, "replicate" repeats the edge,
    "circular" goes on at the other end; these three take x (N, C, …) or (C, …) and pad all of "…".
    """
    x, pad = input, tuple(int(p) for p in pad)
    shape = x._data.shape
    if len(pad) % 2 or len(pad) // 2 > len(shape):
        raise RuntimeError(f"{where()}pad: {pad} must be pairs for the last dimensions of shape {shape}")
    widths = {len(shape) - 1 - i // 2: (pad[i], pad[i + 1]) for i in range(0, len(pad), 2)}
    for axis, (before, after) in widths.items():
        if shape[axis] + before + after < 0:
            raise RuntimeError(f"{where()}pad: {pad} cuts more than there is of dim {axis} of shape {shape}")
    if mode == "constant":
        return _pad_constant(x, widths, value or 0)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(
            f'{where()}pad: mode {mode!r} is none of "constant", "reflect", "replicate", "circular"'
        )
    if value is not None:
        raise ValueError(f'{where()}pad: mode "{mode}" takes no value')
    if len(shape) not in (len(widths) + 1, len(widths) + 2):
        raise NotImplementedError(
            f'{where()}pad: mode "{mode}" with {len(pad)} numbers pads (N, C, …) or (C, …) with {len(widths)} '
            f"dimensions at the end, got shape {shape}"
        )
    if mode == "circular":  # what is cut off first does not come round again
        x = _cropped(x, widths)
        shape, widths = x._data.shape, {axis: (max(0, b), max(0, a)) for axis, (b, a) in widths.items()}
    for axis, (before, after) in widths.items():
        places = _source(mode, shape[axis], max(before, 0), max(after, 0))
        x = _cropped(Surround(axis, places, max(before, 0))(x), {axis: (min(before, 0), min(after, 0))})
    return x


def _pad_constant(x, widths, value):
    grown = tuple(tuple(max(0, w) for w in widths.get(axis, (0, 0))) for axis in range(x._data.ndim))
    return Pad(grown, value)(_cropped(x, widths))


def _cropped(x, widths):
    """x without what negative widths {axis: (before, after)} cut off."""
    if all(w >= 0 for pair in widths.values() for w in pair):
        return x
    kept = [slice(None)] * x._data.ndim
    for axis, (before, after) in widths.items():
        kept[axis] = slice(max(0, -before), x._data.shape[axis] - max(0, -after))
    return getitem(x, tuple(kept))


def _source(mode, size, before, after):
    """Where along an axis of `size` the numbers of the padded axis come from."""
    places = np.arange(-before, size + after)
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if (limit is not None and max(before, after) > limit) or not size:
        raise RuntimeError(
            f'{where()}pad: mode "{mode}" can pad size {size} by {limit or 0} at most on each side, '
            f"got ({before}, {after})"
        )
    if mode == "circular":
        return places % size
    if mode == "replicate":
        return places.clip(0, size - 1)
    places = np.abs(places)
    return np.where(places >= size, 2 * (size - 1) - places, places)
