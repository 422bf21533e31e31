"""Draws nodes, edges, folds and the legend of a graph into matplotlib axes whose unit is a point."""

from . import labels, theme
from .boxes import CAPTION, DETAIL, DETAIL_LINE, PADDING, TITLE, TITLE_LINE, drawn_width, frames
from .claim import claim
from .outline import arrival, outline, share_places, shortened

_BAR = 380.0  # width of the colour bar
_BESIDE = 40.0  # from the bar to what explains it, where there is room beside it
_HEADING, _CLAIM, _SMALL = 12.5, 10.0, 8.5  # font sizes
_SAID, _ROW, SAMPLE = 15.0, 14.0, 26.0  # height of a line of the claim and of a row; where a row's text begins
_FIRST = 26.0  # from the top to what stands below the heading
_LONGEST_HEADING = 100


class Legend:
    """The legend of a graph in a picture of some width: heading, claim, colour bar, and rows below it or beside it.

    Measured before anything is drawn: `width` and `height` are what it needs.
    """

    def __init__(self, flow, room):
        heading, self.caption, self.rows = labels.legend(flow)
        self.flow, self.heading = flow, labels.shorten(heading, _LONGEST_HEADING)
        self.bar = 48.0 if flow.has_gradients else 0.0
        words = [drawn_width(self.caption, _SMALL), *(SAMPLE + drawn_width(text, _SMALL) for _, text in self.rows)]
        self.is_wide = flow.has_gradients and room >= _BAR + _BESIDE + max(words)
        beside = _BAR + _BESIDE + max(words) if self.is_wide else max(words)
        self.width = max(_BAR, beside, drawn_width(self.heading, _HEADING, True))
        self.claim = _lines(claim(flow), max(self.width, room), _CLAIM) if flow.has_gradients else []
        rows = _ROW * (1 + len(self.rows))
        self.height = _FIRST + _SAID * len(self.claim)
        self.height += (max(self.bar, rows) if self.is_wide else self.bar + rows) + 7.0


