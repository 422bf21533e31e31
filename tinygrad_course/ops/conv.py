"""Convolution: slide a filter over an image. A cross-correlation, as everywhere in deep learning (no flip).

Three operations, bilinear all of them, each the others' gradient: a convolution of x with W, its adjoint that sends
y back to x's place (the transposed convolution), and the correlation of x with y that gives W's gradient. So each
of their second derivatives is again one of the three. A signal (N, C, L) is an image of height 1.
"""

import operator

import numpy as np

from ..function import Function
from ..kernels import conv as kernels
from ..modes import where
from .convert import cast, contiguous, expect_tensor
from .shape import reshaped

__all__ = ["conv1d", "conv2d"]
METHODS = []  # of Tensor

SHAPES = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)"}
WEIGHT = {1: "length", 2: "height, width"}


class _Convolution(Function):
    __slots__ = ("how", "shapes_of")
    replayable = True

    def __init__(self, *how):
        self.how = how  # stride, padding as ((top, bottom), (left, right)), dilation, groups


class Conv2d(_Convolution):
    """Y[n,o,i,j] = b[o] + Σ_{c,u,v} W[o,c,u,v] X[n, c, i·s + u·d - p, j·s + v·d - p].

    ∂L/∂W correlates X with dY, ∂L/∂X spreads dY through W (a transposed convolution), ∂L/∂b sums dY.
    """

    __slots__ = ("relu",)
    name = "conv2d"

    def __init__(self, *how, relu=False):
        super().__init__(*how)
        self.relu = relu  # whether to give max(Y, 0), of which the next operation makes a ReLU

    def forward(self, x, weight, bias):
        self.saved = (x if self.needs[1] else None, weight if self.needs[0] else None)
        self.shapes_of = x.shape, weight.shape
        bias = None if bias is None else contiguous(bias)
        return kernels.conv2d_forward(contiguous(x), contiguous(weight), bias, *self.how, self.relu)

    def backward(self, dy):
        x, weight = self.saved
        x_shape, weight_shape = self.shapes_of
        dy = contiguous(dy)
        dx = dweight = None
        if self.needs[0]:
            dx = kernels.conv2d_input_grad(dy, contiguous(weight), x_shape, *self.how)
        if self.needs[1]:
            dweight = kernels.conv2d_weight_grad(dy, contiguous(x), weight_shape, *self.how)
        return dx, dweight, kernels.bias_grad(dy) if self.needs[2] else None

    def backward_on_tape(self, dy):
        x, weight = self.saved_tensors()
        x_shape, weight_shape = self.shapes_of
        dx = ConvTranspose2d(x_shape[2:], *self.how)(dy, weight, None) if self.needs[0] else None
        dweight = ConvWeight2d(weight_shape, *self.how)(dy, x) if self.needs[1] else None
        return dx, dweight, dy.sum((0, 2, 3)) if self.needs[2] else None


class ConvTranspose2d(_Convolution):
    """Y[n, c, i·s + u·d - p, j·s + v·d - p] += W[o,c,u,v] X[n,o,i,j], and Y[n,c] += b[c]: the adjoint of Conv2d.

    ∂L/∂X is the convolution of dY with W, ∂L/∂W correlates dY with X, ∂L/∂b sums dY.
    """

    __slots__ = ("size",)
    name = "conv_transpose2d"

    def __init__(self, size, *how):
        super().__init__(*how)
        self.size = size  # height and width of Y

    def forward(self, x, weight, bias):
        self.saved = (x if self.needs[1] else None, weight if self.needs[0] else None)
        self.shapes_of = x.shape, weight.shape
        shape = x.shape[0], weight.shape[1] * self.how[-1], *self.size
        bias = None if bias is None else contiguous(bias)
        return kernels.conv2d_input_grad(contiguous(x), contiguous(weight), shape, *self.how, bias)

    def backward(self, dy):
        x, weight = self.saved
        dy = contiguous(dy)
        dx = dweight = None
        if self.needs[0]:
            dx = kernels.conv2d_forward(dy, contiguous(weight), None, *self.how)
        if self.needs[1]:
            dweight = kernels.conv2d_weight_grad(contiguous(x), dy, self.shapes_of[1], *self.how)
        return dx, dweight, kernels.bias_grad(dy) if self.needs[2] else None

    def backward_on_tape(self, dy):
        x, weight = self.saved_tensors()
        dx = Conv2d(*self.how)(dy, weight, None) if self.needs[0] else None
        dweight = ConvWeight2d(self.shapes_of[1], *self.how)(x, dy) if self.needs[1] else None
        return dx, dweight, dy.sum((0, 2, 3)) if self.needs[2] else None


