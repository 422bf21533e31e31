"""Function: an operation with `forward` and `backward` side by side and, once it has run, a node on the tape.

Calling one on tensors runs `forward` on their arrays and, if a gradient will be wanted, leaves the Function itself on
the tape as a graph node, with an `edge` to each input: the node that made that input, or the leaf tensor itself. So
the tape is nothing but nodes that hold on to older ones, and a graph dies with its last result.

The walk back along it is in `engine.py`; the operations themselves, a family a file, are in `ops/`.
"""

import re
import sys

import numpy as np

from . import base
from .base import TensorBase, changes, next_order, owner_of, tensor_of
from .modes import SMALL, thread

__all__ = ["ALONE", "FREED", "Adjoint", "Function", "holders", "sum_to_shape"]

_new = object.__new__


class _Needs(dict):
    """{`needs`: (the one such tuple that all nodes share, whether any input needs a gradient, whether all do)}."""

    def __missing__(self, needs):
        found = self[needs] = needs, any(needs), all(needs)
        return found


_NEEDS = _Needs()


class _Freed:
    """Stands where saved arrays were, after a backward pass has released them."""

    def __iter__(self):
        raise RuntimeError(
            "backward was called a second time through the same graph, but the first pass has freed the arrays it "
            "had saved; call the first one with backward(retain_graph=True), or run the forward pass again"
        )


FREED = _Freed()
_MASKING = "masks_later", "forward", "backward"  # who has one of them decides about the first


def holders(several, index):
    """How many references CPython counts to one of several objects, that of this function included."""
    return sys.getrefcount(several[index])


ALONE = holders((_Freed(),), 0)  # there is no other


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
        masks_later: backward may hand down the gradient as it is, and leave it to the node before to set it to 0 where
            the output is not above 0 (`alone_sees_its_input`). A subclass with a forward or backward of its own, which
            may do something else, has to say so again.
        replayable: forward depends on its input arrays alone, and on what `__init__` took that the program's text
            and the inputs' shapes say: no numbers of a tensor. `compile` may run it again with other arrays.
    """

    __slots__ = (
        "__weakref__", "edges", "hooks", "needs", "order", "origins", "retained", "saved", "scope", "shape",
    )  # fmt: skip
    broadcasts = False
    is_view = False
    masks_later = False
    replayable = False
    name = "function"

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        said = next(one for one in cls.__mro__ if not vars(one).keys().isdisjoint(_MASKING))
        cls.masks_later = vars(said).get("masks_later", False)

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
        self.needs, recorded, whole = _NEEDS[needs]  # a few tuples serve all nodes: the collector has less to do
        self.saved = ()
        array = self.forward(*arrays)
        if type(array) is not np.ndarray:  # NumPy turns 0-d results into scalars
            scalar, array = array, np.asarray(array)
            self.saved = tuple([array if a is scalar else a for a in self.saved])
        output = _new(base.tensor_class)
        output._data = array
        output.grad = output._hooks = None
        output._viewed = False
        if self.is_view and array.base is not None and owner_of(array) is owner_of(arrays[0]):  # NumPy may have copied
            output._viewed = inputs[0]._viewed = True
        output._requires_grad = recorded
        if recorded:
            output.node = self
            self.order = next_order()
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
                self.order, self.scope = next_order(), now.scope
            plain = array.nbytes <= SMALL and not output._viewed and (whole or not self.reads_constants(inputs))
            for observer in now.observers:
                ran = observer.ran
                if plain and len(ran) < observer.expects:
                    ran.append((self, inputs, output, array))
                else:
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
                tensor = tensor_of(array)
                if source is not None:
                    tensor.node, tensor._requires_grad = source, True
                tensors.append(tensor)
        return tuple(tensors)

    def _origin(self, array):
        """Which input a saved array is, counted from 0; the number of inputs for the output, None for neither."""
        return None if array is None or id(array) not in self.origins else self.origins.index(id(array))

    def check_saved(self):
        """Raise if a tensor that this node saved has been changed in place since."""
        if self.saved is FREED:
            return
        for array in self.saved:
            place = self._origin(array)
            if place is not None and changes.of(array) > self.order:
                which = "output" if place == len(self.edges) else f"input {place}"
                raise RuntimeError(
                    f"a tensor that backward still needs was changed in place: the {which} of {self.label()}, of "
                    f"shape {tuple(array.shape)}; change a clone() of it, or change it after backward()"
                )

    def reads_constants(self, inputs):
        """Whether one of these inputs, which it was applied to, is a tensor to which no gradient flows."""
        return any([edge is None and t is not None for edge, t in zip(self.edges, inputs)])

    def alone_sees_its_input(self):
        """Whether nobody else looks at what the node of its first input made, or at its gradient: no tensor is left
        of it, no other operation read it, no hook waits for the gradient, and who watches the tape can do without."""
        if self.edges[0].hooks is not None:
            return False
        observers = thread.state.observers
        if observers:
            return len(observers) == 1 and observers[0].alone_sees_input_of(self)
        return holders(self.edges, 0) == ALONE

    def label(self):
        """`layers.3.conv1 (conv2d)`: where this node was made and what it is."""
        scope = getattr(self, "scope", "")  # none yet while forward runs
        return f"{scope} ({self.name})" if scope else self.name

    def __repr__(self):
        return f"<{self.label()}>"


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
