"""Adamax, NAdam, RAdam: Adam with another norm, with Nesterov's momentum, with a warm-up that computes itself.

g is ∂L/∂w, with weight_decay · w added, and turned around to maximize; m ← β₁ m + (1 - β₁) g and
v ← β₂ v + (1 - β₂) g² are Adam's running means, t counts the steps from 1. PyTorch's formulas.
"""

import math

import numpy as np

from .optimizer import Optimizer


class Adamax(Optimizer):
    """w ← w - lr / (1 - β₁ᵗ) · m / u, u ← max(β₂ u, |g| + eps): the greatest gradient in √v's place.

    Kingma & Ba 2015, section 7.1.
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(
            params, defaults, dict(foreach=foreach, differentiable=differentiable, capturable=capturable)
        )

    def update(self, w, g, state, group):
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(w), exp_inf=np.zeros_like(w))
        g, (beta1, beta2) = self.descent(w, g, group), group["betas"]
        state["step"] += 1
        m, u = state["exp_avg"], state["exp_inf"]
        m += (1 - beta1) * (g - m)
        np.maximum(beta2 * u, np.abs(g) + group["eps"], out=u)
        w -= group["lr"] / (1 - beta1 ** state["step"]) * m / u


class NAdam(Optimizer):
    """Adam that looks ahead: w ← w - lr · (μ_{t+1} m / (1 - Πμ_{t+1}) + (1 - μ_t) g / (1 - Πμ_t)) / (√v̂ + eps).

    μ_t = β₁ (1 - ½ 0.96^(t · momentum_decay)), Πμ_t the product of all μ up to t; v̂ = v / (1 - β₂ᵗ).
    `decoupled_weight_decay` shrinks w instead of adding to g. Dozat 2016.
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
                 decoupled_weight_decay=False, *, maximize=False, **choices):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
                        decoupled_weight_decay=decoupled_weight_decay, maximize=maximize)  # fmt: skip
        super().__init__(params, defaults, choices)

    def update(self, w, g, state, group):
        if not state:
            # float32, as PyTorch keeps its scalars whatever the parameter's dtype
            state.update(step=0, mu_product=np.float32(1), exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        g, (beta1, beta2), lr = self.descent(w, g, group), group["betas"], group["lr"]
        _shrink(w, group)
        state["step"] += 1
        t, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (i * group["momentum_decay"])) for i in (t, t + 1))
        state["mu_product"] = np.float32(state["mu_product"] * np.float32(mu))
        product = float(state["mu_product"])
        _averages(m, v, g, beta1, beta2)
        root = np.sqrt(v / (1 - beta2**t)) + group["eps"]
        w -= lr * (1 - mu) / (1 - product) * g / root
        w -= lr * mu_next / (1 - product * mu_next) * m / root


class RAdam(Optimizer):
    """Adam whose first steps are plain momentum, until enough gradients were seen to know their variance.

    ρ∞ = 2/(1 - β₂) - 1, ρ = ρ∞ - 2t β₂ᵗ/(1 - β₂ᵗ). Where ρ > 5:
    w ← w - lr · r m̂ / (√v + eps) · √(1 - β₂ᵗ), r² = (ρ - 4)(ρ - 2)ρ∞ / ((ρ∞ - 4)(ρ∞ - 2)ρ); else w ← w - lr · m̂,
    with m̂ = m / (1 - β₁ᵗ). `decoupled_weight_decay` shrinks w instead of adding to g. Liu et al. 2020.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
                 maximize=False, **choices):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
                        decoupled_weight_decay=decoupled_weight_decay, maximize=maximize)  # fmt: skip
        super().__init__(params, defaults, choices)

    def update(self, w, g, state, group):
        if not state:
            state.update(step=0, exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        g, (beta1, beta2) = self.descent(w, g, group), group["betas"]
        _shrink(w, group)
        state["step"] += 1
        t, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
        _averages(m, v, g, beta1, beta2)
        step = group["lr"] / (1 - beta1**t) * m
        rho_max = 2 / (1 - beta2) - 1
        rho = rho_max - 2 * t * beta2**t / (1 - beta2**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * rho_max / ((rho_max - 4) * (rho_max - 2) * rho))
            step = step * (r * math.sqrt(1 - beta2**t)) / (np.sqrt(v) + group["eps"])
        w -= step


def _shrink(w, group):
    """Decoupled weight decay."""
    if group["decoupled_weight_decay"]:
        w *= 1 - group["lr"] * group["weight_decay"]


def _averages(m, v, g, beta1, beta2):
    """m ← β₁ m + (1 - β₁) g and v ← β₂ v + (1 - β₂) g², in place."""
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
