"""The built-in renderer: the layered layout, drawn by matplotlib. Needs no other program and always works."""

from ..files import figure_bytes
from . import labels, theme
from .boxes import DETAIL, boxes_of, drawn_width, members_of_folds, room_of_folds, text_width
from .layout import GAP, layout, layout_in, layout_pair
from .pen import Legend, Pen
from .routes import PRICES

_MARGIN = 14.0
_DOTS_PER_INCH = 144
_SCREEN = (1050.0, 600.0)  # points of a laptop's window, 1400 × 800 pixels: what fits is seen whole at full size
_WHOLE = (1080.0, 675.0)  # of its screen, 1440 × 900 pixels
_FACTORS = (0.06, 0.12, 0.25, 0.5, 0.75, 1.0, 1.3, 1.6, 2.5)  # on the shape of the room: few columns to many
_TALLEST = 250.0  # points; what is higher may be wrapped
_TERSE_GAP, _TIGHT_GAP = 16.0, 12.0
_ANY_BREAK = (0.01,)  # as `PRICES`: low columns, and hardly a thought for what crosses from one to the next
_MANY = 1000  # nodes from which on speed counts
_TRY_UP_TO = 2000  # nodes and edges up to which several layouts are tried


def draw_bytes(flow, file_format, *, wrap=True):
    """The picture as bytes in "svg", "png" or "pdf"."""
    from .render import MOST_PIXELS

    figure = draw(flow, wrap=wrap)
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


