"""Every picture can be read: no label is cut or covered, no line runs through one, the legend explains the marks."""

import itertools
import re

import numpy as np
import pictured_nets as pictured
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from viz.graph import draw, labels, render, theme
from viz.graph.boxes import boxes_of, text_width
from viz.graph.outline import Taken, outline, polyline, share_places
from viz.page.scene import CAPTION, CLOSED, Stage
from viz.page.svg import share_size

PICTURES = [(name, "auto") for name in pictured.RECORDINGS] + [
    ("tanh_residual", "block"), ("tanh_residual", "folded"), ("resnet20", "op"), ("resnet20", "folded"),
    ("tanh_plain", "block"), ("resnet56", "folded"),
    ("plain56", "folded"), ("rnn50", "folded"), ("rnn50", "op"), ("dense_block", "block"),
    ("mobilenet_block", "block"),
]  # fmt: skip
SCROLLED = {  # nodes times their size is more than a screen has, whatever the columns
    ("resnet56", "auto"),  # 64 nodes in blocks of two, which is all that the level may hold; folded it fits
    ("resnet20", "op"), ("rnn50", "op"),  # 75 and 303 operations; in blocks they fit
}  # fmt: skip
WITH_SKIPS = ("tanh_residual", "resnet20", "resnet56", "resnet110", "mobilenet_block", "dense_block")


class Seen:
    """What stands on a figure, in pixels: boxes of nodes, texts, ways of edges."""

    def __init__(self, figure, axes=None):
        self.renderer = FigureCanvasAgg(figure).get_renderer()
        self.figure, self.axes = figure, axes or figure.axes[0]
        patches = self.axes.patches
        self.boxes = {p.get_gid(): p.get_window_extent(self.renderer) for p in patches
                      if re.fullmatch(r"n\d+", p.get_gid() or "")}  # fmt: skip
        self.texts = [(t.get_text(), t.get_window_extent(self.renderer)) for t in self.axes.texts]
        to_pixels = self.axes.transData.transform
        self.ways = {}
        for patch in patches:
            if re.fullmatch(r"e\d+", patch.get_gid() or ""):
                line = patch.get_path().to_polygons(closed_only=False)[0]
                self.ways[patch.get_gid()] = [tuple(point) for point in to_pixels(line)], patch.get_linewidth()

    def free_texts(self):
        """Texts that belong to no node."""
        inside = [box.expanded(1.02, 1.1) for box in self.boxes.values()]
        return [(t, e) for t, e in self.texts if not any(_within(e, box) for box in inside)]


def _within(inner, outer):
    return outer.x0 <= inner.x0 and inner.x1 <= outer.x1 and outer.y0 <= inner.y0 and inner.y1 <= outer.y1


def _overlap(a, b, by=0.5):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > by and min(a.y1, b.y1) - max(a.y0, b.y0) > by


def _shrunk(box, by):
    return Bbox.from_extents(box.x0 + by, box.y0 + by, box.x1 - by, box.y1 - by)


def _lines(ways, pixels_a_point):
    taken = Taken()
    for points, width in ways:
        taken.line(points, width / 2 * pixels_a_point)
    return taken


@pytest.fixture(scope="module")
def seen():
    kept = {}

    def of(name, level):
        if (name, level) not in kept:
            kept[name, level] = Seen(draw.draw(pictured.flow(name, level)))
        return kept[name, level]

    return of


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_all_text_is_on_the_picture(name, level, seen):
    of = seen(name, level)
    page = of.figure.bbox
    for text, extent in of.texts:
        assert _within(extent, page), text


