"""Optimizers that divide by the size of past gradients: Adagrad, Adadelta, RMSprop.

g is ∂L/∂w, with weight_decay · w added, and turned around to maximize. PyTorch's formulas.
"""

import numpy as np

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """w ← w - lr_t g / (√s + eps), s ← s + g²: steps shrink as 1/√t, most where gradients were large.

    lr_t = lr / (1 + (t - 1) lr_decay); s starts at `initial_accumulator_value`. Duchi et al. 2011.
    """

    choices = {"foreach": None, "differentiable": False, "fused": None}

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
                 foreach=None, *, maximize=False, differentiable=False, fused=None):  # fmt: skip
        defaults = dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                        initial_accumulator_value=initial_accumulator_value, maximize=maximize)  # fmt: skip
        super().__init__(params, defaults, dict(foreach=foreach, differentiable=differentiable, fused=fused))

    def add_param_group(self, group):
        super().add_param_group(group)
        group = self.param_groups[-1]
        for p in group["params"]:
            self.state[p] = {"step": 0, "sum": np.full_like(p._data, group["initial_accumulator_value"])}

    def update(self, w, g, state, group):
        g, s = self.descent(w, g, group), state["sum"]
        state["step"] += 1
        s += g * g
        w -= group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"]) * g / (np.sqrt(s) + group["eps"])


class Adadelta(Optimizer):
    """w ← w - lr · Δ, Δ = √(u + eps) / √(v + eps) · g: steps in the units of w, without a rate to choose.

    v ← ρ v + (1 - ρ) g²;  u ← ρ u + (1 - ρ) Δ². Zeiler 2012.
    """

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False,
                 maximize=False, differentiable=False):  # fmt: skip
        defaults = dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(
            params, defaults, dict(foreach=foreach, capturable=capturable, differentiable=differentiable)
        )

    def check(self, group):
        super().check(group)
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"rho must lie in [0, 1], got {group['rho']}")

    def update(self, w, g, state, group):
        if not state:
            state.update(step=0, square_avg=np.zeros_like(w), acc_delta=np.zeros_like(w))
        g, v, u = self.descent(w, g, group), state["square_avg"], state["acc_delta"]
        rho, eps = group["rho"], group["eps"]
        state["step"] += 1
        v *= rho
        v += (1 - rho) * g * g
        delta = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u *= rho
        u += (1 - rho) * delta * delta
        w -= group["lr"] * delta


class RMSprop(Optimizer):
    """w ← w - lr · g / (√v + eps), v ← α v + (1 - α) g²: Adagrad that forgets (Hinton's lecture 6e, 2012).

    `centered` divides by the standard deviation √(v - ḡ²) instead, ḡ ← α ḡ + (1 - α) g. With `momentum` the
    divided gradients are summed first: b ← momentum · b + g / (√v + eps), w ← w - lr · b.
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
                 capturable=False, foreach=None, maximize=False, differentiable=False):  # fmt: skip
        defaults = dict(lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
                        maximize=maximize)  # fmt: skip
        super().__init__(
            params, defaults, dict(foreach=foreach, capturable=capturable, differentiable=differentiable)
        )

    def update(self, w, g, state, group):
        alpha, momentum = group["alpha"], group["momentum"]
        if not state:
            state.update(step=0, square_avg=np.zeros_like(w))
            if momentum > 0:
                state["momentum_buffer"] = np.zeros_like(w)
            if group["centered"]:
                state["grad_avg"] = np.zeros_like(w)
        g, v = self.descent(w, g, group), state["square_avg"]
        state["step"] += 1
        v *= alpha
        v += (1 - alpha) * g * g
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1 - alpha) * (g - mean)
            v = v - mean * mean
        step = g / (np.sqrt(v) + group["eps"])
        if momentum > 0:
            buffer = state["momentum_buffer"]
            buffer *= momentum
            buffer += step
            step = buffer
        w -= group["lr"] * step
