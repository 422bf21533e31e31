"""The tape: what ran forward, and the walk back along it.

Every operation is a `Function` with `forward` and `backward` side by side. Calling one on tensors runs
`forward` on their arrays and, if a gradient will be wanted, leaves the Function itself on the tape as a graph
node, with an `edge` to each input: the node that made that input, or the leaf tensor itself.

`backward` visits the nodes in the reverse of the order in which they were made. No node can be older than its
inputs, so this is a reverse topological order, found without recursion: a chain of 100,000 operations and a
residual net with 2^100 paths are walked in one pass each, every node once.

Whoever wants to see the gradients on their way (a graph drawing, a NaN detector, a profiler) is an `Observer`.
This file knows arrays and the tape; what a learner types is in `tensor.py`.
"""

import itertools
import re
import sys
import weakref
from heapq import heappop, heappush

import numpy as np

from .kernels import buffers
from .modes import (
    Observer,
    enable_grad,
    is_grad_enabled,
    no_grad,
    observe,
    set_grad_enabled,
    thread,
    where,
)

__all__ = [
    "Adjoint", "Function", "Observer", "TensorBase", "backward", "enable_grad", "is_grad_enabled", "is_shared",
    "no_grad", "observe", "owner_of", "register_tensor_class", "retain_grad", "set_grad_enabled", "sum_to_shape",
    "thread", "time_of_last_change", "where",
]  # fmt: skip

_next_order = itertools.count(1).__next__  # the clock of the tape, one for all threads: nodes and in-place changes
_tensor_class = None  # class of the tensors that operations return; tensor.py names it
_new = object.__new__


class TensorBase:
    """What the tape needs to know of a tensor. `tensor.Tensor` adds what a learner types."""

    __slots__ = ("__weakref__", "_data", "_hooks", "_requires_grad", "_viewed", "grad", "node")
    order = 0  # on the clock, a leaf is older than every operation

    def __init__(self, data, requires_grad=False):
        self._data = data
        self._requires_grad = requires_grad
        self.grad = None
        self.node = None  # the Function that made this tensor; None for a leaf
        self._viewed = False  # whether it is a view of another tensor, or has had views
        self._hooks = None

    def _changed_in_place(self):
        """Note that this tensor's numbers are others now: a saved copy of the old ones no longer exists."""
        _changes.note(self._data)


class _Changes:
    """When which memory was last changed in place. Most never is, so that tensors carry nothing for it."""

    def __init__(self):
        self.latest = 0
        self._times = {}  # id of the array that owns the memory -> [time, weak reference that forgets it]

    def note(self, array):
        owner = owner_of(array)
        key = id(owner)
        time = self._times.get(key)
        if time is None:
            time = self._times[key] = [0, weakref.ref(owner, lambda _: self._times.pop(key, None))]
        self.latest = time[0] = _next_order()

    def of(self, array):
        """The time on the tape's clock at which the array's memory was last changed; 0 for never."""
        return self._times.get(id(owner_of(array)), (0,))[0]


_changes = _Changes()


def time_of_last_change():
    """The time on the tape's clock at which any tensor was last changed in place."""
    return _changes.latest


def owner_of(array):
    """The array whose memory `array` shows: itself, or what it is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _holders(tensor):
    """How many references to a tensor's memory CPython counts, those of this function included."""
    return sys.getrefcount(owner_of(tensor._data))


_ALONE = {viewing: _holders(TensorBase(np.empty(2)[:1] if viewing else np.empty(2))) for viewing in (False, True)}


def is_shared(tensor):
    """Whether anybody but this tensor holds its numbers: a view, a saved array, a variable."""
    return _holders(tensor) > _ALONE[tensor._data.base is not None]


def register_tensor_class(cls):
    """Class decorator: operations return tensors of this class."""
    global _tensor_class
    _tensor_class = cls
    return cls