class ConvWeight2d(_Convolution):
    """V[o,c,u,v] = Σ_{n,i,j} Y[n,o,i,j] X[n, c, i·s + u·d - p, j·s + v·d - p], the gradient of Conv2d's weight.

    ∂L/∂Y is the convolution of X with dV, ∂L/∂X spreads Y through dV.
    """

    __slots__ = ("weight_shape",)
    name = "conv2d_weight"

    def __init__(self, weight_shape, *how):
        super().__init__(*how)
        self.weight_shape = weight_shape

    def forward(self, y, x):
        self.saved = (y if self.needs[1] else None, x if self.needs[0] else None)
        self.shapes_of = y.shape, x.shape
        return kernels.conv2d_weight_grad(contiguous(y), contiguous(x), self.weight_shape, *self.how)

    def backward(self, dv):
        y, x = self.saved
        dv = contiguous(dv)
        dy = kernels.conv2d_forward(contiguous(x), dv, None, *self.how) if self.needs[0] else None
        if not self.needs[1]:
            return dy, None
        return dy, kernels.conv2d_input_grad(contiguous(y), dv, self.shapes_of[1], *self.how)

    def backward_on_tape(self, dv):
        y, x = self.saved_tensors()
        dy = Conv2d(*self.how)(x, dv, None) if self.needs[0] else None
        return dy, ConvTranspose2d(self.shapes_of[1][2:], *self.how)(y, dv, None) if self.needs[1] else None


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """1-d convolution of x (N, C, L), or one signal (C, L), with weight (O, C/groups, K), bias (O).

    `padding` may be "valid" (none) or "same" (output size = input size; stride 1 only). Output (N, O, L') with
    L' = ⌊(L + 2·padding - dilation·(K - 1) - 1) / stride⌋ + 1.
    """
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """2-d convolution of x (N, C, H, W), or one image (C, H, W), with weight (O, C/groups, KH, KW), bias (O).

    `stride`, `padding`, `dilation` are an int or a pair (height, width); `padding` may be "valid" (none) or
    "same" (output size = input size; stride 1 only). Output (N, O, H', W') with
    H' = ⌊(H + 2·padding - dilation·(KH - 1) - 1) / stride⌋ + 1.
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def convolve(name, dims, x, weight, bias, stride, padding, dilation, groups, relu=False):
    """`conv1d` or `conv2d`; with `relu`, max(y, 0), for the next operation to make a ReLU of (`Rectified`)."""
    check_operands(name, dims, x, weight, bias)
    a, w = x._data, weight._data
    stride, dilation = numbers(stride, dims, "stride", 1), numbers(dilation, dims, "dilation", 1)
    asked, padding = padding, padding_pairs(padding, w.shape[2:], stride, dilation)
    check_channels(name, dims, a.shape, w.shape, groups)
    check_bias(name, bias, weight, w.shape[0])
    check_fits(name, a.shape[-dims:], w.shape[2:], padding, dilation)
    if a.dtype.kind != "f":  # exact, as long as no sum is beyond 2^53
        real = [None if t is None else cast(t, np.float64) for t in (x, weight, bias)]
        return cast(convolve(name, dims, *real, stride, asked, dilation, groups, relu).round(), a.dtype)
    if dims == 1:
        stride, padding, dilation = (1, *stride), ((0, 0), *padding), (1, *dilation)
    y = Conv2d(stride, padding, dilation, groups, relu=relu)(as_images(x, dims), as_images(weight, dims), bias)
    return from_images(y, dims, a.ndim)


# ------------------------------------------------------------------------ what the families of images share


def as_images(x, dims):
    """(N, C, L), (C, L), (C, H, W) or (N, C, H, W), of `dims` dimensions behind C, as (N, C, H, W)."""
    shape = x._data.shape
    if len(shape) == 4:
        return x
    batch = shape[:1] if len(shape) == dims + 2 else (1,)
    return reshaped(x, (*batch, shape[-dims - 1], *(1,) * (2 - dims), *shape[-dims:]))


def from_images(y, dims, ndim):
    """What has come of `as_images(x, dims)`, as x was, of `ndim` dimensions."""
    shape = y._data.shape
    return y if ndim == 4 else reshaped(y, (*shape[dims + 2 - ndim : 2], *shape[4 - dims :]))


def numbers(value, count, name, least):
    """An int, or `count` ints, as a tuple of `count` ints ≥ `least`."""
    if type(value) is int and value >= least:  # what a layer gives, at each step of a training
        return (value,) * count
    if type(value) is tuple and len(value) == count and set(map(type, value)) == {int} and min(value) >= least:
        return value
    several = (value,) * count if isinstance(value, int | np.integer) else value
    many = {1: "one int", 2: "a pair of ints", 3: "three ints"}[count]
    if not isinstance(several, list | tuple) or not all(isinstance(v, int | np.integer) for v in several):
        raise TypeError(f"{where()}{name} must be an int or {many}, got {value!r}")
    if len(several) == 1:
        several = tuple(several) * count
    if len(several) != count:
        raise RuntimeError(f"{where()}{name} must be an int or {many}, got {value!r}")
    if min(several) < least:
        raise RuntimeError(f"{where()}{name} must be at least {least}, got {value!r}")
    return tuple(map(int, several))


def padding_pairs(padding, kernel_size, stride, dilation):
    """Padding as ((top, bottom), (left, right)). "same" puts an odd row or column at the bottom or right."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise RuntimeError(f"{where()}padding must be an int, a pair, 'valid' or 'same', got {padding!r}")
        if padding == "same" and max(stride) > 1:
            raise RuntimeError(f"{where()}padding='same' is for stride 1 only, got stride {stride}")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel_size, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple([(p, p) for p in numbers(padding, len(kernel_size), "padding", 0)])


