"""An image's windows as columns of a matrix, and back; channels as pixels, and back."""

import math

import numpy as np

from ..function import Function
from ..modes import where
from .conv import check_fits, numbers
from .convert import expect_tensor
from .shape import permute, reshape, reshaped

__all__ = ["fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]
METHODS = []  # of Tensor


class _Windows(Function):
    """The two directions of im2col, which are each other's adjoint."""

    __slots__ = ("batch", "channels", "dilation", "kernel_size", "padding", "size", "stride")

    def __init__(self, size, kernel_size, dilation, padding, stride):
        self.size, self.kernel_size, self.dilation = size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def _count(self):
        return windows_count(self.size, self.kernel_size, self.dilation, self.padding, self.stride)

    def _taps(self, padded):
        """((u, v), what tap u, v of all windows sees: a view (N, C, H', W'))."""
        (rows, columns), (s, t) = self._count(), self.stride
        for u, v in np.ndindex(*self.kernel_size):
            top, left = u * self.dilation[0], v * self.dilation[1]
            yield (u, v), padded[:, :, top : top + (rows - 1) * s + 1 : s, left : left + (columns - 1) * t + 1 : t]

    def columns_of(self, x):
        """(N, C, H, W) -> (N, C · KH · KW, windows)."""
        (p, q), (rows, columns) = self.padding, self._count()
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q))) if p or q else x
        windows = np.empty((*x.shape[:2], *self.kernel_size, rows, columns), x.dtype)
        for (u, v), seen in self._taps(padded):
            windows[:, :, u, v] = seen
        return windows.reshape(x.shape[0], -1 if x.size else math.prod(windows.shape[1:4]), rows * columns)

    def image_of(self, columns):
        """(N, C · KH · KW, windows) -> (N, C, H, W): windows are added where they overlap."""
        (p, q), (H, W) = self.padding, self.size
        windows = columns.reshape(columns.shape[0], -1 if columns.size else columns.shape[1] // math.prod(
            self.kernel_size), *self.kernel_size, *self._count())  # fmt: skip
        padded = np.zeros((*windows.shape[:2], H + 2 * p, W + 2 * q), columns.dtype)
        for (u, v), seen in self._taps(padded):
            seen += windows[:, :, u, v]
        return padded[:, :, p : p + H, q : q + W]

    backward_on_tape = Function.linear_on_tape


class Unfold(_Windows):
    """z[n, (c,u,v), (i,j)] = x[n, c, i·s + u·d - p, j·s + v·d - p];  ∂L/∂x adds up what each pixel was given."""

    __slots__ = ()

    def forward(self, x):
        return self.columns_of(x)

    def backward(self, dz):
        return self.image_of(dz)


