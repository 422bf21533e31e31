"""Adam and AdamW."""

import numpy as np

from ..kernels import optim as kernels
from .optimizer import Optimizer, alike


class Adam(Optimizer):
    """w ← w - lr · m̂ / (√v̂ + eps): m and v are running means of g and g², m̂ and v̂ without their bias towards 0.

    m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², m̂ = m/(1 - β₁ᵗ), v̂ = v/(1 - β₂ᵗ). `weight_decay` is added to
    the gradient (L2), or with `decoupled_weight_decay` shrinks w instead. With `amsgrad` the largest v so far is
    used. Kingma & Ba 2015; PyTorch's formulas.
    """

    choices = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, maximize=False,
                 decoupled_weight_decay=False, **choices):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
                        decoupled_weight_decay=decoupled_weight_decay)  # fmt: skip
        super().__init__(params, defaults, choices)

    def update_all(self, parameters, gradients, states, group):
        numbers = [float(n) for n in (group["lr"], *group["betas"], group["eps"], group["weight_decay"])]
        numbers += [bool(group.get("decoupled_weight_decay", False)), bool(group["maximize"])]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = 0
                state["exp_avg"] = np.zeros_like(parameter)
                state["exp_avg_sq"] = np.zeros_like(parameter)
                if group["amsgrad"]:
                    state["max_exp_avg_sq"] = np.zeros_like(parameter)
            state["step"] += 1
        running = [[state.get(name) for state in states] for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")]
        keys = [
            (p.dtype, state["step"], peak is not None)
            for p, state, peak in zip(parameters, states, running[2], strict=True)
        ]
        for (_, step, amsgrad), (*arrays, peaks) in alike(keys, parameters, gradients, *running):
            kernels.adam_step(*arrays, peaks if amsgrad else None, step, *numbers)


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← (1 - lr · weight_decay) w, then Adam's step (Loshchilov & Hutter 2019)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
                 maximize=False, **choices):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
                         decoupled_weight_decay=True, **choices)  # fmt: skip
