"""Tensor: an n-dimensional array that remembers how it was computed. What a learner types.

Names, arguments and errors are PyTorch's. The array itself is `x.data`, a NumPy array, never a copy.
"""

import numbers

import numpy as np

from . import engine, ops
from .engine import TensorBase
from .formatting import format_tensor

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)
_SUPPORTED = frozenset(np.dtype(character) for character in "?bBhHiIlLqQfd")


@engine.register_tensor_class
class Tensor(TensorBase):
    """An array of numbers with a gradient.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])

    `x.grad` is ∂(the tensor that `backward` was called on)/∂x, accumulated over calls; `x.node` is the operation
    that made x, None for a leaf. float32 is the default; integers hold labels and indices and have no gradient.
    """

    __slots__ = ()
    __array_priority__ = 1000

    def __init__(self, data, requires_grad=False):
        if type(data) is not np.ndarray:
            data = _as_array(data, None if isinstance(data, np.ndarray | np.generic | TensorBase) else float32)
        elif data.dtype not in _SUPPORTED:
            data = _supported(data)
        TensorBase.__init__(self, data)
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------------------ what it is

    @property
    def data(self):
        """The NumPy array that holds the numbers; never a copy."""
        return self._data

    @data.setter
    def data(self, value):
        array = value._data if isinstance(value, TensorBase) else np.asarray(value, self._data.dtype)
        self._data = array
        self._changed_in_place()

    @property
    def requires_grad(self):
        """Whether backward is to find ∂L/∂(this tensor). Only floating tensors can require it."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag):
        if flag and self._data.dtype.kind != "f":
            raise RuntimeError(
                f"only floating tensors can require gradients, this one is {self._data.dtype}; convert it with .float()"
            )
        if not flag and self.node is not None:
            raise RuntimeError("only leaf tensors can be told not to require gradients; use .detach() on this one")
        self._requires_grad = bool(flag)

    def requires_grad_(self, requires_grad=True):
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self):
        """The operation that made this tensor (`node`), by PyTorch's name."""
        return self.node

    @property
    def is_leaf(self):
        return self.node is None

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

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        return self._data.shape if dim is None else self._data.shape[dim]

    def dim(self):
        return self._data.ndim

    def numel(self):
        """How many numbers it holds."""
        return self._data.size

    def __len__(self):
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __repr__(self):
        return format_tensor(self)

    def __bool__(self):
        if self._data.size != 1:
            raise RuntimeError(f"a tensor of shape {self._data.shape} has no single truth value; use .any() or .all()")
        return bool(self._data.item())

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self._data.dtype.kind not in "iub" or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be an index")
        return int(self._data.item())

    def __iter__(self):
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self._data)))

    def __hash__(self):
        return id(self)

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
        return self._data

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return np.array(array, dtype, copy=copy) if dtype is not None or copy else array

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        """`np.tanh(x)`, `array * x`: NumPy's functions on tensors are ours, and recorded."""
        operation = _UFUNCS.get(ufunc)
        if method == "__call__" and operation is not None and out is None and not keywords:
            return operation(*inputs)
        if method != "__call__" or out is None or any(isinstance(o, TensorBase) for o in out):
            return NotImplemented
        arrays = [i.numpy() if isinstance(i, TensorBase) else i for i in inputs]
        return ufunc(*arrays, out=out, **keywords)

    def item(self):
        """The number of a one-element tensor, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"a tensor of shape {self._data.shape} cannot be converted to one number")
        return self._data.item()

    def tolist(self):
        return self._data.tolist()

    # ------------------------------------------------------------------------------ gradients

    def backward(self, gradient=None, retain_graph=None, create_graph=False):
        """Add ∂self/∂leaf to the `.grad` of every leaf that self was computed from.

        `gradient` (a tensor of self's shape) weighs self's elements; a one-element tensor needs none. The graph's
        saved arrays are freed unless `retain_graph`. With `create_graph` the gradients are recorded, to be
        differentiated again. RuntimeError if self does not require grad.
        """
        if not self._requires_grad:
            raise RuntimeError(
                "backward on a tensor that does not require grad and was not computed from one that does; "
                "create the inputs with requires_grad=True, and compute outside of no_grad()"
            )
        keep = create_graph if retain_graph is None else retain_graph
        seed = _seed(self, gradient, create_graph)
        engine.backward([self], [seed], retain_graph=keep, create_graph=create_graph)

    def retain_grad(self):
        """Keep the gradient of this intermediate tensor in `.grad` too."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad on a tensor that does not require grad")
        if self.node is not None:
            engine.retain_grad(self)

    def register_hook(self, hook):
        """Call `hook(gradient)` in each backward pass when this tensor's gradient is whole; what it returns (if not
        None) takes the gradient's place. Returns a handle with `remove()`."""
        if not self._requires_grad:
            raise RuntimeError("register_hook on a tensor that does not require grad")
        owner, slot = (self, "_hooks") if self.node is None else (self.node, "hooks")
        if getattr(owner, slot) is None:
            setattr(owner, slot, {})
        return HookHandle(getattr(owner, slot), hook)

    def detach(self):
        """The same numbers (shared), cut off from the tape."""
        result = Tensor(self._data)
        result._version = self._version
        return result

    # ------------------------------------------------------------------------------ operators

    def __add__(self, other):
        return ops.add(self, other)

    def __radd__(self, other):
        return ops.add(other, self)

    def __sub__(self, other):
        return ops.sub(self, other)

    def __rsub__(self, other):
        return ops.sub(other, self)

    def __mul__(self, other):
        return ops.mul(self, other)

    def __rmul__(self, other):
        return ops.mul(other, self)

    def __truediv__(self, other):
        return ops.div(self, other)

    def __rtruediv__(self, other):
        return ops.div(other, self)

    def __pow__(self, other):
        return ops.pow(self, other)

    def __rpow__(self, other):
        return ops.pow(other, self)

    def __matmul__(self, other):
        return ops.matmul(self, _as_tensor(other))

    def __rmatmul__(self, other):
        return ops.matmul(_as_tensor(other), self)

    def __neg__(self):
        return ops.neg(self)

    def __abs__(self):
        return ops.abs(self)

    def __getitem__(self, index):
        return ops.getitem(self, index)

    def __eq__(self, other):
        return _compare(np.equal, self, other)

    def __ne__(self, other):
        return _compare(np.not_equal, self, other)

    def __lt__(self, other):
        return _compare(np.less, self, other)

    def __le__(self, other):
        return _compare(np.less_equal, self, other)

    def __gt__(self, other):
        return _compare(np.greater, self, other)

    def __ge__(self, other):
        return _compare(np.greater_equal, self, other)

    # ------------------------------------------------------------------------------ changes in place

    def _become(self, result):
        """Take the numbers and the history of `result`: how `x += y` stays on the tape."""
        if self.node is None and self._requires_grad and engine.state.grad_enabled:
            raise RuntimeError(
                "a leaf tensor that requires grad cannot be changed in place while it is recorded; "
                "do it inside `with no_grad():`"
            )
        if result._data.shape != self._data.shape:
            raise RuntimeError(
                f"the result of shape {result._data.shape} does not fit into this tensor of shape {self._data.shape}"
            )
        if result._requires_grad and self._version[1]:  # the tape knows no way from here to the other view
            raise RuntimeError(
                "a tensor that shares its numbers with a view (reshape, slice, …) cannot be changed in place "
                "while it is recorded; change a clone() of it"
            )
        if result._data.dtype.kind == "f" and self._data.dtype.kind != "f":
            raise RuntimeError(f"the result type {result._data.dtype} cannot be cast to {self._data.dtype} in place")
        if not self._data.flags.writeable:
            raise RuntimeError("this tensor is read-only (an expanded one always is); change a clone() of it")
        self._data[...] = result._data
        self._changed_in_place()
        if result._requires_grad:
            if self.node is not None and self.node.retained is not None:  # its gradient is now the new numbers'
                result.node.retained, self.node.retained = self.node.retained, None
            self.node, self._requires_grad = result.node, True
        return self

    def __iadd__(self, other):
        return self._become(self + other)

    def __isub__(self, other):
        return self._become(self - other)

    def __imul__(self, other):
        return self._become(self * other)

    def __itruediv__(self, other):
        return self._become(self / other)

    def __ipow__(self, other):
        return self._become(self**other)

    def add_(self, other, *, alpha=1):
        """self += alpha · other."""
        return self._become(self + other * alpha)

    def sub_(self, other, *, alpha=1):
        """self -= alpha · other."""
        return self._become(self - other * alpha)

    def mul_(self, other):
        return self._become(self * other)

    def div_(self, other):
        return self._become(self / other)

    def copy_(self, other):
        """Take the numbers of `other`, broadcast and converted."""
        return self._become(ops.expand(_as_tensor(other).to(self._data.dtype), *self._data.shape))

    def fill_(self, value):
        return self.copy_(Tensor(np.asarray(value, self._data.dtype)))

    def zero_(self):
        return self.fill_(0)

    def __setitem__(self, index, value):
        if engine.state.grad_enabled and (self._requires_grad or getattr(value, "_requires_grad", False)):
            raise RuntimeError(
                "assigning to a part of a tensor cannot be recorded; build the tensor with cat or stack, or assign "
                "inside `with no_grad():`"
            )
        if not self._data.flags.writeable:
            raise RuntimeError("this tensor's array is read-only; change a clone() of it")
        place = ops.shape.array_index(index)
        value = value._data if isinstance(value, TensorBase) else np.asarray(value)
        try:
            self._data[place] = value
        except ValueError:
            raise RuntimeError(
                f"a value of shape {value.shape} does not fit into the place of shape {self._data[place].shape}"
            ) from None
        self._changed_in_place()

    # ------------------------------------------------------------------------------ dtypes

    def to(self, dtype):
        """In another dtype; the tensor itself if it has that one already. Another tensor stands for its dtype."""
        return ops.cast(self, dtype._data.dtype if isinstance(dtype, TensorBase) else dtype)

    def float(self):
        return self.to(float32)

    def double(self):
        return self.to(float64)

    def long(self):
        return self.to(int64)

    def int(self):
        return self.to(int32)

    def bool(self):
        return self.to(bool_)

    # ------------------------------------------------------------------------------ operations as methods

    def view(self, *shape):
        """`reshape`; the numbers are shared wherever NumPy can."""
        return ops.reshape(self, *shape)

    def dot(self, other):
        """Dot product of vectors; the matrix product for matrices, as NumPy has it."""
        return ops.matmul(self, _as_tensor(other))

    def any(self):
        return Tensor(np.asarray(self._data.any()))

    def all(self):
        return Tensor(np.asarray(self._data.all()))


