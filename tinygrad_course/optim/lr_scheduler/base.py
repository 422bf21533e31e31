"""What all schedules share."""

import types
import warnings

from ..optimizer import Optimizer


class LRScheduler:
    """Base of the schedules: `step()` after each epoch (or batch) sets the `lr` of every parameter group.

    A subclass gives `get_lr()`, the rates at step `self.last_epoch`, one a group. Most compute them from the rates
    before, so that schedules of one optimizer can be chained and rates changed by hand; `closed_form()`, where there
    is one, computes them from the first rates, `self.base_lrs`, for `step(epoch)`.
    """

    def __init__(self, optimizer, last_epoch=-1):
        self.optimizer = _checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"'initial_lr' is not in param_groups[{i}]: to go on at last_epoch={last_epoch}, load the "
                    "optimizer's state_dict of that time first; last_epoch=-1 starts anew"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self):
        """Set the rates of step 0."""
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def step(self, epoch=None):
        """Go to the next step (or to `epoch`) and set its rates."""
        if self._step_count == 1 and not self.optimizer._stepped and type(self.optimizer).step is Optimizer.step:
            warnings.warn(
                "lr_scheduler.step() came before optimizer.step(): the first learning rate is skipped. Call "
                "optimizer.step() first",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr() if epoch is None or not hasattr(self, "closed_form") else self.closed_form()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = self.rates()

    def rates(self):
        """The groups' rates as they are."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def scaled(self, factor):
        """The groups' rates times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def get_last_lr(self):
        """The rates that the last step has set, one a group."""
        return self._last_lr

    def get_lr(self):
        raise NotImplementedError(f"{type(self).__name__} has no get_lr")

    def state_dict(self):
        """All that the schedule knows but its optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Take over a `state_dict`."""
        self.__dict__.update(state_dict)


def _checked(optimizer):
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def per_group(name, optimizer, value):
    """A number for all groups, or a list of one a group, as a list."""
    if not isinstance(value, list | tuple):
        return [value] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(f"{name} must have {len(optimizer.param_groups)} values, one a group, got {len(value)}")
    return list(value)


def functions_of_state(functions):
    """What a state_dict keeps of functions: the attributes of callable objects, None for plain functions."""
    return [None if isinstance(f, types.FunctionType) else f.__dict__.copy() for f in functions]