class _Freed:
    """Stands where saved arrays were, after a backward pass has released them."""

    def __iter__(self):
        raise RuntimeError(
            "backward was called a second time through the same graph, but the first pass has freed the arrays it "
            "had saved; call the first one with backward(retain_graph=True), or run the forward pass again"
        )


_FREED = _Freed()


class Function:
    """An operation and, once it has run, its node on the tape.

    A subclass gives `forward(*arrays) -> array` and `backward(dz) -> a gradient for each input` (one input: the
    array itself). `forward` keeps what `backward` will need with `self.saved = a, b, …`. `self.needs[i]` tells
    both whether input i wants a gradient; where it does not, `backward` may return None. Parameters that are
    no tensors go to `__init__`, into slots of the subclass's own.

    The tape adds gradients in place, so what `backward` returns is `dz` itself, a view, or a new array that it
    keeps nowhere else: never a saved array, never one new array for two inputs.

    Class attributes:
        broadcasts: inputs of different shapes are broadcast by NumPy's rules; the gradients are then summed
            back to the inputs' shapes here, once for all operations.
        is_view: the output may share memory with the first input.
        replayable: forward depends on its input arrays alone, and on what `__init__` took that the program's text
            and the inputs' shapes say: no numbers of a tensor. `compile` may run it again with other arrays.
    """

    __slots__ = (
        "__weakref__", "edges", "hooks", "needs", "order", "origins", "retained", "saved", "scope", "shape",
    )  # fmt: skip
    broadcasts = False
    is_view = False
    replayable = False
    name = "function"

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def forward(self, *arrays):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dz):
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def apply(self, *inputs):
        """Run forward on tensors (None stands for an absent one) and record this node if a gradient is wanted.

        Small nets spend most of their time in this method: what it can leave undone, it does.
        """
        now = thread.state
        if len(inputs) == 2 and inputs[0] is not None and inputs[1] is not None and now.grad_enabled:
            x, y = inputs
            arrays = x._data, y._data
            edges = (x.node or x) if x._requires_grad else None, (y.node or y) if y._requires_grad else None
            needs = edges[0] is not None, edges[1] is not None
        else:
            arrays, edges, needs = [], [], []
            for t in inputs:
                need = t is not None and t._requires_grad and now.grad_enabled
                arrays.append(None if t is None else t._data)
                edges.append((t.node or t) if need else None)
                needs.append(need)
            edges, needs = tuple(edges), tuple(needs)
        self.edges = edges
        self.needs = _NEEDS.setdefault(needs, needs)  # a few tuples serve all nodes: the collector has less to do
        self.saved = ()
        array = self.forward(*arrays)
        if type(array) is not np.ndarray:  # NumPy turns 0-d results into scalars
            scalar, array = array, np.asarray(array)
            self.saved = tuple([array if a is scalar else a for a in self.saved])
        output = _new(_tensor_class)
        output._data = array
        output.grad = output._hooks = None
        output._viewed = False
        if self.is_view and array.base is not None and owner_of(array) is owner_of(arrays[0]):  # NumPy may have copied
            output._viewed = inputs[0]._viewed = True
        output._requires_grad = recorded = True in needs
        if recorded:
            output.node = self
            self.order = _next_order()
            self.scope = now.scope
            self.shape = array.shape
            self.hooks = self.retained = None
            if self.saved:
                # Which of its inputs, or its output, a saved array is: as long as it is saved, no other has its id.
                self.origins = (
                    (id(arrays[0]), id(arrays[1]), id(array)) if len(arrays) == 2 else (*map(id, arrays), id(array))
                )
        else:
            output.node = None
            self.saved = ()
        if now.observers:
            if not recorded:
                self.order, self.scope = _next_order(), now.scope
            for observer in now.observers:
                observer.forward(self, inputs, output)
        return output

    __call__ = apply

    def backward_on_tape(self, dz):
        """`backward` on tensors, itself recorded, so that its result can be differentiated again.

        By default the formula of `backward` is run on tensors, which do for it if it is made of operators, NumPy's
        functions and methods that both have. An operation that calls a kernel says its formula here in operators.
        """
        arrays, self.saved = self.saved, self.saved_tensors()
        try:
            return self.backward(dz)
        finally:
            self.saved = arrays

    def linear_on_tape(self, dz):
        """`backward_on_tape` of an operation that is linear in its one input."""
        return Adjoint(self)(dz)

    def saved_tensors(self):
        """What `forward` saved, as tensors that stand on the tape where the saved arrays came from."""
        tensors = []
        for array in self.saved:
            place = self._origin(array)
            source = None if place is None else self if place == len(self.edges) else self.edges[place]
            if isinstance(source, TensorBase):
                tensors.append(source)
            elif array is None:
                tensors.append(None)
            else:
                tensor = _tensor_class(array)
                if source is not None:
                    tensor.node, tensor._requires_grad = source, True
                tensors.append(tensor)
        return tuple(tensors)

    def _origin(self, array):
        """Which input a saved array is, counted from 0; the number of inputs for the output, None for neither."""
        return None if array is None or id(array) not in self.origins else self.origins.index(id(array))

    def check_saved(self):
        """Raise if a tensor that this node saved has been changed in place since."""
        if self.saved is _FREED:
            return
        for array in self.saved:
            place = self._origin(array)
            if place is not None and _changes.of(array) > self.order:
                which = "output" if place == len(self.edges) else f"input {place}"
                raise RuntimeError(
                    f"a tensor that backward still needs was changed in place: the {which} of {self.label()}, of "
                    f"shape {tuple(array.shape)}; change a clone() of it, or change it after backward()"
                )

    def label(self):
        """`layers.3.conv1 (conv2d)`: where this node was made and what it is."""
        scope = getattr(self, "scope", "")  # none yet while forward runs
        return f"{scope} ({self.name})" if scope else self.name

    def __repr__(self):
        return f"<{self.label()}>"


