"""The built-in renderer: the layered layout, drawn by matplotlib. Needs no other program and always works."""

import itertools

from ..files import figure_bytes
from . import labels, theme
from .layout import GAP, layout, layout_pair

_MARGIN, _PADDING = 14.0, 5.0
_TITLE, _DETAIL = 10.0, 8.0  # font sizes in points
_TITLE_LINE, _DETAIL_LINE, _STRIP_LINE = 15.0, 11.5, 12.0
_LEGEND_WIDTH = 380.0
_DOTS_PER_INCH = 144
_TALLEST, _ASPECTS = (1000.0, 250.0), (1.0, 0.6, 1.6)  # where two graphs side by side may be wrapped, and how wide


def draw_bytes(flow, file_format):
    """The picture as bytes in "svg", "png" or "pdf"."""
    from .render import MOST_PIXELS

    figure = draw(flow)
    inches = figure.get_figwidth() * figure.get_figheight()
    dots = min(_DOTS_PER_INCH, (MOST_PIXELS / inches) ** 0.5)
    picture = figure_bytes(figure, file_format, dots)
    return _with_tooltips(picture, flow) if file_format == "svg" else picture


def _with_tooltips(svg, flow):
    """Give each node and edge of matplotlib's SVG a <title>: the tooltip of a browser, the words of a screen reader."""
    from xml.sax.saxutils import escape

    text = svg.decode("utf-8")
    titles = {node.id: "\n".join(labels.tooltip(node)) for node in flow.nodes}
    titles.update({f"e{i}": labels.edge_tooltip(edge, flow) for i, edge in enumerate(flow.edges)})
    parts = text.split('<g id="')
    for i, part in enumerate(parts[1:], 1):
        name = part[: part.index('"')]
        if name in titles:
            parts[i] = part.replace(">", f"><title>{escape(titles[name])}</title>", 1)
    return '<g id="'.join(parts).encode("utf-8")


