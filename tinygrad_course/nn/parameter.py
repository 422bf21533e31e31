"""Parameters, and how to have a network without allocating its weights."""

import contextlib
import threading

import numpy as np

from ..base import TensorBase
from ..tensor import Tensor


class _Now(threading.local):
    meta = False


_now = _Now()


class Parameter(Tensor):
    """A tensor that a Module learns: it requires grad, and is found by `parameters()`."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        if _now.meta:
            array = data._data if isinstance(data, TensorBase) else np.asarray(data)
            data = without_memory(array.shape, array.dtype)
        super().__init__(data._data if isinstance(data, TensorBase) else data, requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()


class meta(contextlib.ContextDecorator):
    """`with nn.meta(): net = models.vgg19()`: a network of the right shapes whose parameters take no memory.

    Each of its parameters is a single zero that NumPy shows at every place (all strides are 0), read-only, and the
    initializers pass it by. Good for counting, printing and `summary`; real numbers come with
    `load_state_dict(…, assign=True)`.
    """

    def __enter__(self):
        self.outer, _now.meta = _now.meta, True
        return self

    def __exit__(self, *exception):
        _now.meta = self.outer

    def _recreate_cm(self):
        return type(self)()


def is_meta(tensor):
    """Whether the tensor is a meta parameter: a shape without memory."""
    array = tensor._data
    return array.size > 1 and not array.flags.writeable and not any(array.strides)


def without_memory(shape, dtype):
    """Zeros of this shape that take the memory of one."""
    return np.broadcast_to(np.zeros((), dtype), shape)
