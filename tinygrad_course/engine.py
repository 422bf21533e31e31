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

import contextlib
import itertools
import re
import threading
import weakref

import numpy as np

from .kernels.buffers import OWNERS


class _State(threading.local):
    """What is true for the code that runs now in this Python thread."""

    grad_enabled = True
    scope = ""  # dotted path of the layer that is running, "" outside of any
    paths = None  # id(module) -> dotted path in the network that is running
    observers = ()


state = _State()
_next_order = itertools.count(1).__next__  # the clock of the tape, one for all threads: nodes and in-place changes
_tensor_class = None  # class of the tensors that operations return; tensor.py names it


class TensorBase:
    """What the tape needs to know of a tensor. `tensor.Tensor` adds what a learner types."""

    __slots__ = ("__weakref__", "_data", "_hooks", "_requires_grad", "_version", "grad", "node")

    def __init__(self, data, requires_grad=False):
        self._data = data
        self._requires_grad = requires_grad
        self.grad = None
        self.node = None  # the Function that made this tensor; None for a leaf
        self._version = [0, False]  # when it was last changed in place, and whether it has views; views share the cell
        self._hooks = None

    def _changed_in_place(self):
        """Note that this tensor's numbers are others now: a saved copy of the old ones no longer exists."""
        self._version[0] = _next_order()


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
        is_view: the output may share memory with the first input, and then shares its version.
    """

    __slots__ = ("__weakref__", "edges", "guards", "hooks", "needs", "order", "retained", "saved", "scope", "shape",
                 "shapes")  # fmt: skip
    broadcasts = False
    is_view = False
    name = "function"

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def forward(self, *arrays):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dz):
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs):
        """Run forward on tensors (None stands for an absent one) and record this node if a gradient is wanted."""
        now = state
        if now.grad_enabled:
            self.needs = needs = tuple([t is not None and t._requires_grad for t in inputs])
        else:
            self.needs = needs = (False,) * len(inputs)
        self.saved = ()
        array = self.forward(*[None if t is None else t._data for t in inputs])
        if type(array) is not np.ndarray:  # NumPy turns 0-d results into scalars
            scalar, array = array, np.asarray(array)
            self.saved = tuple([array if a is scalar else a for a in self.saved])
        output = _tensor_class(array)
        if self.is_view and array.base is not None:
            source = inputs[0]
            if array.base is source._data or array.base is source._data.base:  # NumPy may have had to copy
                output._version = source._version
                output._version[1] = True
        if True in needs:
            self._record(inputs, output)
        else:
            self.saved = ()
        if now.observers:
            if True not in needs:
                self.order, self.scope, self.edges = _next_order(), now.scope, (None,) * len(inputs)
            for observer in now.observers:
                observer.forward(self, inputs, output)
        return output

    def _record(self, inputs, output):
        self.order = _next_order()
        self.scope = state.scope
        self.edges = tuple([
            (t if t.node is None else t.node) if need else None for t, need in zip(inputs, self.needs, strict=True)
        ])  # fmt: skip
        self.hooks = self.retained = None
        self.shape = shape = output._data.shape
        self.shapes = None
        if self.broadcasts:
            for t in inputs:
                if t._data.shape != shape:
                    self.shapes = tuple([t._data.shape for t in inputs])
                    break
        self.guards = tuple([_guard(array, inputs, output) for array in self.saved]) if self.saved else ()
        output.node = self
        output._requires_grad = True

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
        for array, guard in zip(self.saved, self.guards, strict=True):
            source = None if guard is None else self if guard[0] < 0 else self.edges[guard[0]]
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

    def check_saved(self):
        """Raise if a tensor that this node saved has been changed in place since."""
        if self.saved is _FREED or not self.saved:
            return
        for guard in self.guards:
            if guard is not None and guard[1][0] > self.order:
                which = "output" if guard[0] < 0 else f"input {guard[0]}"
                raise RuntimeError(
                    f"a tensor that backward still needs was changed in place: the {which} of {self.label()}, of "
                    f"shape {tuple(self.saved[self.guards.index(guard)].shape)}; "
                    "change a clone() of it, or change it after backward()"
                )

    def label(self):
        """`layers.3.conv1 (conv2d)`: where this node was made and what it is."""
        scope = getattr(self, "scope", "")  # none yet while forward runs
        return f"{scope} ({self.name})" if scope else self.name

    def __repr__(self):
        return f"<{self.label()}>"


def _guard(array, inputs, output):
    """(which input, its version cell) of a saved array; -1 for the output, None for an array of the op's own."""
    for index, t in enumerate(inputs):
        if t is not None and t._data is array:
            return index, t._version
    return (-1, output._version) if array is output._data else None


