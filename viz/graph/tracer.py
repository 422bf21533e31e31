"""Record forward and backward operation by operation, as the tape tells of them."""

import weakref

import numpy as np

from tinygrad_course.base import TensorBase, array_of
from tinygrad_course.function import Function
from tinygrad_course.modes import Observer

from . import steps
from .details import Look, line_outside
from .source import check_model, check_names, check_optimizer
from .trace import LeafRecord, Trace, bytes_saved

_NOTHING = None, -1  # what has arrived where nothing has, or several contributions
_SWEEP_FROM = 20_000  # operations without a backward pass (an evaluation loop) after which dead ones are forgotten


class Tracer(Observer):
    """An observer that makes a `Trace` of each graph."""

    keeps_arrays = False

    def __init__(self, model, names, details, optimizer):
        check_model(model)
        check_names(names)
        check_optimizer(optimizer)
        self._optimizer, self._rates = optimizer, []  # learning rate of each parameter group in the last step
        self._model, self._given, self._details = model, dict(names or {}), bool(details)
        self._names, self._parameters = {}, set()
        self._current, self._last = Trace(), None  # being recorded; the last one with a backward pass, or its `Repeat`
        self._done = self._was_done = False  # a backward pass has gone through self._trace; had, before the last one
        self._loss = None
        self._visited = []  # orders of the operations that backward has reached, the youngest first
        self._arrived = {}  # order -> (the one contribution that is on its way there, its row)
        self._several = set()  # indices of the leaves where several contributions have arrived
        self._earlier = set()  # indices of the leaves that an earlier backward pass through this trace has reached
        self._known_parameters = [], {}  # as a trace begins with them, and whether there are others by now
        self._new_parameters, self._learnt_for = False, None
        self._kept = {}  # which arrays operations of this graph keep, as `bytes_saved` notes it
        self._structure = None, None  # signature, Structure of the last step
        self._known_rows = {}  # id of a leaf -> its numbers when it was first read
        self._sweep_at = _SWEEP_FROM

    # ------------------------------------------------------------------------------------ what the tape tells

    def forward(self, node, inputs, output, before=None):
        """Record an operation. `before`: what was seen of one that ran before: its output, the row of numbers that
        describes it or None, the line of the program, the bytes that it saved and the `Look` at it, or None."""
        data, numbers, line, saved, look = before or (output._data, None, None, None, None)
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
        saved = saved if before else bytes_saved(node, inputs, self._kept)
        if saved is not None:
            trace.saved_bytes[order] = saved
        count = getattr(node, "multiply_adds", None)
        if count is not None:
            trace.multiply_adds[order] = count(inputs)
        if self._details:
            look = trace.details[order] = look or Look().at_output(node, data)
            look.line = line if before else line_outside()
        if len(records) > self._sweep_at:
            trace.sweep()
            self._sweep_at = max(_SWEEP_FROM, 2 * len(trace.records))

    def begin_backward(self, outputs, gradients):
        self._loss = loss_of(outputs)
        self._visited, self._arrived, self._several = [], {}, set()
        trace = self._trace
        roots = [output.node.order for output in outputs if output.node is not None]
        if trace.passed and trace.passed.keys() & trace.ancestors(roots):
            trace.forget_gradients()
        self._done, self._was_done = False, self._done  # what hooks compute meanwhile is no new graph
        self._earlier = {index for index, row in enumerate(trace.leaf_gradients) if row >= 0}
        for output, gradient in zip(outputs, gradients, strict=True):
            if output.node is not None:
                self._adopt(trace, output.node)
                trace.roots.append(output.node.order)
                trace.seeds[output.node.order] = trace.table.add_now(np.asarray(gradient))

    def backward(self, node, gradient, contributions):
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
            trace.details.setdefault(order, Look()).at_gradient(gradient)

    def leaves(self, arrived):
        if self._several:
            trace = self._trace
            for leaf, (gradient, *_) in arrived.items():
                index = trace.leaf_index(leaf)
                if index in self._several:
                    total = array_of(gradient)
                    if index in self._earlier and leaf.grad is not None:  # by a backward pass of another loss
                        total = total + leaf.grad._data
                    trace.leaf_gradients[index] = trace.table.add(total)

    def _end(self):
        """The `Step` of a backward pass that is through; None if it has reached nothing that is known."""
        if not self._visited:
            self._done = self._was_done
            return None
        trace = self._trace
        self._last, self._done = trace, True
        trace.table.settle()
        self._kept = {}
        step = self._step(trace, self._visited[::-1])
        self._visited, self._arrived, self._learnt_for = [], {}, None
        return step

    # ------------------------------------------------------------------------------------ graphs

    @property
    def _trace(self):
        current = self._current
        return current if type(current) is Trace else self._recorded(current)

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

    # ------------------------------------------------------------------------------------ leaves, and what was before

    def _learn_names(self):
        self._names, self._new_parameters = {}, True
        for name, tensor in self._given.items():
            if isinstance(tensor, TensorBase):
                self._names.setdefault(id(tensor), name)
        if self._model is not None:
            for name, parameter in self._model.named_parameters():
                self._names[id(parameter)] = name
                self._parameters.add(id(parameter))

    def _trace_for(self, node):
        """The trace this operation belongs to: after a backward pass, one that reads no older node is a new graph."""
        old = self._trace.records
        if not any(isinstance(edge, Function) and edge.order in old for edge in node.edges):
            if self._new_parameters:
                self._known_parameters, self._new_parameters = self._trace.known_parameters(), False
            known, places = self._known_parameters
            self._current, self._done, self._sweep_at = Trace((known.copy(), places.copy())), False, _SWEEP_FROM
            self._kept = {}
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



def loss_of(outputs):
    """The number that backward starts from, None if there is none."""
    for output in outputs:
        if output._data.size == 1:
            return float(output._data.item())
    return None
