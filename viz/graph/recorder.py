"""Watch forward and backward through the engine's observers, and keep a few numbers per node and per edge."""

import contextlib
import os
import pickle
import weakref

import numpy as np

from tinygrad_course import engine

from ..files import check_folder, write_atomically
from . import steps
from .details import Details, histogram, look_closer
from .source import check_model, check_names, check_optimizer
from .steps import Layer, Step
from .trace import LeafRecord, Trace, bytes_saved

__all__ = ["Layer", "Recording", "Step", "record"]

_NOTHING = None, -1  # what has arrived where nothing has, or several contributions
_SWEEP_FROM = 20_000  # operations without a backward pass (an evaluation loop) after which dead ones are forgotten


class Recording(engine.Observer):
    """What was seen between `with` and its end. `viz.record` makes one; `viz.gradient_flow` draws it.

    trace: the last graph that a backward pass went through (or, without one, what ran forward).
    steps: one `Step` for each backward pass, small numbers only.
    """

    keeps_arrays = False

    def __init__(self, model=None, names=None, every=1, details=False, optimizer=None):
        if every < 1 or int(every) != every:
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        check_model(model)
        check_names(names)
        check_optimizer(optimizer)
        self.steps = []
        self._optimizer, self._rates = optimizer, []  # learning rate of each parameter group in the last step
        self._model, self._given, self._every, self._details = model, dict(names or {}), int(every), bool(details)
        self._names, self._parameters = {}, set()
        self._trace, self._finished = Trace(), None  # being recorded; the last one with a backward pass
        self._done = False  # a backward pass has gone through self._trace
        self._idle = False  # this step is one that is not recorded
        self._passes, self._loss = 0, None
        self._visited = []  # orders of the operations that backward has reached, the youngest first
        self._arrived = {}  # order -> (the one contribution that is on its way there, its row)
        self._several = set()  # indices of the leaves where several contributions have arrived
        self._known_parameters = [], {}  # as a trace begins with them, and whether there are others by now
        self._new_parameters, self._learnt_for = False, None
        self._saved_by = None  # (names of the operations, bytes each saves), from the first step
        self._kept = set()  # ids of the arrays that operations of this graph keep
        self._structure = None, None  # signature, Structure of the last step
        self._sweep_at = _SWEEP_FROM
        self._stack = contextlib.ExitStack()

    # ------------------------------------------------------------------------------------ with

    def __enter__(self):
        self._learn_names()
        self._stack.enter_context(engine.observe(self))
        return self

    def __exit__(self, *exception):
        self._stack.close()
        self._trace.table.settle()
        self.trace.measure_parameters()
        self._model, self._given, self._arrived = None, {}, {}  # let go of every tensor
        self._optimizer, self._known_parameters = None, ([], {})

    def _learn_names(self):
        self._names, self._new_parameters = {}, True
        for name, tensor in self._given.items():
            if isinstance(tensor, engine.TensorBase):
                self._names.setdefault(id(tensor), name)
        if self._model is not None:
            for name, parameter in self._model.named_parameters():
                self._names[id(parameter)] = name
                self._parameters.add(id(parameter))

    # ------------------------------------------------------------------------------------ what the tape tells

    def forward(self, node, inputs, output):
        if self._idle:
            return
        trace = self._trace_for(node) if self._done else self._trace
        records, indices, sources = trace.records, trace.leaf_indices, []
        for edge, tensor in zip(node.edges, inputs):
            if edge is None:
                sources.append(None if tensor is None else self._without_gradient(trace, tensor))
            elif edge.order:  # an operation
                if edge.order not in records:
                    self._adopt(trace, edge)
                sources.append(edge.order)
            else:  # a leaf, mostly one that has been seen
                known = indices.get(id(edge))
                same = known is not None and known[0]() is edge and known[2]
                sources.append(-1 - (known[1] if same else self._leaf(trace, edge)))
        data, order, on_tape, table = output._data, node.order, output.node is node, trace.table
        row = table.add_now(data) if output._viewed else table.add(data)  # a view's memory may be the caller's
        alive = weakref.ref(node if on_tape else output)
        records[order] = order, node.name, node.scope, data.shape, data.dtype, sources, on_tape, row, alive
        if not on_tape:
            trace.remember_output(output, order)
        if self._saved_by is None:
            trace.saved_bytes[order] = bytes_saved(node, inputs, self._kept)
        if self._details:
            trace.details[order] = look_closer(node.name, data)
        if len(records) > self._sweep_at:
            trace.sweep()
            self._sweep_at = max(_SWEEP_FROM, 2 * len(trace.records))

    def begin_backward(self, outputs, gradients):
        self._visited, self._arrived, self._several = [], {}, set()
        if self._idle:
            return False
        trace = self._trace
        self._loss = None
        for output, gradient in zip(outputs, gradients, strict=True):
            if self._loss is None and output._data.size == 1:
                self._loss = float(output._data.reshape(()))
            if output.node is not None:
                self._adopt(trace, output.node)
                trace.roots.append(output.node.order)
                trace.seeds[output.node.order] = trace.table.add_now(np.asarray(gradient))
        return True

    def backward(self, node, gradient, contributions):
        trace, order = self._trace, node.order
        record = trace.records.get(order)
        if record is None:
            return
        add, arrived, sent = trace.table.add, self._arrived, []
        one, row = arrived.pop(order, _NOTHING)
        if one is not gradient:
            row = add(gradient)
        for source, contribution in zip(record[5], contributions):
            if contribution is None:
                sent.append(-1)
                continue
            number = row if contribution is gradient else add(contribution)
            sent.append(number)
            if source is None:
                continue
            if source > 0:  # what arrives there alone has been measured here
                arrived[source] = _NOTHING if source in arrived else (contribution, number)
            elif trace.leaf_gradients[-1 - source] < 0:
                trace.leaf_gradients[-1 - source] = number
            else:
                self._several.add(-1 - source)
        trace.passed[order] = row, sent
        self._visited.append(order)
        if node.hooks is not None:
            trace.hooked.add(order)
        if self._details:
            trace.details[order] = trace.details.get(order, Details())._replace(gradient=histogram(gradient))

    def leaves(self, gradients):
        if self._several:
            trace = self._trace
            for leaf, gradient in gradients.items():
                index = trace.leaf_index(leaf)
                if index in self._several:
                    trace.leaf_gradients[index] = trace.table.add(gradient)

    def end_backward(self):
        self._arrived = {}
        if self._visited:
            trace = self._finished = self._trace
            trace.table.settle()
            self._done = True
            self.steps.append(self._step(trace, self._visited[::-1]))
            if self._optimizer is not None:
                self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
            if self._saved_by is None:
                names = tuple([record[1] for record in trace.records.values()])
                self._saved_by, self._kept = (names, list(map(trace.saved_bytes.get, trace.records))), set()
        self._visited, self._learnt_for = [], None
        self._passes += 1
        self._idle = self._passes % self._every != 0

    def outside(self, what):
        self._trace.table.settle()

    # ------------------------------------------------------------------------------------ the work

    def _trace_for(self, node):
        """The trace this operation belongs to: after a backward pass, one that reads no older node is a new graph."""
        old = self._trace.records
        if not any(isinstance(edge, engine.Function) and edge.order in old for edge in node.edges):
            if self._new_parameters:
                self._known_parameters, self._new_parameters = self._trace.known_parameters(), False
            known, places = self._known_parameters
            self._trace, self._done, self._sweep_at = Trace((known.copy(), places.copy())), False, _SWEEP_FROM
        return self._trace

    def _without_gradient(self, trace, tensor):
        """The source of an operand that is not on the tape: what made it outside of it, or a leaf."""
        order = trace.made_by(tensor)
        if order is None and tensor.node is not None and tensor.node.order in trace.records:
            order = tensor.node.order
        return -1 - self._leaf(trace, tensor) if order is None else order

    def _leaf(self, trace, tensor):
        index = trace.leaf_index(tensor)
        if index is None:
            index = trace.add_leaf(self._leaf_record(trace, tensor), tensor)
        return index

    def _leaf_record(self, trace, tensor):
        key, data = id(tensor), tensor._data
        if tensor._requires_grad and key not in self._names and self._learnt_for is not trace:
            self._learn_names()  # a layer may have made its parameters just now
            self._learnt_for = trace
        parameter = key in self._parameters or type(tensor).__name__ == "Parameter"
        self._new_parameters = self._new_parameters or parameter
        row = -1 if parameter else trace.table.add_now(data)
        return LeafRecord(
            weakref.ref(tensor), self._names.get(key), parameter, data.shape, data.dtype, tensor._requires_grad, row
        )

    def _adopt(self, trace, node):
        """Take in a node, and all behind it, that ran before the recording began: its structure is on the tape."""
        stack = [node]
        while stack:
            node = stack.pop()
            if node.order in trace.records:
                continue
            earlier = self._finished.operations.get(node.order) if self._finished is not None else None
            sources = []
            for edge in node.edges:
                if isinstance(edge, engine.Function):
                    stack.append(edge)
                    sources.append(edge.order)
                else:
                    sources.append(None if edge is None else -1 - self._leaf(trace, edge))
            trace.records[node.order] = (
                node.order, node.name, node.scope, node.shape, earlier and earlier.dtype, sources, True,
                trace.table.put(earlier and earlier.activation), weakref.ref(node)
            )  # fmt: skip

    def _settle_rates(self):
        """Which leaf the optimizer moves at which learning rate."""
        if self._rates and self._optimizer is not None:
            self._finished.set_rates(self._optimizer.param_groups, self._rates)

    def _step(self, trace, visited):
        signature = steps.signature(trace, visited)
        if signature != self._structure[0]:
            self._structure = signature, steps.structure(trace, visited)
        return steps.step(trace, visited, self._loss, self._structure[1])

    # ------------------------------------------------------------------------------------ what a caller reads

    @property
    def trace(self):
        trace = self._finished if self._finished is not None else self._trace
        if not trace.saved_bytes and self._saved_by is not None:
            names, saved = self._saved_by
            if names == tuple([record[1] for record in trace.records.values()]):
                trace.saved_bytes = dict(zip(trace.records, saved, strict=True))
        self._settle_rates()
        return trace

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

    def save(self, path):
        """Keep the run in a file (a pickle: only load what you trust); returns the path. `Recording.load` reads it."""
        path = os.fspath(path)
        check_folder(path)
        other = Recording()
        other.steps, other._finished = self.steps, self.trace.without_tensors()
        write_atomically(path, pickle.dumps(other.__dict__ | {"_stack": None, "_trace": None}))
        return path

    @classmethod
    def load(cls, path):
        """The recording that `save` wrote."""
        with open(path, "rb") as file:
            kept = pickle.load(file)
        recording = cls()
        recording.steps, recording._finished = kept["steps"], kept["_finished"]
        return recording

    def __repr__(self):
        return f"<Recording of {len(self.trace.records)} operations, {len(self.steps)} backward passes>"


def record(model=None, *, names=None, every=1, details=False, optimizer=None):
    """Watch what runs inside `with`: statistics of every output, gradient and contribution; no array is kept.

        with viz.record(model) as recording:
            loss = criterion(model(x), y)
            loss.backward()
        viz.gradient_flow(recording).save("flow.svg")

    model: names the parameters (any object with `named_parameters()`); without it they go by their layer.
    names: {"a": a, …}, names for other tensors; `names=locals()` will do.
    every: record one step in so many (a step ends with its backward pass). To record costs a fixed time an operation
        and a look at every array: little beside convolutions, a third of a step of a small MLP. With every=10 it is a
        tenth of that, and the graph drawn is that of the last step recorded.
    details: also histograms, the share of dead relu units and of saturated tanh and sigmoid outputs, and the line of
        the program, which takes a second look at every array.
    optimizer: its learning rates, for the update ratios of the parameters (see `Parameter.update_ratio`).

    Raises ValueError for another `every`, TypeError for what is no model, dict of names, or optimizer.
    """
    return Recording(model, names, every, details, optimizer)
