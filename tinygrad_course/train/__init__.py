"""Floor 5: training a model and measuring it."""

from .loop import Epoch, error_rate, train

__all__ = ["Epoch", "error_rate", "train"]
