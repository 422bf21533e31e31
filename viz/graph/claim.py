"""What a picture shows, in one sentence with its numbers: the gradient falls, grows, or meets NaN."""

from . import labels, theme


def first_layer(flow):
    """The layer with parameters nearest to the input that has a value: (name, value), or None."""
    nodes = [v.node for v in flow.origin.vertices] if flow.origin is not None else flow.nodes
    layers = [node for node in nodes if node.parameters and node.value is not None and not node.is_neutral]
    layers = layers or [node for node in nodes if node.kind == "leaf" and node.value is not None]
    return (layers[0].name, layers[0].value) if layers else None


def claim(flow):
    """One sentence with the numbers of this graph."""
    if not flow.has_gradients:
        return "Structure only: no backward pass was recorded. Call loss.backward() inside “with viz.record(model)”."
    bad = next((n for n in reversed(flow.nodes) if n.is_first_bad), None)
    if bad is not None:
        return f"Backward meets NaN or Inf first at {_quoted(bad.name)} ({labels.plain(bad.op)})."
    first = first_layer(flow)
    if first is None:
        return ""
    name, value = _quoted(first[0]), first[1]
    reference = _quoted(flow.reference)
    if first[0] == flow.reference:
        return ""
    if abs(value) < 0.15:
        return f"The gradient arrives at {name} about as large as it is at {reference}{_between(flow, value)}."
    word = "falls" if value < 0 else "grows"
    return (
        f"From {reference} back to {name} the gradient {word} {times(abs(value))}: it arrives at "
        f"{theme.power(value)} of its size{_between(flow, value)}."
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
