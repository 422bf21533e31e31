"""What theory says of gradients in wide random nets. Plain numbers in, plain numbers out; no Tensor is known here."""

from .laws import (
    batch_norm_linear_ratio,
    batch_norm_relu_ratio,
    default_init_ratio,
    gain,
    linear_ratio,
    measured_ratio,
    path_length_law,
    relu_ratio,
    residual_ratio,
    scaled_residual_ratio,
)  # fmt: skip
from .mean_field import MeanField, critical_weight_variance, mean_field

__all__ = ["MeanField", "batch_norm_linear_ratio", "batch_norm_relu_ratio", "critical_weight_variance",
           "default_init_ratio", "gain", "linear_ratio", "mean_field", "measured_ratio", "path_length_law",
           "relu_ratio", "residual_ratio", "scaled_residual_ratio"]  # fmt: skip
