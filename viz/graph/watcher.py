"""Watch the steps of a training run, which are mostly alike."""

import contextlib
import threading
from collections import defaultdict
from itertools import zip_longest

import numpy as np

from tinygrad_course.modes import observe, rest

from .gathered import ROOM, Gathered, with_masks
from .repeat import Pattern
from .steps import Step
from .tracer import Tracer, loss_of

_PATTERNS = 4  # kinds of steps that are remembered: of a net and its critic, of a last and smaller batch
_MOST_EXPECTED = 64  # operations whose outputs, each of `modes.SMALL` bytes at most, may wait without being counted
_looking = threading.Lock()  # another thread may be about to change what is kept
_LONGEST_WAIT = 16  # steps that are not gathered after one that was too large


class Watcher(Tracer):
    """Watches between `with` and its end. What a caller reads of it is `recorder.Recording`'s.

    What a small graph does is only gathered at first, for the `Tracer` to be told of later. When backward is through, a
    look at the whole tells whether it is what an earlier step did: then its numbers are all that is new. If it is not,
    if it grows large, or if anybody is about to change what was shown, what was gathered goes to the tracer, and so
    does at once all that follows.
    """

    def __init__(self, model=None, names=None, every=1, details=False, optimizer=None):
        if not hasattr(every, "__int__"):
            raise TypeError(f"every must be a whole number of steps, not {type(every).__name__}")
        if not (every >= 1 and every % 1 == 0):
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        super().__init__(model, names, details, optimizer)
        self._steps = []  # of each backward pass, a `Step`, or (history, loss, column) that is to become one
        self._ready = 0  # how many of them are `Step`s for sure
        self._every, self._passes = int(every), 0
        self._idle = False  # this step is one that is not recorded
        self._gathered, self._patterns = None, []  # a small graph; what the last few kinds of steps were
        self._read = (), ()  # what backward reads in steps of all these kinds
        self._went, self._caught_up = [], 0  # where backward went; how much of it has been recorded
        self._masked = {}  # node -> the gradient there, if what it was handed down is that without a mask
        self._held = None  # a `Repeat` that nobody has looked at closely yet; with details, what was gathered, too
        self._thorough = 1  # steps of which all is gathered that a pattern needs, for one is to be learnt
        self._wait = self._waits = 0  # steps until one is gathered again; as many there were last time
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        # What is gathered is freed at once. glibc gives the end of the heap back to the system, to be asked for again
        # in the next step, unless it has seen a block come and go that is half as large (mallopt's dynamic threshold).
        np.empty(ROOM // 2, np.uint8)
        self._learn_names()
        self._stack.enter_context(observe(self))
        return self

    def __exit__(self, *exception):
        self._stack.close()
        self._replay()
        self._make_steps()
        self._trace.table.settle()
        self.trace.measure_parameters()
        self._model, self._given, self._arrived = None, {}, {}  # let go of every tensor
        self._optimizer, self._known_parameters, self._patterns = None, ([], {}), []

    # ------------------------------------------------------------------------------------ what the tape tells

    def begin_backward(self, outputs, gradients):
        if self._gathered is not None and self._gathered.began is not None:  # a hook of a pass runs this one
            self._replay()
        if self._gathered is None:
            super().begin_backward(outputs, gradients)
        else:
            self._loss = loss_of(outputs)
            self.forward, self.expects = self._interrupt, 0
            gathered = self._gathered
            gathered.began = outputs, gradients
            if self._thorough or not (self._patterns and self._patterns[0].may_fit(gathered)):
                gathered.note_saved()
            return gathered.went
        return None

    def end_backward(self):
        gathered = self._gathered
        if not self._idle:
            if gathered is not None and gathered.began is None:  # a hook of this pass has run one, which ended the step
                gathered = None
            step = None if gathered is None else self._repeated(gathered)
            if step is None:
                self._replay()
                self._catch_up()
                step = self._end()
                if step is None:
                    self._look_closer()
                elif gathered is not None:
                    self._learn(gathered, step)
                self._held = None
                self._went, self._caught_up, self._masked = [], 0, {}
            if step is not None:
                self._steps.append(step)
                if self._optimizer is not None:
                    self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._passes += 1
        if self._idle != (self._passes % self._every != 0):
            self._idle = not self._idle
            self._look_closer()
            self._tell_tracer()
            rest(self, self._idle)
        if not self._idle:
            self._begin_step()

    def _make_steps(self):
        """Make a `Step` of each backward pass."""
        for number in range(self._ready, len(self._steps)):
            if not isinstance(self._steps[number], Step):
                history, loss, column = self._steps[number]
                self._steps[number] = history.step(loss, column)
        self._ready = len(self._steps)

    def leaves(self, arrived):
        if self._gathered is not None:
            self._gathered.totals = arrived
        else:
            self._catch_up()
            super().leaves(arrived)

    def exposing(self):
        self._look_closer()
        if self._gathered is None:
            self._catch_up()
            self._current.table.settle()
        elif self._gathered.began is None:
            self._gathered.settle()
        else:
            self._replay()

    def changing(self):
        self._look_closer()
        if self._gathered is None or self._gathered.ran or self._gathered.began is not None:
            self._replay()
            self._catch_up()
            self._current.table.settle()

    def elsewhere(self):
        self._look_closer()

    # ------------------------------------------------------------------------------------ who is told

    def _begin_step(self):
        """Gather the next step, or record it at once."""
        if self._wait:
            self._tell_tracer()
            self._wait -= 1
        else:
            self._gathered = gathered = Gathered(self._overflow, self._details, self._thorough > 0, self._read)
            self.forward, self.ran = gathered.forward, gathered.ran
            if not self._details:  # they want the arrays
                self.alone_sees_input_of = gathered.alone_sees_input_of
            known = self._patterns and not (self._details and self._thorough)
            self.expects = min(_MOST_EXPECTED, self._patterns[0].size) if known else 0

    def _tell_tracer(self):
        """From now on the methods of the class are those of this object again."""
        self._gathered, self.ran, self.expects = None, (), 0
        self.__dict__.pop("forward", None)
        self.__dict__.pop("alone_sees_input_of", None)

    def _overflow(self, node, inputs, output):
        """More runs than is to be gathered. The next steps may be as large."""
        self._wait = self._waits = min(_LONGEST_WAIT, 2 * self._waits + 1)
        self._interrupt(node, inputs, output)

    def _interrupt(self, node, inputs, output):
        self._replay()
        self.forward(node, inputs, output)

    def _replay(self):
        """Do for each operation what was put off."""
        gathered = self._gathered
        if gathered is None:
            return
        self._tell_tracer()
        self._known_rows = gathered.seen()
        if gathered.began is None:
            gathered.note_saved()
        rows = [gathered.rows.get(place) for place in range(len(gathered.ran))]
        facts = rows, self._lines_of(gathered) if self._details else (), gathered.saved or (), gathered.looks
        for (node, inputs, output, data), *known in zip_longest(gathered.ran, *facts):
            self.forward(node, inputs, output, (data, *known))
        self._known_rows = {}
        if gathered.began is not None:
            super().begin_backward(*gathered.began)
            self._went, self._caught_up, self._masked = gathered.went, 0, gathered.masked()
            self._catch_up()
            if gathered.totals is not None:
                self.leaves(gathered.totals)

    def _catch_up(self):
        """Record where backward went; the tape goes on to say so in the list that it was given."""
        went, self._caught_up = self._went[self._caught_up :], len(self._went)
        for record in went:
            self.backward(*with_masks(record, self._masked))

    # ------------------------------------------------------------------------------------ steps that are alike

    def _repeated(self, gathered):
        """The `Step` of what was gathered, if an earlier one was like it; None if not."""
        for pattern in self._patterns:
            repeat = pattern.repeat(gathered, self._names)
            if repeat is not None:
                self._last = self._current = repeat
                self._done, self._waits = True, 0
                self._held, self._thorough = (repeat, gathered if self._details else None), max(0, self._thorough - 1)
                if self._details:
                    gathered.copy_what_was_given()
                if pattern.bytes_later > ROOM or gathered.shows_what_was_given():
                    self._look_closer()
                return repeat.step(self._loss)
        return None

    def _learn(self, gathered, step):
        """Remember what this step did, for the next that is like it."""
        lacks = gathered.saved is None or (self._details and gathered.lines is None)
        self._thorough = _PATTERNS if lacks else 0  # until such a step comes again: others may lie between
        if not lacks:
            pattern = Pattern.of(gathered, self._trace, step.structure)
            if pattern is not None:
                self._patterns = [pattern, *self._patterns[: _PATTERNS - 1]]
                self._read = [set.intersection(*some) for some in zip(*[one.read for one in self._patterns])]

    # ------------------------------------------------------------------------------------ a closer look

    def _recorded(self, graph):
        self._look_closer()
        return super()._recorded(graph)

    def _look_closer(self):
        """Look at what nobody needs of each step, if the last one was like an earlier one: the gradients of leaves and
        the details. These arrays are kept until the next step, or until they may change."""
        with _looking:
            held, self._held = self._held, None
            if held is not None:
                repeat, gathered = held
                repeat.look_closer(gathered)

    def _lines_of(self, gathered):
        """The line of the program of each operation that was gathered: if need be, that of such a one before."""
        if gathered.lines is not None:
            return gathered.lines
        known = defaultdict(list)
        for pattern in self._patterns[:1]:
            for order, look in pattern.trace.details.items():
                known[pattern.trace.records[order][1:3]].append(look.line)
        return [lines.pop(0) if (lines := known[node.name, node.scope]) else None for node, *_ in gathered.ran]
