"""How gradients moved while training: a value for each operation and step, and the widest of them in words."""

import math

from ..graph import theme
from .packed import rounded

_MOST_CELLS = 60_000  # numbers of a training run that a page holds; of a longer run, steps at even distances
_SHIFT = 100  # values are written in hundredths of a decade
ZERO, NAN, INF = 9000, 9001, 9002  # what stands for an exact 0, for NaN and for Inf among them
_WORDS = {ZERO: theme.MARKS["zero"], NAN: theme.MARKS["nan"], INF: theme.MARKS["inf"]}


def training(flow):
    """{"loss": […], "step": […], "values": [[a value for each vertex], …]} of a recorded run; None for one step."""
    if flow.origin is None or len(flow.origin.steps) < 2:
        return None
    vertices, last = flow.origin.vertices, flow.origin.steps[-1]
    column = {}  # vertex -> its place in a step's arrays: both are in the order of execution
    for index, vertex in enumerate(vertices):
        if vertex.is_operation and vertex.node.gradient is not None:
            column[index] = len(column)
    if len(column) != len(last.gradient_rms):
        return None
    alike = [i for i, step in enumerate(flow.origin.steps) if step.structure == last.structure]
    most = max(2, min(len(alike), _MOST_CELLS // max(1, len(column))))
    chosen = [alike[round(k * (len(alike) - 1) / (most - 1))] for k in range(most)] if len(alike) > 1 else []
    if len(chosen) < 2:
        return None
    table = []
    for number in chosen:
        rms = flow.origin.steps[number].gradient_rms
        reference = flow.reference_rms
        if flow.origin.reference in column:
            reference = float(rms[column[flow.origin.reference]])
        places = [column.get(index) for index in range(len(vertices))]
        table.append([None if place is None else _relative(float(rms[place]), reference) for place in places])
    losses = [flow.origin.steps[number].loss for number in chosen]
    return {"loss": [rounded(loss) for loss in losses], "step": [number + 1 for number in chosen], "values": table}


def _relative(rms, reference):
    if not math.isfinite(rms):
        return NAN if math.isnan(rms) else INF
    if rms == 0.0:
        return ZERO
    return round(_SHIFT * (math.log10(rms) - math.log10(reference))) if 0.0 < reference < math.inf else NAN


class Widest:
    """What may stand on a node at one of the steps: its box is wide enough for all of it."""

    def __init__(self, run):
        columns = zip(*run["values"], strict=True) if run else ()
        self._known = [sorted({value for value in column if value is not None}) for column in columns]

    def words(self, node, scale):
        """Texts of which one is as wide as any that the page will write, for a node of one operation or of several."""
        if not self._known or node.is_neutral or node.gradient is None:
            return []
        places = node.outputs or node.members
        found = [value for place in places for value in self._known[place]]
        decades = [value / _SHIFT for value in found if value < ZERO]
        words = [_WORDS[value] for value in set(found) if value in _WORDS]
        if not decades:
            return words
        ends = [(theme.glyph(value, scale), theme.power(value)) for value in (min(decades), max(decades))]
        if len(places) == 1:
            return words + [f"{glyph} {power}" for glyph, power in ends]
        glyph, power = (max(parts, key=len) for parts in zip(*ends, strict=True))
        return [*words, f"{glyph} {power} … {power}"]