# ---------------------------------------------------------------------------------------------- backward


def backward(outputs, gradients, *, retain_graph=False, targets=None, create_graph=False):
    """Walk the tape from `outputs`, whose arrays of gradients are `gradients`, to the leaves.

    Without `targets`, the leaves' gradients are added to their `.grad` at the end of the walk: if an operation
    raises midway, no `.grad` has changed. With `targets` (tensors), nothing is accumulated, and the gradients
    that arrived at them are returned, None for those that were not reached.

    With `create_graph`, gradients are tensors from end to end and are recorded themselves.
    """
    retain_graph = retain_graph or create_graph
    arrived = {}  # node or leaf -> [gradient so far, whether that array is ours alone]
    retained = []  # intermediate tensors that want their gradient, with it
    recorded, state.grad_enabled = state.grad_enabled, create_graph
    captured = {} if targets is None else {t.node: None for t in targets if t.node is not None}
    for output, gradient in zip(outputs, gradients, strict=True):
        _arrive(arrived, output if output.node is None else output.node, gradient, False)
    nodes = _reachable([t.node for t in outputs if t.node is not None])
    observers = state.observers
    try:
        for observer in observers:
            observer.begin_backward(outputs, [_array(g) for g in gradients])
        for node in nodes:
            entry = arrived.pop(node, None)
            if entry is None:
                continue
            dz = entry[0] if create_graph else np.asarray(entry[0])
            if node.hooks is not None:
                dz = _run_hooks(node.hooks, dz)
            if node.retained is not None:
                retained.append((node.retained(), dz))
            if node in captured:
                captured[node] = dz
            node.check_saved()
            contributions = node.backward_on_tape(dz) if create_graph else node.backward(dz)
            if type(contributions) is not tuple:
                contributions = (contributions,)
            if node.shapes is not None:
                contributions = tuple([
                    None if need is False else sum_to_shape(c, shape)
                    for c, shape, need in zip(contributions, node.shapes, node.needs, strict=True)
                ])  # fmt: skip
            if observers:
                sent = tuple([
                    None if c is None or edge is None else _array(c)
                    for c, edge in zip(contributions, node.edges, strict=True)
                ])  # fmt: skip
                for observer in observers:
                    observer.backward(node, _array(dz), sent)
            for edge, contribution in zip(node.edges, contributions, strict=True):
                if edge is None or contribution is None:
                    continue
                # What an observer has been shown it may keep, so nothing is added to that array.
                ours = not (create_graph or contribution is dz or observers or type(contribution.base) not in OWNERS)
                _arrive(arrived, edge, contribution, ours)
            if not retain_graph and node.saved:
                node.saved, node.guards = _FREED, ()
    finally:
        state.grad_enabled = recorded
        for observer in observers:
            observer.end_backward()
    for leaf, entry in arrived.items():
        if leaf._hooks:
            entry[:] = _run_hooks(leaf._hooks, entry[0]), False
    for tensor, gradient in retained:
        if tensor is not None:
            _accumulate(tensor, gradient, False)
    if targets is not None:
        return [captured[t.node] if t.node is not None else arrived.get(t, (None,))[0] for t in targets]
    for leaf, (gradient, ours) in arrived.items():
        _accumulate(leaf, gradient, ours)
    return None


