"""Hooks: functions that a module calls before and after its forward, and when its gradients pass.

A gradient hook wants all gradients of a module's inputs (or outputs) at once, so these tensors are led through one
node of the tape: a `Gate` for a single tensor, and for several a `Bundle` that lays them end to end and a `Part`
for each. The gradient of that one node is whole when all of theirs are.
"""

import functools
import itertools
import warnings

import numpy as np

from .. import ops
from ..base import TensorBase
from ..function import Function
from ..modes import outside, thread
from ..tensor import Tensor


class Hooks:
    """The hooks of one module, in the order in which they are called."""

    def __init__(self):
        self.forward_pre = {}  # id -> (hook, with_kwargs)
        self.forward = {}  # id -> (hook, with_kwargs, always_call)
        self.backward_pre = {}  # id -> hook
        self.backward = {}


def call_with_hooks(module, inputs, keywords):
    """`module.forward(*inputs, **keywords)` with everything that is hooked on it."""
    outside("it runs the hooks of a module")
    hooks, result, called = module._module_hooks, None, set()
    try:
        for hook, with_kwargs in list(hooks.forward_pre.values()):
            if with_kwargs:
                changed = hook(module, inputs, keywords)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(
                            f"a forward pre-hook with kwargs must return None or (args, kwargs), got {changed!r}"
                        )
                    inputs, keywords = changed
            else:
                changed = hook(module, inputs)
                if changed is not None:
                    inputs = changed if isinstance(changed, tuple) else (changed,)
        passage = None
        if hooks.backward or hooks.backward_pre:
            passage = Passage(module, hooks)
            inputs = passage.enter(inputs)
        result = module.forward(*inputs, **keywords)
        for key, (hook, with_kwargs, _) in list(hooks.forward.items()):
            called.add(key)
            changed = hook(module, inputs, keywords, result) if with_kwargs else hook(module, inputs, result)
            if changed is not None:
                result = changed
        return result if passage is None else passage.leave(result)
    except Exception:
        _call_always(module, hooks, called, inputs, keywords, result)
        raise


def _call_always(module, hooks, called, inputs, keywords, result):
    """After an exception: the hooks that are to run anyway. Their own exceptions become warnings."""
    for key, (hook, with_kwargs, always_call) in list(hooks.forward.items()):
        if always_call and key not in called:
            try:
                changed = hook(module, inputs, keywords, result) if with_kwargs else hook(module, inputs, result)
                result = result if changed is None else changed
            except Exception as error:
                warnings.warn(
                    f"a forward hook with always_call=True raised while another error was raised: {error}", stacklevel=4
                )


class Passage:
    """One call of a module whose gradients are watched: from ∂L/∂outputs at the way in to ∂L/∂inputs at the way out."""

    def __init__(self, module, hooks):
        self.module = module
        self.hooks, self.pre_hooks = list(hooks.backward.values()), list(hooks.backward_pre.values())
        self.grad_output = None
        self.inputs_watched = False

    def enter(self, inputs):
        """The inputs, behind a node that knows when their gradients are whole."""
        self.inputs = [i for i, x in enumerate(inputs) if isinstance(x, TensorBase)]
        self.input_count = len(inputs)
        tensors = [inputs[i] for i in self.inputs]
        self.like = [(t._data.shape, t._data.dtype) for t in tensors]
        self.inputs_watched = _wants_gradient(tensors)
        if not self.inputs_watched:
            return inputs
        return _replaced(inputs, self.inputs, led_through_one_node(tensors, self.at_inputs))

    def leave(self, result):
        """The result, likewise."""
        results = result if isinstance(result, tuple) else (result,)
        self.outputs = [i for i, y in enumerate(results) if isinstance(y, TensorBase)]
        self.output_count = len(results)
        if not isinstance(result, TensorBase | tuple):
            warnings.warn(
                f"for backward hooks to be called, the module's output must be a tensor or a tuple of tensors, not "
                f"{type(result).__name__}", stacklevel=4,
            )  # fmt: skip
        tensors = [results[i] for i in self.outputs]
        if not _wants_gradient(tensors):
            return result
        results = _replaced(results, self.outputs, led_through_one_node(tensors, self.at_outputs))
        return results if isinstance(result, tuple) else results[0]

    def at_outputs(self, gradients):
        """The gradients have arrived: the pre-hooks may change what goes into the module."""
        grad_output = _spread(self.output_count, self.outputs, gradients)
        for hook in self.pre_hooks:
            grad_output = _checked(hook(self.module, grad_output), grad_output, "grad_output")
        if self.inputs_watched:
            self.grad_output = grad_output
        elif self.hooks:
            warnings.warn(
                "a full backward hook fires when the gradients of the module's outputs are known, since no input "
                "requires grad", stacklevel=2,
            )  # fmt: skip
            for hook in self.hooks:
                changed = hook(self.module, (None,) * self.input_count, grad_output)
                if changed is not None and any(c is not None for c in changed):
                    raise RuntimeError("a backward hook must return None where no input of the module requires grad")
        return [grad_output[i] for i in self.outputs]

    def at_inputs(self, gradients):
        """The gradients have passed the module: the hooks see both sides, and may change what goes on.

        An input that none has reached shows zeros.
        """
        if self.grad_output is None:  # as in a second backward, which need not have come through the outputs
            return gradients
        whole = [_zeros(*like) if g is None else g for g, like in zip(gradients, self.like, strict=True)]
        grad_input = _spread(self.input_count, self.inputs, whole)
        for hook in self.hooks:
            grad_input = _checked(hook(self.module, grad_input, self.grad_output), grad_input, "grad_input")
        self.grad_output = None
        return [grad_input[i] for i in self.inputs]


