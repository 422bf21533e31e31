"""Watch forward and backward through the tape's observers, operation by operation."""

import contextlib
import weakref
from itertools import zip_longest

import numpy as np

from tinygrad_course.base import TensorBase
from tinygrad_course.function import Function
from tinygrad_course.modes import Observer, observe

from . import steps
from .details import Details, histogram, look_closer
from .gathered import Gathered
from .repeat import Pattern
from .source import check_model, check_names, check_optimizer
from .trace import LeafRecord, Trace, bytes_saved

_NOTHING = None, -1  # what has arrived where nothing has, or several contributions
_PATTERNS = 4  # kinds of steps that are remembered: of a net and its critic, of a last and smaller batch
_SWEEP_FROM = 20_000  # operations without a backward pass (an evaluation loop) after which dead ones are forgotten


class Watcher(Observer):
    """Watches between `with` and its end. What a caller reads of it is `recorder.Recording`'s.

    The steps of a training run are mostly alike. So what a small graph does is only gathered at first (`_gathered`),
    and when backward is through, a look at the whole tells whether it is what an earlier step did: then its numbers are
    all that is new. If it is not, if it grows large, or if anybody is about to change what was shown, what was
    gathered goes through `_forward`, `_begin`, `_backward` and `_leaves`, operation by operation, and all that follows
    goes there at once.
    """

    keeps_arrays = False

    def __init__(self, model=None, names=None, every=1, details=False, optimizer=None):
        if every < 1 or int(every) != every:
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        check_model(model)
        check_names(names)
        check_optimizer(optimizer)
        self._steps = []  # of each backward pass, a `Step`, or a `LaterStep` that is to become one
        self._ready = 0  # how many of them are `Step`s for sure
        self._optimizer, self._rates = optimizer, []  # learning rate of each parameter group in the last step
        self._model, self._given, self._every, self._details = model, dict(names or {}), int(every), bool(details)
        self._names, self._parameters = {}, set()
        self._current, self._last = Trace(), None  # being recorded; the last one with a backward pass, or its `Repeat`
        self._gathered, self._patterns = None, []  # a small graph; what the last few kinds of steps were
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
        self._known_rows = {}  # id of a leaf -> its numbers when it was first read
        self._sweep_at = _SWEEP_FROM
        self._stack = contextlib.ExitStack()

    # ------------------------------------------------------------------------------------ with

    def __enter__(self):
        self._learn_names()
        self._stack.enter_context(observe(self))
        return self

    def __exit__(self, *exception):
        self._stack.close()
        self._replay()
        self._trace.table.settle()
        self.trace.measure_parameters()
        self._model, self._given, self._arrived = None, {}, {}  # let go of every tensor
        self._optimizer, self._known_parameters, self._patterns = None, ([], {}), []

    def _learn_names(self):
        self._names, self._new_parameters = {}, True
        for name, tensor in self._given.items():
            if isinstance(tensor, TensorBase):
                self._names.setdefault(id(tensor), name)
        if self._model is not None:
            for name, parameter in self._model.named_parameters():
                self._names[id(parameter)] = name
                self._parameters.add(id(parameter))

    # ------------------------------------------------------------------------------------ what the tape tells

    def forward(self, node, inputs, output):
        if self._idle:
            return
        gathered = self._gathered
        if gathered is not None:
            if gathered.add(node, inputs, output):
                return
            self._replay()
        self._forward(node, inputs, output, output._data)

    def begin_backward(self, outputs, gradients):
        if self._idle:
            return False
        self._loss = next((float(output._data.reshape(())) for output in outputs if output._data.size == 1), None)
        if self._gathered is not None:
            self._gathered.begin(outputs, gradients)
        else:
            self._begin(outputs, gradients)
        return True

    def backward(self, node, gradient, contributions):
        if self._gathered is not None:
            self._gathered.send(node, gradient, contributions)
        else:
            self._backward(node, gradient, contributions)

    def leaves(self, gradients):
        if self._gathered is not None:
            self._gathered.totals = gradients
        else:
            self._leaves(gradients)

    def end_backward(self):
        gathered, step = self._gathered, None
        if self._idle:
            gathered = None
        if gathered is not None:
            step = self._repeated(gathered)
            if step is None:
                self._replay()
        if step is None and self._visited:
            self._last, self._done = self._trace, True
            self._trace.table.settle()
            step = self._step(self._trace, self._visited[::-1])
            if self._saved_by is None:
                records = self._trace.records
                names = tuple([record[1] for record in records.values()])
                self._saved_by, self._kept = (names, list(map(self._trace.saved_bytes.get, records))), set()
            elif gathered is not None:
                self._learn(gathered, step)
        if step is not None:
            self._steps.append(step)
            if self._optimizer is not None:
                self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._visited, self._arrived, self._learnt_for = [], {}, None
        self._passes += 1
        self._idle = self._passes % self._every != 0
        self._gathered = None if self._saved_by is None or self._details else Gathered()

    def outside(self, what):
        if self._gathered is None:
            self._current.table.settle()
        elif self._gathered.began is None:
            self._gathered.settle()
        else:
            self._replay()

    def changing(self):
        self._replay()
        self._current.table.settle()

    # ------------------------------------------------------------------------------------ steps that are alike

    def _repeated(self, gathered):
        """The `Step` of what was gathered, if an earlier one was like it; None if not."""
        signature = gathered.signature()
        if signature is None:
            return None
        for pattern in self._patterns:
            if pattern.signature == signature:
                repeat = pattern.repeat(gathered, self._names)
                if repeat is not None:
                    self._last = self._current = repeat
                    self._done = True
                    return repeat.step(self._loss)
        return None

    def _learn(self, gathered, step):
        """Remember what this step did, for the next that is like it."""
        pattern = Pattern.of(gathered, self._trace, step.structure)
        if pattern is not None:
            self._patterns = [pattern, *self._patterns[: _PATTERNS - 1]]

    def _replay(self):
        """Do for each operation what was put off."""
        gathered, self._gathered = self._gathered, None
        if gathered is None:
            return
        self._known_rows, measured = gathered.seen()
        for (node, inputs, output, data), numbers in zip_longest(gathered.ran, measured):
            self._forward(node, inputs, output, data, numbers)
        self._known_rows = {}
        if gathered.began is not None:
            self._begin(*gathered.began)
            for node, gradient, contributions in gathered.went:
                self._backward(node, gradient, contributions)
            if gathered.totals is not None:
                self._leaves(gathered.totals)

    @property
    def _trace(self):
        return self._recorded(self._current)

    @property
    def _finished(self):
        return self._recorded(self._last)

    def _recorded(self, graph):
        """A graph as a `Trace`, which a `Repeat` is made into when somebody asks for it."""
        if graph is None or isinstance(graph, Trace):
            return graph
        trace = graph.trace()
        self._last, self._current = [trace if one is graph else one for one in (self._last, self._current)]
        return trace

    # ------------------------------------------------------------------------------------ operation by operation

    def _forward(self, node, inputs, output, data, numbers=None):
        """Record an operation; `numbers` describe its output, if it has been measured."""
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
        order, on_tape, table = node.order, output.node is node, trace.table
        if numbers is not None:
            row = table.give(numbers)
        else:  # a view's memory may be the caller's
            row = table.add_now(data) if output._viewed else table.add(data)
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

    def _begin(self, outputs, gradients):
        self._visited, self._arrived, self._several = [], {}, set()
        trace = self._trace
        for output, gradient in zip(outputs, gradients, strict=True):
            if output.node is not None:
                self._adopt(trace, output.node)
                trace.roots.append(output.node.order)
                trace.seeds[output.node.order] = trace.table.add_now(np.asarray(gradient))

    def _backward(self, node, gradient, contributions):
        trace, order = self._trace, node.order
        record = trace.records.get(order)
        if record is None:
            return
        add, arrived, sent = trace.table.add, self._arrived, []
        one, row = arrived.pop(order, _NOTHING)
        if one is not gradient or node.hooks is not None:  # a hook may have changed it
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

    def _leaves(self, gradients):
        if self._several:
            trace = self._trace
            for leaf, gradient in gradients.items():
                index = trace.leaf_index(leaf)
                if index in self._several:
                    trace.leaf_gradients[index] = trace.table.add(gradient)

    def _trace_for(self, node):
        """The trace this operation belongs to: after a backward pass, one that reads no older node is a new graph."""
        old = self._trace.records
        if not any(isinstance(edge, Function) and edge.order in old for edge in node.edges):
            if self._new_parameters:
                self._known_parameters, self._new_parameters = self._trace.known_parameters(), False
            known, places = self._known_parameters
            self._current, self._done, self._sweep_at = Trace((known.copy(), places.copy())), False, _SWEEP_FROM
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
        seen = self._known_rows.get(key)
        row = -1 if parameter else trace.table.add_now(data) if seen is None else trace.table.give(seen)
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
                if isinstance(edge, Function):
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

