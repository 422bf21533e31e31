"""What a picture shows, in one sentence with its numbers: the gradient falls, grows, or meets NaN."""

import math

from . import labels, theme

_SIZES = {"zero": -math.inf, "nan": math.nan, "inf": math.inf}  # of a gradient that has a mark in place of a value


def first_layer(flow):
    """The layer with parameters nearest to the input that a gradient was wanted of: (name, value), or None.

    The value is -inf where the gradient is exactly 0, nan or inf where that is what it is.
    """
    layers = _layers(flow)
    return (layers[0].name, _size(layers[0])) if layers else None


def _layers(flow):
    nodes = [v.node for v in flow.origin.vertices] if flow.origin is not None else flow.nodes
    known = [node for node in nodes if not node.is_neutral and (node.value is not None or node.mark in _SIZES)]
    return [node for node in known if node.parameters] or [node for node in known if node.kind == "leaf"]


def _size(node):
    return node.value if node.value is not None else _SIZES[node.mark]


def amount(value, of=""):
    """`exactly 0`, `NaN`, `Inf`, or the power of ten and what it is a part of."""
    if math.isfinite(value):
        return f"{theme.power(value)}{of}"
    return "NaN" if math.isnan(value) else "exactly 0" if value < 0 else "Inf"


def claim(flow):
    """One sentence with the numbers of this graph."""
    if not flow.has_gradients:
        return "Structure only: no backward pass was recorded. Call loss.backward() inside “with viz.record(model)”."
    bad = next((n for n in reversed(flow.nodes) if n.is_first_bad), None)
    first = first_layer(flow)
    if bad is not None:
        spoilt = first is not None and not math.isfinite(first[1]) and first[0] != bad.name
        arrives = f"; what arrives at {_quoted(first[0])} is {amount(first[1])}" if spoilt else ""
        return f"Backward meets NaN or Inf first at {_quoted(bad.name)} ({labels.plain(bad.op)}){arrives}."
    if first is None:
        return ""
    name, value = _quoted(first[0]), first[1]
    reference, layer = _quoted(flow.reference), _layers(flow)[0]
    if layer.gradient is not None and layer.gradient.size == 0:
        return f"There are no numbers at {name}: its output has shape {labels.shape(layer.shape)}."
    if value == -math.inf:
        return f"From {reference} back to {name} the gradient falls to exactly 0{_where_it_ends(flow)}."
    if first[0] == flow.reference:
        return ""
    if abs(value) < 0.15:
        return f"The gradient arrives at {name} about as large as it is at {reference}{_between(flow, value)}."
    word = "falls" if value < 0 else "grows"
    return (
        f"From {reference} back to {name} the gradient {word} {times(abs(value))}: it arrives at "
        f"{theme.power(value)} of its size{_between(flow, value)}."
    )


def _where_it_ends(flow):
    """How far up from the input a gradient is exactly 0."""
    layers = _layers(flow)
    left = next((place for place, node in enumerate(layers) if node.mark != "zero"), len(layers))
    if left == len(layers):
        return ", as at every layer" if left > 1 else ""
    return f": so it is at the first {left} layers" * (left > 1) + (
        f"; at {_quoted(layers[left].name)}, the next, it is {amount(_size(layers[left]), ' of its size')}"
    )


def _quoted(name, longest=40):
    """A layer may be called 10."""
    return f"“{labels.shorten(name, longest)}”"


def _between(flow, value):
    """What lies clearly beyond both ends on the way."""
    inner = [(n.value, n.name) for n in flow.nodes if n.value is not None and not n.is_neutral and n.kind != "input"]
    low, high = min(inner, default=(0.0, "")), max(inner, default=(0.0, ""))
    words = []
    if low[0] < min(value, 0.0) - 0.5:
        words.append(f"falls to {theme.power(low[0])} at {_quoted(low[1], 30)}")
    if high[0] > max(value, 0.0) + 0.5:
        words.append(f"grows to {theme.power(high[0])} at {_quoted(high[1], 30)}")
    return f"; on the way it {' and '.join(words)}" if words else ""


def comparison(flows, names):
    """One sentence about two graphs side by side."""
    found = [first_layer(flow) for flow in flows]
    if any(first is None for first in found) or not all(flow.has_gradients for flow in flows):
        return ""
    if not all(math.isfinite(value) for _, value in found):
        first, second = (amount(value, " of the reference") for _, value in found)
        if first == second:
            return f"At the first layer the gradients of {names[0]} and {names[1]} are both {first}."
        return f"At the first layer the gradient of {names[0]} is {first}, that of {names[1]} {second}."
    gap = found[0][1] - found[1][1]
    if abs(gap) < 0.15:
        return f"At the first layer the gradients of {names[0]} and {names[1]} are about equally large."
    small, large = (1, 0) if gap > 0 else (0, 1)
    return (
        f"At the first layer the gradient of {names[small]} is {times(abs(gap))} smaller than that of {names[large]}"
        f" ({theme.power(found[small][1])} against {theme.power(found[large][1])} of the reference)."
    )


def times(decades):
    """A ratio in words: 2.4-fold, 575-fold, 10^9-fold."""
    ratio = 10.0 ** min(decades, 300.0)
    if ratio >= 100_000:
        return f"10^{decades:.1f}-fold"
    return f"{ratio:,.0f}-fold" if ratio >= 9.95 else f"{ratio:.1f}-fold"
