"""What the tape knows of a tensor, and of the memory in which its numbers lie.

`TensorBase` has the few attributes that recording an operation and walking back need. `tensor.Tensor` adds what a
learner types, and is registered here as the class of every result: the floors between make tensors by `tensor_of`,
and never import it.

Tensors may share memory: a view has the numbers of another tensor, and so has what backward saved. `owner_of` tells
whose memory an array shows, `is_shared` whether anybody else would see a change, and `changes` when one happened: on
the tape's own clock, so that a node knows whether what it saved is still what it saw.
"""

import itertools
import sys
import weakref

import numpy as np

__all__ = [
    "TensorBase", "array_of", "changes", "is_shared", "next_order", "owner_of", "register_tensor_class", "tensor_of",
]  # fmt: skip

next_order = itertools.count(1).__next__  # the clock of the tape, one for all threads: nodes and in-place changes
tensor_class = None  # of the tensors that operations return. tensor.py names it later: read it as `base.tensor_class`


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
        """Note that this tensor's numbers are others now: who has saved the array no longer has the old ones.

        Numbers that nobody else holds, such as a parameter's between two graphs, nobody has saved.
        """
        changes.made += 1
        if is_shared(self):
            changes.note(self._data)


def register_tensor_class(cls):
    """Class decorator: operations return tensors of this class."""
    global tensor_class
    tensor_class = cls
    return cls


def tensor_of(array):
    """A tensor, a leaf, that shows `array`."""
    return tensor_class(array)


def array_of(value):
    """The array of a tensor; a number or an array as an array."""
    return value._data if isinstance(value, TensorBase) else np.asarray(value)


class _Changes:
    """When which memory was last changed in place. Most never is, so that tensors carry nothing for it."""

    def __init__(self):
        self.made = 0  # changes in place, of any memory
        self.latest = 0  # time of the last one of memory that was shared
        self._times = {}  # id of the array that owns the memory -> [time, weak reference that forgets it]

    def note(self, array):
        owner = owner_of(array)
        key = id(owner)
        time = self._times.get(key)
        if time is None:
            time = self._times[key] = [0, weakref.ref(owner, lambda _: self._times.pop(key, None))]
        self.latest = time[0] = next_order()

    def of(self, array):
        """The time on the tape's clock at which the array's memory was last changed; 0 for never."""
        return self._times.get(id(owner_of(array)), (0,))[0]


changes = _Changes()


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