def _check_all_is_on(figure):
    """Whatever is drawn lies inside the canvas: nodes, frames, ways with their heads, texts, samples of the legend."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for axes in figure.axes:
        for artist in (*axes.patches, *axes.texts, *axes.collections):
            half = artist.get_linewidth() / 2 * figure.dpi / 72.0 if hasattr(artist, "get_path") else 0.0
            extent = artist.get_window_extent(renderer)
            assert _within(_shrunk(extent, -half), figure.bbox), (artist.get_gid(), artist)


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_all_that_is_drawn_is_on_the_picture(name, level, seen):
    _check_all_is_on(seen(name, level).figure)


def _ends_in_a_fold(steps, both):
    """A graph of scalars whose last node, or last two, are a fold."""

    def loss():
        h = tg.tensor(0.5, requires_grad=True)
        for _ in range(steps):
            h = (h.tanh() * 1.5) if both else h.tanh()
        return h

    return viz.gradient_flow(loss, level="folded", title="a chain")


def _is_one_fold():
    """Without gradients, blocks and nothing else."""
    model = nn.Sequential(*[pictured.TanhBlock(8, True) for _ in range(12)])
    with viz.record(model) as recording:
        model(tg.tensor(np.zeros((2, 8), np.float32)))
    return viz.gradient_flow(recording, level="folded", title="Blocks")


FOLDS = [lambda: _ends_in_a_fold(20, False), lambda: _ends_in_a_fold(20, True), _is_one_fold]


@pytest.mark.parametrize("make", FOLDS, ids=["operation", "two operations", "blocks"])
@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("name", theme.THEMES)
def test_the_frame_of_a_fold_at_the_end_is_on_the_picture(make, wrap, name):
    flow = make()
    assert flow.nodes[-1].fold is not None
    with theme.use(name):
        _check_all_is_on(draw.draw(flow, wrap=wrap))


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_no_texts_and_no_nodes_overlap(name, level, seen):
    of = seen(name, level)
    for (one, a), (other, b) in itertools.combinations(of.texts, 2):
        assert not _overlap(a, b, 1.0), (one, other)
    for (one, a), (other, b) in itertools.combinations(of.boxes.items(), 2):
        assert not _overlap(a, b), (one, other)
    for text, extent in of.free_texts():
        assert not any(_overlap(extent, box, 1.0) for box in of.boxes.values()), text


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_no_line_runs_through_a_label_or_a_strange_node(name, level, seen):
    of, flow = seen(name, level), pictured.flow(name, level)
    pixels = of.figure.dpi / 72.0
    taken = _lines(of.ways.values(), pixels)
    for text, extent in of.free_texts():
        assert not taken.hits(_shrunk(extent, 1.0).extents), text
    for number, edge in enumerate(flow.edges):
        own = _lines([of.ways[f"e{number}"]], 0.0)
        for node, box in of.boxes.items():
            if node not in (edge.source, edge.target):
                assert not own.hits(_shrunk(box, 1.0).extents), (number, node)


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_the_legend_explains_what_is_drawn(name, level, seen):
    words = " | ".join(text for text, _ in seen(name, level).texts)
    flow = pictured.flow(name, level)
    assert "▼ vanishing" in words and "exploding ▲" in words and "thick border" in words and "edge width" in words
    assert ("highway" in words) == any(edge.is_skip for edge in flow.edges)
    assert ("dashed" in words) == any(edge.rms is None for edge in flow.edges)
    assert ("NaN or Inf" in words) == any(node.mark in ("nan", "inf") for node in flow.nodes)


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_a_laptop_shows_it_at_full_size(name, level, seen):
    """In 1440 × 900 pixels; what has too many nodes for that has all of its width there, and is scrolled down."""
    figure = seen(name, level).figure
    assert figure.get_figwidth() * 96 <= 1440
    assert (figure.get_figheight() * 96 <= 900) == ((name, level) not in SCROLLED)


@pytest.mark.parametrize(("name", "level"), PICTURES)
def test_letters_are_as_large_as_ever(name, level, seen):
    sizes = {text.get_fontsize() for text in seen(name, level).axes.texts}
    assert sizes <= {8.0, 8.5, 9.0, 10.0, 12.5}


@pytest.mark.parametrize("level", ["op", "block"])
def test_the_share_of_an_edge_stands_where_its_way_is_its_own(level):
    """Of the edges of a dense block that share a lane, beside the piece that those to earlier merges do not reach."""
    flow = pictured.flow("dense_block", level)
    boxes, placed = draw._on_a_screen(flow, boxes_of(flow))
    skips = [number for number, edge in enumerate(flow.edges) if edge.is_skip]
    sizes = [(20.0, 10.0) if number in skips else None for number in range(len(flow.edges))]
    taken = [(x - b.width / 2, y - b.height / 2, x + b.width / 2, y + b.height / 2)
             for (x, y), b in zip(placed.centres, boxes, strict=True)]  # fmt: skip
    places = share_places(placed.routes, sizes, [2.0] * len(sizes), taken)
    for number in skips:
        left, y = places[number]
        upright = {i: [x for (x, y0), (x1, y1) in itertools.pairwise(placed.routes[i])
                       if x == x1 and min(y0, y1) <= y <= max(y0, y1) and left - 12.0 < x < left + 32.0]
                   for i in skips if flow.edges[i].source == flow.edges[number].source}  # fmt: skip
        assert min(i for i, found in upright.items() if found) == number


def test_the_shares_of_a_fork_at_the_foot_of_a_column_stand_at_the_fork(seen):
    """Of ResNet-110's first fold: not half a column up, where other numbers are."""
    of, flow = seen("resnet110", "auto"), pictured.flow("resnet110")
    node = next(node for node in flow.nodes if node.name.startswith("blocks.0 ⊕"))
    foot = of.boxes[node.id].y0
    shares = [labels.share(edge) for edge in flow.edges if edge.source == node.id]
    assert len(shares) == 2
    for share in shares:
        places = [extent for text, extent in of.texts if text == share]
        assert min(abs(foot - (extent.y0 + extent.y1) / 2) for extent in places) < 60 * of.figure.dpi / 72


