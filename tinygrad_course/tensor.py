"""Tensor: an n-dimensional array that remembers how it was computed. What a learner types.

Names, arguments and errors are PyTorch's. The array itself is `x.data`, a NumPy array, never a copy. The operators
are in operators.py, changes in place in in_place.py, gradients in differentiable.py, dtypes in dtypes.py; what each
operation computes, in ops/.
"""

import numpy as np

from . import ops
from .base import TensorBase, register_tensor_class
from .differentiable import Differentiable
from .dtypes import SUPPORTED, Conversions, as_array, float32, supported
from .formatting import format_tensor
from .in_place import InPlace, in_place_form
from .modes import exposing, outside
from .operators import Operators


@register_tensor_class
class Tensor(Operators, InPlace, Differentiable, Conversions):
    """An array of numbers with a gradient.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])

    `x.grad` is ∂(the tensor that `backward` was called on)/∂x, accumulated over calls; `x.node` is the operation
    that made x, None for a leaf. float32 is the default; integers hold labels and indices and have no gradient.
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=False):
        if type(data) is not np.ndarray:
            data = as_array(data, None if isinstance(data, np.ndarray | np.generic | TensorBase) else float32)
        elif data.dtype not in SUPPORTED:
            data = supported(data)
        TensorBase.__init__(self, data)
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------------------ what it is

    @property
    def data(self):
        """The NumPy array that holds the numbers; never a copy."""
        outside("it looks at a tensor's numbers")
        exposing()
        return self._data

    @data.setter
    def data(self, value):
        if isinstance(value, TensorBase):
            value = value._data
        self._changed_in_place()
        self._data = value if isinstance(value, np.ndarray) else np.asarray(value, self._data.dtype)

    @property
    def shape(self):
        return self._data.shape

    @property
    def dtype(self):
        return self._data.dtype

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def T(self):
        """The dimensions in reverse order."""
        return self.permute(tuple(reversed(range(self._data.ndim))))

    @property
    def mT(self):
        """The last two dimensions swapped: matrices transposed."""
        if self._data.ndim < 2:
            raise RuntimeError(f"mT needs matrices, this tensor has shape {self._data.shape}")
        return self.transpose(-2, -1)

    def is_contiguous(self):
        """Whether the numbers lie row by row in memory."""
        return self._data.flags.c_contiguous

    def stride(self, dim=None):
        """How many numbers of memory lie between neighbours, for each dimension or for one."""
        strides = tuple(s // self._data.itemsize for s in self._data.strides)
        return strides if dim is None else strides[dim]

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        return self._data.shape if dim is None else self._data.shape[dim]

    def dim(self):
        return self._data.ndim

    def numel(self):
        """How many numbers it holds."""
        return self._data.size

    nelement = numel
    ndimension = dim

    def element_size(self):
        """Bytes of one number."""
        return self._data.itemsize

    @property
    def itemsize(self):
        return self._data.itemsize

    @property
    def nbytes(self):
        """Bytes of all numbers."""
        return self._data.nbytes

    def is_floating_point(self):
        return self._data.dtype.kind == "f"

    def is_complex(self):
        return False

    def data_ptr(self):
        """The address of the first number in memory."""
        return self._data.ctypes.data

    def __len__(self):
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __repr__(self):
        return format_tensor(self)

    def __format__(self, how):
        """`f"{loss:.3f}"` formats the number of a 0-d tensor."""
        return format(self.item(), how) if how and not self._data.ndim else format(repr(self), how)

    def __bool__(self):
        if self._data.size != 1:
            raise RuntimeError(f"a tensor of shape {self._data.shape} has no single truth value; use .any() or .all()")
        return bool(self.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self._data.dtype.kind not in "iub" or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be an index")
        return int(self.item())

    def __iter__(self):
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self._data)))

    def __deepcopy__(self, memo):
        if self.node is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; detach() this one first")
        copy = type(self).__new__(type(self))
        TensorBase.__init__(copy, self._data.copy(), self._requires_grad)
        if self.grad is not None:
            copy.grad = self.grad.clone()
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        if self.node is not None:
            raise RuntimeError("only leaf tensors can be pickled; detach() this one first")
        return _rebuild, (type(self), self._data, self._requires_grad)

    # ------------------------------------------------------------------------------ to and from NumPy

    def numpy(self):
        """The NumPy array, shared. RuntimeError if gradients would be lost: use `.detach().numpy()`."""
        if self._requires_grad:
            raise RuntimeError("this tensor requires grad, so its array is had by .detach().numpy()")
        return self.data

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return np.array(array, dtype, copy=copy) if dtype is not None or copy else array

    def item(self):
        """The number of a one-element tensor, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"a tensor of shape {self._data.shape} cannot be converted to one number")
        outside("it looks at a tensor's numbers")
        return self._data.item()

    def tolist(self):
        outside("it looks at a tensor's numbers")
        return self._data.tolist()

    # ------------------------------------------------------------------------------ new tensors like this one

    def new_tensor(self, data, dtype=None, requires_grad=False):
        """A tensor with a copy of `data` in this one's dtype."""
        return tensor(data, dtype or self._data.dtype, requires_grad)

    def new_full(self, size, fill_value, *, dtype=None, requires_grad=False):
        """All `fill_value`, in this tensor's dtype."""
        return Tensor(np.full(ops.shape.sizes_of((size,)), fill_value, dtype or self._data.dtype), requires_grad)

    def new_zeros(self, *size, dtype=None, requires_grad=False):
        """All 0, in this tensor's dtype."""
        return Tensor(np.zeros(ops.shape.sizes_of(size), dtype or self._data.dtype), requires_grad)

    def new_ones(self, *size, dtype=None, requires_grad=False):
        """All 1, in this tensor's dtype."""
        return Tensor(np.ones(ops.shape.sizes_of(size), dtype or self._data.dtype), requires_grad)

    def new_empty(self, *size, dtype=None, requires_grad=False):
        """Numbers that happen to be in memory, in this tensor's dtype."""
        return Tensor(np.empty(ops.shape.sizes_of(size), dtype or self._data.dtype), requires_grad)


for _family in ops.FAMILIES.values():
    for _name in _family.METHODS:
        setattr(Tensor, _name, getattr(_family, _name))
    for _name in getattr(_family, "IN_PLACE", ()):
        setattr(Tensor, _name + "_", in_place_form(_name, getattr(_family, _name)))


def tensor(data, dtype=None, requires_grad=False):
    """A tensor with a copy of `data`: a number, nested lists, a NumPy array (which keeps its dtype), a tensor.

    Python floats become float32, ints int64.
    """
    result = Tensor(np.array(as_array(data, dtype)))
    result.requires_grad = requires_grad
    return result


def from_numpy(array):
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a NumPy array, got {type(array).__name__}; use tensor(…)")
    return Tensor(supported(array))


def is_tensor(value):
    """Whether `value` is a Tensor."""
    return isinstance(value, TensorBase)


def is_floating_point(x):
    """Whether x holds floating numbers."""
    return x.is_floating_point()


def numel(x):
    """How many numbers x holds."""
    return x.numel()


def _rebuild(cls, array, requires_grad):
    result = cls.__new__(cls)
    TensorBase.__init__(result, array, requires_grad)
    return result