for _family in ops.FAMILIES.values():
    for _name in _family.METHODS:
        setattr(Tensor, _name, getattr(_family, _name))


class HookHandle:
    """What `register_hook` returns: `remove()` takes the hook away."""

    def __init__(self, hooks, hook):
        self._hooks = hooks
        self._key = object()
        hooks[self._key] = hook

    def remove(self):
        self._hooks.pop(self._key, None)


def tensor(data, dtype=None, requires_grad=False):
    """A tensor with a copy of `data`: a number, nested lists, a NumPy array (which keeps its dtype), a tensor.

    Python floats become float32, ints int64.
    """
    result = Tensor(np.array(_as_array(data, dtype)))
    result.requires_grad = requires_grad
    return result


def from_numpy(array):
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a NumPy array, got {type(array).__name__}; use tensor(…)")
    return Tensor(_supported(array))


def _as_array(data, dtype):
    if isinstance(data, TensorBase):
        data = data._data
    elif not isinstance(data, np.ndarray | np.generic):
        try:
            data = np.asarray(_unwrap(data))
        except ValueError:
            raise ValueError("the nested lists have different lengths, so they are no tensor") from None
        if data.dtype == np.float64:
            data = data.astype(np.float32)
    array = _supported(np.asarray(data))
    return array if dtype is None else array.astype(dtype, copy=False)


