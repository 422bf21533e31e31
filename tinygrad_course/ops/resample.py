"""Images made larger or smaller by interpolation.

Every mode mixes, along one axis after the other, a few numbers of x into each number of the output. Output i lies at
(i + ½)·scale - ½ of the input, scale = n / n': numbers are taken for the middles of pixels. With `align_corners` it
lies at i (n - 1)/(n' - 1): the first and the last pixel stay where they are.
"""

import functools
import math

import numpy as np

from ..modes import where
from .adaptive_pool import AdaptiveAvgPool
from .bands import Mix, bands
from .convert import cast, expect_tensor, floating

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
METHODS = []  # of Tensor

BY_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # mode: the axes it interpolates along
MODES = ("nearest", "nearest-exact", "area", *BY_DIMS)


class Interpolate(Mix):
    """z_i = Σ_k w_ki x_{p_k(i)} along each of the last axes;  ∂L/∂x_j = Σ w_ki ∂L/∂z_i where p_k(i) = j."""

    __slots__ = ("tables",)

    def __init__(self, tables, bands):
        self.tables = tables  # for each axis from the last one backwards: (places p_k, weights w_k or None) for each k
        self.bands = bands  # the same, for each axis from the first one on


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
    antialias=False,
):  # fmt: skip
    """x (N, C, L), (N, C, H, W) or (N, C, D, H, W) at another `size` or at ⌊size · scale_factor⌋.

    Both are one number, or one for each dimension. mode "nearest": the pixel at ⌊i · scale⌋; "nearest-exact": the
    nearest one; "linear", "bilinear", "trilinear" (for 1, 2, 3 dimensions): between neighbours; "bicubic": by the
    cubic (a = -3/4) through 4 × 4 pixels; "area": the mean of a window, as `adaptive_avg_pool2d`. `align_corners` keeps
    the outermost pixels where they are. `scale` is 1 / scale_factor; with `recompute_scale_factor` the sizes' ratio.
    """
    expect_tensor(input, "interpolate")
    shape, dims = input._data.shape, input._data.ndim - 2
    if mode not in MODES or dims not in (1, 2, 3):
        raise NotImplementedError(
            f"{where()}interpolate: mode {mode!r} of an input of shape {shape}: the input must have 3, 4 or 5 "
            f"dimensions (N, C, …), the mode be one of {', '.join(MODES)}"
        )
    if mode in BY_DIMS and BY_DIMS[mode] != dims:
        raise NotImplementedError(
            f"{where()}interpolate: mode {mode!r} is for {BY_DIMS[mode] + 2} dimensions, got an input of shape {shape}"
        )
    if align_corners is not None and mode not in BY_DIMS:
        raise ValueError(f"{where()}interpolate: align_corners is for the modes {', '.join(BY_DIMS)}, not {mode!r}")
    if antialias:
        if mode not in ("bilinear", "bicubic"):
            raise ValueError(f"{where()}interpolate: antialias is for the modes bilinear and bicubic, not {mode!r}")
        raise NotImplementedError(f"{where()}interpolate: antialias=True; use mode 'area' to make an image smaller")
    if recompute_scale_factor and size is not None:
        raise ValueError(f"{where()}interpolate: recompute_scale_factor is for a scale_factor, not for size={size}")
    size, scales = _size_and_scales(shape[2:], size, scale_factor, recompute_scale_factor or mode == "area")
    if 0 in shape[1:] or min(size) < 1:
        raise RuntimeError(
            f"{where()}interpolate: sizes must be at least 1, got input {shape} and output size {size}"
        )
    dtype = input._data.dtype
    if dtype.kind != "f" and not (dtype == np.uint8 and "nearest" in mode):
        raise NotImplementedError(f"{where()}interpolate: mode {mode!r} is not for {dtype}; convert with .float()")
    if mode == "area":
        return AdaptiveAvgPool(size)(input)
    x = floating(input)
    axes = zip(shape[2:], size, scales, strict=True)
    tables, mixtures = zip(*[_mixture(mode, *axis, bool(align_corners), x._data.dtype.type) for axis in axes])
    return cast(Interpolate(tables[::-1], mixtures)(x), dtype)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate` by its old name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode "nearest"."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with mode "bilinear" and align_corners=True."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def _size_and_scales(before, size, scale_factor, recompute):
    """The output's size, and a scale factor for each axis or None where the sizes tell."""
    dims = len(before)
    if (size is None) == (scale_factor is None):
        which = "neither" if size is None else "both"
        raise ValueError(f"{where()}interpolate: give either size or scale_factor, got {which}")
    name, value = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    several = tuple(value) if isinstance(value, list | tuple) else (value,) * dims
    if len(several) != dims:
        raise ValueError(f"{where()}interpolate: {name} {value} has {len(several)} numbers for a size of {before}")
    if scale_factor is None:
        return tuple(int(s) for s in several), (None,) * dims
    after = tuple(math.floor(float(n) * s) for n, s in zip(before, several, strict=True))
    return after, (None,) * dims if recompute else several


@functools.lru_cache
def _mixture(mode, before, after, factor, align_corners, real):
    """The table of an axis, and the bands of the matrix that it stands for."""
    table = _table(mode, before, after, factor, align_corners, real)
    places = np.concatenate([p for p, _ in table])
    weights = np.concatenate([np.ones(after, real) if w is None else w for _, w in table])
    return table, bands(np.tile(np.arange(after), len(table)), places, weights, after, before)


def _table(mode, before, after, factor, align_corners, real):
    """[(places, weights), …]: what is mixed into each of the `after` numbers of an axis that had `before`."""
    i = np.arange(after)
    if "nearest" in mode:
        if after == before:
            return [(i, None)]
        scale = np.float32(1 / factor if factor else np.float32(before) / np.float32(after))  # PyTorch's precision
        middle = np.float32(0.5 if mode == "nearest-exact" else 0)
        return [(np.minimum(np.floor((i.astype(np.float32) + middle) * scale).astype(np.intp), before - 1), None)]
    if after == before:
        at = i.astype(real)
    elif align_corners:
        at = i.astype(real) * (real(before - 1) / real(after - 1) if after > 1 else real(0))
    else:
        scale = real(1 / factor) if factor else real(before) / real(after)
        at = (i.astype(real) + real(0.5)) * scale - real(0.5)
        if mode != "bicubic":
            at = np.maximum(at, 0)
    first = np.minimum(np.floor(at).astype(np.intp), before - 1)
    t = (at - first).clip(0, 1).astype(real)
    if mode != "bicubic":
        return [(first, 1 - t), (np.minimum(first + 1, before - 1), t)]
    weights = (_cubic_far(t + 1), _cubic_near(t), _cubic_near(1 - t), _cubic_far(2 - t))
    return [((first + k - 1).clip(0, before - 1), w) for k, w in enumerate(weights)]


def _cubic_near(t):
    """The weight of a pixel at a distance t ≤ 1, a = -3/4 (Keys 1981)."""
    return (1.25 * t - 2.25) * t * t + 1


def _cubic_far(t):
    """The weight of a pixel at a distance 1 ≤ t ≤ 2."""
    return ((-0.75 * t + 3.75) * t - 6) * t + 3
