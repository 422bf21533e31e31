"""Losses of regression, and what all losses share: how far a prediction is from its target, as one number.

`loss_classes.py`, `loss_binary.py` and `loss_density.py` have the logarithms of probabilities, `loss_margin.py` the
losses with a margin.
"""

import warnings

import numpy as np

from ..base import TensorBase, tensor_of
from ..function import Function
from ..kernels import loss as kernels
from ..modes import where
from . import convert, large
from .arithmetic import mul
from .convert import expect_tensor
from .reduce import mean, sum
from .shape import expand

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]
METHODS = []  # of Tensor
FEW = 10_000  # numbers; for less NumPy is as fast


class Loss(Function):
    """L = the mean, the sum or all of losses ℓ(x, y), one for each element;  ∂L/∂x = share · ∂ℓ/∂x.

    A subclass gives `losses(*inputs)` and `slopes(*inputs)`, the derivatives of each ℓ by each input. Inputs have one
    shape. `slopes` is written so that it does for tensors too, for gradients of gradients.
    """

    __slots__ = ("reduction", "share")

    def __init__(self, reduction):
        self.reduction = reduction

    def forward(self, *arrays):
        self.saved = arrays
        losses = self.losses(*arrays)
        self.share = 1.0
        if self.reduction == "none":
            return losses
        total = large.sum_axes(losses, tuple(range(losses.ndim)))
        if self.reduction == "sum":
            return total
        self.share = 1.0 / max(losses.size, 1)
        return np.divide(total, losses.size, dtype=losses.dtype)

    def backward(self, dz):
        dz = dz * self.share
        slopes = self.slopes(*self.saved)
        return tuple([large.mul(slope, dz) if need else None for slope, need in zip(slopes, self.needs, strict=True)])


class MSELoss(Loss):
    """ℓ = (x - y)²;  ∂ℓ/∂x = 2 (x - y) = -∂ℓ/∂y."""

    __slots__ = ()
    replayable = True

    def losses(self, x, y):
        if _many(x):
            return kernels.square_of_difference(convert.contiguous(x), convert.contiguous(y))
        difference = x - y
        return difference * difference

    def slopes(self, x, y):
        if _many(x):
            slope = kernels.times_difference(convert.contiguous(x), convert.contiguous(y), 2.0)
        else:
            slope = 2 * (x - y)
        return slope, large.neg(slope) if self.needs[1] else None


class L1Loss(Loss):
    """ℓ = |x - y|;  ∂ℓ/∂x = sign(x - y) = -∂ℓ/∂y, 0 where x = y."""

    __slots__ = ()
    replayable = True

    def losses(self, x, y):
        return np.abs(x - y)

    def slopes(self, x, y):
        slope = np.sign(x - y)
        return slope, -slope if self.needs[1] else None


class SmoothL1Loss(Loss):
    """ℓ = d²/2β where |d| < β, else |d| - β/2, with d = x - y;  ∂ℓ/∂x = d/β, else sign d.

    With c = d held within [-β, β], both cases are one:  ℓ = c (d - c/2)/β,  ∂ℓ/∂x = c/β.
    """

    __slots__ = ("beta",)
    replayable = True

    def __init__(self, reduction, beta):
        self.reduction, self.beta = reduction, beta

    def losses(self, x, y):
        return _huber(x, y, self.beta, 1 / self.beta)

    def slopes(self, x, y):
        slope = _huber_slope(x, y, self.beta, 1 / self.beta)
        return slope, large.neg(slope) if self.needs[1] else None


class HuberLoss(Loss):
    """ℓ = d²/2 where |d| ≤ δ, else δ (|d| - δ/2), with d = x - y;  ∂ℓ/∂x = d, else δ sign d.

    With c = d held within [-δ, δ], both cases are one:  ℓ = c (d - c/2),  ∂ℓ/∂x = c.
    """

    __slots__ = ("delta",)
    replayable = True

    def __init__(self, reduction, delta):
        self.reduction, self.delta = reduction, delta

    def losses(self, x, y):
        return _huber(x, y, self.delta, 1.0)

    def slopes(self, x, y):
        slope = _huber_slope(x, y, self.delta, 1.0)
        return slope, large.neg(slope) if self.needs[1] else None


def _huber(x, y, bound, rate):
    """rate · c (d - c/2), with d = x - y, and c = d held within [-bound, bound]."""
    if _many(x):
        return kernels.huber(convert.contiguous(x), convert.contiguous(y), bound, rate)
    d = x - y
    c = d.clip(-bound, bound)
    return c * (d - 0.5 * c) * rate


