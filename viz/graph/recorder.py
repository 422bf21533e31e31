"""Watch forward and backward through the engine's observers, and keep a few numbers per node and per edge."""

import contextlib
import math
import weakref
from typing import NamedTuple

import numpy as np

from tinygrad_course import engine

from .stats import measure, root_mean_square
from .trace import Leaf, Operation, Source, Trace

_SWEEP_FROM = 20_000  # operations without a backward pass (an evaluation loop) after which dead ones are forgotten


class Layer(NamedTuple):
    """A layer with weights. `gradient_rms` is RMS(∂L/∂z), `activation_rms` RMS(z), of its output z before the
    activation function and after the batch norm, where one follows; `depth` counts from 1 at the input."""

    name: str
    depth: int
    gradient_rms: float
    activation_rms: float


class Structure(NamedTuple):
    """What the steps of a training run have in common: the names of the operations, and which are layers."""

    labels: tuple
    layers: tuple  # (index of the operation whose output is z, name) of each layer with weights


class Step(NamedTuple):
    """One backward pass: the loss, and by operation, in forward order, RMS of gradient and of output (nan: none)."""

    loss: float | None
    structure: Structure
    gradient_rms: np.ndarray
    activation_rms: np.ndarray


class Recording(engine.Observer):
    """What was seen between `with` and its end. `viz.record` makes one; `viz.gradient_flow` draws it.

    trace: the last graph that a backward pass went through (or, without one, what ran forward).
    steps: one `Step` for each backward pass, small numbers only.
    """

    def __init__(self, model=None, names=None, every=1):
        if every < 1 or int(every) != every:
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        self.steps = []
        self._model, self._given, self._every = model, dict(names or {}), int(every)
        self._names, self._parameters = {}, set()
        self._trace, self._finished = Trace(), None  # being recorded; the last one with a backward pass
        self._done = False  # a backward pass has gone through self._trace
        self._passes, self._loss = 0, None
        self._sums, self._visited = {}, []
        self._sweep_at = _SWEEP_FROM
        self._stack = contextlib.ExitStack()

    # ------------------------------------------------------------------------------------ with

    def __enter__(self):
        self._learn_names()
        self._stack.enter_context(engine.observe(self))
        return self

    def __exit__(self, *exception):
        self._stack.close()
        self._model, self._given, self._sums = None, {}, {}  # let go of every tensor

    def _learn_names(self):
        self._names = {}
        for name, tensor in self._given.items():
            if isinstance(tensor, engine.TensorBase):
                self._names.setdefault(id(tensor), name)
        if self._model is not None:
            for name, parameter in self._model.named_parameters():
                self._names[id(parameter)] = name
                self._parameters.add(id(parameter))

    # ------------------------------------------------------------------------------------ what the tape tells

    def forward(self, node, inputs, output):
        if self._passes % self._every:
            return
        trace = self._trace_for(node)
        sources = tuple(
            self._source(trace, edge, tensor) for edge, tensor in zip(node.edges, inputs, strict=True)
        )  # fmt: skip
        data = output._data
        on_tape = output.node is node
        alive = weakref.ref(node if on_tape else output)
        trace.operations[node.order] = Operation(
            node.order, node.name, node.scope, data.shape, str(data.dtype), sources, on_tape, measure(data), alive
        )
        if not on_tape:
            trace.remember_output(output, node.order)
        if len(trace.operations) > self._sweep_at:
            trace.sweep()
            self._sweep_at = max(_SWEEP_FROM, 2 * len(trace.operations))

    def begin_backward(self, outputs, gradients):
        self._visited, self._sums = [], {}
        trace = self._trace
        self._loss = None
        for output, gradient in zip(outputs, gradients, strict=True):
            if self._loss is None and output._data.size == 1:
                self._loss = float(output._data.reshape(()))
            if output.node is not None and self._passes % self._every == 0:
                self._adopt(trace, output.node)
                trace.roots.append(output.node.order)
                trace.seeds[output.node.order] = measure(np.asarray(gradient))

    def backward(self, node, gradient, contributions):
        operation = self._trace.operations.get(node.order)
        if operation is None:
            return
        operation.gradient = measure(gradient)
        if operation.dtype is None:
            operation.dtype = str(gradient.dtype)
        rms = operation.gradient.rms
        operation.contributions = sent = tuple([
            None if c is None else rms if c is gradient else root_mean_square(c) for c in contributions
        ])  # fmt: skip
        self._visited.append(operation)
        for source, contribution, rms in zip(operation.sources, contributions, sent, strict=True):
            if contribution is not None and source is not None and source.leaf is not None:
                self._arrive_at_leaf(source.leaf, contribution, rms)

    def end_backward(self):
        trace = self._trace
        for index, total in self._sums.items():
            trace.leaves[index].gradient = measure(total)
        self._sums = {}
        if self._visited:
            self._finished, self._done = trace, True
            self.steps.append(self._step())
        self._visited = []
        self._passes += 1

    # ------------------------------------------------------------------------------------ the work

    def _trace_for(self, node):
        """The trace this operation belongs to: after a backward pass, one that reads no older node is a new graph."""
        if self._done:
            old = self._trace.operations
            if not any(isinstance(e, engine.Function) and e.order in old for e in node.edges):
                self._trace, self._done, self._sweep_at = Trace(), False, _SWEEP_FROM
        return self._trace

    def _source(self, trace, edge, tensor):
        if tensor is None:
            return None
        if isinstance(edge, engine.Function):
            self._adopt(trace, edge)
            return Source(edge.order, None)
        if edge is None:
            order = trace.made_by(tensor)
            if order is None and tensor.node is not None and tensor.node.order in trace.operations:
                order = tensor.node.order
            if order is not None:
                return Source(order, None)
        return Source(None, self._leaf(trace, tensor))

    def _leaf(self, trace, tensor):
        index = trace.leaf_index(tensor)
        if index is None:
            if tensor._requires_grad and id(tensor) not in self._names:
                self._learn_names()  # a layer may have made its parameters just now
            parameter = id(tensor) in self._parameters or type(tensor).__name__ == "Parameter"
            leaf = Leaf(tensor, self._names.get(id(tensor)), parameter, None if parameter else measure(tensor._data))
            index = trace.add_leaf(leaf, tensor)
        trace.leaves[index].uses += 1
        return index

    def _adopt(self, trace, node):
        """Take in a node, and all behind it, that ran before the recording began: its structure is on the tape."""
        stack = [node]
        while stack:
            node = stack.pop()
            if node.order in trace.operations:
                continue
            earlier = self._finished.operations.get(node.order) if self._finished is not None else None
            sources = []
            for edge in node.edges:
                if isinstance(edge, engine.Function):
                    stack.append(edge)
                    sources.append(Source(edge.order, None))
                else:
                    sources.append(None if edge is None else Source(None, self._leaf(trace, edge)))
            trace.operations[node.order] = Operation(
                node.order, node.name, node.scope, node.shape, earlier and earlier.dtype, tuple(sources), True,
                earlier and earlier.activation, weakref.ref(node)
            )  # fmt: skip

    def _arrive_at_leaf(self, index, contribution, rms):
        leaf = self._trace.leaves[index]
        if leaf.uses < 2:
            leaf.gradient = measure(contribution, rms)
        elif index in self._sums:
            self._sums[index] += contribution
        else:
            self._sums[index] = np.array(contribution)  # a copy: the tape adds to its own in place

    def _step(self):
        visited = sorted(self._visited, key=lambda operation: operation.order)
        labels = tuple([f"{o.scope} ({o.name})" if o.scope else o.name for o in visited])
        structure = Structure(labels, tuple(self._weight_layers(visited)))
        if self.steps and self.steps[-1].structure == structure:
            structure = self.steps[-1].structure
        gradients = np.array([o.gradient.rms if o.gradient else math.nan for o in visited])
        activations = np.array([o.activation.rms if o.activation else math.nan for o in visited])
        return Step(self._loss, structure, gradients, activations)

    def _weight_layers(self, operations):
        index_of = {operation.order: index for index, operation in enumerate(operations)}
        norm_of = {}  # order of an operation -> index of the normalization that reads its output
        for index, operation in enumerate(operations):
            source = operation.sources[0] if operation.sources else None
            if "norm" in operation.name and source is not None and source.operation is not None:
                norm_of[source.operation] = index
        for operation in operations:
            if any(self._is_weight(source, operation) for source in operation.sources):
                weight = next(s.leaf for s in operation.sources if self._is_weight(s, operation))
                name = operation.scope or (self._trace.leaves[weight].name or operation.name).removesuffix(".weight")
                yield norm_of.get(operation.order, index_of[operation.order]), name

    def _is_weight(self, source, operation):
        if source is None or source.leaf is None:
            return False
        leaf = self._trace.leaves[source.leaf]
        learned = leaf.is_parameter or (leaf.requires_grad and operation.name in ("matmul", "linear"))
        return learned and len(leaf.shape) >= 2

    # ------------------------------------------------------------------------------------ what a caller reads

    @property
    def trace(self):
        return self._finished if self._finished is not None else self._trace

    def layers(self, step=-1):
        """The layers with weights, in order from the input: a list of `Layer`. `step` picks the backward pass.

        Raises ValueError if no backward pass was recorded.
        """
        if not self.steps:
            raise ValueError("nothing to profile: no backward pass was recorded (call loss.backward() inside `with`)")
        _, structure, gradients, activations = self.steps[step]
        return [
            Layer(name, depth, float(gradients[index]), float(activations[index]))
            for depth, (index, name) in enumerate(structure.layers, 1)
        ]

    def gradient_history(self):
        """Gradient RMS of every layer at every recorded step, an array (steps, layers), for `viz.gradient_heat`.

        Steps whose graph has other layers than the last one's are left out. ValueError without a backward pass.
        """
        last = [layer.name for layer in self.layers()]
        rows = [self.layers(step) for step in range(len(self.steps))]
        return np.array([[layer.gradient_rms for layer in row] for row in rows if [one.name for one in row] == last])

    def __repr__(self):
        trace = self.trace
        return f"<Recording of {len(trace.operations)} operations, {len(self.steps)} backward passes>"


def record(model=None, *, names=None, every=1):
    """Watch what runs inside `with`: statistics of every output, gradient and contribution; no array is kept.

        with viz.record(model) as recording:
            loss = criterion(model(x), y)
            loss.backward()
        viz.gradient_flow(recording).save("flow.svg")

    model: names the parameters (any object with `named_parameters()`); without it they go by their layer.
    names: {"a": a, …}, names for other tensors; `names=locals()` will do.
    every: record one step in so many (a step ends with its backward pass), to watch a training run cheaply.
    """
    return Recording(model, names, every)
