"""The document: scenes, cards and rules as JSON, the first picture as SVG, and the script, in one HTML file."""

import os
import re
from functools import cache
from html import escape
from importlib.resources import files

from ..files import check_folder, write_atomically
from ..graph import claim, labels
from ..graph.flow import GradientFlow, compare_scale
from . import chain, facts, svg
from .legend import legend
from .packed import as_json, by_column, packed
from .scene import READABLE, Stage

_WINDOWS = {1: (1004.0, 600.0), 2: (484.0, 600.0)}  # room for each graph on a laptop's screen
_SCRIPTS = ("words", "bend", "camera", "graph", "hands", "panel", "begin")
_HEIGHT = 680  # pixels of the frame in a notebook


def save(path, *flows, title=None):
    """Write the page of one graph, or of two side by side, to an .html file; returns the path.

    Raises ValueError for another suffix or number of graphs, OSError for a folder that cannot be written to. The
    file is written whole or not at all.
    """
    path = os.fspath(path)
    if os.path.splitext(path)[1].lower() not in (".html", ".htm"):
        raise ValueError(f"{path!r} ends in no known format; pages are written as .html")
    check_folder(path)
    write_atomically(path, to_html(*flows, title=title).encode("utf-8"))
    return path


def to_html(*flows, title=None):
    """The page as text: the same model and seed give the same bytes. Two graphs share the larger scale."""
    if not 1 <= len(flows) <= 2:
        raise ValueError(f"a page shows one graph or two side by side, got {len(flows)}")
    for flow in flows:
        if not isinstance(flow, GradientFlow):
            raise TypeError(f"a page shows graphs, as viz.gradient_flow makes them, not {type(flow).__name__}")
    scale = compare_scale(*flows)
    flows = [flow if flow.scale == scale else flow.with_scale(scale) for flow in flows]
    names = _names(flows)
    stages = [Stage(flow, _WINDOWS[len(flows)], compact=len(flows) == 2) for flow in flows]
    heading = labels.plain(title or (names[0] if len(flows) == 1 else f"{names[0]} and {names[1]}"))
    shown = _level_to_show(stages)
    panes = [_pane(stage, name, shown) for stage, name in zip(stages, names, strict=True)]
    operations = {box.node.op for stage in stages for box in stage.boxes}
    data = {
        "title": heading, "panes": panes, "scale": scale, "bins": svg.BINS, "rules": facts.rules(operations),
        "claim": claim.comparison(flows, names) if len(flows) == 2 else "", "theme": flows[0].theme,
    }  # fmt: skip
    parts = {
        "title": escape(heading), "css": style(), "unpack": _bare(_asset("unpack.js")),
        "program": packed(script()), "data": packed(as_json({**data, "panes": by_column(panes)})),
        "widths": svg.width_rules(set().union(*(stage.widths for stage in stages))),
        "light": svg.colour_rules(dark=False), "dark": _nested(svg.colour_rules(dark=True)),
        "panes": "".join(_picture(*one, number) for number, one in enumerate(zip(stages, panes, strict=True))),
        "two": " two" if len(flows) == 2 else "", "claim": svg.raised(data["claim"] or panes[0]["claim"]),
        "legend": legend(flows, names), "beside": chain.beside(flows, names),
        "theme": flows[0].theme, "subtitle": _subtitle(flows),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("page.html"))


def script():
    """The page's program, from its parts."""
    return '"use strict";\n(() => {\n' + "".join(_asset(f"{name}.js") for name in _SCRIPTS) + "})();\n"


def style():
    """The page's style sheet, without the colours of the scale."""
    return _bare(_asset("page.css")).replace("\n", "")


def in_frame(html):
    """The page inside a frame, as a notebook shows it."""
    return (
        f'<iframe srcdoc="{escape(html)}" sandbox="allow-scripts allow-popups" loading="lazy" title="Gradient flow"'
        f' style="width:100%;height:{_HEIGHT}px;border:1px solid #d8dde3;border-radius:8px"></iframe>'
    )


def _names(flows):
    names = [labels.plain(flow.title or "Gradient flow") for flow in flows]
    return names if len(set(names)) == len(names) else [f"{name} {i}" for i, name in enumerate(names, 1)]


def _subtitle(flows):
    losses = [f"loss {labels.number(flow.loss)}" for flow in flows if flow.loss is not None]
    named = ["gradient flow"] if any(flow.title for flow in flows) else []
    said = f'<span class="last">{", " * len(named)}{escape(" and ".join(losses))}</span>' if losses else ""
    return "".join(named) + said


def _level_to_show(stages):
    """The name of the level that the page opens with: the graph's own; of two graphs the finest that is readable."""
    names = [level.name for level in stages[0].levels]
    if len(stages) == 1:
        return stages[0].flow.level
    both = [name for name in names if all(name in [level.name for level in stage.levels] for stage in stages)]
    readable = [name for name in both if all(stage.fit(name) >= READABLE for stage in stages)]
    return (readable or both[-1:] or [stages[0].flow.level])[0]


def _pane(stage, name, shown):
    """What the script knows of a graph: all but the shapes of the first picture, which it finds in there."""
    flow, levels = stage.flow, [level.name for level in stage.levels]
    level = levels.index(shown) if shown in levels else len(levels) - 1
    cards = [facts.card(box, svg.look(box.node, flow), flow) for box in stage.boxes]
    for index, *_ in stage.scenes[level]["nodes"]:
        del cards[index]["svg"]
    scenes = list(stage.scenes)
    scenes[level] = {key: value for key, value in scenes[level].items() if key != "paths"}
    return {
        "name": name, "claim": claim.claim(flow), "has": int(flow.has_gradients),
        "level": level, "cards": cards, "scenes": scenes, "insides": stage.insides, "training": stage.training,
    }  # fmt: skip


def _picture(stage, pane, number):
    """The first picture of a graph as plain SVG: what shows before, and without, the script."""
    scene = stage.scenes[pane["level"]]
    shapes = [
        f'<rect class="fold" x="{x}" y="{y}" width="{w}" height="{h}" rx="10"/>'
        f'<text class="foldt" x="{x + 12}" y="{y + 4}">{caption}</text>'
        for x, y, w, h, caption, *_ in scene["folds"]
    ]
    shapes += scene["paths"]
    for index, x, y, _ in scene["nodes"]:
        box = stage.boxes[index]
        shapes.append(f'<g class="n {svg.look(box.node, stage.flow)}" transform="translate({x},{y})">{box.markup}</g>')
    name, label = escape(pane["name"]), escape(f"Graph of {pane['name']}: {len(scene['nodes'])} nodes")
    return (
        f'<section class="pane" aria-label="{name}"><h2>{name}</h2><div class="world">'
        f'<svg class="graph" id="g{number}" role="group" aria-label="{label}"'
        f' viewBox="-20 -20 {scene["w"] + 40} {scene["h"] + 40}"><g class="root">{"".join(shapes)}</g></svg>'
        '<svg class="over" aria-hidden="true"></svg></div></section>'
    )


def _nested(rules):
    """Rules that hold under the dark theme only."""
    return ":root[data-theme=dark]{" + rules + "}"


def _bare(source):
    """A script or style sheet without indentation, blank lines and comments."""
    source = re.sub(r"^\s*/\*.*?\*/\n", "", source, flags=re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"  // .*", "", line).strip() for line in source.splitlines()]
    source = "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
    return re.sub(r"(?<=[{};,(])\n|\n(?=[}).?:&|+])", "", source)


@cache
def _asset(name):
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
