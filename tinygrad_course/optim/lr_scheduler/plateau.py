"""The schedule that watches the training."""

from math import inf

from .base import LRScheduler, _checked, per_group


class ReduceLROnPlateau(LRScheduler):
    """lr ← factor · lr, not below `min_lr`, once a metric has not improved for more than `patience` steps.

    `step(metric)`. Better is smaller ("min") or larger ("max") than the best so far by `threshold`, relative to it
    ("rel") or absolute ("abs"). After a reduction, `cooldown` steps do not count. Changes up to `eps` are not made.
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0,
                 min_lr=0, eps=1e-8):  # fmt: skip
        if factor >= 1.0:
            raise ValueError(f"factor must be below 1, got {factor}")
        self.optimizer = _checked(optimizer)
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        self.mode, self.factor, self.patience, self.cooldown, self.eps = mode, factor, patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = per_group("min_lr", optimizer, min_lr)
        self.best = inf if mode == "min" else -inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self.rates()

    def step(self, metrics, epoch=None):
        """Note the metric of this epoch, and reduce the rates if it is time."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        current = float(metrics)
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self.rates()

    @property
    def in_cooldown(self):
        return self.cooldown_counter > 0

    def is_better(self, current, best):
        """Whether `current` improves on `best` by the threshold."""
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = best * (1.0 + sign * self.threshold)
        else:
            bound = best + sign * self.threshold
        return sign * current > sign * bound

    def _reduce(self):
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if len(set(self.min_lrs)) > 1:
                raise RuntimeError(
                    f"the optimizer has {len(groups)} parameter groups, but min_lr was given for {len(self.min_lrs)}; "
                    "set min_lrs to one value a group"
                )
            self.min_lrs = self.min_lrs[:1] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, least)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr
