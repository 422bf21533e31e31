"""What is done on the side: a backward pass, the tape's own, for those who watch, with every `.grad` as it was before;
and random numbers that nobody will miss."""

import contextlib
import random

import numpy as np

import tinygrad_course
from tinygrad_course.function import Function
from tinygrad_course.generator import default_generator


@contextlib.contextmanager
def random_numbers_aside():
    """Whatever is drawn or seeded within: the library's, NumPy's and Python's next random numbers stay the same."""
    own, of_numpy = default_generator().bit_generator, np.random.get_state(legacy=False)  # noqa: NPY002  a net's own
    state, of_python = own.state, random.getstate()
    try:
        yield
    finally:
        own.state = state
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)


def gradients_aside(loss, tensors):
    """∂loss/∂tensors as backward computes them. No `.grad` changes, not even of tensors with `retain_grad`.

    The graph stays alive. Raises RuntimeError if it has been freed.
    """
    kept = [
        (tensor, tensor.grad, None if tensor.grad is None else tensor.grad._data.copy()) for tensor in _retained(loss)
    ]
    try:
        return tinygrad_course.grad(loss, tensors, retain_graph=True)
    finally:
        for tensor, gradient, numbers in kept:
            tensor.grad = gradient
            if gradient is not None:
                gradient._data[...] = numbers


def _retained(loss):
    """The tensors behind a loss that asked for their gradient with `retain_grad`."""
    seen, stack, tensors = {loss.node}, [loss.node], []
    while stack:
        node = stack.pop()
        if node.retained is not None and node.retained() is not None:
            tensors.append(node.retained())
        for edge in node.edges:
            if isinstance(edge, Function) and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return tensors


def refuse_hooks(vertices, caller, known=()):
    """Raise ValueError if a hook may change a gradient on its way: what it does is no derivative of the graph.

    known: (name, tensor) of those that have a name.
    """
    for vertex in vertices:
        hooks = vertex.hooks if isinstance(vertex, Function) else vertex._hooks
        if hooks:
            name = next((f"{name}, " for name, tensor in known if tensor is vertex), "")
            raise ValueError(
                f"{caller} follows the chain rule, and a hook on the gradient of {name}{label_of(vertex)} may change "
                "what it gives; one that only looks cannot be told from it: remove the hook first (register_hook, or "
                "register_full_backward_hook of a module, returned a handle with remove())"
            )


def label_of(vertex):
    """What to call a node, or a leaf."""
    return vertex.label() if isinstance(vertex, Function) else f"a leaf of shape {vertex._data.shape}"
