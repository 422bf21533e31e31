"""The graph as DOT text. Deterministic: stable ids in topological order, no set, no address, no time."""

import textwrap

from . import labels, theme
from .claim import claim

_CLAIM = 66  # characters in a line of the sentence that says what the picture shows
_SPACE = "&#160;"  # before and behind a text: its font is seldom the one that Graphviz measures


def to_dot(flow):
    """DOT text of a `GradientFlow`, with tooltips and a legend that holds the colour bar."""
    heavy = len(flow.nodes) > 300 or len(flow.edges) > 3 * len(flow.nodes)
    lines = [
        "digraph gradient_flow {",
        f'  graph [rankdir=TB, ranksep=0.28, nodesep=0.3, fontname="{theme.FONT}", bgcolor="{theme.PAPER}", labelloc=t,'
        f" pad=0.15, label=<{_legend(flow)}>]",
        f'  node [shape=plain, fontname="{theme.FONT}", fontsize=11, fontcolor="{theme.INK}"]',
        f'  edge [fontname="{theme.FONT}", fontsize=10, arrowsize=0.6, color="{theme.TRUNK}", fontcolor="{theme.INK}"]',
    ]
    if heavy:  # many long edges: bound the work of the layout
        lines.append("  graph [nslimit=1, nslimit1=1, mclimit=0.3, splines=line]")
    lines += [f"  {_node(node, flow)}" for node in flow.nodes]
    folds = {}
    for node in flow.nodes:
        if node.fold is not None:
            folds.setdefault(node.fold, []).append(node)
    for number, nodes in folds.items():
        lines.append(
            f"  subgraph cluster_{number} {{ graph [label={_quote(labels.fold(nodes))}, labeljust=r, labelloc=t,"
            f' style="rounded,dashed", color="{theme.BORDER}", fontsize=10, margin=10]; '
            + "; ".join(node.id for node in nodes) + " }"
        )  # fmt: skip
    rank = ranks(flow)
    lines += [f"  {_edge(edge, flow, rank[edge.target] - rank[edge.source])}" for edge in flow.edges]
    return "\n".join([*lines, "}", ""])