_NEEDS = {}


# ---------------------------------------------------------------------------------------------- backward


def backward(outputs, gradients, *, retain_graph=False, targets=None, create_graph=False):
    """Walk the tape from `outputs`, whose arrays of gradients are `gradients`, to the leaves.

    Without `targets`, the leaves' gradients are added to their `.grad` at the end of the walk: if an operation
    raises midway, no `.grad` has changed. With `targets` (tensors), nothing is accumulated, and the gradients
    that arrived at them are returned, None for those that were not reached.

    With `create_graph`, gradients are tensors from end to end and are recorded themselves.
    """
    retain_graph = retain_graph or create_graph
    arrived = {}  # node or leaf -> (gradient so far, whether that array is ours alone)
    waiting = []  # heap of (-order, node) of the nodes that a gradient has arrived at: the youngest comes first
    retained = []  # intermediate tensors that want their gradient, with it
    now = thread.state
    recorded, now.grad_enabled = now.grad_enabled, create_graph
    observers = now.observers
    keeps = create_graph or bool(observers)  # what an observer has been shown it may keep: no adding to that array
    keeps_leaves = create_graph or any([observer.keeps_arrays for observer in observers])
    captured = {} if targets is None else {t.node: None for t in targets if t.node is not None}
    for output, gradient in zip(outputs, gradients, strict=True):
        start = output.node or output
        if start in arrived:
            arrived[start] = _sum(arrived[start], gradient)
        else:
            arrived[start] = gradient, False
            if start.order:
                heappush(waiting, (-start.order, start))
    try:
        for observer in observers:
            observer.begin_backward(outputs, [_array(g) for g in gradients])
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
            if node.order < _changes.latest:
                node.check_saved()
            contributions = node.backward_on_tape(dz) if create_graph else node.backward(dz)
            if type(contributions) is not tuple:
                contributions = (contributions,)
            edges, broadcasts = node.edges, node.broadcasts
            if len(contributions) != len(edges):
                raise RuntimeError(
                    f"the backward of {node.label()} returned {len(contributions)} gradients for {len(edges)} inputs"
                )
            if observers:
                contributions = _unbroadcast(contributions, edges)
                shown, sent = dz, contributions
                if create_graph:
                    shown, sent = _array(dz), tuple([None if c is None else _array(c) for c in contributions])
                for observer in observers:
                    observer.backward(node, shown, sent)
            for edge, contribution in zip(edges, contributions):
                if edge is None or contribution is None:
                    continue
                if broadcasts and contribution.shape != edge.shape:
                    contribution = sum_to_shape(contribution, edge.shape)
                if edge in arrived:
                    arrived[edge] = _sum(arrived[edge], contribution)
                else:
                    kept = keeps if edge.order else keeps_leaves
                    ours = not (kept or contribution is dz or type(contribution.base) is np.ndarray)
                    arrived[edge] = contribution, ours
                    if edge.order:
                        heappush(waiting, (-edge.order, edge))
            if not retain_graph and node.saved:
                node.saved = _FREED
    finally:
        now.grad_enabled = recorded
        for observer in observers:
            observer.end_backward()
    for leaf, (gradient, _) in arrived.items():
        if leaf._hooks:
            arrived[leaf] = _run_hooks(leaf._hooks, gradient), False
    for tensor, gradient in retained:
        if tensor is not None:
            _accumulate(tensor, gradient, False)
    if targets is not None:
        return [captured[t.node] if t.node is not None else arrived.get(t, (None,))[0] for t in targets]
    for leaf, (gradient, ours) in arrived.items():
        _accumulate(leaf, gradient, ours)
    return None


