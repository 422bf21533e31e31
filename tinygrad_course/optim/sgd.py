"""Stochastic gradient descent."""

import numpy as np

from ..kernels import optim as kernels
from .optimizer import Optimizer


class SGD(Optimizer):
    """w ← w - lr · v with v ← momentum · v + (1 - dampening) · g and g = ∂L/∂w + weight_decay · w.

    The first step has v = g. With `nesterov`, w ← w - lr · (g + momentum · v). PyTorch's formulas.
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False):
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                        maximize=maximize)  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group):
        super().check(group)
        if group["momentum"] < 0:
            raise ValueError(f"momentum must be at least 0, got {group['momentum']}")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def update(self, parameter, gradient, state, group):
        momentum = group["momentum"]
        velocity = state.get("momentum_buffer")
        first = velocity is None
        if momentum != 0 and first:
            velocity = state["momentum_buffer"] = np.empty_like(parameter)
        kernels.sgd_step(
            parameter, gradient, velocity if momentum != 0 else None, group["lr"], momentum, group["dampening"],
            group["weight_decay"], group["nesterov"], group["maximize"], first,
        )  # fmt: skip
