"""What a card tells of a node, what a rule says, and how values moved while training."""

import math

from ..graph import labels
from ..graph.details import Details
from ..graph.rules import factor_value, rule_of, with_numbers
from .scene import rounded

_MOST_ROWS = 24  # parameters and hidden operations that a card lists
_MOST_CELLS = 60_000  # numbers of a training run that a page holds; of a longer run, steps at even distances
_HIGHEST = 99  # of a histogram's bars, which are drawn 44 pixels high
_SHIFT = 100  # values of a training run are written in hundredths of a decade
ZERO, BAD = 9000, 9001  # what stands for an exact 0, and for NaN or Inf, among them


def card(box, look, flow):
    """Everything about one node, short keys and no empty entries: a large net has a thousand of these."""
    node, details = box.node, box.node.details or Details()
    entry = {
        "n": labels.plain(node.name), "o": labels.plain(node.op), "s": labels.plain(node.scope),
        "h": labels.shape(node.shape), "y": node.dtype, "c": look, "svg": box.markup, "w": box.width, "t": box.height,
        "v": None if node.value is None else round(node.value, 3), "m": node.mark,
        "g": _statistics(node.gradient, details.gradient) if flow.has_gradients else None,
        "a": _statistics(node.activation, details.output, details.saturated, details.dead),
        "ms": _mean_and_spread(node.activation),
        "p": [_parameter(p) for p in node.parameters[:_MOST_ROWS]], "pc": node.parameter_count, "x": node.repeats,
        "ma": node.multiply_adds, "sb": node.saved_bytes, "ag": _agreement(node), "src": _source(details),
        "hd": [labels.plain(name) for name in node.hidden[:_MOST_ROWS]],
        "hm": max(0, len(node.hidden) - _MOST_ROWS), "mem": list(node.members), "out": list(node.outputs),
        "nu": int(node.is_neutral), "fb": int(node.is_first_bad), "fo": int(node.is_first_bad_output),
    }  # fmt: skip
    if node.op == node.name:
        del entry["o"]
    if node.scope == node.name:
        del entry["s"]
    if node.outputs == node.members:
        del entry["out"]
    if node.kind == "operation" and flow.origin is not None and len(node.members) == 1:
        entry["num"] = scalar_lines(flow.origin.vertices, node.members[0])
    empty = (None, "", [], 0)  # a value of 0 is no empty entry: it is that of the reference
    return {key: value for key, value in entry.items() if value not in empty or (key == "v" and value is not None)}


def _statistics(found, histogram=None, *shares):
    """[RMS, largest, share of zeros, numbers that are not finite, the number itself, histogram, shares…], as known."""
    if found is None:
        return None
    numbers = [rounded(found.rms), rounded(found.largest), rounded(found.zeros), found.not_finite]
    row = [*numbers, rounded(found.value), _bars(histogram), *map(rounded, shares)]
    while row and row[-1] in (None, 0):
        row.pop()
    return row


def _mean_and_spread(found):
    """[mean, standard deviation] of several numbers."""
    return [rounded(found.mean), rounded(found.std)] if found is not None and found.size > 1 else None


def _agreement(node):
    """[how many contributions meet, their cosine, ‖Σc‖/Σ‖c‖]."""
    met = node.agreement
    return None if met is None else [met.count, rounded(met.cosine), rounded(met.cancellation)]


def _source(details):
    return None if details.source is None else labels.plain("{}:{}  {}".format(*details.source))


def _bars(histogram):
    """Heights of the bars, the highest at most 99, from large negative numbers over 0 to large positive ones, an octave
    each: counts, where they are small; in any case, a bar where something was counted."""
    if histogram is None:
        return None
    counts = [*reversed(histogram.negative), histogram.zeros, *histogram.positive]
    top = max(counts)
    return counts if top <= _HIGHEST else [max(round(_HIGHEST * n / top), min(n, 1)) for n in counts]


def _parameter(parameter):
    row = [labels.plain(parameter.name), labels.shape(parameter.shape), parameter.count, rounded(parameter.rms),
           rounded(parameter.gradient_rms), int(not parameter.requires_grad),
           rounded(parameter.update_ratio)]  # fmt: skip
    while row and row[-1] in (None, 0):
        row.pop()
    return row


def rules(operations):
    """{operation: [words, what forward computes, formula]}."""
    return {labels.plain(name): list(rule_of(name)[:3]) for name in sorted(operations)}


def scalar_lines(vertices, index):
    """The chain rule at an operation on single numbers, with its numbers: [slot, line, value] for each operand."""
    node = vertices[index].node
    operands = {slot: source for slot, source, _ in vertices[index].operands}
    count = len(operands) + len(node.constants)
    if node.gradient is None or node.gradient.value is None or count == 0 or not _is_number(node):
        return []
    constants, letters = list(node.constants), {"z": node.activation.value}
    for slot, letter in zip(range(count), "xy", strict=False):
        source = vertices[operands[slot]].node if slot in operands else None
        if source is not None and not _is_number(source):
            return []
        letters[letter] = source.activation.value if source else constants.pop(0) if constants else None
    lines = []
    for slot, factor in enumerate(rule_of(node.op).factors[:count]):
        if slot not in operands or not vertices[operands[slot]].node.wants_gradient:
            continue
        known = {letter: value for letter, value in letters.items() if value is not None}
        factor_number = factor_value(factor, **known)
        if factor_number is None:
            continue
        upstream, name = node.gradient.value, labels.shorten(vertices[operands[slot]].node.name, 16)
        numbers = with_numbers(factor, **known)
        plain = numbers.lstrip("−").replace(".", "").isdigit() and not numbers.startswith("−")
        text = (
            f"∂L/∂{name} = {labels.number(upstream)} · {numbers if plain else f'({numbers})'}"
            f" = {labels.number(upstream * factor_number)}"
        )
        lines.append([slot, text, rounded(upstream * factor_number)])
    return lines


def _is_number(node):
    return node.activation is not None and node.activation.value is not None


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
        return BAD
    if rms == 0.0:
        return ZERO
    return round(_SHIFT * math.log10(rms / reference)) if 0.0 < reference < math.inf else BAD
