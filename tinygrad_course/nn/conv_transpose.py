"""Transposed convolution layers."""

from .. import ops
from ..modes import where
from ..ops.conv import numbers
from ..ops.conv_transpose import output_size as size_of_output
from .conv import Convolution


class _ConvTranspose(Convolution):
    transposed = True

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1,
                 bias=True, dilation=1, padding_mode="zeros", device=None, dtype=None):  # fmt: skip
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        if isinstance(padding, str):
            raise TypeError(f"{name}: padding must be an int or a pair, got {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype=dtype)
        self.output_padding = numbers(output_padding, self.dims, f"{name}: output_padding", 0)

    def _output_padding(self, x, output_size):
        """What must be added at the end of the output so that it has `output_size`."""
        if output_size is None:
            return self.output_padding
        dims, several = self.dims, tuple(output_size)
        wanted = several[-dims:] if len(several) == x.ndim else several
        if len(wanted) != dims:
            raise ValueError(
                f"{where()}{type(self).__name__}: output_size {several} must have {dims} or {x.ndim} numbers for an "
                f"input of shape {x.shape}"
            )
        least = size_of_output(x.shape[-dims:], self.kernel_size, self.stride, self.padding, (0,) * dims, self.dilation)
        most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
        if any(not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"{where()}{type(self).__name__}: output_size {wanted} is not among the sizes {least} to {most} that "
                f"stride {self.stride} can give for an input of shape {x.shape}"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of Conv1d: x (N, in_channels, L) becomes y (N, out_channels, L'). See ConvTranspose2d."""

    dims = 1

    def forward(self, x, output_size=None):
        extra = self._output_padding(x, output_size)
        return ops.conv_transpose1d(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of Conv2d ("deconvolution"): x (N, in_channels, H, W) becomes y (N, out_channels, H', W').

    H' = (H - 1)·stride - 2·padding + dilation·(kernel_size - 1) + output_padding + 1. A convolution of stride s takes s
    sizes to one; `output_padding`, or `output_size` of a call, says which of them comes back. Weight (in_channels,
    out_channels/groups, KH, KW).
    """

    dims = 2

    def forward(self, x, output_size=None):
        extra = self._output_padding(x, output_size)
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )
