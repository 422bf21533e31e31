"""The words on a node, an edge and in the legend: the same for every renderer."""

import math
import re

from . import theme

MIDDLE = "like the reference"
_COMPACT_FROM = 20  # nodes from which each gets one line of detail
_LONG = 34  # characters from which a line of detail is divided
_SHORT = {"nan": "NaN", "inf": "Inf", "zero": "0", "none": "∅"}  # where the range of a fold begins
_LONGEST_NAME, _LONGEST_DETAIL, _LONGEST_STRIP = 34, 60, 40


def plain(text):
    """One line without control characters: a name may hold anything."""
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def shorten(text, longest):
    text = plain(text)
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[: longest - 1 - half]}…{text[-half:]}"


def shape(extents):
    return "×".join(str(extent) for extent in extents) if extents else "scalar"


def count(number):
    return f"{number:,}"


def number(value):
    """Four digits; NaN and Inf as they are written everywhere else."""
    return f"{value:.4g}".replace("-", "−").replace("nan", "NaN").replace("inf", "Inf")


def value(node, scale, has_gradients=True):
    """`▼ 10^-2.4`, or what stands in its place."""
    if not has_gradients:
        return ""
    known = [v for v, _ in node.strip if v is not None] if node.repeats > 1 else []
    if known:
        marks = {mark for _, mark in node.strip}
        low = next((short for mark, short in _SHORT.items() if mark in marks), theme.power(min(known)))
        high = theme.power(max(known))
        text = f"{low} … {high}" if low != high else low
        return text if node.mark or node.is_neutral else f"{theme.glyph(node.value, scale)} {text}"
    if node.is_neutral and node.is_loss and node.mark == "":
        return "loss"
    if node.mark or node.value is None:
        return theme.MARKS.get(node.mark, "")
    if node.is_neutral:
        return theme.power(node.value)
    return f"{theme.glyph(node.value, scale)} {theme.power(node.value)}"


def title(node):
    name = f"⊕ {node.name}" if node.is_merge and "⊕" not in node.name else node.name
    return shorten(_range(name) if node.repeats > 1 else name, _LONGEST_NAME)


def _range(name):
    """`blocks.0 … 17 ⊕` for `blocks.0 ⊕ … blocks.17 ⊕`: what both ends have in common is said once."""
    steps = re.fullmatch(r"(.+) \((\d+)\) … \1 \((\d+)\)", name)
    if steps:
        return f"{steps[1]} ({steps[2]} … {steps[3]})"
    first, dots, last = name.partition(" … ")
    start = first[: first.rfind(".") + 1]
    if not dots or not start or not last.startswith(start):
        return name
    return f"{first.removesuffix(' ⊕')} … {last[len(start) :]}"


def is_compact(flow):
    """Whether the graph is so large that its nodes must be small."""
    return len(flow.nodes) > _COMPACT_FROM


def look(node, flow):
    """(fill, border colour, border width, whether it is dashed) of a node."""
    fill = theme.fill(node.value, node.mark if flow.has_gradients else "data", flow.scale, node.is_neutral)
    dashed = node.mark == "none" and flow.has_gradients
    if node.is_first_bad or node.is_first_bad_output:
        return fill, theme.ALARM, 2, dashed
    if node.is_merge:
        return fill, theme.HIGHWAY, 2, dashed
    return (fill, theme.REFERENCE, 2, dashed) if node.is_reference else (fill, theme.BORDER, 1, dashed)


def details(node, compact=False):
    """The lines under the name: what it is, its output's shape, its parameters."""
    lines = []
    if node.kind == "input":
        lines.append(f"data  {shape(node.shape)}")
    elif node.kind == "leaf":
        lines.append("variable" if scalar(node) else f"variable  {shape(node.shape)}")
    else:
        operation = node.op if node.op != node.name else ""
        extents = "" if scalar(node) else shape(node.shape)
        lines.append(f"{operation}  {extents}".strip())
    if node.use and node.kind == "leaf" and node.repeats == 1:
        lines[0] += "  use {} of {}".format(*node.use)
    elif node.use and node.kind == "input" and node.repeats == 1:  # what is folded away reads it, too
        lines[0] += f"  read {node.use[1]}×"
    if node.constants:
        lines[0] += "  with " + ", ".join("a constant" if c is None else number(c) for c in node.constants)
    lines += scalar(node)
    if node.parameters and compact:
        lines[0] += f"  {count(node.parameter_count)} par."
    elif node.parameters:
        lines.append(parameters(node))
    if node.skips_inside:
        lines.append(f"holds {node.skips_inside} skip{'s' * (node.skips_inside > 1)}")
    if node.is_first_bad_output:
        lines.append("⚠ forward: the first output with NaN or Inf")
    if node.is_first_bad:
        lines.append("⚠ backward: the first gradient with NaN or Inf")
    return [shorten(line.strip(), _LONGEST_DETAIL) for line in lines if line]


