"""What is kept of every step of a training run: a few numbers an operation, and what the operations are."""

import math
from operator import itemgetter
from typing import NamedTuple

import numpy as np

_NAME_AND_SCOPE, _SOURCES = itemgetter(1, 2), itemgetter(5)  # of a trace's record


class Layer(NamedTuple):
    """A layer with weights. `gradient_rms` is RMS(∂L/∂z), `activation_rms` RMS(z), of its output z before the
    activation function and after the batch norm, where one follows; `depth` counts from 1 at the input."""

    name: str
    depth: int
    gradient_rms: float
    activation_rms: float


class Structure(NamedTuple):
    """What the steps of a training run have in common: the names of the operations that backward reached, in forward
    order, and which are layers."""

    labels: tuple
    layers: tuple  # (index of the operation whose output is z, name) of each layer with weights


class Step(NamedTuple):
    """One backward pass: the loss, and by operation, in forward order, RMS of gradient and of output (nan: none)."""

    loss: float | None
    structure: Structure
    gradient_rms: np.ndarray
    activation_rms: np.ndarray


class History:
    """What steps of one structure have in common: a `Step` is made when somebody asks for it.

    rows: which numbers of a column are those of the gradients, and which those of the outputs.
    """

    def __init__(self, structure, rows):
        self._structure, self._rows = structure, np.array(rows)

    def step(self, loss, column):
        """The `Step` of which a table of numbers had this first column."""
        return Step(loss, self._structure, *column[self._rows])


def signature(trace, visited):
    """What tells structures apart, quickly: name, scope and number of operands of each operation."""
    records = list(map(trace.records.__getitem__, visited))
    return list(map(_NAME_AND_SCOPE, records)), list(map(len, map(_SOURCES, records)))


def structure(trace, visited):
    """`Structure` of the operations whose orders are `visited`, in forward order."""
    records = [trace.records[order] for order in visited]
    labels = tuple([f"{record[2]} ({record[1]})" if record[2] else record[1] for record in records])
    return Structure(labels, tuple(_weight_layers(trace, records)))


def step(trace, visited, loss, kind):
    """The `Step` of a backward pass through `visited`, of the structure `kind`."""
    gradients, activations = [trace.passed[order][0] for order in visited], [trace.records[o][7] for o in visited]
    numbers = np.array([gradients, activations])
    found = trace.table.rows[numbers, 0]
    found[numbers < 0] = math.nan  # not measured
    return Step(loss, kind, *found)


def _weight_layers(trace, records):
    index_of = {record[0]: index for index, record in enumerate(records)}
    norm_of = {}  # order of an operation -> index of the normalization that reads its output
    for index, (_, name, _, _, _, sources, *_) in enumerate(records):
        if "norm" in name and sources and sources[0] is not None and sources[0] > 0:
            norm_of[sources[0]] = index
    for order, name, scope, _, _, sources, *_ in records:
        leaves = [trace.leaf_records[-1 - source] for source in sources if source is not None and source < 0]
        weight = next((leaf for leaf in leaves if _is_weight(leaf, name)), None)
        if weight is not None:
            label = scope or (weight.name or name).removesuffix(".weight")
            yield norm_of.get(order, index_of[order]), label


def _is_weight(leaf, operation):
    learned = leaf.is_parameter or (leaf.requires_grad and operation in ("matmul", "linear"))
    return learned and len(leaf.shape) >= 2
