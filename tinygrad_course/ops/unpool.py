"""Undoing a max pool: the maxima go back to their places, with zeros around them."""

import math

import numpy as np

from ..function import Function
from ..modes import where
from .conv import as_images, from_images, numbers
from .pool import Winners, check_images

__all__ = ["max_unpool1d", "max_unpool2d"]
METHODS = []  # of Tensor


class MaxUnpool2d(Function):
    """z = 0, but x at the given places of its plane;  ∂L/∂x is ∂L/∂z at these places."""

    __slots__ = ("places", "size")
    name = "max_unpool2d"

    def __init__(self, places, size):
        self.places, self.size = places, size

    def forward(self, x):
        z = np.zeros((*x.shape[:2], math.prod(self.size)), x.dtype)
        flat = (*x.shape[:2], math.prod(x.shape[2:]))
        np.put_along_axis(z, self.places.reshape(flat), x.reshape(flat), 2)
        return z.reshape(*x.shape[:2], *self.size)

    def backward(self, dz):
        return Winners(self.places).forward(dz)

    def backward_on_tape(self, dz):
        return Winners(self.places)(dz)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The maxima x (N, C, L) or (C, L) of `max_pool1d` back at their `indices`; see `max_unpool2d`."""
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The maxima x (N, C, H, W) or (C, H, W) of `max_pool2d(…, return_indices=True)` back at their `indices`.

    All else is 0. Several images are pooled to one size: H' = (H - 1)·stride - 2·padding + kernel_size unless
    `output_size` says otherwise, by less than `stride`.
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def _unpool(name, dims, x, indices, kernel_size, stride, padding, output_size):
    kernel_size = numbers(kernel_size, dims, "kernel_size", 1)
    stride = kernel_size if stride is None or stride == () else numbers(stride, dims, "stride", 1)
    padding = numbers(padding, dims, "padding", 0)
    check_images(name, dims, x)
    if indices._data.dtype != np.int64:
        raise RuntimeError(f"{where()}{name}: indices must be int64, got {indices._data.dtype}")
    if indices._data.shape != x._data.shape:
        raise RuntimeError(
            f"{where()}{name}: indices of shape {indices._data.shape} for an input of shape {x._data.shape}; they are "
            "what the pool returned with return_indices=True"
        )
    spatial = x._data.shape[-dims:]
    usual = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(spatial, stride, kernel_size, padding, strict=True))
    size = usual if output_size is None else tuple(output_size)
    if len(size) == dims + 2:
        size = size[2:]
    if len(size) != dims:
        raise ValueError(f"{where()}{name}: output_size {tuple(output_size)} must have {dims} or {dims + 2} numbers")
    if output_size is not None and any(abs(n - u) >= s for n, u, s in zip(size, usual, stride, strict=True)):
        raise ValueError(
            f"{where()}{name}: output_size {size} must differ from {usual} by less than the stride {stride}: no other "
            f"size is pooled to {spatial}"
        )
    places = indices._data
    if places.size and not 0 <= places.min() <= places.max() < math.prod(size):
        raise RuntimeError(
            f"{where()}{name}: indices {places.min()} … {places.max()} do not lie in an output of size {size}"
        )
    images = as_images(x, dims)
    node = MaxUnpool2d(places.reshape(images._data.shape), (1,) * (2 - dims) + size)
    return from_images(node(images), dims, x._data.ndim)
