"""A node, an edge and a fold as SVG text, placed by nobody yet: the colours are classes, the style sheet's matter."""

import itertools
import math
import re
from xml.sax.saxutils import escape as _escape

from ..graph import labels, theme
from ..graph.boxes import text_width
from ..graph.outline import outline, shortened

PADDING, TITLE, DETAIL = 10.0, 12.0, 10.0  # pixels at zoom 1; the last two are font sizes
TITLE_LINE, DETAIL_LINE, STRIP_LINE = 18.0, 14.0, 13.0
BINS = 20  # steps of colour on either side of the reference
_TOGGLE = 18.0  # room for the button that opens a node
TOGGLE_SIGN = '<g class="o"><rect x="7" y="7" width="15" height="15" rx="4"/><path d="M11,14.5h7M14.5,11v7"/></g>'
_MARKERS = (2.2, 4.2)  # widths of an edge from which its arrow head is larger
_NUMBER = r"(?:[−\d.]+(?:e[−+]\d+)?|NaN|−?Inf)"
_GRADIENT = re.compile(rf"(?:, )?gradient {_NUMBER}$")  # a lone number's, shown when it has arrived
_LAST = re.compile(rf"^(?:value {_NUMBER}(?=$|<)|⚠ .*)")  # its value, and a warning: of the last step of training
_POWER = re.compile(r"10\^([+−-]?\d+(?:\.\d+)?)")


def escape(text):
    return _escape(labels.plain(text), {'"': "&quot;", "'": "&#39;"})


def colour_class(value, mark, scale, neutral=False):
    """The class that gives a node its fill: c0 (vanishing) … c40 (exploding), or the mark's own."""
    if mark in ("nan", "inf"):
        return "bad"
    if mark in ("zero", "none"):
        return mark
    if neutral or value is None:
        return "plain"
    return f"c{BINS + round(min(max(value / scale, -1.0), 1.0) * BINS)}"


def colour_rules(dark):
    """The style sheet of the colour classes, on paper or on a dark screen."""
    lines = []
    for index in range(2 * BINS + 1):
        fill = theme.colour(index - BINS, BINS)
        if dark:
            fill = _dark(index / BINS - 1.0)
        ink = "#000000" if theme.ink_on(fill) == theme.INK else "#ffffff"
        lines.append(f".c{index}{{--f:{fill};--k:{ink}}}")
    return "".join(lines)


_DARK = ((-1.0, "#8ecbff"), (-0.5, "#2f7fc4"), (-0.2, "#24507a"), (0.0, "#343a43"), (0.2, "#6f3a35"), (0.5, "#c4503f"),
         (1.0, "#ffab94"))  # fmt: skip


def _dark(position):
    """The same scale for a dark screen: the reference is dark, and light is what is far from it."""
    for (left, low), (right, high) in itertools.pairwise(_DARK):
        if position <= right:
            part = (position - left) / (right - left)
            pairs = [(int(low[i : i + 2], 16), int(high[i : i + 2], 16)) for i in (1, 3, 5)]
            return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in pairs)
    return _DARK[-1][1]


class Box:
    """What stands in a node: its size, and its SVG with the upper left corner at 0, 0.

    least: pixels that it is wide at least; others: what may stand in the place of its value, for which there is room.
    """

    def __init__(self, node, flow, compact, can_open, least=0.0, others=()):
        self.node = node
        title, value = labels.title(node), labels.value(node, flow.scale, flow.has_gradients)
        details = labels.narrow(labels.details(node, compact))
        strip = labels.strip(node, compact) if flow.has_gradients else []
        left = PADDING + (_TOGGLE if can_open else 0.0)
        heading = left - PADDING + text_width(title, TITLE, True)
        heading += 16.0 + max(map(_value_width, [value, *others])) if value else 0.0
        widest = max([heading, 56.0, *(text_width(line, DETAIL) for line in details)])
        self.width = math.ceil(max(least, 2 * PADDING + widest))
        self.height = math.ceil(10.0 + TITLE_LINE + DETAIL_LINE * len(details) + STRIP_LINE * bool(strip))
        self.markup = self._markup(title, value, details, strip, left, flow)

    def _markup(self, title, value, details, strip, left, flow):
        width, height = self.width, self.height
        parts = [f'<rect class="b" width="{width}" height="{height}" rx="7"/>']
        if left > PADDING:
            parts.append(TOGGLE_SIGN)
        parts.append(f'<text class="t" x="{left:g}" y="19">{escape(title)}</text>')
        if value:
            parts.append(f'<text class="v" x="{width - PADDING:g}" y="19">{powers(value)}</text>')
        y = 5.0 + TITLE_LINE
        for line in details:
            text = _GRADIENT.sub(r'<tspan class="g">\g<0></tspan>', escape(line))
            text = _LAST.sub(r'<tspan class="a">\g<0></tspan>', text)
            parts.append(f'<text class="d" x="{PADDING:g}" y="{y + 10.5:g}">{text}</text>')
            y += DETAIL_LINE
        if strip:
            cell = (width - 2 * PADDING) / len(strip)
            cells = "".join(
                f'<rect class="{colour_class(v, mark, flow.scale)}" x="{PADDING + i * cell:.5g}" y="{y + 3:g}"'
                f' width="{cell + 0.2:.4g}" height="8"/>'
                for i, (v, mark) in enumerate(strip)
            )
            frame = f'<rect class="f" x="{PADDING:g}" y="{y + 3:g}" width="{width - 2 * PADDING:g}" height="8"/>'
            parts.append(f'<g class="s">{cells}{frame}</g>')
        return "".join(parts)