class Pen:
    """Draws in points on axes; `size` scales what matplotlib measures on paper: fonts and line widths.

    The axes' limits are set: `add_artist` does not look for them as `add_patch` does, a quarter of the whole time.
    """

    def __init__(self, axes, size):
        self.axes, self.size = axes, size

    def text(self, x, y, text, size, **options):
        self.axes.text(x, y, text.replace("$", r"\$"), fontsize=size * self.size, va="center", **options)

    def rectangle(self, x, y, width, height, **options):
        from matplotlib.patches import Rectangle

        options["linewidth"] = options.get("linewidth", 0.0) * self.size
        self.axes.add_artist(Rectangle((x, y), width, height, **options))

    def rounded(self, x, y, width, height, radius, **options):
        from matplotlib.patches import FancyBboxPatch

        corners = f"round,pad=0,rounding_size={radius}"
        self.axes.add_artist(FancyBboxPatch((x, y), width, height, boxstyle=corners, **options))

    def polygon(self, corners, colour, **options):
        from matplotlib.patches import Polygon

        self.axes.add_artist(Polygon(corners, closed=True, facecolor=colour, linewidth=0, **options))

    def line(self, path, **options):
        from matplotlib.patches import PathPatch

        self.axes.add_artist(PathPatch(path, facecolor="none", **options))

    def graph(self, flow, boxes, placed, left, top):
        """Everything but the legend, with the upper left corner of the layout at (left, top)."""
        centres = [(x + left, y + top) for x, y in placed.centres]
        routes = [[(x + left, y + top) for x, y in points] for points in placed.routes]
        folds = frames(flow, boxes, centres)
        for fold in folds:
            self._fold(fold)
        widths = [edge_width(edge, flow) for edge in flow.edges]
        for number, (edge, points, width) in enumerate(zip(flow.edges, routes, widths, strict=True)):
            self._edge(f"e{number}", edge, points, width, flow)
        taken = [(x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
                 for (x, y), box in zip(centres, boxes, strict=True)]  # fmt: skip
        taken += [fold.caption_box for fold in folds]
        shares = ["" if placed.crowded and edge.is_skip else labels.share(edge) for edge in flow.edges]
        sizes = [(drawn_width(share, DETAIL), DETAIL + 2.0) if share else None for share in shares]
        for edge, share, place in zip(flow.edges, shares, share_places(routes, sizes, widths, taken), strict=True):
            if share:
                self._share(edge, share, place)
        for node, box, (x, y) in zip(flow.nodes, boxes, centres, strict=True):
            self._node(node, box, x, y, flow)

    def _fold(self, fold):
        left, top, right, bottom = fold.box
        style = {"linestyle": "--", "edgecolor": theme.BORDER, "facecolor": "none", "linewidth": 1.0 * self.size}
        self.rounded(left, top, right - left, bottom - top, 8, **style)
        _, above, right, below = fold.caption_box
        self.text(right, (above + below) / 2, fold.caption, CAPTION, color=theme.INK, ha="right")

    def _node(self, node, box, x, y, flow):
        fill, border, width, dashed = labels.look(node, flow)
        ink = theme.text_on(fill)
        x, y = x - box.width / 2, y - box.height / 2
        self.rounded(
            x, y, box.width, box.height, 5, facecolor=fill, edgecolor=border, linewidth=width * self.size,
            linestyle="--" if dashed else "-", zorder=3, gid=node.id,
        )  # fmt: skip
        line = y + PADDING - 1.0 + TITLE_LINE / 2
        style = {"color": ink, "zorder": 4}
        self.text(x + PADDING, line, box.title, TITLE, fontweight="bold", **style)
        if box.value:
            self.text(x + box.width - PADDING, line, box.value, TITLE, fontweight="bold", ha="right", **style)
        line += TITLE_LINE / 2
        for detail in box.details:
            self.text(x + PADDING, line + DETAIL_LINE / 2, detail, DETAIL, **style)
            line += DETAIL_LINE
        if box.strip:
            cell = (box.width - 2 * PADDING) / len(box.strip)
            for i, (value, mark) in enumerate(box.strip):
                colour = theme.fill(value, mark, flow.scale)
                self.rectangle(x + PADDING + i * cell, line + 2.0, cell, 8.0, facecolor=colour, zorder=4)
            frame = {"facecolor": "none", "edgecolor": ink, "linewidth": 0.8, "zorder": 5}
            self.rectangle(x + PADDING, line + 2.0, box.width - 2 * PADDING, 8.0, **frame)

    def _edge(self, name, edge, points, width, flow):
        colour = labels.edge_colour(edge)
        style = "-" if not flow.has_gradients or edge.rms else "--" if edge.rms is None else ":"
        (ex, ey), (ux, uy) = points[-1], arrival(points)
        head = 5.0 + width
        path = _path(shortened(points, head * 0.9))
        self.line(path, edgecolor=colour, linewidth=width * self.size, linestyle=style, zorder=2, gid=name)
        half = 2.2 + width * 0.62
        base = (ex - ux * head, ey - uy * head)
        corners = [(ex, ey), (base[0] - uy * half, base[1] + ux * half), (base[0] + uy * half, base[1] - ux * half)]
        self.polygon(corners, colour, zorder=2)

    def _share(self, edge, share, place):
        ink = theme.HIGHWAY if edge.is_skip else theme.INK
        halo = {"facecolor": theme.PAPER, "alpha": 0.75, "edgecolor": "none", "pad": 0.6 * self.size}
        self.text(*place, share, DETAIL, color=ink, ha="left", zorder=2.5, bbox=halo)

    def legend(self, legend, x, y):
        flow = legend.flow
        self.text(x, y + 9.0, legend.heading, _HEADING, fontweight="bold", color=theme.INK)
        y += _FIRST
        for line in legend.claim:
            self.text(x, y + 2.0, line, _CLAIM, color=theme.INK)
            y += _SAID
        if flow.has_gradients:
            self._colour_bar(flow.scale, x, y)
            x, y = (x + _BAR + _BESIDE, y + 6.0) if legend.is_wide else (x, y + legend.bar)
        self.text(x, y, legend.caption, _SMALL, color=theme.INK)
        for key, text in legend.rows:
            y += _ROW
            self.sample(key, x, y)
            self.text(x + SAMPLE, y, text, _SMALL, color=theme.INK)

    def _colour_bar(self, scale, x, y):
        cells, ink = 40, {"color": theme.INK}
        step = _BAR / cells
        for i in range(cells):
            value = (2 * i + 1 - cells) / cells * scale
            self.rectangle(x + i * step, y, step + 0.3, 11.0, facecolor=theme.colour(value, scale))
        self.rectangle(x, y, _BAR, 11.0, facecolor="none", edgecolor=theme.FAINT, linewidth=0.6)
        ticks = labels.ticks(scale)
        for i, (value, tick) in enumerate(ticks):
            side = "left" if i == 0 else "right" if i == len(ticks) - 1 else "center"
            self.text(x + (value / scale + 1) * _BAR / 2, y + 19.0, tick, _SMALL, ha=side, **ink)
        for i, word in enumerate(("▼ vanishing", labels.MIDDLE, "exploding ▲")):
            self.text(x + i * _BAR / 2, y + 31.0, word, _SMALL, ha=("left", "center", "right")[i], **ink)

    def sample(self, key, x, y):
        """A sample of a mark, beside which a row of `labels.legend` says what it means."""
        if key == "width":
            corners = [(x, y - 0.5), (x + 20.0, y - 3.0), (x + 20.0, y + 3.0), (x, y + 0.5)]
            self.polygon(corners, theme.TRUNK)
        elif key == "skip":
            self.rectangle(x, y - 1.5, 20.0, 3.0, facecolor=theme.HIGHWAY)
        elif key in ("dashed", "dotted"):
            for i in range(3 if key == "dashed" else 6):
                width = 4.0 if key == "dashed" else 1.2
                self.rectangle(x + i * 20.0 / (3 if key == "dashed" else 6), y - 0.6, width, 1.2, facecolor=theme.TRUNK)
        elif key == "strip":
            for i, value in enumerate((-0.8, -0.4, 0.0, 0.4)):
                self.rectangle(x + 5 * i, y - 3.5, 5.0, 7.0, facecolor=theme.colour(value, 1.0))
            self.rectangle(x, y - 3.5, 20.0, 7.0, facecolor="none", edgecolor=theme.INK, linewidth=0.6)
        elif key != "clipped":
            fill = {"zero": theme.ZERO, "none": theme.NO_GRADIENT, "bad": theme.BAD}[key]
            options = {"linestyle": "--"} if key == "none" else {}
            self.rectangle(x, y - 4.5, 20.0, 9.0, facecolor=fill, edgecolor=theme.BORDER, linewidth=0.8, **options)


def _lines(text, room, size):
    """The text in lines that fit into the room."""
    lines = []
    for word in text.split():
        if lines and drawn_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def edge_width(edge, flow):
    """Pen width of an edge in points."""
    return theme.width(edge.rms, flow.reference_rms, flow.scale) if flow.has_gradients else theme.THINNEST


def _path(points):
    from matplotlib.path import Path

    codes = {"M": [Path.MOVETO], "L": [Path.LINETO], "Q": [Path.CURVE3] * 2, "C": [Path.CURVE4] * 3}
    commands = outline(points)
    return Path([point for _, *at in commands for point in at], [code for c, *_ in commands for code in codes[c]])