@pytest.mark.parametrize("name", WITH_SKIPS)
@pytest.mark.parametrize("level", ["op", "module", "block", "folded"])
def test_the_highway_is_visible_at_every_level(name, level):
    assert any(edge.is_skip for edge in pictured.flow(name, level).edges)


def test_the_claims_can_be_read_off():
    """What the pictures are made to show, as numbers that stand on their nodes."""
    steps = [node.value for node in pictured.flow("rnn50").nodes if node.name.startswith("read … tanh")]
    assert len(steps) == 50 and steps[0] < -12.0 and max(steps) < 0.0
    assert all(a < b for a, b in itertools.pairwise(steps[::5]))
    assert all(node.shared for node in pictured.flow("rnn50", "folded").nodes if node.repeats > 1)
    plain, residual = (pictured.flow(f"tanh_{net}", "block") for net in ("plain", "residual"))
    assert plain.node("0").value < -2.5 and residual.node("0").value > -0.5
    broken = pictured.flow("nan")
    assert [node.name for node in broken.nodes if node.is_first_bad] == ["0"]
    assert broken.node("1").value > 30.0


def test_the_layers_on_a_highway_are_one_node_of_their_own():
    flow = pictured.flow("resnet20", "block")
    node = flow.node("blocks.3.shortcut")
    assert node.hidden == ("blocks.3.shortcut.0 (conv2d)", "blocks.3.shortcut.1 (batch_norm)")
    assert node.skips_inside == 0
    around = [edge for edge in flow.edges if node.id in (edge.source, edge.target)]
    assert len(around) == 2 and all(edge.is_skip for edge in around)


def _circuit(name):
    """Scalar graphs as in the lectures, with a local derivative on each edge."""
    values_ = {"a": 3.0, "b": -4.0, "c": 2.0, "x": 2.0, "w": -1.5}
    a, b, c, x, w = leaves = [tg.tensor(value, requires_grad=True) for value in values_.values()]
    loss = {"neuron": lambda: (w * x + b).sigmoid(), "sigmoid": lambda: 1 / (1 + (-(w * x + a * b + c)).exp()),
            "gates": lambda: (a * b + tg.maximum(b, c)) * 2 + a * c}[name]  # fmt: skip
    return viz.gradient_flow(loss, names=dict(zip(values_, leaves, strict=True)))