def _wants_gradient(tensors):
    return thread.state.grad_enabled and any(t._requires_grad for t in tensors)


def _replaced(values, places, tensors):
    values = list(values)
    for place, tensor in zip(places, tensors, strict=True):
        values[place] = tensor
    return tuple(values)


def _spread(count, places, gradients):
    return _replaced([None] * count, places, gradients)


def _checked(changed, gradients, name):
    if changed is None:
        return gradients
    changed = (changed,) if isinstance(changed, TensorBase) else changed
    if len(changed) != len(gradients):
        raise RuntimeError(f"a backward hook returned {len(changed)} gradients for {name}, which has {len(gradients)}")
    return tuple(changed)


# ------------------------------------------------------------------------------------- on the tape


def led_through_one_node(tensors, hook):
    """The tensors again; in each backward pass `hook(gradients)` is called once, when those of all are whole.

    A gradient is None where none has arrived. What the hook returns, a list too, passes on (None: zeros).
    """
    wanted = [i for i, t in enumerate(tensors) if t._requires_grad]
    results = list(tensors)
    if len(wanted) == 1:
        (index,) = wanted
        node = Gate()
        results[index] = node(tensors[index])
        node.hooks = {0: functools.partial(_at_gate, hook, index, len(tensors))}
    else:
        node, arrived = Bundle(), set()
        flat = node(*[tensors[i] for i in wanted])
        for index, piece in zip(wanted, node.pieces, strict=True):
            results[index] = Part(index, piece, arrived)(flat)
        node.hooks = {0: functools.partial(_at_bundle, hook, dict(zip(wanted, node.pieces, strict=True)), arrived,
                                           len(tensors))}  # fmt: skip
    return results


def _at_gate(hook, index, count, gradient):
    changed = hook([gradient if i == index else None for i in range(count)])[index]
    return gradient * 0 if changed is None else changed


def _at_bundle(hook, pieces, arrived, count, flat):
    gradients = [None] * count
    for index in arrived:
        start, stop, shape, _ = pieces[index]
        gradients[index] = flat[start:stop].reshape(shape)
    arrived.clear()
    changed = hook(gradients)
    if all(new is old for new, old in zip(changed, gradients, strict=True)):
        return None
    whole = [_zeros(*pieces[i][2:]) if changed[i] is None else changed[i] for i in pieces]
    return ops.cat([gradient.reshape(-1) for gradient in whole])


def _zeros(shape, dtype):
    return Tensor(np.zeros(shape, dtype))


class Gate(Function):
    """y = x;  ∂L/∂x = ∂L/∂y. A place on the tape for a module's hooks to stand."""

    __slots__ = ()
    name = "hooks"
    is_view = True

    def forward(self, x):
        return x.view()

    def backward(self, dy):
        return dy

    def backward_on_tape(self, dy):
        return dy


class Bundle(Function):
    """y = (x₁, x₂, …) end to end in one vector;  each xᵢ gets its piece of ∂L/∂y."""

    __slots__ = ("pieces",)
    name = "hooks"

    def forward(self, *arrays):
        ends = itertools.accumulate(array.size for array in arrays)
        self.pieces = [(end - a.size, end, a.shape, a.dtype) for end, a in zip(ends, arrays, strict=True)]
        return np.concatenate([array.ravel() for array in arrays])

    def backward(self, dy):
        return tuple([dy[start:stop].reshape(shape).astype(t, copy=False) for start, stop, shape, t in self.pieces])

    def backward_on_tape(self, dy):
        return tuple([dy[start:stop].reshape(shape).to(t) for start, stop, shape, t in self.pieces])


class Part(Function):
    """y = one piece of a Bundle, in its own shape;  the other pieces get zeros."""

    __slots__ = ("arrived", "index", "length", "piece", "total_dtype")
    name = "hooks"

    def __init__(self, index, piece, arrived):
        self.index, self.piece, self.arrived = index, piece, arrived

    def forward(self, flat):
        start, stop, shape, dtype = self.piece
        self.length, self.total_dtype = flat.size, flat.dtype
        return flat[start:stop].reshape(shape).astype(dtype)

    def backward(self, dy):
        self.arrived.add(self.index)
        start, stop, _, _ = self.piece
        dflat = np.zeros(self.length, self.total_dtype)
        dflat[start:stop] = dy.reshape(-1)
        return dflat

    backward_on_tape = Function.linear_on_tape
