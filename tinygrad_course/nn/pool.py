"""Pooling layers. They have no parameters."""

from .. import ops
from ..ops.conv import numbers
from .module import Module


class _MaxPool(Module):
    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode
        self.return_indices = return_indices

    def forward(self, x):
        return self.pool(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Maximum over windows of x (N, C, L) or (C, L); see `ops.max_pool2d`."""

    pool = staticmethod(ops.max_pool1d)


class MaxPool2d(_MaxPool):
    """Maximum over windows of x (N, C, H, W) or (C, H, W); see `ops.max_pool2d`."""

    pool = staticmethod(ops.max_pool2d)


class _MaxUnpool(Module):
    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        name = type(self).__name__
        self.kernel_size = numbers(kernel_size, self.dims, f"{name}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else numbers(stride, self.dims, f"{name}: stride", 1)
        self.padding = numbers(padding, self.dims, f"{name}: padding", 0)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The maxima of a `MaxPool1d(…, return_indices=True)` back at their places, 0 elsewhere."""

    dims = 1

    def forward(self, x, indices, output_size=None):
        return ops.max_unpool1d(x, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """The maxima of a `MaxPool2d(…, return_indices=True)` back at their places, 0 elsewhere; see `ops.max_unpool2d`."""

    dims = 2

    def forward(self, x, indices, output_size=None):
        return ops.max_unpool2d(x, indices, self.kernel_size, self.stride, self.padding, output_size)


class AvgPool1d(Module):
    """Mean over windows of x (N, C, L) or (C, L); see `ops.avg_pool2d`."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size = numbers(kernel_size, 1, "AvgPool1d: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else numbers(stride, 1, "AvgPool1d: stride", 1)
        self.padding = numbers(padding, 1, "AvgPool1d: padding", 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x):
        return ops.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """Mean over windows of x (N, C, H, W) or (C, H, W); see `ops.avg_pool2d`."""

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x):
        return ops.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, x):
        return self.pool(x, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) over windows of x (N, C, L) or (C, L), p = `norm_type`."""

    pool = staticmethod(ops.lp_pool1d)


class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) over windows of x (N, C, H, W) or (C, H, W), p = `norm_type`: between the sum and the maximum."""

    pool = staticmethod(ops.lp_pool2d)


class _AdaptivePool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, x):
        return self.pool(x, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """Mean over `output_size` windows of x (N, C, L) or (C, L)."""

    pool = staticmethod(ops.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePool):
    """Mean over as many windows as give `output_size`; 1 is global average pooling. See `ops.adaptive_avg_pool2d`."""

    pool = staticmethod(ops.adaptive_avg_pool2d)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size, return_indices=False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x):
        return self.pool(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maximum over `output_size` windows of x (N, C, L) or (C, L)."""

    pool = staticmethod(ops.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maximum over as many windows as give `output_size`; see `ops.adaptive_max_pool2d`."""

    pool = staticmethod(ops.adaptive_max_pool2d)
