"""Modes of the tape: whether it records, which layer is running, and who watches.

All of this is a Python thread's own: `thread.state` is the `State` of the thread that asks.
"""

import contextlib
import threading


class State:
    """What is true for the code that runs now in one Python thread."""

    __slots__ = ("grad_enabled", "observers", "paths", "resting", "scope")

    def __init__(self):
        self.grad_enabled = True
        self.scope = ""  # dotted path of the layer that is running, "" outside of any
        self.paths = None  # id(module) -> dotted path in the network that is running
        self.observers = ()
        self.resting = ()  # observers that are only told when a backward pass has ended


class _Thread(threading.local):
    def __init__(self):
        self.state = State()


_watching = {}  # id -> observer, of all threads
thread = _Thread()  # reading `thread.state` costs as much as calling a function: an operation does it once


class set_grad_enabled(contextlib.ContextDecorator):
    """`with set_grad_enabled(flag):`, as a decorator, or as a plain call: record operations, or do not."""

    def __init__(self, mode):
        self.previous = thread.state.grad_enabled
        self.mode = thread.state.grad_enabled = bool(mode)

    def __enter__(self):
        thread.state.grad_enabled = self.mode
        return self

    def __exit__(self, *exception):
        thread.state.grad_enabled = self.previous

    def __call__(self, function):  # as a decorator it is to set the mode in the function alone
        thread.state.grad_enabled = self.previous
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
        self._previous.append(thread.state.grad_enabled)
        thread.state.grad_enabled = self.mode

    def __exit__(self, *exception):
        thread.state.grad_enabled = self._previous.pop()

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
    return thread.state.grad_enabled


SMALL = 1 << 16  # bytes


class Observer:
    """One who watches the tape. `with observe(observer):` switches it on; its methods must change no array.

    `forward(node, inputs, output)`: an operation has run. `node.edges[i]` is the node that made input i, the
        tensor itself if it is a leaf, None if no gradient flows to it (constant data, or inside `no_grad`).
    `backward(node, gradient, contributions)`: `gradient` has arrived, whole, at the node's output;
        `contributions[i]` leaves along `node.edges[i]`, already summed to the input's shape, not yet added to
        another; None where no gradient flows.
    `leaves(arrived)`: backward is through; {leaf: (its whole gradient, …)}, before its hooks and `.grad`, to be looked
        at until `end_backward`. With `create_graph` the gradient is a tensor.
    `begin_backward(outputs, gradients)` and `end_backward()` frame a pass, the latter even if an operation raises.
        Where the former returns a list, what `backward` would be told is appended to it, as (node, gradient,
        contributions).
    `changing()`: a tensor is about to be changed in place: let go of its numbers while they are the old ones.
    `exposing()`: somebody is about to get hold of a tensor's array, and may write there: the same.
    `elsewhere()`: either is about to happen in another thread, which says so: let go of what is kept between passes.
    `outside(what)`: something happens that the tape does not see, such as a look at a tensor's numbers.

    `ran`, `expects`: as long as the list `ran` has less items than expected, it takes in (node, inputs, output, array
        of the output) and `forward` is not told, of an operation none of whose inputs is a tensor that wants no
        gradient, and which gives at most `SMALL` bytes that are no view of others.
    `alone_sees_input_of(node)`: whether this observer knows what `Function.masks_later` means, and nobody else but the
        node holds what the node's first input is.
    `keeps_arrays`: False of an observer that, when `end_backward` returns, has let go of every array it was shown, or
        will as soon as it is told that they change: `.grad` then needs no copy of them.
    """

    keeps_arrays = True
    ran, expects = (), 0

    def forward(self, node, inputs, output):
        pass

    def begin_backward(self, outputs, gradients):
        pass

    def backward(self, node, gradient, contributions):
        pass

    def leaves(self, arrived):
        pass

    def end_backward(self):
        pass

    def changing(self):
        pass

    def exposing(self):
        pass

    def elsewhere(self):
        pass

    def outside(self, what):
        pass

    def alone_sees_input_of(self, node):
        return False


@contextlib.contextmanager
def observe(observer):
    """Let `observer` watch what this thread does."""
    rest(observer, False)
    try:
        yield observer
    finally:
        _leave(observer)


def _leave(observer):
    now = thread.state
    now.observers = tuple([one for one in now.observers if one is not observer])
    now.resting = tuple([one for one in now.resting if one is not observer])
    _watching.pop(id(observer), None)


def rest(observer, resting=True):
    """Let an observer rest, or no longer: meanwhile it is told of nothing but `end_backward`, and costs nothing."""
    _leave(observer)
    if resting:
        thread.state.resting = (*thread.state.resting, observer)
    else:
        thread.state.observers = (*thread.state.observers, observer)
        _watching[id(observer)] = observer


def outside(what):
    """Tell those who watch the tape what it does not see, as a clause: "it looks at a tensor's numbers"."""
    for observer in thread.state.observers:
        observer.outside(what)


def exposing():
    """Tell those who watch the tape that somebody is about to get hold of a tensor's array."""
    for observer in thread.state.observers:
        observer.exposing()
    tell_elsewhere()


def changing():
    """Tell those who watch the tape that a tensor is about to be changed in place."""
    for observer in thread.state.observers:
        observer.changing()
    tell_elsewhere()


def tell_elsewhere():
    """Tell those who watch other threads that a tensor is about to be changed in place, or its array to be had."""
    mine = thread.state.observers
    if len(_watching) > len(mine):
        for observer in list(_watching.values()):
            if observer not in mine:
                observer.elsewhere()


def where():
    """`"layers.3.conv1: "` while that layer runs, to begin an error message with; "" outside of any layer."""
    return f"{thread.state.scope}: " if thread.state.scope else ""