def _huber_slope(x, y, bound, rate):
    """rate · c."""
    if _many(x):
        return kernels.huber_slope(convert.contiguous(x), convert.contiguous(y), bound, rate)
    return (x - y).clip(-bound, bound) * rate


def _many(x):
    """Whether x is an array, no tensor, and large enough for a kernel."""
    return type(x) is np.ndarray and x.size >= FEW


# ------------------------------------------------------------------------------------- what losses share


def check_reduction(reduction, allowed=("mean", "sum", "none")):
    if reduction not in allowed:
        raise ValueError(f"{where()}reduction must be {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}, "
                         f"got {reduction!r}")  # fmt: skip


def reduction_of(size_average, reduce, reduction, allowed=("mean", "sum", "none")):
    """The reduction's name. `size_average` and `reduce` are PyTorch's old arguments for it, and win if given.

    A name that stands in the place of `size_average`, `mse_loss(x, y, "sum")`, is taken for what it says.
    """
    if isinstance(size_average, str):
        reduction = size_average
    elif size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(f"size_average and reduce are old names: use reduction={reduction!r}", UserWarning, stacklevel=3)
    check_reduction(reduction, allowed)
    return reduction


def reduced(losses, reduction):
    """The mean or the sum of a tensor of losses, or the tensor itself."""
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


def broadcast(name, *tensors):
    """Tensors (None and numbers are left as they are) of one shape and one dtype."""
    given = [t for t in tensors if isinstance(t, TensorBase)]
    shapes = [t._data.shape for t in given]
    dtypes = [t._data.dtype for t in given]
    if shapes.count(shapes[0]) == len(shapes) and dtypes.count(dtypes[0]) == len(dtypes):
        return tensors
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(
            f"{where()}{name}: shapes {' and '.join(map(str, shapes))} do not broadcast; give all of them one shape"
        ) from None
    dtype = dtypes[0]
    for other in dtypes[1:]:
        dtype = convert.promote(dtype, other)
    return [expand(convert.cast(t, dtype), shape) if isinstance(t, TensorBase) else t for t in tensors]


def operands(name, x, target):
    """The two inputs of a loss of regression; a warning if their shapes differ."""
    expect_tensor(x, name)
    if isinstance(target, np.ndarray):
        target = tensor_of(target)
    expect_tensor(target, name, "target")
    if x._data.shape != target._data.shape:
        warnings.warn(
            f"{where()}{name}: the target's shape {target._data.shape} differs from the input's {x._data.shape}; they "
            "will be broadcast against each other, which is likely not what you want",
            UserWarning,
            stacklevel=3,
        )
    x, target = broadcast(name, x, target)
    if x._data.dtype.kind != "f":
        raise RuntimeError(f"{where()}{name} needs floating tensors, got {x._data.dtype}; convert them with .float()")
    return x, target


def _weighted(losses, weight, shape, reduction, by_weight=True):
    """Losses times their weights; their mean is divided by the sum of weights (Huber's by their number)."""
    if weight._data.shape != shape:
        raise ValueError(f"{where()}the weight's shape {weight._data.shape} must be the input's, {shape}")
    losses = mul(losses, weight)
    if reduction == "mean" and by_weight:
        return sum(losses) / sum(weight)
    return reduced(losses, reduction)


# -------------------------------------------------------------------------------------------- regression


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Mean squared error: (input - target)². `weight`, of the input's shape, weighs the elements."""
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = operands("mse_loss", input, target)
    if weight is None:
        return MSELoss(reduction)(x, y)
    return _weighted(MSELoss("none")(x, y), weight, input._data.shape, reduction)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Mean absolute error: |input - target|. `weight`, of the input's shape, weighs the elements."""
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = operands("l1_loss", input, target)
    if weight is None:
        return L1Loss(reduction)(x, y)
    return _weighted(L1Loss("none")(x, y), weight, input._data.shape, reduction)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d²/2β where |d| < β, else |d| - β/2, with d = input - target: Huber's loss with δ = β, divided by β.

    β = 0 is `l1_loss`. RuntimeError if β < 0.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    x, y = operands("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"{where()}smooth_l1_loss: beta must be at least 0, got {beta}")
    return L1Loss(reduction)(x, y) if beta == 0 else SmoothL1Loss(reduction, beta)(x, y)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d²/2 where |d| ≤ δ, else δ (|d| - δ/2), with d = input - target (Huber 1964). RuntimeError if δ ≤ 0."""
    check_reduction(reduction)
    x, y = operands("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"{where()}huber_loss: delta must be above 0, got {delta}")
    if weight is None:
        return HuberLoss(reduction, delta)(x, y)
    return _weighted(HuberLoss("none", delta)(x, y), weight, input._data.shape, reduction, by_weight=False)
