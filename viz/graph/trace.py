"""Raw records of one graph: what ran, what it read, and the numbers measured on the way. No arrays, no tensors."""

import weakref
from typing import NamedTuple


class Source(NamedTuple):
    """Where an operand comes from: `operation` is the order of the operation that made it, else `leaf` its index."""

    operation: int | None
    leaf: int | None


class Leaf:
    """A tensor that no recorded operation made: a parameter, data, a variable of the learner's, a constant."""

    __slots__ = (
        "activation",
        "dtype",
        "gradient",
        "is_parameter",
        "name",
        "reference",
        "requires_grad",
        "shape",
        "uses",
    )

    def __init__(self, tensor, name, is_parameter, activation):
        self.name, self.is_parameter = name, is_parameter
        self.shape, self.dtype = tensor._data.shape, str(tensor._data.dtype)
        self.requires_grad = tensor._requires_grad
        self.activation = activation
        self.gradient = None
        self.uses = 0
        self.reference = weakref.ref(tensor)

    @property
    def size(self):
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class Operation:
    """One operation that ran. `sources[i]` is where operand i came from, None for an absent or unknown one.

    `activation` and `gradient` are `Statistics` of the output and of the gradient that arrived at it (None where
    there is none); `contributions[i]` is the RMS of what went back along operand i, or None.
    """

    __slots__ = ("activation", "alive", "contributions", "dtype", "gradient", "name", "order", "scope", "shape",
                 "sources", "wants_gradient")  # fmt: skip

    def __init__(self, order, name, scope, shape, dtype, sources, wants_gradient, activation, alive):
        self.order, self.name, self.scope = order, name, scope
        self.shape, self.dtype, self.sources = shape, dtype, sources
        self.wants_gradient = wants_gradient
        self.activation = activation
        self.alive = alive
        self.gradient = None
        self.contributions = (None,) * len(sources)


class Trace:
    """The operations of one graph by their order, and the leaves they read."""

    def __init__(self):
        self.operations = {}
        self.leaves = []
        self.roots = []  # orders of the operations from which backward started
        self.seeds = {}  # order of a root -> Statistics of the gradient it was given
        self._leaf_indices = {}  # id(tensor) -> index; the leaf's weak reference tells whether it is still that one
        self._made = {}  # id(tensor without gradient) -> (weak reference, order)

    def leaf_index(self, tensor):
        """Index of this leaf, None if it has not been seen."""
        index = self._leaf_indices.get(id(tensor))
        return index if index is not None and self.leaves[index].reference() is tensor else None

    def add_leaf(self, leaf, tensor):
        self._leaf_indices[id(tensor)] = len(self.leaves)
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def made_by(self, tensor):
        """Order of the operation that made a tensor which is not on the tape, None if none was seen."""
        entry = self._made.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def remember_output(self, tensor, order):
        self._made[id(tensor)] = (weakref.ref(tensor), order)

    def ancestors(self, orders):
        """The operations behind `orders`, these included."""
        seen = {order for order in orders if order in self.operations}
        stack = list(seen)
        while stack:
            for source in self.operations[stack.pop()].sources:
                order = None if source is None else source.operation
                if order is not None and order not in seen and order in self.operations:
                    seen.add(order)
                    stack.append(order)
        return seen

    def sweep(self):
        """Forget what nobody can reach any more: the operations that lead to no living tensor."""
        kept = self.ancestors([o.order for o in self.operations.values() if o.alive() is not None])
        self.operations = {order: o for order, o in self.operations.items() if order in kept}
        self._made = {key: entry for key, entry in self._made.items() if entry[0]() is not None}
