"""Changes of a tensor in place: `x += y`, `x[i] = y`, `x.exp_()`.

The numbers change where they lie, and the tensor takes the history of the result: so a recorded change stays on the
tape. What cannot be recorded truthfully raises.
"""

import numpy as np

from . import ops
from .base import TensorBase, is_shared, tensor_of
from .dtypes import as_tensor
from .modes import changing, thread


class InPlace(TensorBase):
    """The part of Tensor that changes it."""

    __slots__ = ()

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
        if result._requires_grad and self._viewed and is_shared(self):
            # Somebody else, a view or what backward has saved, still holds these numbers: the tape knows no way there.
            raise RuntimeError(
                "a tensor that shares its numbers with a view (reshape, slice, …) cannot be changed in place "
                "while it is recorded; change a clone() of it"
            )
        if result._data.dtype.kind == "f" and self._data.dtype.kind != "f":
            raise RuntimeError(f"the result type {result._data.dtype} cannot be cast to {self._data.dtype} in place")
        if not self._data.flags.writeable:
            raise RuntimeError("this tensor is read-only (an expanded one always is); change a clone() of it")
        if self._requires_grad and not result._requires_grad and thread.state.grad_enabled:
            result = ops.index_put(self, ..., result)  # nothing flows back to what was here
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
            source = tensor_of(self._data.copy())
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
        other = as_tensor(other).to(self._data.dtype)
        self[...] = other if other._data.shape == self._data.shape else ops.expand(other, *self._data.shape)
        return self

    def fill_(self, value):
        self[...] = np.asarray(value, self._data.dtype)
        return self

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


def in_place_form(name, operation):
    """The method `exp_` of `exp`: the result takes the place of the tensor's numbers."""

    def method(self, *arguments, **keywords):
        return self._in_place(operation, *arguments, **keywords)

    method.__name__, method.__qualname__ = f"{name}_", f"Tensor.{name}_"
    method.__doc__ = f"`{name}` in place: the tensor itself takes the result's numbers, and is returned."
    return method
