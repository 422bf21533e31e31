"""What a card tells of a node, and what a rule says."""

from ..graph import labels
from ..graph.details import Details
from ..graph.rules import factor_value, rule_of, with_numbers
from .packed import rounded

_MOST_ROWS = 24  # parameters and hidden operations that a card lists
_HIGHEST = 99  # of a histogram's bars, which are drawn 44 pixels high


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