@pytest.mark.parametrize(("name", "free"), [("neuron", True), ("sigmoid", True), ("gates", False)])
def test_the_local_derivatives_of_a_circuit_can_be_read(name, free):
    """None stands upon another, nor, where there is room beside it, upon a line."""
    flow = _circuit(name)
    of = Seen(draw.draw(flow))
    taken = _lines(of.ways.values(), of.figure.dpi / 72.0)
    texts = [(text, extent) for text, extent in of.free_texts() if text.startswith("×")]
    assert len(texts) >= 5
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        assert not _overlap(a, b), (one, other)
    assert not free or not any(taken.hits(_shrunk(extent, 1.0).extents) for _, extent in texts)


# ------------------------------------------------------------------------------------------- the page


def _points(path):
    """The way of an SVG path of the page, which goes on from where the pen is; curves in small steps."""
    line = []
    for command, text in re.findall(r"([Mhvlqc])([^Mhvlqc]*)", re.search(r' d="([^"]*)"', path)[1]):
        numbers = list(map(float, re.findall(r"-?\d+", text)))
        if command == "M":
            line.append(tuple(numbers))
            continue
        x, y = line[-1]
        steps = {"h": [*numbers, 0.0], "v": [0.0, *numbers]}.get(command, numbers)
        controls = [(x, y), *((x + dx, y + dy) for dx, dy in zip(steps[::2], steps[1::2], strict=True))]
        for step in range(1, 7):
            points = controls
            while len(points) > 1:
                points = [tuple(a + (b - a) * step / 6 for a, b in zip(p, q, strict=True))
                          for p, q in itertools.pairwise(points)]  # fmt: skip
            line.append(points[0])
    return line


@pytest.mark.parametrize("name", ["tanh_residual", "resnet20", "resnet110", "rnn50", "dense_block", "nan"])
@pytest.mark.parametrize("window", [(1004.0, 600.0), (484.0, 600.0)])
def test_numbers_and_captions_of_a_page_are_free(name, window):
    stage = Stage(pictured.flow(name), window, compact=window[0] < 600)
    for level, scene in zip(stage.levels, stage.scenes, strict=True):
        if len(level.nodes) > 200:
            continue
        boxes = [(x, y, x + stage.boxes[i].width, y + stage.boxes[i].height) for i, x, y, _ in scene["nodes"]]
        captions = [(x + 12, y - 5, x + 12 + text_width(caption + CLOSED, CAPTION) * 0.9, y + 5)
                    for x, y, _, _, caption, *_ in scene["folds"]]  # fmt: skip
        lines = _lines([(_points(path), 1.0) for path in scene["paths"]], 1.0)
        numbers = [(row[8], row[9] - size[1] / 2 + 1, row[8] + size[0] * 0.9, row[9] + size[1] / 2 - 1)
                   for edge, row in zip(level.edges, scene["edges"], strict=True)
                   if (size := share_size(edge))]  # fmt: skip
        for box in captions + numbers:
            assert not lines.hits(box), (level.name, box)
        for one, other in itertools.combinations(boxes + captions + numbers, 2):
            assert not _overlap(Bbox.from_extents(one), Bbox.from_extents(other), 1.0), (level.name, one, other)


# ------------------------------------------------------------------------------------------- sheets


