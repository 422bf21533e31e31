"""The graph for a terminal: a line a node, its gradient as a bar, highways as lines in the margin."""

import textwrap

from . import labels
from .claim import claim

_BAR = 8  # characters on either side of the middle
_LONGEST, _LEAST = 33, 18  # characters of a title with its operation, and of an operation beside a long title


def to_text(flow):
    """Plain text of a `GradientFlow`, from the input to the loss; nothing in it depends on colours."""
    heading, caption, _ = labels.legend(flow)
    said = textwrap.wrap(claim(flow), 100) if flow.has_gradients else []
    rows = [heading, *said, caption, ""]
    names = [_name(node) for node in flow.nodes]
    width = max(map(len, names), default=0)
    shapes = [labels.shape(node.shape) for node in flow.nodes]
    wide = max(map(len, shapes), default=0)
    values = [labels.value(node, flow.scale, flow.has_gradients) for node in flow.nodes]
    longest = max(map(len, values), default=0)
    for node, name, shape, value, margin in zip(flow.nodes, names, shapes, values, _margins(flow), strict=True):
        bar = f" {_bar(node, flow)}" if flow.has_gradients else ""
        rows.append(f"{name:{width}}  {shape:{wide}}{bar} {value:{longest}}  {margin}".rstrip())
    if flow.has_gradients:
        decades = f"{flow.scale:g} decade{'s' * (flow.scale != 1)}"
        rows += ["", f"▼ vanishing, ▲ exploding; a bar from the middle is {decades} long"]
    if any(edge.is_skip for edge in flow.edges):
        words = "%: the highway's share of the gradient, cos: of its angle with the branch's"
        rows.append(f"╮ │ ╯ highways, ⊕ where they merge; {words}")
    return "\n".join(rows)


def _name(node):
    """Title, operation and repeats: the title as it is elsewhere, the operation in the room that it leaves."""
    title = labels.title(node)
    operation, room = labels.plain(node.op), max(_LEAST, _LONGEST - len(title))
    if len(operation) > room and " · " in operation:
        operation = " · … · ".join(operation.split(" · ")[:: operation.count(" · ")])  # the first and the last
    operation = "" if node.op in (node.name, "input", "leaf") else f" ({labels.shorten(operation, room)})"
    return title + operation + (f" ×{node.repeats}" if node.repeats > 1 else "")


def _bar(node, flow):
    if node.value is None or node.is_neutral:
        return " " * (2 * _BAR + 1)
    length = min(_BAR, max(int(node.value != 0.0), round(abs(node.value) / flow.scale * _BAR)))
    left, right = ("█" * length, "") if node.value < 0 else ("", "█" * length)
    return f"{left:>{_BAR}}│{right:<{_BAR}}"


def _margins(flow):
    """The highways beside the lines: each in the first column that is free over its whole length."""
    place = {node.id: i for i, node in enumerate(flow.nodes)}
    cells = [{} for _ in flow.nodes]
    ends = [""] * len(flow.nodes)
    for edge in flow.edges:
        if not edge.is_skip:
            continue
        begin, end = place[edge.source], place[edge.target]
        column = next(c for c in range(len(flow.nodes)) if all(c not in cells[i] for i in range(begin, end)))
        for i in range(begin, end + 1):
            cells[i].setdefault(column, "╮" if i == begin else "╯" if i == end else "│")
        met = edge.agreement
        cosine = f" cos {met.cosine:.2f}".replace("-", "−") if met is not None and met.cosine is not None else ""
        ends[end] += f" {labels.share(edge)}{cosine}".rstrip()
    return ["".join(row.get(c, " ") for c in range(max(row, default=-1) + 1)) + end
            for row, end in zip(cells, ends, strict=True)]  # fmt: skip
