"""The walk back along the tape: from the outputs' gradients to those of the leaves.

`backward` visits the nodes in the reverse of the order in which they were made. No node can be older than its
inputs, so this is a reverse topological order, found without recursion: a chain of 100,000 operations and a
residual net with 2^100 paths are walked in one pass each, every node once.

On the way, what arrives at one node along several edges is added up, tensors' hooks are called, and whoever wants to
see the gradients (a graph drawing, a NaN detector, a profiler) is told as an `Observer`; at the end, the leaves'
`.grad` is added to. This file knows arrays and the tape; what a learner types is in `tensor.py`.
"""

import weakref
from heapq import heappop, heappush

import numpy as np

from .base import TensorBase, array_of, changes, tensor_of
from .function import FREED, sum_to_shape
from .kernels import arithmetic, buffers
from .modes import tell_elsewhere, thread

__all__ = ["backward", "retain_grad"]

# Whose an array of gradients is. Ours is a new one that nobody else has; _SHOWN, it becomes `.grad`, but as long as the
# pass goes on its numbers stay as the observers saw them.
_THEIRS, _SHOWN, _OURS = 0, 1, 2


def backward(outputs, gradients, *, retain_graph=False, targets=None, create_graph=False):
    """Walk the tape from `outputs`, whose arrays of gradients are `gradients`, to the leaves.

    Without `targets`, the leaves' gradients are added to their `.grad` at the end of the walk: if an operation
    raises midway, no `.grad` has changed. With `targets` (tensors), nothing is accumulated, and the gradients
    that arrived at them are returned, None for those that were not reached.

    With `create_graph`, gradients are tensors from end to end and are recorded themselves.
    """
    retain_graph = retain_graph or create_graph
    arrived = {}  # node or leaf -> (gradient so far, whose array that is: _OURS to add to, _SHOWN or _THEIRS)
    waiting = []  # heap of (-order, node) of the nodes that a gradient has arrived at: the youngest comes first
    retained = []  # intermediate tensors that want their gradient, with it
    now = thread.state
    recorded, now.grad_enabled = now.grad_enabled, create_graph
    observers = now.observers
    captured = {} if targets is None else {t.node: None for t in targets if t.node is not None}
    for output, gradient in zip(outputs, gradients, strict=True):
        start = output.node or output
        if start in arrived:
            arrived[start] = _sum(arrived[start], gradient)
        else:
            arrived[start] = gradient, _THEIRS
            if start.order:
                heappush(waiting, (-start.order, start))
    try:
        watching, tell, keeps_leaves = bool(observers), [], create_graph
        if observers:
            arrays = [array_of(g) for g in gradients]
            for observer in observers:
                answer = observer.begin_backward(outputs, arrays)
                tell.append(_teller(observer) if answer is None else answer.append)
                keeps_leaves = keeps_leaves or observer.keeps_arrays
        # What an observer has been shown it may keep, until the pass is over or longer: no adding to that array.
        new = _SHOWN if watching else _OURS
        keeps = create_graph or watching
        while waiting:
            node = heappop(waiting)[1]
            dz = arrived.pop(node)[0]
            if type(dz) is not np.ndarray and not create_graph:
                dz = np.asarray(dz)
            if node.hooks is not None:
                dz = _run_hooks(node.hooks, dz)
            if node.retained is not None:
                retained.append((node.retained(), dz))
            if captured and node in captured:
                captured[node] = dz
            if node.order < changes.latest:
                node.check_saved()
            contributions = node.backward_on_tape(dz) if create_graph else node.backward(dz)
            if type(contributions) is not tuple:
                contributions = (contributions,)
            edges, broadcasts = node.edges, node.broadcasts
            if len(contributions) != len(edges):
                raise RuntimeError(
                    f"the backward of {node.label()} returned {len(contributions)} gradients for {len(edges)} inputs"
                )
            # What observers are shown is mostly this tuple; a list where something in it is shown as something else.
            sent, unasked = [] if watching and (broadcasts or create_graph or not dz.ndim) else None, False
            for edge, contribution in zip(edges, contributions):
                if edge is None or contribution is None:
                    if sent is not None:
                        sent.append(None)
                    elif contribution is not None:
                        unasked = True
                    continue
                if broadcasts and contribution.shape != edge.shape:
                    contribution = sum_to_shape(contribution, edge.shape)
                if sent is not None:
                    sent.append(contribution if type(contribution) is np.ndarray else array_of(contribution))
                if edge in arrived:
                    arrived[edge] = _sum(arrived[edge], contribution)
                else:
                    kept = keeps if edge.order else keeps_leaves
                    theirs = kept or contribution is dz or type(contribution.base) is np.ndarray
                    arrived[edge] = contribution, _THEIRS if theirs else new
                    if edge.order:
                        heappush(waiting, (-edge.order, edge))
            if watching:
                if unasked:
                    sent = [None if edge is None else one for edge, one in zip(edges, contributions)]
                record = node, array_of(dz) if create_graph else dz, contributions if sent is None else sent
                for one in tell:
                    one(record)
            if not retain_graph and node.saved:
                node.saved = FREED
        if watching:
            for observer in observers:
                observer.leaves(arrived)
    finally:
        now.grad_enabled = recorded
        for observer in (*observers, *now.resting):
            observer.end_backward()
    for leaf, (gradient, _) in arrived.items():
        if leaf._hooks:
            arrived[leaf] = _run_hooks(leaf._hooks, gradient), _THEIRS
    for tensor, gradient in retained:
        if tensor is not None:
            _accumulate(tensor, gradient, _THEIRS)
    if targets is not None:
        return [captured[t.node] if t.node is not None else arrived.get(t, (None,))[0] for t in targets]
    for leaf, (gradient, whose) in arrived.items():
        _accumulate(leaf, gradient, whose)
    return None


def _teller(observer):
    return lambda record: observer.backward(*record)


def _sum(entry, contribution):
    """Add a contribution to a gradient: in place if the array is ours, else into a new one."""
    total, whose = entry
    if whose == _OURS:
        total += contribution
        return total, _OURS
    large = type(total) is type(contribution) is np.ndarray and total.nbytes >= buffers.LARGE
    if large and total.dtype == contribution.dtype:
        return arithmetic.add(total, contribution), _OURS
    return total + contribution, _OURS


def _accumulate(leaf, gradient, whose):
    """`leaf.grad += gradient`. An array that someone else may hold (a view, the gradient itself) is copied."""
    if isinstance(gradient, TensorBase):
        leaf.grad = gradient.clone() if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is None:
        leaf.grad = tensor_of(np.asarray(gradient) if whose else buffers.copy(gradient))
    else:
        tell_elsewhere()  # here all have been told what they need by `end_backward`
        leaf.grad._data += gradient
        leaf.grad._changed_in_place()


def _run_hooks(hooks, gradient):
    for hook in list(hooks.values()):
        on_tape = isinstance(gradient, TensorBase)
        changed = hook(gradient if on_tape else tensor_of(np.asarray(gradient)))
        if changed is None:
            continue
        if not isinstance(changed, TensorBase):
            raise TypeError(f"a gradient hook must return a tensor or None, not {type(changed).__name__}")
        if changed._data.shape != gradient.shape:
            raise RuntimeError(
                f"a gradient hook returned shape {changed._data.shape} for a gradient of shape {gradient.shape}"
            )
        gradient = changed if on_tape else changed._data
    return gradient


def retain_grad(tensor):
    """Ask the tape to leave the gradient of this intermediate tensor in its `.grad`."""
    tensor.node.retained = weakref.ref(tensor)