def powers(text):
    """10^-2.4 with its exponent raised, and what follows it back on the line."""
    text, back = escape(text).replace("10^-", "10^−"), '<tspan dy="4">&#8203;</tspan>'
    return _POWER.sub(r'10<tspan class="x" dy="-4">\1</tspan>' + back, text).removesuffix(back)


def raised(text):
    """The same for the text of the page."""
    return _POWER.sub(r"10<sup>\1</sup>", escape(text).replace("10^-", "10^−"))


def _value_width(text):
    return text_width(_POWER.sub("10", text), TITLE, True) + sum(
        text_width(exponent, TITLE * 0.78, True) for exponent in _POWER.findall(text)
    )


def look(node, flow):
    """The classes of a node: its colour and what is special about it."""
    mark = node.mark if flow.has_gradients else "data"
    names = [colour_class(node.value, mark, flow.scale, node.is_neutral)]
    flags = (("alarm", node.is_first_bad or node.is_first_bad_output), ("merge", node.is_merge),
             ("ref", node.is_reference))  # fmt: skip
    return " ".join(names + [name for name, holds in flags if holds])


def edge_width(edge, flow):
    """Width of an edge in pixels."""
    return theme.width(edge.rms, flow.reference_rms, flow.scale) if flow.has_gradients else 1.4


def tenths(width):
    """The number in an edge's class of width."""
    return round(10.0 * width)


def width_rules(found):
    """The style sheet of the classes of width, w8 for 0.8 pixels."""
    return "".join(f".w{number}{{stroke-width:{number / 10:g}}}" for number in sorted(found))


def edge(edge, points, flow):
    """The path of an edge along these points, which stops where its head begins."""
    width = edge_width(edge, flow)
    size = sum(width > limit for limit in _MARKERS)
    head = (5.0, 7.0, 9.5)[size]
    kind = "e s" if edge.is_skip else "e"
    if flow.has_gradients and edge.rms is None:
        kind += " z"
    elif edge.rms == 0.0:
        kind += " q"
    elif edge.rms is not None and not math.isfinite(edge.rms):
        kind += " bad"
    way = relative(outline(shortened(points, head)))
    return f'<path class="{kind}{("", " h1", " h2")[size]} w{tenths(width)}" d="{way}"/>'


def share_size(edge):
    """(width, height) of the number beside an edge, None without one."""
    share = labels.share(edge)
    return (text_width(share, DETAIL, edge.is_skip), DETAIL + 2.0) if share else None


def relative(commands):
    """A way as the text of a path, in whole pixels from where the pen is: `M24,85h46q9 0 9 9v20`. Of the commands of
    `outline`; the script reads it in `wayOf`."""
    parts, x, y = [], 0, 0
    for command, *points in commands:
        points = [(round(left), round(top)) for left, top in points]
        if command == "M":
            parts.append("M{},{}".format(*points[0]))
        elif command == "L" and x == points[0][0]:
            parts.append(f"v{points[0][1] - y}")
        elif command == "L" and y == points[0][1]:
            parts.append(f"h{points[0][0] - x}")
        else:
            steps = " ".join(f"{left - x} {top - y}" for left, top in points)
            parts.append(command.lower() + steps.replace(" -", "-"))
        x, y = points[-1]
    return "".join(parts)
