"""Optimizers that look at the gradient's sign alone: Lion, Rprop."""

import numpy as np

from .optimizer import Optimizer


class Lion(Optimizer):
    """w ← (1 - lr · weight_decay) w - lr · sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.

    Every weight moves by lr at each step, so lr is 3 to 10 times smaller than Adam's. Chen et al. 2023.
    """

    choices = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, *, maximize=False, **choices):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize), choices)

    def update(self, w, g, state, group):
        if not state:
            state["exp_avg"] = np.zeros_like(w)
        m, (beta1, beta2), lr = state["exp_avg"], group["betas"], group["lr"]
        g = -g if group["maximize"] else g
        w *= 1 - lr * group["weight_decay"]
        w -= lr * np.sign(beta1 * m + (1 - beta1) * g)
        m *= beta2
        m += (1 - beta2) * g


class Rprop(Optimizer):
    """w ← w - η sign(g): each weight's own step η grows by etas[1] while g keeps its sign, and shrinks by etas[0]
    where it changed, which skips the weight once. For full batches. Riedmiller & Braun 1993.

    η starts at lr and stays within `step_sizes`.
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, maximize=False, **choices):
        super().__init__(params, dict(lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize), choices)

    def check(self, group):
        super().check(group)
        shrink, grow = group["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(f"etas must lie below and above 1, got {group['etas']}")

    def update(self, w, g, state, group):
        if not state:
            state.update(step=0, prev=np.zeros_like(w), step_size=np.full_like(w, group["lr"]))
        state["step"] += 1
        (shrink, grow), step_size = group["etas"], state["step_size"]
        g = -g if group["maximize"] else g
        agreement = g * state["prev"]
        step_size *= np.where(agreement > 0, grow, np.where(agreement < 0, shrink, 1.0)).astype(w.dtype)
        np.clip(step_size, *group["step_sizes"], out=step_size)
        g = np.where(agreement < 0, 0, g)
        w -= np.sign(g) * step_size
        state["prev"][...] = g
