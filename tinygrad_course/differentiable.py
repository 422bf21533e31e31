"""A tensor's place on the tape: whether its gradient is wanted, how it is found, who is told of it.

What backward does is in engine.py; `grad`, which returns gradients and leaves none behind, in gradient.py.
"""

import itertools

import numpy as np

from . import engine
from .base import TensorBase, tensor_of
from .dtypes import as_tensor

_next_id = itertools.count()


class Differentiable(TensorBase):
    """The part of Tensor that has to do with its gradient."""

    __slots__ = ()

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
        seed = seed_of(self, gradient, create_graph)
        engine.backward([self], [seed], retain_graph=keep, create_graph=create_graph)

    def retain_grad(self):
        """Keep the gradient of this intermediate tensor in `.grad` too."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad on a tensor that does not require grad")
        if self.node is not None:
            engine.retain_grad(self)

    def register_hook(self, hook):
        """Call `hook(gradient)` in each backward pass when this tensor's gradient is whole; what it returns (if not
        None) takes the gradient's place. Returns a `RemovableHandle`."""
        if not self._requires_grad:
            raise RuntimeError("register_hook on a tensor that does not require grad")
        owner, slot = (self, "_hooks") if self.node is None else (self.node, "hooks")
        if getattr(owner, slot) is None:
            setattr(owner, slot, {})
        return RemovableHandle(getattr(owner, slot), hook)

    def detach(self):
        """The same numbers (shared), cut off from the tape."""
        result = tensor_of(self._data)
        result._viewed = self._viewed
        return result

    def detach_(self):
        """Cut this tensor off from the tape: it becomes a leaf that requires no gradient."""
        self.node, self._requires_grad = None, False
        return self


class RemovableHandle:
    """What registering a hook, of a tensor or of a module, returns: `remove()` takes the hook away, and so does leaving
    a `with` block."""

    def __init__(self, hooks, hook, prepend=False):
        self.id, self._hooks = next(_next_id), hooks
        later = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[self.id] = hook
        hooks.update(later)

    def remove(self):
        self._hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


def seed_of(output, gradient, on_tape=False):
    """What a backward pass starts with at `output`: an array, or the tensor itself where gradients are recorded."""
    shape = output._data.shape
    if gradient is None:
        if output._data.size != 1:
            raise RuntimeError(
                f"backward without a gradient needs a tensor of one element, this one has shape {shape}; take its "
                "sum() or mean(), or pass backward(gradient)"
            )
        seed = np.ones(shape, output._data.dtype)
        return tensor_of(seed) if on_tape else seed
    gradient = as_tensor(gradient)
    if gradient.shape != shape:
        raise RuntimeError(f"backward got a gradient of shape {gradient.shape} for a tensor of shape {shape}")
    gradient = gradient.to(output._data.dtype)
    return gradient if on_tape else gradient._data