def _all_texts(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    beyond = set()  # ticks that matplotlib makes and does not draw
    for axes, axis in itertools.chain(*([(one, one.xaxis), (one, one.yaxis)] for one in figure.axes)):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        beyond.update(label for at, label in ticks if not (axes.axison and low <= at <= high))
    texts = [text for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")) if text.get_visible()]
    texts = [text for text in texts if text not in beyond]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text().strip()]


def _diverging(residual):
    """Two steps, of which the second starts from weights that no number can hold: zeros, NaN, and Inf."""
    model = pictured.tanh_mlp(residual)
    x = tg.tensor(np.random.default_rng(0).standard_normal((16, 64)).astype(np.float32))
    with viz.record(model) as recording, np.errstate(all="ignore"):
        for factor in (1.0, 1e38, 1e38):
            for parameter in model.parameters():
                parameter.data *= np.float32(factor)
            model(x).square().sum().backward()
    return recording


def _sheet(pair):
    names = tuple(pictured.TITLES[name] for name in pair)
    return viz.compare(*map(pictured.recording, pair), names=names)


@pytest.mark.parametrize(
    "make",
    [lambda: _sheet(("tanh_plain", "tanh_residual")), lambda: _sheet(("plain56", "resnet56")),
     lambda: viz.compare(_diverging(False), _diverging(True))],
    ids=["tanh", "56 layers", "diverging"],
)  # fmt: skip
def test_a_sheet_can_be_read(make):
    sheet = make()
    figure = sheet.figure
    assert figure.get_figwidth() * 96 <= 1440
    texts = _all_texts(figure)
    page = figure.bbox
    for text, extent in texts:
        assert _within(extent, page), text
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        assert not _overlap(a, b, 1.5), (one, other)
    graphs = [axes for axes in figure.axes if any(patch.get_gid() == "n0" for patch in axes.patches)]
    for axes, flow in zip(graphs, sheet.flows, strict=True):
        of = Seen(figure, axes)
        taken = _lines(of.ways.values(), figure.dpi / 72.0)
        for text, extent in of.free_texts():
            assert not taken.hits(_shrunk(extent, 1.0).extents), (flow.title, text)


# ------------------------------------------------------------------------------------------- ways and words


def test_ways_are_upright_where_they_meet_nodes():
    way = outline([(0.0, 0.0), (40.0, 30.0)])
    assert way == [("M", (0.0, 0.0)), ("C", (0.0, 15.0), (40.0, 15.0), (40.0, 30.0))]
    bent = outline([(0.0, 0.0), (0.0, 20.0), (50.0, 20.0), (50.0, 60.0), (80.0, 80.0)])
    assert [command for command, *_ in bent] == ["M", "L", "Q", "L", "Q", "L", "C"]
    assert polyline([(0.0, 0.0), (0.0, 9.0)]) == [(0.0, 0.0), (0.0, 9.0)]


@pytest.mark.parametrize(
    ("box", "hits"),
    [((-1, 4, 1, 6), 1), ((2, 4, 4, 6), 0), ((1.4, 4, 3, 6), 0), ((-5, -5, 5, -1), 0), ((200, 200, 210, 210), 1)],
)
def test_what_a_number_would_touch(box, hits):
    taken = Taken()
    taken.line([(0.0, 0.0), (0.0, 10.0)], 1.0)
    taken.box(190.0, 190.0, 205.0, 205.0)
    assert taken.hits(box) == hits


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("blocks.0 … blocks.17", "blocks.0 … 17"),
        ("blocks.0 ⊕ … blocks.17 ⊕", "blocks.0 … 17 ⊕"),
        ("layers.0.fc … layers.9.fc", "layers.0.fc … layers.9.fc"),
        ("read … tanh (2) … read … tanh (50)", "read … tanh (2 … 50)"),
        ("0 … 9", "0 … 9"),
    ],
)
def test_the_title_of_a_fold_says_once_what_is_common(name, title):
    node = pictured.flow("tanh_plain").nodes[1]
    assert labels.title(type(node)(**{**vars(node), "name": name, "repeats": 3})) == title


def test_what_is_higher_than_a_screen_is_not_for_graphviz():
    assert render.is_long(pictured.flow("lenet5"))
    assert not render.is_long(pictured.flow("rnn50", "folded"))
