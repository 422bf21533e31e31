"""The operations of a recorded call, to run again on other arrays, and the node that stands for them on the tape."""

import operator

import numpy as np

from ..function import Function, sum_to_shape
from .recording import own_slots


def _fresh(node):
    """A node with the same settings that stands on no tape and has saved nothing."""
    copy = object.__new__(type(node))
    for name, value in own_slots(node):
        setattr(copy, name, value)
    copy.needs, copy.edges, copy.saved = node.needs, (), ()
    copy.scope = node.scope
    return copy


class Program:
    """The operations of one call, to run again. It serves one graph at a time; `another` is one that is free."""

    def __init__(self, recording):
        inputs = [*range(recording.arguments), *recording.held]
        made = [place for _, _, place in recording.steps]
        new = {place: i for i, place in enumerate(inputs + made)}  # inputs come first, then each result, as it is made
        tensors = recording.tensors
        self.held = recording.tensors_at(recording.held)
        self.shapes = [(t._data.shape, t._data.dtype, t._requires_grad) for t in self.held if t is not None]
        self.inputs, self.result = len(inputs), new[recording.result]
        saved = {id(array) for node, _, _ in recording.steps for array in node.saved}
        places = [place for place in (*inputs, recording.result) if tensors[place] is not None]
        self.watched = [new[place] for place in places if id(tensors[place]._data) in saved]
        self.steps = []
        for node, sources, place in recording.steps:
            wanted = [(i, new[s], tensors[s]._data.shape) for i, s in enumerate(sources) if node.needs[i]]
            self.steps.append((_fresh(node), [new[s] for s in sources], new[place], wanted))
        self.registers = self._registers()
        self.free = []
        self._prepare()

    def _registers(self):
        """[(where a step finds its inputs, where its result goes)]: a register is free after the last look at it."""
        last = {source: step for step, (_, sources, _, _) in enumerate(self.steps) for source in sources}
        last[self.result] = len(self.steps)
        where, free, self.size, registers = list(range(self.inputs)), [], self.inputs, []
        for step, (_, sources, place, _) in enumerate(self.steps):
            found = [where[source] for source in sources]
            free += [where[source] for source in set(sources) if source >= self.inputs and last[source] == step]
            if not free:
                free.append(self.size)
                self.size += 1
            where.append(free.pop())
            registers.append((found, where[place]))
            if place not in last:  # nobody looks at it
                free.append(where[place])
        self.watched = [where[place] for place in self.watched]
        self.output = where[self.result]
        return registers

    def _prepare(self):
        self._forward = [
            (node.forward, node, _getter(sources), register)
            for (node, *_), (sources, register) in zip(self.steps, self.registers, strict=True)
        ]
        self._backward = [
            (node.backward, node.broadcasts, place, wanted) for node, _, place, wanted in reversed(self.steps) if wanted
        ]

    def fits(self):
        """Whether the tensors from outside are still what they were, but for their numbers."""
        return self.shapes == [
            (t._data.shape, t._data.dtype, t._requires_grad) for t in self.held if t is not None and t.node is None
        ]

    def another(self):
        """This program with nodes of its own: one that has been let go, or a copy."""
        try:
            return self.free.pop()
        except IndexError:
            copy = object.__new__(Program)
            copy.__dict__.update(self.__dict__)
            copy.steps = [(_fresh(node), *step) for node, *step in self.steps]
            copy._prepare()
            return copy

    def forward(self, arrays):
        """(the result, what of the inputs and the result the nodes have saved)."""
        values = [*arrays, *[None] * (self.size - self.inputs)]
        for forward, node, get, register in self._forward:
            array = forward(*get(values))
            if type(array) is not np.ndarray:  # NumPy turns 0-d results into scalars
                scalar, array = array, np.asarray(array)
                node.saved = tuple([array if a is scalar else a for a in node.saved])
            values[register] = array
        return values[self.output], tuple([values[place] for place in self.watched])

    def backward(self, dz):
        """The gradients of the inputs."""
        gradients = [None] * (self.inputs + len(self.steps))
        ours = set()  # places whose gradient is an array that nobody else holds
        gradients[self.result] = dz
        for backward, broadcasts, place, wanted in self._backward:
            gradient = gradients[place]
            if gradient is None:
                continue
            gradients[place] = None
            contributions = backward(gradient)
            if type(contributions) is not tuple:
                contributions = (contributions,)
            for i, source, shape in wanted:
                contribution = contributions[i]
                if contribution is None:
                    continue
                if broadcasts and contribution.shape != shape:
                    contribution = sum_to_shape(contribution, shape)
                before = gradients[source]
                if before is None:
                    gradients[source] = contribution
                    if contribution is not gradient and type(contribution.base) is not np.ndarray:
                        ours.add(source)
                elif source in ours:
                    before += contribution
                else:
                    gradients[source] = before + contribution
                    ours.add(source)
        return tuple([g if g is None or place in ours else g[...] for place, g in enumerate(gradients[: self.inputs])])

    def let_go(self):
        """Forget the arrays; the next call may have this program."""
        for node, *_ in self.steps:
            node.saved = ()
        self.free.append(self)


def _getter(places):
    """A function that picks the values at `places`, as arguments."""
    return operator.itemgetter(*places) if len(places) > 1 else operator.itemgetter(slice(places[0], places[0] + 1))


class Compiled(Function):
    """z = f(x, …), f being operations that were recorded;  ∂L/∂x by their chain rule."""

    __slots__ = ("program",)

    def __init__(self, program):
        self.program = program

    def forward(self, *arrays):
        array, self.saved = self.program.forward(arrays)
        return array

    def backward(self, dz):
        tuple(self.saved)  # raises if an earlier pass was told to free the graph
        return self.program.backward(dz)

    def backward_on_tape(self, dz):
        raise RuntimeError("a compiled function has no second derivative; call the function itself, not compiled")

    def __del__(self):
        self.program.let_go()
