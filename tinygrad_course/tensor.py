"""Tensor: an n-dimensional array that remembers how it was computed. What a learner types.

Names, arguments and errors are PyTorch's. The array itself is `x.data`, a NumPy array, never a copy.
"""

import numpy as np

from . import engine, ops
from .engine import TensorBase, thread
from .formatting import format_tensor
from .modes import changing, outside

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
        outside("it looks at a tensor's numbers")
        return self._data

    @data.setter
    def data(self, value):
        if isinstance(value, TensorBase):
            value = value._data
        self._changed_in_place()
        self._data = value if isinstance(value, np.ndarray) else np.asarray(value, self._data.dtype)

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

    __hash__ = object.__hash__  # by identity, whatever `==` means

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
        return self.data.item()

    def tolist(self):
        return self.data.tolist()

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
        result._viewed = self._viewed
        return result

    def detach_(self):
        """Cut this tensor off from the tape: it becomes a leaf that requires no gradient."""
        self.node, self._requires_grad = None, False
        return self

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

    # ------------------------------------------------------------------------------ operators

    __add__, __sub__, __mul__, __truediv__ = ops.add, ops.sub, ops.mul, ops.div
    __pow__, __mod__, __floordiv__ = ops.pow, ops.remainder, ops.floor_divide
    __neg__, __abs__, __invert__, __getitem__ = ops.neg, ops.abs, ops.bitwise_not, ops.getitem

    def __radd__(self, other):
        return ops.add(other, self)

    def __rsub__(self, other):
        return ops.sub(other, self)

    def __rmul__(self, other):
        return ops.mul(other, self)

    def __rtruediv__(self, other):
        return ops.div(other, self)

    def __rpow__(self, other):
        return ops.pow(other, self)

    def __rmod__(self, other):
        return ops.remainder(other, self)

    def __rfloordiv__(self, other):
        return ops.floor_divide(other, self)

    def __matmul__(self, other):
        return ops.matmul(self, _as_tensor(other))

    def __rmatmul__(self, other):
        return ops.matmul(_as_tensor(other), self)

    def __pos__(self):
        return self

    def __and__(self, other):
        return ops.compare.compare(np.bitwise_and, self, other)

    def __or__(self, other):
        return ops.compare.compare(np.bitwise_or, self, other)

    def __xor__(self, other):
        return ops.compare.compare(np.bitwise_xor, self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __eq__(self, other):
        return ops.compare.compare(np.equal, self, other)

    def __ne__(self, other):
        return ops.compare.compare(np.not_equal, self, other)

    def __lt__(self, other):
        return ops.compare.compare(np.less, self, other)

    def __le__(self, other):
        return ops.compare.compare(np.less_equal, self, other)

    def __gt__(self, other):
        return ops.compare.compare(np.greater, self, other)

    def __ge__(self, other):
        return ops.compare.compare(np.greater_equal, self, other)

    # ------------------------------------------------------------------------------ changes in place

    def _become(self, result):
        """Take the numbers and the history of `result`: how `x += y` stays on the tape."""
        changing()
        if self.node is None and self._requires_grad and thread.state.grad_enabled:
            raise RuntimeError(
                "a leaf tensor that requires grad cannot be changed in place while it is recorded; "
                "do it inside `with no_grad():`"
            )
        if result._data.shape != self._data.shape:
            raise RuntimeError(
                f"the result of shape {result._data.shape} does not fit into this tensor of shape {self._data.shape}"
            )
        if result._requires_grad and self._viewed and engine.is_shared(self):
            # Somebody else, a view or what backward has saved, still holds these numbers: the tape knows no way there.
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

    def _in_place(self, operation, *arguments, **keywords):
        """Become operation(self, …), which may have saved self's numbers: while it is recorded it saves a copy."""
        source = self
        operands = (self, *arguments)
        saves = operation is not ops.add and operation is not ops.sub
        if saves and thread.state.grad_enabled and any(getattr(a, "_requires_grad", False) for a in operands):
            source = Tensor(self._data.copy())
            source.node, source._requires_grad = self.node, self._requires_grad
        result = operation(source, *arguments, **keywords)
        return NotImplemented if result is NotImplemented else self._become(result)

    def __iadd__(self, other):
        return self._become(self + other)

    def __isub__(self, other):
        return self._become(self - other)

    def __imul__(self, other):
        return self._in_place(ops.mul, other)

    def __itruediv__(self, other):
        return self._in_place(ops.div, other)

    def __ifloordiv__(self, other):
        return self._in_place(ops.floor_divide, other)

    def __imod__(self, other):
        return self._in_place(ops.remainder, other)

    def __ipow__(self, other):
        return self._in_place(ops.pow, other)

    def __iand__(self, other):
        return self._become(self & other)

    def __ior__(self, other):
        return self._become(self | other)

    def __ixor__(self, other):
        return self._become(self ^ other)

    def copy_(self, other):
        """Take the numbers of `other`, broadcast and converted."""
        return self._become(ops.expand(_as_tensor(other).to(self._data.dtype), *self._data.shape))

    def fill_(self, value):
        return self.copy_(Tensor(np.asarray(value, self._data.dtype)))

    def zero_(self):
        return self.fill_(0)

    def __setitem__(self, index, value):
        if thread.state.grad_enabled and (self._requires_grad or getattr(value, "_requires_grad", False)):
            self._become(ops.index_put(self, index, value))
            return
        changing()
        if not self._data.flags.writeable:
            raise RuntimeError("this tensor's array is read-only; change a clone() of it")
        place = ops.index.array_index(index, self._data.shape)
        value = value._data if isinstance(value, TensorBase) else np.asarray(value)
        try:
            self._data[place] = value
        except ValueError:
            raise RuntimeError(
                f"a value of shape {value.shape} does not fit into the place of shape {self._data[place].shape}"
            ) from None
        self._changed_in_place()

    # ------------------------------------------------------------------------------ dtypes

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

    # ------------------------------------------------------------------------------ operations as methods

    def where(self, condition, other):
        """self where `condition` is true, else `other`."""
        return ops.where(condition, self, other)


def _in_place_form(name, operation):
    """The method `exp_` of `exp`: the result takes the place of the tensor's numbers."""

    def method(self, *arguments, **keywords):
        return self._in_place(operation, *arguments, **keywords)

    method.__name__, method.__qualname__ = f"{name}_", f"Tensor.{name}_"
    method.__doc__ = f"`{name}` in place: the tensor itself takes the result's numbers, and is returned."
    return method


for _family in ops.FAMILIES.values():
    for _name in _family.METHODS:
        setattr(Tensor, _name, getattr(_family, _name))
    for _name in getattr(_family, "IN_PLACE", ()):
        setattr(Tensor, _name + "_", _in_place_form(_name, getattr(_family, _name)))


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


def is_tensor(value):
    """Whether `value` is a Tensor."""
    return isinstance(value, TensorBase)


def is_floating_point(x):
    """Whether x holds floating numbers."""
    return x.is_floating_point()


def numel(x):
    """How many numbers x holds."""
    return x.numel()


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


def _rebuild(cls, array, requires_grad):
    result = cls.__new__(cls)
    TensorBase.__init__(result, array, requires_grad)
    return result


_COMPARISONS = (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor,
)  # fmt: skip
_SAME_NAME = (
    "exp", "log", "sqrt", "tanh", "exp2", "expm1", "log2", "log10", "log1p", "reciprocal", "square", "sin", "cos",
    "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "arctan2", "hypot",
    "deg2rad", "rad2deg", "floor", "ceil", "trunc", "sign", "floor_divide", "remainder", "fmod", "maximum", "minimum",
    "fmax", "fmin", "isnan", "isinf", "isfinite", "logical_and", "logical_or", "logical_xor", "logical_not",
    "signbit", "logaddexp", "logaddexp2", "absolute", "negative", "float_power", "positive",
)  # fmt: skip
_UFUNCS = {
    np.add: ops.add, np.subtract: ops.sub, np.multiply: ops.mul, np.divide: ops.div, np.power: ops.pow,
    np.matmul: lambda x, y: ops.matmul(_as_tensor(x), _as_tensor(y)), np.invert: ops.bitwise_not,
    np.rint: ops.round, **{getattr(np, name): getattr(ops, name) for name in _SAME_NAME},
    **{ufunc: (lambda x, y, ufunc=ufunc: ops.compare.compare(ufunc, x, y)) for ufunc in _COMPARISONS},
}  # fmt: skip
