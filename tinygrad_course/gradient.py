"""Gradients as a function's result, and the check of a gradient against finite differences."""

import numpy as np

from .base import TensorBase
from .differentiable import seed_of
from .engine import backward
from .tensor import Tensor


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False):
    """∂(Σ grad_outputs · outputs)/∂inputs as a tuple, without touching any `.grad`.

    `create_graph` records the computation of the gradients, so that they can be differentiated in turn; the graph
    is then kept, as with `retain_graph`. RuntimeError if an input was not used to compute the outputs, unless
    `allow_unused` (then None).
    """
    outputs = [outputs] if isinstance(outputs, TensorBase) else list(outputs)
    inputs = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    if grad_outputs is None or isinstance(grad_outputs, TensorBase):
        grad_outputs = [grad_outputs] * len(outputs)
    for tensor in (*outputs, *inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"grad of a tensor that does not require grad: {tensor!r}")
    seeds = [seed_of(o, g, create_graph) for o, g in zip(outputs, grad_outputs, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    gradients = backward(outputs, seeds, retain_graph=keep, targets=inputs, create_graph=create_graph)
    for position, gradient in enumerate(gradients):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"input {position} was not used to compute the outputs; pass allow_unused=True to get None for it"
            )
    if create_graph:
        return tuple(gradients)
    return tuple(None if g is None else Tensor(np.array(g)) for g in gradients)


class GradcheckError(RuntimeError):
    """A gradient that finite differences contradict."""


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-6, rtol=1e-5, raise_exception=True, seed=0):
    """Whether backward agrees with finite differences: True, or a GradcheckError that says where and by how much.

    `func` takes the tensors `inputs` and returns a tensor or several. With a random cotangent v (from `seed`) the
    function s(x) = Σ v · func(x) is differentiated both ways: by backward, and for every element of every float64
    input that requires grad by the central difference (s(x + eps) - s(x - eps)) / 2 eps, whose error is about
    eps² |s‴| + 1e-16 |s| / eps. They agree if |a - b| ≤ atol + rtol |b|. The inputs are left as they were.
    """
    inputs = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    checked = [i for i, t in enumerate(inputs) if isinstance(t, TensorBase) and t._requires_grad]
    if not checked:
        raise ValueError("gradcheck needs at least one input that requires grad")
    for i in checked:
        if inputs[i]._data.dtype != np.float64:
            raise ValueError(f"gradcheck needs float64 inputs, input {i} is {inputs[i]._data.dtype}; use .double()")
    cotangents = None

    def weighted(arrays):
        """s at the given inputs, and the outputs."""
        nonlocal cotangents
        outputs = func(*arrays)
        outputs = [outputs] if isinstance(outputs, TensorBase) else list(outputs)
        outputs = [o for o in outputs if o._data.dtype.kind == "f"]
        if cotangents is None:
            draw = np.random.default_rng(seed)
            cotangents = [np.asarray(draw.uniform(0.5, 1.5, o.shape) * draw.choice([-1, 1], o.shape)) for o in outputs]
        return sum(float((o._data * v).sum()) for o, v in zip(outputs, cotangents, strict=True)), outputs

    leaves = [Tensor(t._data.copy(), t._requires_grad) if isinstance(t, TensorBase) else t for t in inputs]
    _, outputs = weighted(leaves)
    recorded = [(o, v) for o, v in zip(outputs, cotangents, strict=True) if o._requires_grad]
    found, wrong = [None] * len(checked), []
    if recorded:
        found = backward(*map(list, zip(*recorded, strict=True)), targets=[leaves[i] for i in checked])
    for i, gradient in zip(checked, found, strict=True):
        array = leaves[i]._data
        gradient = np.zeros(array.shape) if gradient is None else np.asarray(gradient)
        if gradient.shape != array.shape:
            wrong.append(f"input {i}: backward gives shape {gradient.shape} for an input of shape {array.shape}")
            continue
        numeric = np.empty(array.shape)
        for place in np.ndindex(array.shape):
            before = array[place]
            array[place] = before + eps
            above, _ = weighted(leaves)
            array[place] = before - eps
            below, _ = weighted(leaves)
            array[place] = before
            numeric[place] = (above - below) / (2 * eps)
        off = np.abs(gradient - numeric)
        bad = ~(off <= atol + rtol * np.abs(numeric))
        if bad.any():
            worst = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), array.shape)
            worst = tuple(int(w) for w in worst)
            wrong.append(
                f"input {i}, element {worst}: backward gives {gradient[worst]:.10g}, finite differences "
                f"{numeric[worst]:.10g} (off by {off[worst]:.3g}); {int(bad.sum())} of {bad.size} elements are wrong"
            )
    if wrong and raise_exception:
        lost = "" if recorded else "no output of the function requires grad, though inputs do: it left the tape; "
        raise GradcheckError("gradcheck: " + lost + "; ".join(wrong))
    return not wrong


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-6, rtol=1e-5, raise_exception=True, seed=0):
    """Whether the gradients of gradients agree with finite differences: `gradcheck` of the backward pass itself.

    What is checked is the function (inputs, cotangents) -> `grad(func(inputs), inputs, cotangents,
    create_graph=True)`, at the cotangents `grad_outputs` (random ones, from `seed`, by default). The arguments and
    the result are those of `gradcheck`.
    """
    inputs = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    checked = [i for i, t in enumerate(inputs) if isinstance(t, TensorBase) and t._requires_grad]
    if not checked:
        raise ValueError("gradgradcheck needs at least one input that requires grad")
    if grad_outputs is None:
        draw = np.random.default_rng(seed + 1)
        shapes = [output._data.shape for output in _differentiable(func(*inputs))]
        grad_outputs = [Tensor(np.asarray(draw.uniform(0.5, 1.5, s) * draw.choice([-1, 1], s))) for s in shapes]
    grad_outputs = [grad_outputs] if isinstance(grad_outputs, TensorBase) else list(grad_outputs)
    cotangents = [Tensor(g._data.astype(np.float64), requires_grad=True) for g in grad_outputs]

    def backward_pass(*arguments):
        arguments, weights = arguments[: len(inputs)], arguments[len(inputs) :]
        wanted = [arguments[i] for i in checked]
        outputs = _differentiable(func(*arguments))
        gradients = grad(outputs, wanted, weights, create_graph=True, allow_unused=True)
        return [Tensor(np.zeros(t.shape)) if g is None else g for t, g in zip(wanted, gradients, strict=True)]

    return gradcheck(
        backward_pass, [*inputs, *cotangents], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, seed=seed
    )


def _differentiable(outputs):
    """The outputs of a function that require grad, as a list."""
    outputs = [outputs] if isinstance(outputs, TensorBase) else outputs
    return [output for output in outputs if isinstance(output, TensorBase) and output._requires_grad]
