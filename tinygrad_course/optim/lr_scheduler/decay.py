"""Schedules that go one way: by steps, exponentials, polynomials, half a cosine, or any function."""

import math
from bisect import bisect_right
from collections import Counter

from .base import LRScheduler, functions_of_state, per_group


class LambdaLR(LRScheduler):
    """lr = lr₀ · f(t), f a function of the step, or a list of one a group."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        self.lr_lambdas = per_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, self.base_lrs, strict=True)]

    def state_dict(self):
        """The functions are kept if they are objects with attributes; plain functions and lambdas are not."""
        return {**super().state_dict(), "lr_lambdas": functions_of_state(self.lr_lambdas)}

    def load_state_dict(self, state_dict):
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class MultiplicativeLR(LambdaLR):
    """lr ← lr · f(t) at every step t ≥ 1."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        for function in per_group("lr_lambda", optimizer, lr_lambda):
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function, got {type(function).__name__}")
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self):
        if self._is_initial:
            return self.rates()
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, self.rates(), strict=True)]


class StepLR(LRScheduler):
    """lr ← γ lr every `step_size` steps."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self.scaled(1 if self.last_epoch == 0 or self.last_epoch % self.step_size else self.gamma)

    def closed_form(self):
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """lr ← γ lr at each of the `milestones`."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self.scaled(self.gamma ** self.milestones[self.last_epoch])

    def closed_form(self):
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ConstantLR(LRScheduler):
    """lr = lr₀ · factor for the first `total_iters` steps, then lr₀."""

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        if not 0 <= factor <= 1:
            raise ValueError(f"factor must lie between 0 and 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.factor)
        return self.scaled(1.0 / self.factor) if self.last_epoch == self.total_iters else self.rates()

    def closed_form(self):
        factor = self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)
        return [lr * factor for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """lr = lr₀ times a factor that goes from `start_factor` to `end_factor` along a line of `total_iters` steps."""

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must be above 0 and at most 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor must lie between 0 and 1, got {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return self.rates()
        rise = self.end_factor - self.start_factor
        return self.scaled(1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))

    def closed_form(self):
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * (self.start_factor + (self.end_factor - self.start_factor) * share) for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """lr ← γ lr at every step."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self.rates() if self._is_initial else self.scaled(self.gamma)

    def closed_form(self):
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """lr = lr₀ (1 - t/T)^power, T = `total_iters`; 0 from then on."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._is_initial or self.last_epoch > self.total_iters:
            return self.rates()
        now, before = (1.0 - t / self.total_iters for t in (self.last_epoch, self.last_epoch - 1))
        return self.scaled((now / before) ** self.power)

    def closed_form(self):
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """lr = η + (lr₀ - η)(1 + cos(π t/T_max))/2, η = `eta_min`: half a cosine down, and up again if one goes on.

    Loshchilov & Hutter 2017, without the restarts.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        T, t, eta = self.T_max, self.last_epoch, self.eta_min
        if self._is_initial:
            return self.rates()
        if self._step_count == 1 and t > 0:
            return self.closed_form()
        if (t - 1 - T) % (2 * T) == 0:  # the step before was at the bottom, from where no factor leads up
            up = (1 - math.cos(math.pi / T)) / 2
            return [lr + (base - eta) * up for lr, base in zip(self.rates(), self.base_lrs, strict=True)]
        factor = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [factor * (lr - eta) + eta for lr in self.rates()]

    def closed_form(self):
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]
