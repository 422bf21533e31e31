"""Losses that are logarithms of densities: Kullback-Leibler divergence, Poisson, Gauss."""

import math
import warnings

import numpy as np

from ..base import TensorBase, tensor_of
from ..modes import where
from .arithmetic import exp, log
from .convert import expect_tensor
from .loss import Loss, broadcast, check_reduction, reduced, reduction_of
from .select import choose
from .shape import unsqueeze

__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]
METHODS = []  # of Tensor


class KLDiv(Loss):
    """ℓ = y (ln y - x), x being the logarithm of the predicted probability;  ∂ℓ/∂x = -y, ∂ℓ/∂y = ln y + 1 - x."""

    __slots__ = ()

    def losses(self, x, y):
        return np.where(y == 0, 0, y * np.log(np.where(y == 0, 1, y))) - y * x

    def slopes(self, x, y):
        return -y, np.log(y) + 1 - x if self.needs[1] else None


class KLDivOfLogarithms(Loss):
    """ℓ = eʸ (y - x), both being logarithms of probabilities;  ∂ℓ/∂x = -eʸ, ∂ℓ/∂y = eʸ (y - x + 1)."""

    __slots__ = ()
    name = "kl_div"

    def losses(self, x, y):
        return np.exp(y) * (y - x)

    def slopes(self, x, y):
        probability = np.exp(y)
        return -probability, probability * (y - x + 1) if self.needs[1] else None


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """Kullback–Leibler divergence Σ y (ln y - x): `input` x holds log-probabilities, `target` y probabilities.

    With `log_target` the target holds logarithms too. "batchmean", the sum over the first dimension's size, is the
    divergence's definition; "mean" divides by the number of elements, and warns of it.
    """
    reduction = reduction_of(size_average, reduce, reduction, ("mean", "batchmean", "sum", "none"))
    expect_tensor(input, "kl_div")
    expect_tensor(target, "kl_div", "target")
    if reduction == "mean":
        warnings.warn(
            f"{where()}kl_div: reduction='mean' divides by the number of elements, not by the batch's size; "
            "reduction='batchmean' is the Kullback-Leibler divergence",
            UserWarning,
            stacklevel=2,
        )
    x, y = broadcast("kl_div", input, target)
    kind = KLDivOfLogarithms if log_target else KLDiv
    if reduction == "batchmean":
        total = kind("sum")(x, y)
        return total / input._data.shape[0] if input._data.ndim else total
    return kind(reduction)(x, y)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """-ln of a Poisson probability of counts y: eˣ - y x, x = ln rate; x - y ln(x + eps) if not `log_input`.

    `full` adds Stirling's y ln y - y + ln(2πy)/2 where y > 1.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    expect_tensor(input, "poisson_nll_loss")
    x, y = input, target
    losses = exp(x) - y * x if log_input else x - y * log(x + eps)
    if full:
        large = y > 1
        counts = choose(large, y, 1)  # no ln 0 where the term is left out
        losses = losses + choose(large, counts * log(counts) - counts + 0.5 * log(2 * math.pi * counts), 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """-ln of a normal density: ½ (ln v + (x - y)²/v), v = max(var, eps); `full` adds ½ ln 2π.

    `var` is a number or a tensor of the input's shape, without its last dimension or with a 1 in place of one.
    ValueError if it is negative or of another shape. The clamp at eps lets the gradient through.
    """
    expect_tensor(input, "gaussian_nll_loss")
    shape = input._data.shape
    if not isinstance(var, TensorBase):
        var = tensor_of(np.full(shape, var, input._data.dtype))
    if (var._data < 0).any():
        raise ValueError(f"{where()}gaussian_nll_loss: var holds a negative variance, {var._data.min()}")
    if var._data.shape != shape:
        ones = [i for i, (a, b) in enumerate(zip(shape, var._data.shape, strict=False)) if a != b]
        if var._data.shape == shape[:-1]:
            var = unsqueeze(var, -1)
        elif var._data.ndim != len(shape) or len(ones) != 1 or var._data.shape[ones[0]] != 1:
            raise ValueError(
                f"{where()}gaussian_nll_loss: var of shape {var._data.shape} does not fit the input's {shape}"
            )
    check_reduction(reduction)
    var = var + np.maximum(eps - var._data, 0)
    difference = input - target
    losses = 0.5 * (log(var) + difference * difference / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)