def _sum(entry, contribution):
    """Add a contribution to a gradient: in place if the array is ours, else into a new one."""
    total, ours = entry
    if ours:
        total += contribution
        return total, True
    return total + contribution, True


def _unbroadcast(contributions, edges):
    """The contributions, each summed to the shape of what it goes to; None where nothing goes."""
    return tuple([
        None if c is None or edge is None
        else c if type(c) is np.ndarray and c.shape == edge.shape else _fitted(c, edge.shape)
        for c, edge in zip(contributions, edges)
    ])  # fmt: skip


def _fitted(contribution, shape):
    """A contribution as an array or tensor of this shape: NumPy turns 0-d results into scalars."""
    if not isinstance(contribution, TensorBase):
        contribution = np.asarray(contribution)
    return contribution if contribution.shape == shape else sum_to_shape(contribution, shape)


def _array(gradient):
    return gradient._data if isinstance(gradient, TensorBase) else np.asarray(gradient)


def _accumulate(leaf, gradient, ours):
    """`leaf.grad += gradient`. An array that someone else may hold (a view, the gradient itself) is copied."""
    if isinstance(gradient, TensorBase):
        leaf.grad = gradient.clone() if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is None:
        leaf.grad = _tensor_class(np.asarray(gradient) if ours else buffers.copy(gradient))
    else:
        leaf.grad._data += gradient
        leaf.grad._changed_in_place()


def _run_hooks(hooks, gradient):
    for hook in list(hooks.values()):
        on_tape = isinstance(gradient, TensorBase)
        changed = hook(gradient if on_tape else _tensor_class(np.asarray(gradient)))
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


def sum_to_shape(gradient, shape):
    """The adjoint of broadcasting: sum `gradient` over the axes along which an array of `shape` was repeated."""
    if gradient is None or gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[extra + axis] != 1
    )
    total = gradient.sum(axes)
    return (total if isinstance(total, TensorBase) else np.asarray(total)).reshape(shape)


class Adjoint(Function):
    """The backward of a linear operation as an operation: its own backward is the linear operation again.

    For z = A x: dx = Aᵀ dz, and the adjoint of that map takes ddx to A ddx. An operation of one input without a
    bias uses it with `backward_on_tape = Function.linear_on_tape`.
    """

    __slots__ = ("operation",)

    def __init__(self, operation):
        self.operation = operation

    def forward(self, dz):
        return self.operation.backward(dz)

    def backward(self, ddx):
        return self.operation.forward(ddx)

    backward_on_tape = Function.linear_on_tape
