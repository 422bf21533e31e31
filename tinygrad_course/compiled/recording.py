"""What a call of a function did, in operations."""

from ..base import TensorBase, changes, owner_of
from ..function import Function
from ..generator import default_generator
from ..modes import Observer
from ..nn.module import version as version_of_modules

_SETTINGS = bool | int | float | str | tuple | None
_OF_THE_TAPE = {"__weakref__", *Function.__slots__}


class CannotReplay(Exception):
    """Why a function cannot be replayed: how the sentence "it runs eagerly: …" ends."""


class Recording(Observer):
    """What a call did. Tensors have places: the arguments', then those of others as they come along."""

    def __init__(self, arguments):
        self.tensors = list(arguments)  # kept, so that no other gets their id
        self.places = {id(tensor): place for place, tensor in enumerate(arguments)}
        self.arguments = len(arguments)
        self.held = []  # places of the tensors that came from nowhere
        self.steps = []  # (node, places of its inputs, place of its output)
        self.problem = None
        self.before = self._surroundings()
        self._held_memory = set()  # ids of arrays that own memory
        self._new_memory = {id(owner_of(tensor._data)) for tensor in arguments}

    def forward(self, node, inputs, output):
        if not node.replayable:
            self.outside(f"{node.label()} depends on more than its inputs' shapes and numbers")
        sources = tuple([self._place(tensor) for tensor in inputs])
        self.steps.append((node, sources, self._enter(output)))
        owner = id(owner_of(output._data))
        if owner not in self._held_memory:
            self._new_memory.add(owner)

    def begin_backward(self, outputs, gradients):
        self.outside("it calls backward; compile what comes before, up to the loss")

    def outside(self, what):
        self.problem = self.problem or what

    def finish(self, result):
        """Raise CannotReplay if this call could not be told in operations."""
        if not isinstance(result, TensorBase):
            self.outside(f"it returns {type(result).__name__}, not a tensor")
        elif self.places.get(id(result), -1) not in [place for _, _, place in self.steps]:
            self.outside("it returns a tensor that no operation made")
        elif id(owner_of(result._data)) in {id(owner_of(t._data)) for t in self._inputs() if t is not None}:
            self.outside("it returns a view of its input")
        elif self._surroundings() != self.before:
            self.outside("it draws random numbers, changes a tensor in place, or sets a module's attribute")
        elif any(getattr(node, "hooks", None) or getattr(node, "retained", None) for node, _, _ in self.steps):
            self.outside("it asks for gradients inside it (a hook, or retain_grad)")
        if self.problem is not None:
            raise CannotReplay(self.problem)
        self.result = self.places[id(result)]

    def confirm(self, earlier):
        """Raise CannotReplay unless an earlier call did the same, with the same tensors from outside."""
        if self._outline() != earlier._outline():
            raise CannotReplay("it does not do the same at each call")
        for mine, others in zip(self.tensors_at(self.held), earlier.tensors_at(earlier.held), strict=True):
            if mine is not others and not _same_constant(mine, others):
                raise CannotReplay(
                    f"it uses a tensor of shape {mine._data.shape} that it makes anew at each call, or that is another "
                    "one each time: make it once, outside, or make it an argument"
                )

    def _place(self, tensor):
        place = self.places.get(id(tensor))
        if place is not None:
            return place
        if tensor is not None:
            owner = id(owner_of(tensor._data))
            if owner in self._new_memory:
                self.outside("it cuts a tensor off from the tape (detach)")
            if tensor.node is not None:
                self.outside("it uses a tensor that was computed outside: make it an argument")
            self._held_memory.add(owner)
        self.held.append(len(self.tensors))
        return self._enter(tensor)

    def _enter(self, tensor):
        place = self.places[id(tensor)] = len(self.tensors)
        self.tensors.append(tensor)
        return place

    def tensors_at(self, places):
        return [self.tensors[place] for place in places]

    def _inputs(self):
        return self.tensors[: self.arguments] + self.tensors_at(self.held)

    def _outline(self):
        steps = [(type(node), node.needs, _settings(node), sources, place) for node, sources, place in self.steps]
        return self.held, steps, self.result

    @staticmethod
    def _surroundings():
        return changes.made, version_of_modules(), default_generator().bit_generator.state


def _same_constant(mine, other):
    """Whether both are the tensor that a Python number in the source becomes."""
    if mine is None or other is None or mine._data.ndim or mine._requires_grad or mine._data.dtype.kind != "f":
        return False
    return mine._data.dtype == other._data.dtype and mine._data.tobytes() == other._data.tobytes()


def own_slots(node):
    """(name, value) of what an operation keeps in slots of its own."""
    for kind in type(node).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if name not in _OF_THE_TAPE and hasattr(node, name):
                yield name, getattr(node, name)


def _settings(node):
    return [(name, value) for name, value in own_slots(node) if isinstance(value, _SETTINGS)]
