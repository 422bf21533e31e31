"""Losses as modules."""

from .. import ops
from .module import Module


class _Loss(Module):
    def __init__(self, reduction="mean"):
        super().__init__()
        ops.loss.check_reduction(reduction)
        self.reduction = reduction


class CrossEntropyLoss(_Loss):
    """Cross-entropy of logits (N, C, …) against class indices or probabilities; see `ops.cross_entropy`."""

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, x, target):
        return ops.cross_entropy(x, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)


class MSELoss(_Loss):
    """Mean squared error."""

    def forward(self, x, target):
        return ops.mse_loss(x, target, self.reduction)


class L1Loss(_Loss):
    """Mean absolute error."""

    def forward(self, x, target):
        return ops.l1_loss(x, target, self.reduction)