def escape(text):
    """Text for an HTML-like label: every character that means something there becomes an entity."""
    text = labels.plain(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(character, entity)
    return text


def _quote(text):
    """A quoted DOT string. Entities and backslashes are read in it, so both are escaped; newlines are kept."""
    lines = [
        labels.plain(line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in text.split("\n")
    ]
    return '"' + "&#10;".join(line.replace("\\", "\\\\").replace('"', "&quot;") for line in lines) + '"'


def _node(node, flow):
    fill, border, width, dashed = labels.look(node, flow)
    ink = theme.text_on(fill)
    style = ' STYLE="ROUNDED,DASHED"' if dashed else ' STYLE="ROUNDED"'
    value = labels.value(node, flow.scale, flow.has_gradients)
    compact = labels.is_compact(flow)
    rows = [_row(f"<B>{escape(labels.title(node))}</B>", value and f"<B>{escape(value)}</B>", ink, 11)]
    rows += [_row(escape(line), "", ink, 9) for line in labels.narrow(labels.details(node, compact))]
    cells = labels.strip(node, compact) if flow.has_gradients else []
    if cells:
        rows.append(f'<TR><TD COLSPAN="2" ALIGN="LEFT" CELLPADDING="6">{_strip(cells, flow)}</TD></TR>')
    table = (
        f'<TABLE BORDER="{width}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"'
        f' BGCOLOR="{fill}" COLOR="{border}"{style}>'
        + "".join(rows) + "</TABLE>"
    )  # fmt: skip
    return f"{node.id} [label=<{table}>, tooltip={_quote(chr(10).join(labels.tooltip(node)))}]"


def _row(left, right, ink, size):
    font = f'<FONT COLOR="{ink}" POINT-SIZE="{size}">'
    if not right:
        return f'<TR><TD COLSPAN="2" ALIGN="LEFT">{font}{_SPACE}{left}{_SPACE}</FONT></TD></TR>'
    return (
        f'<TR><TD ALIGN="LEFT">{font}{_SPACE}{left}</FONT></TD>'
        f'<TD ALIGN="RIGHT">{font}{_SPACE}{_SPACE}{right}{_SPACE}</FONT></TD></TR>'
    )  # fmt: skip


def _strip(cells, flow):
    size = max(4, min(14, 170 // len(cells)))
    row = "".join(
        f'<TD WIDTH="{size}" HEIGHT="8" BGCOLOR="{theme.fill(value, mark, flow.scale)}"></TD>' for value, mark in cells
    )
    return (
        f'<TABLE BORDER="1" COLOR="{theme.FAINT}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR>{row}</TR></TABLE>'
    )


def ranks(flow):
    """The longest path to each node."""
    rank = {node.id: 0 for node in flow.nodes}
    for edge in flow.edges:  # grouped by target, and the nodes are in topological order
        rank[edge.target] = max(rank[edge.target], rank[edge.source] + 1)
    return rank


def _edge(edge, flow, span):
    attributes = [f"tooltip={_quote(labels.edge_tooltip(edge, flow))}"]
    share = labels.share(edge)
    if edge.is_skip:
        attributes += [f'fontcolor="{theme.HIGHWAY}"', "weight=1"]
        attributes += ["tailport=e", "headport=e"] * (span > 1)  # along a branch it goes down, as any edge
    else:
        attributes.append("weight=20")
    if labels.edge_colour(edge) != theme.TRUNK:
        attributes.append(f'color="{labels.edge_colour(edge)}"')
    if share:
        attributes.append(f'label=" {share} "')
    if flow.has_gradients:
        attributes.append(f"penwidth={theme.width(edge.rms, flow.reference_rms, flow.scale)}")
        if edge.rms is None:
            attributes.append("style=dashed")
        elif edge.rms == 0.0:
            attributes.append("style=dotted")
    return f"{edge.source} -> {edge.target} [{', '.join(attributes)}]"


def _legend(flow):
    heading, caption, rows = labels.legend(flow)
    parts = [f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="14"><B>{escape(heading)}</B></FONT></TD></TR>']
    if flow.has_gradients:
        for line in textwrap.wrap(claim(flow), _CLAIM):
            parts.append(f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="11">{escape(line)}</FONT></TD></TR>')
        parts.append(f'<TR><TD ALIGN="LEFT">{_colour_bar(flow.scale)}</TD></TR>')
    parts.append(f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="10">{escape(caption)}</FONT></TD></TR>')
    for key, text in rows:
        sample = {
            "width": "▂▄▆", "skip": f'<FONT COLOR="{theme.HIGHWAY}"><B>━━</B></FONT>', "strip": "▤", "zero": "0",
            "none": "∅", "dashed": "╌╌", "dotted": "┈┈", "bad": f'<FONT COLOR="{theme.ALARM}">⚠</FONT>', "clipped": "",
        }[key]  # fmt: skip
        parts.append(f'<TR><TD ALIGN="LEFT"><FONT POINT-SIZE="10">{sample} {escape(text)}</FONT></TD></TR>')
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{"".join(parts)}</TABLE>'


def _colour_bar(scale):
    ticks = labels.ticks(scale)
    count = len(ticks) * 6
    values = [(2 * i + 1 - count) / count * scale for i in range(count)]
    width = 360 // count
    cells = "".join(f'<TD WIDTH="{width}" HEIGHT="12" BGCOLOR="{theme.colour(value, scale)}"></TD>' for value in values)
    aligned = ["LEFT", *["CENTER"] * (len(ticks) - 2), "RIGHT"]
    marks = "".join(
        f'<TD COLSPAN="6" ALIGN="{align}"><FONT POINT-SIZE="10">{text}</FONT></TD>'
        for (_, text), align in zip(ticks, aligned, strict=True)
    )
    words = "".join(
        f'<TD COLSPAN="{count // 3}" ALIGN="{align}"><FONT POINT-SIZE="10">{word}</FONT></TD>'
        for word, align in (("▼ vanishing", "LEFT"), (labels.MIDDLE, "CENTER"), ("exploding ▲", "RIGHT"))
    )
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">'
        f"<TR>{cells}</TR><TR>{marks}</TR><TR>{words}</TR></TABLE>"
    )