def _reachable(roots):
    """All nodes behind `roots`, the youngest first."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen and isinstance(edge, Function):
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=_order_of, reverse=True)


def _order_of(node):
    return node.order


def _arrive(arrived, at, contribution, ours):
    """Add a contribution to the gradient of a node or leaf: in place once the array is ours, else into a new one."""
    entry = arrived.get(at)
    if entry is None:
        arrived[at] = [contribution, ours]
    elif entry[1]:
        entry[0] += contribution
    else:
        entry[:] = entry[0] + contribution, True


def _array(gradient):
    return gradient._data if isinstance(gradient, TensorBase) else np.asarray(gradient)


def _accumulate(leaf, gradient, ours):
    """`leaf.grad += gradient`. An array that someone else may hold (a view, the gradient itself) is copied."""
    if isinstance(gradient, TensorBase):
        leaf.grad = gradient.clone() if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is None:
        leaf.grad = _tensor_class(np.asarray(gradient) if ours else np.array(gradient, order="C"))
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


# ------------------------------------------------------------------------------- grad mode and observers


class set_grad_enabled(contextlib.ContextDecorator):
    """`with set_grad_enabled(flag):`, as a decorator, or as a plain call: record operations, or do not."""

    def __init__(self, mode):
        self.previous = state.grad_enabled
        self.mode = state.grad_enabled = bool(mode)

    def __enter__(self):
        state.grad_enabled = self.mode
        return self

    def __exit__(self, *exception):
        state.grad_enabled = self.previous

    def __call__(self, function):  # as a decorator it is to set the mode in the function alone
        state.grad_enabled = self.previous
        return super().__call__(function)

    def _recreate_cm(self):  # a decorated function reads the mode at each of its calls
        return type(self)(self.mode)


class _GradMode(contextlib.ContextDecorator):
    """A grad mode to enter: the previous ones are stacked, so that one object may be entered again."""

    mode = None

    def __new__(cls, function=None):  # `@no_grad` is as good as `@no_grad()`
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self):
        self._previous = []

    def __enter__(self):
        self._previous.append(state.grad_enabled)
        state.grad_enabled = self.mode

    def __exit__(self, *exception):
        state.grad_enabled = self._previous.pop()

    def _recreate_cm(self):
        return type(self)()


class no_grad(_GradMode):
    """`with no_grad():` or `@no_grad()`: operations inside are not recorded, their results require no gradient."""

    mode = False


class enable_grad(_GradMode):
    """`with enable_grad():` inside `no_grad`: record again."""

    mode = True


def is_grad_enabled():
    """Whether operations are recorded now, in this thread."""
    return state.grad_enabled


class Observer:
    """One who watches the tape. `with observe(observer):` switches it on; its methods must change no array.

    `forward(node, inputs, output)`: an operation has run. `node.edges[i]` is the node that made input i, the
        tensor itself if it is a leaf, None if no gradient flows to it (constant data, or inside `no_grad`).
    `backward(node, gradient, contributions)`: `gradient` has arrived, whole, at the node's output;
        `contributions[i]` leaves along `node.edges[i]`, already summed to the input's shape, before anyone adds
        it to another; None where no gradient flows.
    `begin_backward(outputs, gradients)` and `end_backward()` frame a pass.
    """

    def forward(self, node, inputs, output):
        pass

    def begin_backward(self, outputs, gradients):
        pass

    def backward(self, node, gradient, contributions):
        pass

    def end_backward(self):
        pass


@contextlib.contextmanager
def observe(observer):
    """Let `observer` watch what this thread does."""
    state.observers = (*state.observers, observer)
    try:
        yield observer
    finally:
        state.observers = tuple(o for o in state.observers if o is not observer)


def where():
    """`"layers.3.conv1: "` while that layer runs, to begin an error message with; "" outside of any layer."""
    return f"{state.scope}: " if state.scope else ""
