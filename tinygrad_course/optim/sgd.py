"""Stochastic gradient descent."""

import numpy as np

from ..kernels import optim as kernels
from .optimizer import Optimizer, alike


class SGD(Optimizer):
    """w ← w - lr · v with v ← momentum · v + (1 - dampening) · g and g = ∂L/∂w + weight_decay · w.

    The first step has v = g. With `nesterov`, w ← w - lr · (g + momentum · v). PyTorch's formulas.
    """

    choices = {"foreach": None, "differentiable": False, "fused": None}

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False,
                 **choices):  # fmt: skip
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                        maximize=maximize)  # fmt: skip
        super().__init__(params, defaults, choices)

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def update_all(self, parameters, gradients, states, group):
        numbers = [float(group[name]) for name in ("lr", "momentum", "dampening", "weight_decay")]
        numbers += [bool(group["nesterov"]), bool(group["maximize"])]
        if not group["momentum"]:
            for _, (some, their) in alike([p.dtype for p in parameters], parameters, gradients):
                kernels.sgd_step(some, their, None, *numbers, True)
            return
        new = [state.get("momentum_buffer") is None for state in states]
        for state, parameter, is_new in zip(states, parameters, new, strict=True):
            if is_new:
                state["momentum_buffer"] = np.empty_like(parameter)
        velocities = [state["momentum_buffer"] for state in states]
        keys = [(p.dtype, is_new) for p, is_new in zip(parameters, new, strict=True)]
        for (_, first), arrays in alike(keys, parameters, gradients, velocities):
            kernels.sgd_step(*arrays, *numbers, first)


class ASGD(Optimizer):
    """Averaged SGD: `ax`, the mean of the w's since step t0, is a better answer than the last w (Polyak 1992).

    w ← (1 - λη) w - η g;  ax ← ax + μ (w - ax);  η ← lr / (1 + λ lr t)^alpha, μ ← 1 / max(1, t - t0).
    """

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        defaults = dict(lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)
        super().__init__(
            params, defaults, dict(foreach=foreach, differentiable=differentiable, capturable=capturable)
        )

    def update(self, w, g, state, group):
        if not state:
            # float32, as PyTorch keeps its scalars whatever the parameter's dtype
            state.update(step=0, eta=np.float32(group["lr"]), mu=np.float32(1), ax=np.zeros_like(w))
        g = self.descent(w, g, group)
        state["step"] += 1
        eta, mu, lr, lambd = float(state["eta"]), float(state["mu"]), group["lr"], group["lambd"]
        w *= 1 - lambd * eta
        w -= eta * g
        state["ax"] += mu * (w - state["ax"])
        state["eta"] = np.float32(lr / (1 + lambd * lr * state["step"]) ** group["alpha"])
        state["mu"] = np.float32(1 / max(1, state["step"] - group["t0"]))
