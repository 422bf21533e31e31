"""Gradient clipping: a bound on how far one step can go (Pascanu et al. 2013)."""

import math

import numpy as np

from ...base import TensorBase
from ...modes import changing
from ...tensor import Tensor


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """‖(‖t₁‖, ‖t₂‖, …)‖: the p-norm of all tensors laid end to end, as a 0-d tensor. `norm_type` may be inf.

    RuntimeError if it is nan or inf and `error_if_nonfinite`. `foreach` is PyTorch's and does nothing.
    """
    tensors = [tensors] if isinstance(tensors, TensorBase) else list(tensors)
    p = float(norm_type)
    if not tensors:
        return Tensor(0.0)
    norms = [_norm(t._data, p) for t in tensors]
    total = _norm(np.array(norms, np.result_type(*norms)), p)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"the total norm of order {p} for gradients from `parameters` is non-finite ({total}), so it cannot be "
            "clipped; to scale the gradients by it anyway, pass error_if_nonfinite=False"
        )
    return Tensor(np.asarray(total))


def _norm(array, p):
    """The p-norm of an array's elements, in its dtype: max or min |x| for ±inf, how many are not 0 for p = 0."""
    size = np.abs(array).ravel()
    if p == math.inf:
        norm = size.max(initial=0)
    elif p == -math.inf:
        norm = size.min()
    elif p == 0:
        norm = np.count_nonzero(size)
    elif p == 2:
        norm = math.sqrt(np.dot(size, size)) if size.dtype == np.float64 else np.sqrt(np.sum(size * size))
    else:
        norm = (size**p).sum() ** (1 / p)
    return array.dtype.type(norm)


def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """grad *= min(1, max_norm / (total_norm + 1e-6)), in place, for a norm that is already known."""
    scale = float(max_norm) / (total_norm._data + 1e-6)
    scale = np.minimum(scale, total_norm._data.dtype.type(1))  # a nan stays one
    with np.errstate(invalid="ignore"):  # inf · 0, the nan that PyTorch gives too
        changing()
        for gradient in _gradients(parameters):
            gradient._data *= scale.astype(gradient._data.dtype)
            gradient._changed_in_place()


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale all gradients by one factor, so that together they are not longer than `max_norm`.

    grad *= min(1, max_norm / (total + 1e-6)) with total = ‖all gradients end to end‖ (p-norm, p = `norm_type`, inf
    for the largest absolute value). Returns `total` as it was before, a 0-d tensor.
    """
    parameters = [parameters] if isinstance(parameters, TensorBase) else list(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Cut every element of the gradients to [-clip_value, clip_value], in place; nan stays nan."""
    bound = float(clip_value)
    changing()
    for gradient in _gradients(parameters):
        np.clip(gradient._data, -bound, bound, out=gradient._data)
        gradient._changed_in_place()


def _gradients(parameters):
    parameters = [parameters] if isinstance(parameters, TensorBase) else parameters
    return [p.grad for p in parameters if p.grad is not None]