def _unwrap(data):
    """Lists that hold tensors as lists of arrays."""
    if isinstance(data, list | tuple):
        return [_unwrap(d) for d in data]
    return data._data if isinstance(data, TensorBase) else data


def _supported(array):
    if array.dtype in _SUPPORTED:
        return array
    if array.dtype.newbyteorder("=") in _SUPPORTED:  # as files of other machines have it
        return array.astype(array.dtype.newbyteorder("="))
    raise TypeError(f"tensors hold float32, float64, integers or bools, not {array.dtype}")


def _as_tensor(value):
    return value if isinstance(value, TensorBase) else tensor(value)


def _seed(output, gradient, on_tape=False):
    """What a backward pass starts with at `output`: an array, or the tensor itself where gradients are recorded."""
    shape = output._data.shape
    if gradient is None:
        if output._data.size != 1:
            raise RuntimeError(
                f"backward without a gradient needs a tensor of one element, this one has shape {shape}; take its "
                "sum() or mean(), or pass backward(gradient)"
            )
        seed = np.ones(shape, output._data.dtype)
        return Tensor(seed) if on_tape else seed
    gradient = _as_tensor(gradient)
    if gradient.shape != shape:
        raise RuntimeError(f"backward got a gradient of shape {gradient.shape} for a tensor of shape {shape}")
    gradient = gradient.to(output._data.dtype)
    return gradient if on_tape else gradient._data


def _compare(compare, x, y):
    if not isinstance(y, TensorBase | np.ndarray | np.generic | numbers.Number):
        return NotImplemented
    try:
        return Tensor(np.asarray(compare(x._data, y._data if isinstance(y, TensorBase) else y)))
    except ValueError:
        raise RuntimeError(f"shapes {x._data.shape} and {np.shape(y)} cannot be compared elementwise") from None


def _rebuild(cls, array, requires_grad):
    result = cls.__new__(cls)
    TensorBase.__init__(result, array, requires_grad)
    return result


_UFUNCS = {
    np.add: ops.add, np.subtract: ops.sub, np.multiply: ops.mul, np.divide: ops.div, np.power: ops.pow,
    np.matmul: lambda x, y: ops.matmul(_as_tensor(x), _as_tensor(y)), np.negative: ops.neg, np.exp: ops.exp,
    np.log: ops.log, np.maximum: ops.maximum, np.minimum: ops.minimum, np.sqrt: ops.sqrt, np.absolute: ops.abs, np.tanh: ops.tanh,
    np.equal: lambda x, y: y == x, np.not_equal: lambda x, y: y != x, np.less: lambda x, y: y > x,
    np.less_equal: lambda x, y: y >= x, np.greater: lambda x, y: y < x, np.greater_equal: lambda x, y: y <= x,
}  # fmt: skip
