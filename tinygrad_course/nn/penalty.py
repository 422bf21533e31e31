"""Penalties on weights, to be added to a loss: `loss + l2_penalty(model.parameters(), 1e-3)`.

    L1            λ Σ |w|              gradient λ sign w    a constant pull: weights become 0
    L2            ½ λ Σ w²             gradient λ w         weight decay: weights become small
    elastic net   λ₁ Σ |w| + λ₂ Σ w²   gradient λ₁ sign w + 2 λ₂ w   (no ½, as Zou & Hastie 2005 have it)

`parameters` is a tensor or an iterable of tensors; the sum runs over all their elements.
"""

import numpy as np

from ..base import TensorBase


def l1_penalty(parameters, strength):
    """λ Σ |w|."""
    return _total(p.abs().sum() for p in _tensors(parameters)) * strength


def l2_penalty(parameters, strength):
    """½ λ Σ w²: its gradient, λ w, is what an optimizer's `weight_decay=λ` adds."""
    return _total((p * p).sum() for p in _tensors(parameters)) * (0.5 * strength)


def elastic_net_penalty(parameters, l1, l2):
    """λ₁ Σ |w| + λ₂ Σ w²."""
    parameters = _tensors(parameters)
    return l1_penalty(parameters, l1) + l2_penalty(parameters, 2 * l2)


def soft_threshold_(parameters, amount):
    """w ← sign(w) max(|w| - amount, 0), in place: the proximal step of the L1 penalty, with amount = lr · λ.

    Taken after a step on the loss alone, it reaches weights that are exactly 0, which the subgradient sign(w) never
    does: that jumps from one side of 0 to the other.
    """
    for p in _tensors(parameters):
        p._data[...] = np.sign(p._data) * np.maximum(np.abs(p._data) - amount, 0)
        p._changed_in_place()


def _tensors(parameters):
    return [parameters] if isinstance(parameters, TensorBase) else list(parameters)


def _total(terms):
    first, *others = terms
    for term in others:
        first = first + term
    return first
