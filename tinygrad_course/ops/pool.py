"""Pooling: each window of an image becomes one number."""

from ..engine import Function, where
from ..kernels import pool as kernels
from .conv import pair
from .convert import contiguous, expect_tensor

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]
METHODS = []  # of Tensor


class MaxPool2d(Function):
    """y = max over each window;  the gradient goes to the place that won (the first one, if several tie)."""

    __slots__ = ("dilation", "input_shape", "kernel_size", "output_size", "padding", "stride")
    name = "max_pool2d"

    def __init__(self, kernel_size, stride, padding, dilation, output_size):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.output_size = dilation, output_size

    def forward(self, x):
        self.input_shape = x.shape
        y, winner = kernels.max_pool2d_forward(
            contiguous(x), self.kernel_size, self.stride, self.padding, self.dilation, self.output_size
        )
        self.saved = (winner,)
        return y

    def backward(self, dy):
        (winner,) = self.saved
        return kernels.max_pool2d_backward(contiguous(dy), winner, self.input_shape)


class AvgPool2d(Function):
    """y = mean over each window;  every place of a window gets 1/size of its gradient."""

    __slots__ = ("input_shape", "output_size", "window")
    name = "avg_pool2d"

    def __init__(self, kernel_size, stride, padding, output_size, count_include_pad, divisor_override):
        self.output_size = output_size
        self.window = kernel_size, stride, padding, count_include_pad, divisor_override

    def forward(self, x):
        self.input_shape = x.shape
        kernel_size, stride, padding, count_include_pad, divisor = self.window
        return kernels.avg_pool2d_forward(
            contiguous(x), kernel_size, stride, padding, self.output_size, count_include_pad, divisor
        )

    def backward(self, dy):
        return kernels.avg_pool2d_backward(contiguous(dy), self.input_shape, *self.window)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Maximum over windows of x (N, C, H, W) or (C, H, W); `stride` is `kernel_size` if not given.

    H' = ⌊(H + 2·padding - dilation·(kernel_size - 1) - 1) / stride⌋ + 1; ⌈…⌉ with `ceil_mode`, as long as the
    last window begins inside the image or its left padding. Padding counts as -inf.
    """
    kernel_size, stride, padding = _windows("max_pool2d", x, kernel_size, stride, padding)
    dilation = pair(dilation, "dilation", 1)
    size = _output_size("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode)
    if x._data.ndim == 3:
        return MaxPool2d(kernel_size, stride, padding, dilation, size)(x.unsqueeze(0)).squeeze(0)
    return MaxPool2d(kernel_size, stride, padding, dilation, size)(x)


def avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Mean over windows of x (N, C, H, W) or (C, H, W); `stride` is `kernel_size` if not given.

    Zeros of the padding count in the divisor unless `count_include_pad` is False; `divisor_override` replaces it.
    """
    kernel_size, stride, padding = _windows("avg_pool2d", x, kernel_size, stride, padding)
    if divisor_override is not None and divisor_override == 0:
        raise RuntimeError(f"{where()}avg_pool2d: divisor_override must not be zero")
    size = _output_size("avg_pool2d", x, kernel_size, stride, padding, (1, 1), ceil_mode)
    node = AvgPool2d(kernel_size, stride, padding, size, bool(count_include_pad), divisor_override)
    return node(x.unsqueeze(0)).squeeze(0) if x._data.ndim == 3 else node(x)


def adaptive_avg_pool2d(x, output_size):
    """Mean over as many windows as give `output_size` (an int or a pair; None keeps a size).

    Only sizes that divide the input's are supported: then it is `avg_pool2d` with windows of size / output_size.
    """
    two = (output_size,) * 2 if output_size is None or isinstance(output_size, int) else tuple(output_size)
    size = x._data.shape[-2:]
    wanted = [s if o is None else o for o, s in zip(two, size, strict=True)]
    if any(o < 1 or s % o for o, s in zip(wanted, size, strict=True)):
        raise RuntimeError(f"{where()}adaptive_avg_pool2d: output size {tuple(wanted)} does not divide the input's {size}")
    return avg_pool2d(x, tuple(s // o for s, o in zip(size, wanted, strict=True)))


def _windows(name, x, kernel_size, stride, padding):
    expect_tensor(x, name)
    if x._data.ndim not in (3, 4):
        raise RuntimeError(f"{where()}{name}: expected an input (N, C, H, W) or (C, H, W), got shape {x._data.shape}")
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}{name}: expected a floating tensor, got {x._data.dtype}")
    kernel_size = pair(kernel_size, "kernel_size", 1)
    stride = kernel_size if stride is None or stride == () or stride == [] else pair(stride, "stride", 1)
    padding = pair(padding, "padding", 0)
    if any(p > k // 2 for p, k in zip(padding, kernel_size, strict=True)):
        raise RuntimeError(
            f"{where()}{name}: padding {padding} is more than half of the kernel size {kernel_size}, so that some "
            "windows would hold nothing but padding"
        )
    return kernel_size, stride, padding


def _output_size(name, x, kernel_size, stride, padding, dilation, ceil_mode):
    sizes = []
    for size, k, s, p, d in zip(x._data.shape[-2:], kernel_size, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:  # the last window would begin in the right padding
            count -= 1
        if count < 1:
            raise RuntimeError(
                f"{where()}{name}: the kernel {kernel_size} is larger than the padded input: input "
                f"{x._data.shape[-2:]}, padding {padding}; use a larger image, a smaller kernel or more padding"
            )
        sizes.append(count)
    return tuple(sizes)
