"""What tensors hold: the dtypes, how data comes to one of them, and the methods of Tensor that convert."""

import numpy as np

from . import ops
from .base import TensorBase, tensor_of

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)
_DEVICES = ("cpu", "cuda", "mps", "xpu", "meta")
_TYPE_NAMES = {float32: "Float", float64: "Double", int32: "Int", int64: "Long", uint8: "Byte", bool_: "Bool"}
SUPPORTED = frozenset(np.dtype(character) for character in "?bBhHiIlLqQfd")


def as_array(data, dtype):
    """Numbers, nested lists or a tensor as an array; Python floats become float32."""
    if isinstance(data, TensorBase):
        data = data._data
    elif not isinstance(data, np.ndarray | np.generic):
        try:
            data = np.asarray(_unwrap(data))
        except ValueError:
            raise ValueError("the nested lists have different lengths, so they are no tensor") from None
        if data.dtype == np.float64:
            data = data.astype(np.float32)
    array = supported(np.asarray(data))
    return array if dtype is None else array.astype(dtype, copy=False)


def _unwrap(data):
    """Lists that hold tensors as lists of arrays."""
    if isinstance(data, list | tuple):
        return [_unwrap(d) for d in data]
    return data._data if isinstance(data, TensorBase) else data


def supported(array):
    """The array, or TypeError if tensors do not hold its dtype."""
    if array.dtype in SUPPORTED:
        return array
    if array.dtype.newbyteorder("=") in SUPPORTED:  # as files of other machines have it
        return array.astype(array.dtype.newbyteorder("="))
    raise TypeError(f"tensors hold float32, float64, integers or bools, not {array.dtype}")


def as_tensor(value):
    """The tensor itself, or one with a copy of the numbers."""
    return value if isinstance(value, TensorBase) else tensor_of(np.array(as_array(value, None)))


class Conversions(TensorBase):
    """The part of Tensor that converts it to another dtype."""

    __slots__ = ()

    def to(self, *target, dtype=None, device=None, copy=False, non_blocking=False):
        """In another dtype; the tensor itself if it has that one already. Another tensor stands for its dtype.

        The one device is "cpu"; RuntimeError for another one.
        """
        for wanted in (*target, device):
            if isinstance(wanted, TensorBase):
                dtype = wanted._data.dtype
            elif isinstance(wanted, str) and wanted.partition(":")[0] in _DEVICES:
                if not wanted.startswith("cpu"):
                    raise RuntimeError(f"there is no device {wanted!r}: tensors are on the CPU")
            elif wanted is not None and not isinstance(wanted, bool):
                dtype = wanted
        result = self if dtype is None else ops.cast(self, dtype)
        return result.clone() if copy and result is self else result

    def type(self, dtype=None):
        """`to(dtype)`; without one, PyTorch's name of the type, "torch.FloatTensor"."""
        if dtype is None:
            return f"torch.{_TYPE_NAMES.get(self._data.dtype, self._data.dtype.name)}Tensor"
        return self.to(dtype)

    def type_as(self, other):
        """In the dtype of `other`."""
        return self.to(other._data.dtype)

    def cpu(self):
        """The tensor itself: that is where tensors are."""
        return self

    def float(self):
        return self.to(float32)

    def double(self):
        return self.to(float64)

    def long(self):
        return self.to(int64)

    def int(self):
        return self.to(int32)

    def byte(self):
        return self.to(uint8)

    def bool(self):
        return self.to(bool_)