def check_operands(name, dims, x, weight, bias):
    """Input and weight are tensors of a layer's shapes, and of one dtype, float or int64."""
    expect_tensor(x, name)
    expect_tensor(weight, name, "weight")
    if bias is not None:
        expect_tensor(bias, name, "bias")
    a, w = x._data, weight._data
    if w.ndim != dims + 2:
        names = "in, out/groups" if "transpose" in name else "out, in/groups"
        raise RuntimeError(f"{where()}{name}: weight must be ({names}, {WEIGHT[dims]}), got shape {w.shape}")
    if a.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{where()}{name}: expected an input of shape {SHAPES[dims]}, got {a.shape}"
            + ("; add the channel with x.unsqueeze(0)" if a.ndim == dims else "")
        )
    if a.dtype != w.dtype:
        raise RuntimeError(
            f"{where()}{name}: input is {a.dtype} but weight is {w.dtype}; convert the input with .to(tg.{w.dtype})"
        )
    if a.dtype.kind != "f" and a.dtype != np.int64:
        raise RuntimeError(f"{where()}{name}: expected floating tensors, got {a.dtype}; convert them with .float()")
    if not a.size and 0 in a.shape[-dims:]:
        raise RuntimeError(f"{where()}{name}: only the batch may be empty, got an input of shape {a.shape}")
    if not w.shape[0]:
        raise RuntimeError(f"{where()}{name}: the weight of shape {w.shape} has no filters")


def check_bias(name, bias, weight, channels):
    """The bias is one number for each output channel."""
    if bias is not None and (bias._data.shape != (channels,) or bias._data.dtype != weight._data.dtype):
        raise RuntimeError(
            f"{where()}{name}: bias of shape {bias._data.shape} and {bias._data.dtype} for {channels} output channels "
            f"and weight of {weight._data.dtype}; it must be ({channels},) of {weight._data.dtype}"
        )


def check_channels(name, dims, x_shape, weight_shape, groups):
    """The input's channels are those the weight was made for."""
    check_groups(name, groups, weight_shape[0], "output")
    channels = x_shape[-dims - 1]
    if channels != weight_shape[1] * groups:
        raise RuntimeError(
            f"{where()}{name}: input of shape {x_shape} has {channels} channels, but weight of shape {weight_shape} "
            f"with groups={groups} expects {weight_shape[1] * groups}"
        )


def check_groups(name, groups, channels, role):
    """`groups` is at least 1 and divides the channels."""
    if not isinstance(groups, int | np.integer):
        raise TypeError(f"{where()}{name}: groups must be an int, got {groups!r}")
    if groups < 1:
        raise RuntimeError(f"{where()}{name}: groups must be an int of at least 1, got {groups!r}")
    if channels % groups:
        raise RuntimeError(f"{where()}{name}: {channels} {role} channels are not divisible by groups={groups}")


def check_fits(name, size, kernel_size, padding, dilation):
    """The filter is not larger than the padded image."""
    padded = [s + before + after for s, (before, after) in zip(size, padding, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    if min(kernel_size) < 1:
        raise RuntimeError(f"{where()}{name}: kernel size must be at least 1, got {tuple(kernel_size)}")
    if not all(map(operator.le, reach, padded)):
        kernel, image = (" x ".join(map(str, s)) for s in (reach, padded))
        raise RuntimeError(
            f"{where()}{name}: the kernel ({kernel}, dilation included) is larger than the padded input ({image}); "
            "use a larger image, a smaller kernel or more padding"
        )