def draw(flow, *, wrap=True, aspect=1.3):
    """A matplotlib Figure of the graph, as large as it needs to be."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    boxes = [_Box(node, flow) for node in flow.nodes]
    placed = place(flow, boxes, wrap, aspect)
    legend = _legend_height(flow)
    width = max(placed.width, _LEGEND_WIDTH) + 2 * _MARGIN
    height = placed.height + legend + 2 * _MARGIN
    limit = 60_000.0 / 144.0 * 72.0  # matplotlib's Agg canvas ends at 2^16 dots
    shrink = min(1.0, limit / max(width, height))
    figure = Figure(figsize=(width * shrink / 72.0, height * shrink / 72.0), facecolor=theme.PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    _prepare(axes, width, height)
    pen = _Pen(axes, shrink)
    pen.legend(flow, _MARGIN, _MARGIN)
    pen.graph(flow, boxes, placed, _MARGIN + max(0.0, (_LEGEND_WIDTH - placed.width) / 2), legend + _MARGIN)
    return figure


def draw_on(axes, flow, *, wrap=True, legend=False, terse=False):
    """Draw the graph into axes that exist, as large as fits; the legend only if asked for.

    terse: names and values only, as for a small picture of a large net.
    """
    boxes = [_Box(node, flow, terse) for node in flow.nodes]
    room = _room(axes)
    placed = place(flow, boxes, wrap, room[0] / room[1], 16.0 if terse else GAP)
    above = _legend_height(flow) if legend else 0.0
    size = _largest(placed, room, above)
    pen = _paint(axes, flow, boxes, placed, room, size, above)
    if legend:
        pen.legend(flow, _MARGIN, _MARGIN)


def draw_pair(axes, flows, *, terse=False):
    """Draw two graphs into two axes of one size, rank-aligned: what has one name stands at one height in both."""
    boxes = [[_Box(node, flow, terse) for node in flow.nodes] for flow in flows]
    room = _room(axes[0])
    keys = [[node.name.split(" … ")[0].removesuffix(" ⊕") for node in flow.nodes] for flow in flows]
    graphs = [_measures(flow, own) for flow, own in zip(flows, boxes, strict=True)]
    best = None
    for tallest, part in itertools.product(_TALLEST, _ASPECTS):  # what shows both the largest
        aspect, gap = part * room[0] / room[1], 16.0 if terse else GAP
        tried = layout_pair(graphs, keys, aspect=aspect, gap=gap, tallest=tallest)
        fit = min(_largest(one, room, 0.0) for one in tried)
        if best is None or fit > best[0] * 1.02:
            best = fit, tried
    size, placed = best
    for one, flow, own, where in zip(axes, flows, boxes, placed, strict=True):
        _paint(one, flow, own, where, room, size, 0.0)


def _room(axes):
    """Width and height of axes in points."""
    figure, box = axes.get_figure(), axes.get_position()
    return box.width * figure.get_figwidth() * 72.0, box.height * figure.get_figheight() * 72.0


def _largest(placed, room, above):
    return min(room[0] / (placed.width + 2 * _MARGIN), room[1] / (placed.height + above + 2 * _MARGIN))


def _paint(axes, flow, boxes, placed, room, size, above):
    _prepare(axes, room[0] / size, room[1] / size)
    pen = _Pen(axes, size)
    pen.graph(flow, boxes, placed, (room[0] / size - placed.width) / 2, above + _MARGIN)
    return pen


def _prepare(axes, width, height):
    axes.set_xlim(0.0, width)
    axes.set_ylim(height, 0.0)
    axes.axis("off")


def place(flow, boxes, wrap, aspect, gap=GAP):
    sizes, edges, room, together = _measures(flow, boxes)
    return layout(sizes, edges, wrap=wrap, aspect=aspect, room=room, gap=gap, together=together)


def _measures(flow, boxes):
    """What the layout needs to know: (sizes, edges, room above and below nodes, nodes not to be parted)."""
    number = {node.id: i for i, node in enumerate(flow.nodes)}
    edges = [(number[edge.source], number[edge.target], edge.is_skip) for edge in flow.edges]
    together, room = members_of_folds(flow), {}
    for members in together:
        room[members[0]] = (6.0, 0.0)
        room[members[-1]] = (room.get(members[-1], (0.0, 0.0))[0], 28.0)
    return [(box.width, box.height) for box in boxes], edges, room, together


def members_of_folds(flow):
    """The numbers of the nodes of each fold."""
    folds = {}
    for number, node in enumerate(flow.nodes):
        if node.fold is not None:
            folds.setdefault(node.fold, []).append(number)
    return list(folds.values())


def _legend_height(flow):
    _, _, rows = labels.legend(flow)
    return 26.0 + (48.0 if flow.has_gradients else 0.0) + 14.0 * (1 + len(rows)) + 14.0


def text_width(text, size, bold=False):
    """Width of a text in points, on the safe side: no font is measured, so that layout needs no renderer."""
    ems = sum(
        0.35 if c in "iljI.,:;|!' ()[]" else 0.95 if c in "mwMW⊕▼▲●…∅⚠%@" else 1.3 if ord(c) > 0x2E80 else 0.64
        for c in text
    )
    return ems * size * (1.1 if bold else 1.0)


class _Box:
    """What stands in a node, and how much room it needs."""

    def __init__(self, node, flow, terse=False):
        self.title, self.value = labels.title(node), labels.value(node, flow.scale, flow.has_gradients)
        self.details = labels.details(node, compact=labels.is_compact(flow))
        self.strip = labels.strip(node, compact=labels.is_compact(flow) or terse) if flow.has_gradients else []
        if terse:
            self.details = []
        heading = text_width(self.title, _TITLE, True) + (
            12.0 + text_width(self.value, _TITLE, True) if self.value else 0.0
        )
        self.width = 2 * _PADDING + max([heading, 40.0, *(text_width(line, _DETAIL) for line in self.details)])
        self.height = (
            2 * _PADDING - 2.0 + _TITLE_LINE + _DETAIL_LINE * len(self.details) + _STRIP_LINE * bool(self.strip)
        )


class _Pen:
    """Draws in points on axes; `size` scales what matplotlib measures on paper: fonts and line widths."""

    def __init__(self, axes, size):
        self.axes, self.size = axes, size

    def text(self, x, y, text, size, **options):
        self.axes.text(x, y, text.replace("$", r"\$"), fontsize=size * self.size, va="center", **options)

    def rectangle(self, x, y, width, height, **options):
        from matplotlib.patches import Rectangle

        options["linewidth"] = options.get("linewidth", 0.0) * self.size
        self.axes.add_patch(Rectangle((x, y), width, height, **options))

    def graph(self, flow, boxes, placed, left, top):
        self._folds(flow, boxes, placed, left, top)
        for number, (edge, points) in enumerate(zip(flow.edges, placed.routes, strict=True)):
            self._edge(f"e{number}", edge, [(x + left, y + top) for x, y in points], flow)
        for node, box, (x, y) in zip(flow.nodes, boxes, placed.centres, strict=True):
            self._node(node, box, x + left, y + top, flow)

    def _folds(self, flow, boxes, placed, left, top):
        from matplotlib.patches import FancyBboxPatch

        for members in members_of_folds(flow):
            x0 = min(placed.centres[i][0] - boxes[i].width / 2 for i in members) - 8.0
            x1 = max(placed.centres[i][0] + boxes[i].width / 2 for i in members) + 8.0
            y0 = min(placed.centres[i][1] - boxes[i].height / 2 for i in members) - 9.0
            y1 = max(placed.centres[i][1] + boxes[i].height / 2 for i in members) + 22.0
            style = {"linestyle": "--", "edgecolor": theme.BORDER, "facecolor": "none", "linewidth": 1.0 * self.size}
            corners = "round,pad=0,rounding_size=8"
            patch = FancyBboxPatch((x0 + left, y0 + top), x1 - x0, y1 - y0, boxstyle=corners, **style)
            self.axes.add_patch(patch)
            caption = labels.fold([flow.nodes[i] for i in members])
            self.text(x1 + left - 6.0, y1 + top - 9.0, caption, 9.0, color=theme.INK, ha="right")

    def _node(self, node, box, x, y, flow):
        from matplotlib.patches import FancyBboxPatch

        fill, border, width, dashed = labels.look(node, flow)
        ink = theme.ink_on(fill)
        x, y = x - box.width / 2, y - box.height / 2
        patch = FancyBboxPatch(
            (x, y), box.width, box.height, boxstyle="round,pad=0,rounding_size=5", facecolor=fill, edgecolor=border,
            linewidth=width * self.size, linestyle="--" if dashed else "-", zorder=3, gid=node.id,
        )  # fmt: skip
        self.axes.add_patch(patch)
        line = y + _PADDING - 1.0 + _TITLE_LINE / 2
        style = {"color": ink, "zorder": 4}
        self.text(x + _PADDING, line, box.title, _TITLE, fontweight="bold", **style)
        if box.value:
            self.text(x + box.width - _PADDING, line, box.value, _TITLE, fontweight="bold", ha="right", **style)
        line += _TITLE_LINE / 2
        for detail in box.details:
            self.text(x + _PADDING, line + _DETAIL_LINE / 2, detail, _DETAIL, **style)
            line += _DETAIL_LINE
        if box.strip:
            cell = (box.width - 2 * _PADDING) / len(box.strip)
            for i, (value, mark) in enumerate(box.strip):
                colour = theme.fill(value, mark, flow.scale)
                self.rectangle(x + _PADDING + i * cell, line + 2.0, cell, 8.0, facecolor=colour, zorder=4)
            frame = {"facecolor": "none", "edgecolor": theme.FAINT, "linewidth": 0.8, "zorder": 5}
            self.rectangle(x + _PADDING, line + 2.0, box.width - 2 * _PADDING, 8.0, **frame)

    def _edge(self, name, edge, points, flow):
        from matplotlib.patches import PathPatch, Polygon

        colour = theme.HIGHWAY if edge.is_skip else theme.TRUNK
        width = theme.width(edge.rms, flow.reference_rms, flow.scale) if flow.has_gradients else theme.THINNEST
        style = "-" if not flow.has_gradients or edge.rms else "--" if edge.rms is None else ":"
        (bx, by), (ex, ey) = points[-2:]
        length = max(1e-9, ((ex - bx) ** 2 + (ey - by) ** 2) ** 0.5)
        ux, uy = (ex - bx) / length, (ey - by) / length
        head = 5.0 + width
        if len(points) == 2 and abs(bx - ex) > 1.0:
            ux, uy = 0.0, 1.0  # a curve ends downwards
        stop = (ex - ux * head * 0.9, ey - uy * head * 0.9)
        path = _smooth([*points[:-1], stop])
        line = {"facecolor": "none", "edgecolor": colour, "linewidth": width * self.size, "linestyle": style}
        self.axes.add_patch(PathPatch(path, **line, zorder=2, gid=name))
        half = 2.2 + width * 0.62
        base = (ex - ux * head, ey - uy * head)
        corners = [(ex, ey), (base[0] - uy * half, base[1] + ux * half), (base[0] + uy * half, base[1] - ux * half)]
        self.axes.add_patch(Polygon(corners, closed=True, facecolor=colour, linewidth=0, zorder=2))
        share = labels.share(edge)
        if share:
            x, y, side = label_place(points, edge.is_skip, width)
            ink = colour if edge.is_skip else theme.INK
            halo = {"facecolor": theme.PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.6 * self.size}
            self.text(x, y, share, _DETAIL, color=ink, ha=side, zorder=2.5, bbox=halo)

    def legend(self, flow, x, y):
        heading, caption, rows = labels.legend(flow)
        self.text(x, y + 9.0, heading, 12.5, fontweight="bold", color=theme.INK)
        y += 26.0
        if flow.has_gradients:
            cells, ink = 40, {"color": theme.INK}
            step = _LEGEND_WIDTH / cells
            for i in range(cells):
                value = (2 * i + 1 - cells) / cells * flow.scale
                self.rectangle(x + i * step, y, step + 0.3, 11.0, facecolor=theme.colour(value, flow.scale))
            self.rectangle(x, y, _LEGEND_WIDTH, 11.0, facecolor="none", edgecolor=theme.FAINT, linewidth=0.6)
            ticks = labels.ticks(flow.scale)
            for i, (value, tick) in enumerate(ticks):
                side = "left" if i == 0 else "right" if i == len(ticks) - 1 else "center"
                self.text(x + (value / flow.scale + 1) * _LEGEND_WIDTH / 2, y + 19.0, tick, 8.5, ha=side, **ink)
            for i, word in enumerate(("▼ vanishing", labels.MIDDLE, "exploding ▲")):
                self.text(x + i * _LEGEND_WIDTH / 2, y + 31.0, word, 8.5, ha=("left", "center", "right")[i], **ink)
            y += 48.0
        self.text(x, y, caption, 8.5, color=theme.INK)
        for key, text in rows:
            y += 14.0
            self._sample(key, x, y)
            self.text(x + 26.0, y, text, 8.5, color=theme.INK)

    def _sample(self, key, x, y):
        from matplotlib.patches import Polygon

        if key == "width":
            corners = [(x, y - 0.5), (x + 20.0, y - 3.0), (x + 20.0, y + 3.0), (x, y + 0.5)]
            self.axes.add_patch(Polygon(corners, closed=True, facecolor=theme.TRUNK, linewidth=0))
        elif key == "skip":
            self.rectangle(x, y - 1.5, 20.0, 3.0, facecolor=theme.HIGHWAY)
        elif key == "strip":
            for i, value in enumerate((-0.8, -0.4, 0.0, 0.4)):
                self.rectangle(x + 5 * i, y - 3.5, 5.0, 7.0, facecolor=theme.colour(value, 1.0))
        elif key != "clipped":
            fill = {"zero": theme.ZERO, "none": theme.NO_GRADIENT, "bad": theme.BAD}[key]
            options = {"linestyle": "--"} if key == "none" else {}
            self.rectangle(x, y - 4.5, 20.0, 9.0, facecolor=fill, edgecolor=theme.BORDER, linewidth=0.8, **options)


def _smooth(points, radius=9.0):
    """A path through the points: an S-curve for a straight edge, rounded corners for a longer way."""
    from matplotlib.path import Path

    if len(points) == 2:
        (x0, y0), (x1, y1) = points
        middle = (y0 + y1) / 2
        return Path([(x0, y0), (x0, middle), (x1, middle), (x1, y1)], [Path.MOVETO] + [Path.CURVE4] * 3)
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _towards(corner, other, radius):
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(1e-9, (dx * dx + dy * dy) ** 0.5)
    part = min(radius, length / 2) / length
    return corner[0] + dx * part, corner[1] + dy * part


def label_place(points, is_skip, width):
    if is_skip and len(points) > 3:  # in the middle of its lane: of the longest piece downwards
        pieces = [pair for pair in itertools.pairwise(points) if pair[0][0] == pair[1][0] and pair[0][1] < pair[1][1]]
        (x, y0), (_, y1) = max(pieces, key=lambda pair: pair[1][1] - pair[0][1])
        return x + width / 2 + 3.0, (y0 + y1) / 2, "left"
    (x0, y0), (x1, y1) = points[:2]
    return x0 + (x1 - x0) * 0.3 + width / 2 + 3.0, y0 + (y1 - y0) * 0.38, "left"