class Fold(_Windows):
    """z[n, c, i·s + u·d - p, j·s + v·d - p] += x[n, (c,u,v), (i,j)];  ∂L/∂x reads ∂L/∂z in these places."""

    __slots__ = ()

    def forward(self, x):
        return self.image_of(x)

    def backward(self, dz):
        return self.columns_of(dz)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of x (N, C, H, W) or (C, H, W) as columns: (N, C · KH · KW, L), L = H' · W' windows (im2col).

    H' = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1. A convolution is W.reshape(O, -1) @ unfold(x).
    """
    expect_tensor(input, "unfold")
    shape = input._data.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        kind = IndexError if len(shape) < 3 else RuntimeError
        raise kind(f"{where()}unfold: expected an input (N, C, H, W) or (C, H, W), got shape {shape}")
    how = _how(kernel_size, dilation, padding, stride)
    check_fits("unfold", shape[-2:], how[0], [(p, p) for p in how[2]], how[1])
    if len(shape) == 3:
        z = Unfold(shape[-2:], *how)(reshape(input, 1, *shape))
        return reshaped(z, z._data.shape[1:])
    return Unfold(shape[-2:], *how)(input)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The columns x (N, C · KH · KW, L) or (C · KH · KW, L) put back as windows of images (N, C, *output_size).

    They are added where windows overlap (col2im): fold(unfold(x)) is x times the number of windows around each pixel.
    """
    expect_tensor(input, "fold")
    shape, size = input._data.shape, numbers(output_size, 2, "output_size", 1)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(f"{where()}fold: expected (N, C · KH · KW, L) or (C · KH · KW, L), got shape {shape}")
    how = _how(kernel_size, dilation, padding, stride)
    area = math.prod(how[0])
    if shape[-2] % area:
        raise RuntimeError(
            f"{where()}fold: input of shape {shape}: {shape[-2]} rows are not divisible by {area}, the numbers of a "
            f"window of kernel_size {how[0]}"
        )
    check_fits("fold", size, how[0], [(p, p) for p in how[2]], how[1])
    rows, columns = windows_count(size, *how)
    if shape[-1] != rows * columns:
        raise RuntimeError(
            f"{where()}fold: input of shape {shape} has {shape[-1]} columns, but an image of {size} has {rows} x "
            f"{columns} = {rows * columns} windows of kernel_size {how[0]}, dilation {how[1]}, padding {how[2]}, "
            f"stride {how[3]}"
        )
    if len(shape) == 2:
        z = Fold(size, *how)(reshape(input, 1, *shape))
        return reshaped(z, z._data.shape[1:])
    return Fold(size, *how)(input)


def _how(kernel_size, dilation, padding, stride):
    return (
        numbers(kernel_size, 2, "kernel_size", 1), numbers(dilation, 2, "dilation", 1),
        numbers(padding, 2, "padding", 0), numbers(stride, 2, "stride", 1),
    )  # fmt: skip


def windows_count(size, kernel_size, dilation, padding, stride):
    """How many windows an image of `size` has, by rows and columns."""
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel_size, dilation, padding, stride, strict=True)
    )


def pixel_shuffle(input, upscale_factor):
    """(…, C·r², H, W) -> (…, C, H·r, W·r): each r² channels become the r × r pixels of a finer image (Shi 2016)."""
    r, (*lead, channels, height, width) = upscale_factor, _image("pixel_shuffle", input, upscale_factor)
    if channels % r**2:
        raise RuntimeError(
            f"{where()}pixel_shuffle: {channels} channels of shape {input._data.shape} are not divisible by "
            f"upscale_factor² = {r**2}"
        )
    n = len(lead)
    x = reshape(input, *lead, channels // r**2, r, r, height, width)
    x = permute(x, *range(n), n, n + 3, n + 1, n + 4, n + 2)
    return reshape(x, *lead, channels // r**2, height * r, width * r)


def pixel_unshuffle(input, downscale_factor):
    """(…, C, H·r, W·r) -> (…, C·r², H, W): each r × r pixels become r² channels."""
    r, (*lead, channels, height, width) = downscale_factor, _image("pixel_unshuffle", input, downscale_factor)
    if height % r or width % r:
        raise RuntimeError(
            f"{where()}pixel_unshuffle: height and width of shape {input._data.shape} are not divisible by "
            f"downscale_factor = {r}"
        )
    n = len(lead)
    x = reshape(input, *lead, channels, height // r, r, width // r, r)
    x = permute(x, *range(n), n, n + 2, n + 4, n + 1, n + 3)
    return reshape(x, *lead, channels * r**2, height // r, width // r)


def _image(name, x, factor):
    """The shape of x, (…, C, H, W)."""
    expect_tensor(x, name)
    if x._data.ndim < 3:
        raise RuntimeError(f"{where()}{name}: expected an input (…, C, H, W), got shape {x._data.shape}")
    if not isinstance(factor, int | np.integer):
        raise TypeError(f"{where()}{name}: the factor must be an int, got {factor!r}")
    if factor < 1:
        raise RuntimeError(f"{where()}{name}: the factor must be at least 1, got {factor!r}")
    return x._data.shape