def narrow(lines):
    """Lines of detail, each in two where it is long: operations, then shape and parameters."""
    parts = []
    for line in lines:
        first, *rest = line.split("  ")
        more = " · ".join(rest)
        parts += [first, more] if rest and len(line) > _LONG else [f"{first}  {more}" if rest else first]
    return parts


def scalar(node):
    """The numbers themselves, where there is one of each, as in the circuits of the lectures."""
    pairs = (("value", node.activation), ("gradient", node.gradient))
    known = [f"{word} {number(found.value)}" for word, found in pairs if found is not None and found.value is not None]
    return [", ".join(known)] if known else []


def parameters(node):
    total = f"{count(node.parameter_count)} parameter{'s' * (node.parameter_count != 1)}"
    frozen = ", frozen" if not any(parameter.requires_grad for parameter in node.parameters) else ""
    if len(node.parameters) > 2 or node.repeats > 1:
        return total + frozen
    rows = ", ".join(f"{p.name.rsplit('.', 1)[-1]} {shape(p.shape)}" for p in node.parameters)
    return f"{rows} = {total}{frozen}" if len(rows) < 36 else f"{total}{frozen}"


def strip(node, compact=False):
    """(value, mark) of what the node hides, at most 40 of them: of neighbours, the one farthest from the reference."""
    cells = [] if compact and node.repeats == 1 and node.kind != "group" else list(node.strip)
    if len(cells) <= _LONGEST_STRIP:
        return cells
    bins = [
        cells[i * len(cells) // _LONGEST_STRIP : (i + 1) * len(cells) // _LONGEST_STRIP] for i in range(_LONGEST_STRIP)
    ]
    return [max(cells, key=lambda cell: (*(cell[1] == mark for mark in _SHORT), abs(cell[0] or 0.0))) for cells in bins]


def fold(nodes):
    """The caption of a fold, from the nodes of its block."""
    with_parameters = [node for node in nodes if node.parameters]
    which = ""
    if with_parameters:
        which = ", shared parameters" if all(node.shared for node in with_parameters) else ", own parameters"
    return f"×{nodes[0].repeats}{which}"


def tooltip(node):
    """Everything known about a node, one fact a line."""
    lines = [f"{plain(node.name)} ({plain(node.op)})", f"output {shape(node.shape)} {node.dtype or ''}".rstrip()]
    if node.grad_rms is not None:
        lines.append(f"gradient RMS {node.grad_rms:.3g}, exact zeros {node.gradient.zeros:.0%}")
    if node.agreement is not None:
        lines.append(agreement(node.agreement))
    if node.act_rms is not None:
        lines.append(f"output RMS {node.act_rms:.3g}, exact zeros {node.activation.zeros:.0%}")
        if node.activation.size > 1:
            lines.append(f"output mean {number(node.activation.mean)} ± {number(node.activation.std)}")
    if node.details is not None and node.details.dead is not None:
        lines.append(f"dead units {node.details.dead:.1%}")
    if node.details is not None and node.details.saturated is not None:
        lines.append(f"saturated outputs {node.details.saturated:.1%}")
    for parameter in node.parameters[:12]:
        gradient = "" if parameter.gradient_rms is None else f", gradient RMS {parameter.gradient_rms:.3g}"
        ratio = parameter.update_ratio
        moved = "" if ratio is None else f", update ratio {ratio:.2g}"
        lines.append(f"{plain(parameter.name)} {shape(parameter.shape)}: {count(parameter.count)}{gradient}{moved}")
    if node.multiply_adds:
        lines.append(f"{count(node.multiply_adds)} multiply-adds")
    if node.saved_bytes:
        lines.append(f"{count(node.saved_bytes)} bytes kept for backward")
    if node.details is not None and node.details.source is not None:
        lines.append(plain("{}:{}  {}".format(*node.details.source)))
    lines += [f"holds {plain(name)}" for name in node.hidden[:24]]
    if len(node.hidden) > 24:
        lines.append(f"… and {len(node.hidden) - 24} more")
    return lines


def agreement(found):
    """`2 contributions meet: cosine 0.31, cancellation 0.81`."""
    which = "mean cosine" if found.count > 2 else "cosine"
    angle = "" if found.cosine is None else f"{which} {found.cosine:.2f}, ".replace("-", "−")
    return f"{found.count} contributions meet: {angle}‖Σc‖/Σ‖c‖ {found.cancellation:.2f}"


def share(edge):
    """What stands beside an edge: the factor that backward multiplies by there, where known, and the edge's share."""
    factor = "" if edge.derivative is None else f"×{edge.derivative}"
    if edge.share is None:
        return factor
    part = "<1%" if 0.0 < edge.share < 0.005 else f"{edge.share:.0%}"
    return f"{factor}, {part}" if factor else part


def edge_colour(edge):
    """Of a trunk, a highway, or what carries NaN or Inf."""
    if edge.rms is not None and not math.isfinite(edge.rms):
        return theme.ALARM
    return theme.HIGHWAY if edge.is_skip else theme.TRUNK


def edge_tooltip(edge, flow):
    if edge.rms is None:
        return "no gradient returns along this edge"
    text = f"returns a gradient of RMS {edge.rms:.3g}"
    if edge.derivative is not None:
        text += f", by the local derivative {edge.derivative}"
    if edge.share is not None:
        text += f", {edge.share:.1%} of what arrives at its source"
    text += " (skip)" if edge.is_skip else ""
    return text if edge.agreement is None else f"{text}; {agreement(edge.agreement)}"


def legend(flow):
    """(heading, caption of the colour bar, list of (sample, explanation) rows). Samples are keys for a renderer."""
    blocks = {"op": "every operation", "module": "modules", "block": "blocks", "folded": "repeated blocks folded"}
    heading = flow.title or "Gradient flow"
    loss = "" if flow.loss is None else f", loss {number(flow.loss)}"
    heading = f"{plain(heading)}  ({blocks[flow.level]}{loss})"
    if not flow.has_gradients:
        rows = [("skip", "highway: skips the branch beside it, ⊕ where they merge")]
        rows = rows if any(edge.is_skip for edge in flow.edges) else []
        return heading, "structure only: no backward pass was recorded", rows
    caption = f"gradient at each node's output, RMS relative to “{shorten(flow.reference, 30)}” (thick border)"
    rows = [("width", "edge width: the gradient that returns along it; %: its share where several meet")]
    if any(edge.derivative is not None for edge in flow.edges):
        rows.append(("clipped", "×: the local derivative, by which backward multiplies there"))
    if any(edge.is_skip for edge in flow.edges):
        rows.append(("skip", "highway: skips the branch beside it, ⊕ where they merge"))
    if any(edge.rms is None for edge in flow.edges):
        rows.append(("dashed", "dashed: no gradient returns, as to data"))
    if any(edge.rms == 0.0 for edge in flow.edges):
        rows.append(("dotted", "dotted: what returns is exactly 0"))
    marks = {node.mark for node in flow.nodes} | {mark for node in flow.nodes for _, mark in node.strip}
    if any(strip(node, is_compact(flow)) for node in flow.nodes):
        rows.append(("strip", "strip: the gradients inside, from the input side to the loss side"))
    if "zero" in marks:
        rows.append(("zero", "the gradient is exactly 0"))
    if "none" in marks:
        rows.append(("none", "no gradient arrived"))
    if marks & {"nan", "inf"}:
        rows.append(("bad", "NaN or Inf, and red edges that carry it"))
    if any(node.value is not None and abs(node.value) > flow.scale and not node.is_neutral for node in flow.nodes):
        rows.append(("clipped", "▼▼ ▲▲ beyond the colour scale"))
    return heading, caption, rows


def ticks(scale):
    """[(value, label)] along the colour bar from -D to D."""
    step = 1 if scale == 3 else scale / 2 if scale in (1, 2, 4, 6, 8, 12) else scale
    values = [i * step for i in range(-round(scale / step), round(scale / step) + 1)]
    return [(value, f"10^{value:+g}" if value else "10^0") for value in values]
