"""A recording: a few numbers per node and per edge of the last graph, and of every step. What a caller reads of it."""

import os
import pickle

import numpy as np

from ..files import check_folder, write_atomically
from .steps import Layer, Step
from .trace import Trace
from .watcher import Watcher

__all__ = ["Layer", "Recording", "Step", "record"]


class Recording(Watcher):
    """What was seen between `with` and its end. `viz.record` makes one; `viz.gradient_flow` draws it.

    trace: the last graph that a backward pass went through (or, without one, what ran forward).
    steps: one `Step` for each backward pass, small numbers only.
    """

    @property
    def steps(self):
        self._make_steps()
        return self._steps

    @property
    def trace(self):
        self._replay()
        trace = self._finished if self._finished is not None else self._trace
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
        kept = {"_steps": self.steps, "_last": self.trace.without_tensors()}
        write_atomically(path, pickle.dumps(kept))
        return path

    @classmethod
    def load(cls, path):
        """The recording that `save` wrote. OSError for what cannot be read, ValueError for a file of another kind."""
        recording = cls()
        try:
            with open(path, "rb") as file:
                kept = pickle.load(file)
            recording._steps, recording._last = list(kept["_steps"]), kept["_last"]
        except OSError:
            raise
        except Exception:  # a file that is no pickle, or one of other things, may raise anything
            recording._last = None
        if not isinstance(recording._last, Trace):
            raise ValueError(f"{os.fspath(path)} is not a run saved by recording.save") from None
        return recording

    def __repr__(self):
        return f"<Recording of {len(self.trace.records)} operations, {len(self.steps)} backward passes>"


def record(model=None, *, names=None, every=1, details=False, optimizer=None):
    """Watch what runs inside `with`: statistics of every output, gradient and contribution, and no arrays.

        with viz.record(model) as recording:
            loss = criterion(model(x), y)
            loss.backward()
        viz.gradient_flow(recording).save("flow.svg")

    model: names the parameters (any object with `named_parameters()`); without it they go by their layer.
    names: {"a": a, …}, names for other tensors; `names=locals()` will do.
    every: record one step in so many (a step ends with its backward pass). To record costs some time an
        operation and a look at every array: a tenth of a step of a convolutional net, up to a fifth of one of many
        small layers (docs/speed.md). The steps between cost nothing. With every=10 the graph drawn is that of the
        last step recorded.
    details: also histograms, the share of dead relu units and of saturated tanh and sigmoid outputs, and the line of
        the program. Of a small net only the last step is looked at so closely, and its arrays are kept until the
        next; of a large one each step.
    optimizer: its learning rates, for the update ratios of the parameters (see `Parameter.update_ratio`).

    What is drawn is one backward pass: of several through one graph (`retain_graph=True`) the last. To see two losses
    together, run backward from their sum.

    Raises ValueError for another `every`, TypeError for what is no model, dict of names, or optimizer.
    """
    return Recording(model, names, every, details, optimizer)