def draw(flow, *, wrap=True):
    """A matplotlib Figure of the graph, as large as it needs to be; wrapped so that a laptop shows it, if it can."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    boxes = boxes_of(flow)
    boxes, placed = _on_a_screen(flow, boxes) if wrap else (boxes, _in_one_column(flow, boxes))
    legend = Legend(flow, placed.width)
    if placed.height + legend.height + 2 * _MARGIN > _SCREEN[1]:  # there is more room at the sides
        legend = Legend(flow, max(placed.width, _SCREEN[0] - 2 * _MARGIN))
    width = max(placed.width, legend.width) + 2 * _MARGIN
    height = placed.height + legend.height + 2 * _MARGIN
    limit = 60_000.0 / 144.0 * 72.0  # matplotlib's Agg canvas ends at 2^16 dots
    shrink = min(1.0, limit / max(width, height))
    figure = Figure(figsize=(width * shrink / 72.0, height * shrink / 72.0), facecolor=theme.PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    prepare(axes, width, height)
    pen = _pen_for(flow)(axes, shrink)
    pen.legend(legend, _MARGIN, _MARGIN)
    left = _MARGIN + max(0.0, (legend.width - placed.width) / 2)
    pen.graph(flow, boxes, placed, left, legend.height + _MARGIN)
    return figure


def _pen_for(flow):
    if len(flow.nodes) <= _MANY:
        return Pen
    from .quick import QuickPen  # it needs matplotlib to begin with

    return QuickPen


def draw_on(axes, flow, *, legend=False, terse=False):
    """Draw the graph into axes that exist, as large as fits; the legend only if asked for.

    terse: names and values only, as for a small picture of a large net.
    """
    boxes, room = boxes_of(flow, terse), _room(axes)
    placed = place(flow, boxes, room, _TERSE_GAP if terse else GAP)
    words = Legend(flow, placed.width) if legend else None
    above = words.height if legend else 0.0
    width = max(placed.width, words.width if legend else 0.0) + 2 * _MARGIN
    size = min(room[0] / width, room[1] / (placed.height + above + 2 * _MARGIN))
    pen = _paint(axes, flow, boxes, placed, room, size, above)
    if legend:
        pen.legend(words, _MARGIN, _MARGIN)


def draw_pair(axes, flows, *, terse=False):
    """Draw two graphs into two axes of one size, rank-aligned: what has one name stands at one height in both."""
    boxes = [boxes_of(flow, terse) for flow in flows]
    room = _room(axes[0])
    keys = [[node.name.split(" … ")[0].removesuffix(" ⊕") for node in flow.nodes] for flow in flows]
    graphs = [_measures(flow, own) for flow, own in zip(flows, boxes, strict=True)]
    gap = _TERSE_GAP if terse else GAP
    placed = layout_pair(graphs, keys, window=room, factors=_FACTORS, tallest=_TALLEST, gap=gap)
    size = min(min(room[0] / (one.width + 2 * _MARGIN), room[1] / (one.height + 2 * _MARGIN)) for one in placed)
    for one, flow, own, where in zip(axes, flows, boxes, placed, strict=True):
        _paint(one, flow, own, where, room, size, 0.0)


def _room(axes):
    """Width and height of axes in points."""
    figure, box = axes.get_figure(), axes.get_position()
    return box.width * figure.get_figwidth() * 72.0, box.height * figure.get_figheight() * 72.0


def _paint(axes, flow, boxes, placed, room, size, above):
    prepare(axes, room[0] / size, room[1] / size)
    pen = Pen(axes, size)
    pen.graph(flow, boxes, placed, (room[0] / size - placed.width) / 2, above + _MARGIN)
    return pen


def prepare(axes, width, height):
    """Give axes points as their unit, y downwards, and nothing of their own."""
    axes.set_xlim(0.0, width)
    axes.set_ylim(height, 0.0)
    axes.axis("off")


def _on_a_screen(flow, boxes):
    """(boxes, layout) for a laptop: whole in its window or on its screen if it can be, or else no wider than that."""
    brief = boxes_of(flow, brief=True)
    for words, screen, gap in ((boxes, _SCREEN, GAP), (boxes, _WHOLE, _TERSE_GAP), (boxes, _WHOLE, _TIGHT_GAP),
                               (brief, _WHOLE, _TERSE_GAP), (brief, _WHOLE, _TIGHT_GAP)):  # fmt: skip
        window = _window(flow, screen)
        if sum(box.width * box.height for box in words) > window[0] * window[1] and not _is_large(flow):
            continue
        placed = place(flow, words, window, gap)
        if (placed.width <= window[0] and placed.height <= window[1]) or _is_large(flow):
            return words, placed
    sizes, edges, room, together, label = _measures(flow, boxes)
    how = {"room": room, "together": together, "label": label, "gap": _TERSE_GAP, "scroll": True}
    return boxes, layout_in(_window(flow, _WHOLE), sizes, edges, factors=_FACTORS, tallest=_TALLEST, **how)


def _window(flow, screen):
    """The room (width, height) that margins and legend leave on a screen."""
    return screen[0] - 2 * _MARGIN, screen[1] - 2 * _MARGIN - Legend(flow, screen[0]).height


def _is_large(flow):
    """Whether a graph is so large that one layout is all it gets."""
    return len(flow.nodes) + len(flow.edges) > _TRY_UP_TO


def place(flow, boxes, window, gap=GAP):
    """The layout that shows the graph largest in a window (width, height), or whole at full size.

    What does not fit comes closer together, and if that is not enough, its columns break inside blocks.
    """
    sizes, edges, room, together, label = _measures(flow, boxes)
    close = min(gap, _TERSE_GAP)
    factors, tries = _FACTORS, [(gap, PRICES[:1]), (close, PRICES[:1]), (close, PRICES[1:])]
    tries += [(close, _ANY_BREAK)] * (close < _TERSE_GAP)
    if _is_large(flow):
        factors, tries = (1.0,), tries[1:2]
    best, most = None, 0.0
    for space, prices in dict.fromkeys(tries):
        how = {"factors": factors, "room": room, "gap": space, "prices": prices, "label": label}
        placed = layout_in(window, sizes, edges, tallest=_TALLEST, together=together, **how)
        fit = min(window[0] / max(1.0, placed.width), window[1] / max(1.0, placed.height))
        if best is None or fit > most * 1.02:
            best, most = placed, fit
        if fit >= 1.0:
            break
    return best


def _in_one_column(flow, boxes):
    sizes, edges, room, together, label = _measures(flow, boxes)
    return layout(sizes, edges, wrap=False, room=room, together=together, label=label)


def _measures(flow, boxes):
    """What the layout needs to know: (sizes, edges, room above and below nodes, nodes not to be parted, label)."""
    number = {node.id: i for i, node in enumerate(flow.nodes)}
    edges = [(number[edge.source], number[edge.target], edge.is_skip) for edge in flow.edges]
    together = members_of_folds(flow)
    sizes = [(box.width, box.height) for box in boxes]
    return sizes, edges, room_of_folds(together), together, widest_share(flow.edges, width=drawn_width)


def widest_share(edges, size=DETAIL, bold=False, width=text_width):
    """Width of the widest number beside a highway, 0 without any. width: how texts are measured."""
    return max((width(labels.share(edge), size, bold) for edge in edges if edge.is_skip), default=0.0)
