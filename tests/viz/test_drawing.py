"""DOT text, and the renderers with everything that can be missing."""

import html
import io
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest
import viz_nets as nets
from checks import counted, growth

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from viz.graph import draw, labels, pen, render, theme
from viz.graph.boxes import Box, drawn_width
from viz.graph.claim import claim
from viz.graph.layout import layout

MAGIC = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF"}


@pytest.fixture
def alone(monkeypatch):
    """Neither `dot` nor pygraphviz."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


@pytest.fixture(scope="module")
def short():
    """What fits on a screen, and so goes through the whole chain of renderers."""
    return viz.gradient_flow(nets.recorded(nets.net(blocks=2)), level="block")


@pytest.fixture(scope="module")
def flow():
    return viz.gradient_flow(nets.recorded(nets.net(blocks=2)), title="a net")


# ------------------------------------------------------------------------------------------- DOT


def test_dot_has_a_colour_bar_tooltips_and_weights(flow):
    text = flow.to_dot()
    assert text.count("BGCOLOR") > 30
    assert "vanishing" in text
    assert f"10^-{flow.scale}" in text
    assert "weight=20" in text
    assert "ortho" not in text and "concentrate" not in text
    assert "0x" not in text
    assert re.search(r"n\d+ -> n\d+ \[.*color=\"#00857c\"", text)
    assert "⊕" in text
    order = [int(match) for match in re.findall(r"^  n(\d+) \[", text, re.M)]
    assert order == list(range(len(flow.nodes)))


@pytest.mark.parametrize("write", ["to_dot", "to_text", "to_svg", "to_html"])
def test_the_claim_stands_on_every_picture(write, flow):
    first = " ".join(claim(flow).split()[:5])
    assert "gradient" in first or first.startswith("From “head” back to")
    assert first in html.unescape(getattr(flow, write)())


def test_edges_that_carry_infinity_are_red_and_wide():
    a = tg.tensor([2.0, 3.0], requires_grad=True)
    with np.errstate(over="ignore", invalid="ignore"):
        flow = viz.gradient_flow(lambda: ((a.tanh() * 1e-30) * 1e30 * 1e30 * 1e30).sum(), level="op")
    bad = [edge for edge in flow.edges if edge.rms == math.inf]
    assert bad and all(labels.edge_colour(edge) == theme.ALARM for edge in bad)
    assert pen.edge_width(bad[0], flow) == theme.THICKEST
    assert theme.ALARM in flow.to_dot() and theme.ALARM in flow.to_svg(renderer="builtin")
    assert 'class="e bad ' in flow.to_html()


def test_a_browser_may_shrink_a_wide_svg(flow, alone):
    """To no less than three quarters of its size; other programs do not read the rule."""
    svg = flow.to_svg()
    width, least = (float(re.search(pattern, svg)[1]) for pattern in (r'width="([\d.]+)pt"', r"max\(100%,(\d+)pt\)"))
    assert least == pytest.approx(0.75 * width, abs=0.6)
    ElementTree.fromstring(svg)


NAMES = ["<b>&amp;", 'a"quote\\n\\', "two\nlines", "emoji 🙂 ∂", "]]> -- {|}", "\x00\x1b", "'$x_1^2$'", "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name, tmp_path, alone):
    a = tg.tensor([2.0, 3.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * a).sum(), names={name: a}, title=name)
    assert flow.nodes[0].name == name
    text = flow.to_dot()
    assert "\x00" not in text
    flow.save(tmp_path / "x.svg")
    ElementTree.fromstring((tmp_path / "x.svg").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_graphviz_reads_any_name(name):
    pytest.importorskip("pygraphviz")
    a = tg.tensor([2.0, 3.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * a).sum(), names={name: a}, title=name)
    ElementTree.fromstring(flow.to_svg(renderer="pygraphviz"))


def test_a_module_with_an_odd_name(alone):
    model = nn.Sequential()
    model.add_module('a <"b">', nn.Linear(9, 4))
    svg = viz.gradient_flow(nets.recorded(model)).to_svg()
    assert "a &lt;" in svg
    ElementTree.fromstring(svg)


def mixed_chain(length):
    """A chain in which nothing repeats."""
    words = (lambda x: x.tanh(), lambda x: x * 1.01, lambda x: x.sigmoid(), lambda x: x + 0.1)
    digits = "31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679"
    return nets.chain(length, lambda x, i: words[int(digits[i * i % 101]) % 4](x))


def test_five_thousand_operations():
    """No recursion; few nodes; a layout that runs 480 lines a node when this is written."""
    same = viz.gradient_flow(nets.chain(5000))
    assert len(same.nodes) <= 66
    assert sum(node.repeats for node in same.nodes) >= 5000
    mixed = viz.gradient_flow(mixed_chain(5000))
    assert len(mixed.nodes) <= 66
    assert sum(max(1, len(node.hidden)) for node in mixed.nodes) >= 5000
    whole = viz.gradient_flow(nets.chain(5000), level="op")
    assert len(whole.nodes) == 5001  # x itself is a row of the first: in a large graph variables are no nodes
    boxes = [(80.0, 30.0)] * len(whole.nodes)
    placed, lines = counted(lambda: layout(boxes, [(i, i + 1, False) for i in range(len(boxes) - 1)]))
    assert placed.columns > 20
    assert lines <= 750 * len(boxes)


@pytest.mark.parametrize("chain", [nets.chain, mixed_chain])
@pytest.mark.parametrize("level", ["auto", "op"])
def test_work_grows_with_the_operations(chain, level):
    """And not with their square: of recording, folding, and what is found out about each."""
    assert growth(lambda length: viz.gradient_flow(chain(length), level=level), 600) <= 2.2


# ------------------------------------------------------------------------------------------- renderers


@pytest.mark.parametrize("file_format", ["svg", "png", "pdf"])
def test_pictures_come_out_with_nothing_installed(flow, file_format, tmp_path, alone):
    path = tmp_path / f"flow.{file_format}"
    assert flow.save(path) == os.fspath(path)
    content = path.read_bytes()
    assert content.startswith(MAGIC[file_format])
    assert os.listdir(tmp_path) == [path.name]
    flow.save(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("file_format", ["svg", "png", "pdf"])
def test_pictures_by_pygraphviz(flow, file_format, tmp_path):
    pytest.importorskip("pygraphviz")
    path = tmp_path / f"flow.{file_format}"
    flow.save(path, renderer="pygraphviz")
    assert path.read_bytes().startswith(MAGIC[file_format])


def _stand_in(folder, monkeypatch, script):
    """A program `dot` that runs a shell script, first on the PATH."""
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder) + os.pathsep + os.environ["PATH"])


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_dot_on_the_path_comes_first(short, tmp_path, monkeypatch):
    _stand_in(tmp_path, monkeypatch, 'while [ "$1" != "-o" ]; do shift; done; echo drawn > "$2"')
    assert render.to_bytes(short, "svg").strip() == b"drawn"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    "script, limit, status", [("exit 3", 60.0, 3), ("exec sleep 60", 0.5, -9), ("exit 0", 60.0, 0)]
)
def test_the_next_renderer_takes_over(short, script, limit, status, tmp_path, monkeypatch):
    """When the first has failed, has been killed (9) at its limit, or has written nothing; none is left running."""
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, command, **options):
            super().__init__(command, **options)
            started.append(self)

    _stand_in(tmp_path, monkeypatch, script)
    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert render.to_bytes(short, "svg", time_limit=limit).startswith(MAGIC["svg"])
    assert [process.returncode for process in started if process.args[0] == str(tmp_path / "dot")] == [status]


@pytest.mark.parametrize("renderer", ["dot", "pygraphviz"])
def test_a_missing_renderer_is_one_line_of_remedy(flow, renderer, alone):
    with pytest.raises(render.RendererError, match="built-in layout") as error:
        flow.to_svg(renderer=renderer)
    assert "\n" not in str(error.value)
    assert "install" in str(error.value)


@pytest.mark.parametrize("name", ["flow.gif", "flow", "flow.svgz", "flow.svg.gif"])
def test_unknown_format(flow, name, tmp_path):
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.dot, \.txt or \.html"):
        flow.save(tmp_path / name)
    with pytest.raises(ValueError, match="renderer must be one of"):
        flow.save(tmp_path / "a.svg", renderer="paint")
    assert not os.listdir(tmp_path)


def test_dot_file_and_graphviz_source(flow, tmp_path):
    flow.save(tmp_path / "flow.dot")
    assert (tmp_path / "flow.dot").read_text(encoding="utf-8") == flow.to_dot()
    pytest.importorskip("graphviz")
    assert flow.to_graphviz().source.strip() == flow.to_dot().strip()


def test_notebook_picture(alone):
    svg = viz.gradient_flow(nets.chain(3))._repr_svg_()  # of a large graph it is the page
    assert svg.startswith("<svg")
    ElementTree.fromstring(svg)
    assert "<title>" in svg  # tooltips


def test_png_stays_under_the_pixel_cap(alone, monkeypatch):
    monkeypatch.setattr(render, "MOST_PIXELS", 200_000)
    picture = render.to_bytes(viz.gradient_flow(nets.recorded(nets.net(blocks=12))), "png")
    width, height = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    assert width * height < 220_000


@pytest.mark.slow
def test_png_of_five_thousand_nodes(alone):
    flow = viz.gradient_flow(nets.chain(5000), level="op")
    render.to_bytes(viz.gradient_flow(nets.chain(3)), "png")  # imports and looks for fonts
    picture, lines = counted(lambda: render.to_bytes(flow, "png"))
    assert lines <= 3000 * len(flow.nodes)
    assert int.from_bytes(picture[16:20], "big") * int.from_bytes(picture[20:24], "big") <= 1.01 * render.MOST_PIXELS


def test_labels_fit_their_boxes(flow):
    """The width that layout gives a box covers the text as matplotlib measures it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw.draw(flow)
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    boxes = {patch.get_gid(): patch.get_window_extent(renderer) for patch in axes.patches if patch.get_gid()}
    boxes = [box for gid, box in boxes.items() if gid.startswith("n")]
    for text in axes.texts:
        extent = text.get_window_extent(renderer)
        inside = [b for b in boxes if b.y0 - 1 <= extent.y0 and extent.y1 <= b.y1 + 1 and b.x0 <= extent.x0 <= b.x1]
        assert all(extent.x1 <= box.x1 + 1 for box in inside), text.get_text()


@pytest.mark.parametrize("dots", [96, 144, 300])
@pytest.mark.parametrize(("size", "bold"), [(8.0, False), (8.5, False), (10.0, True), (12.5, True)])
def test_widths_of_texts_are_those_that_are_drawn(size, bold, dots):
    """A point too small at most, and a tenth too large: the letters of a screen begin at whole dots."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(10, 10, dots)
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    for text in ("read … tanh (11)", "▼▼ 10^-12.3", "linear  8×10 · 650 par.", "⊕ blocks.3.shortcut", "batch_norm ∅"):
        drawn = renderer.get_text_width_height_descent(text, font, False)[0] * 72.0 / dots
        assert -1.0 < drawn_width(text, size, bold) - drawn < 0.1 * drawn + 1.0, text
    assert drawn_width("🙂", size, bold) >= size


@pytest.mark.parametrize("name", theme.THEMES)
def test_small_letters_can_be_read_in_every_theme(name):
    """Contrast of 4.5 to 1 (WCAG, level AA): in nodes of any colour, beside edges, in the legend."""
    with theme.use(name):
        fills = [theme.colour(value / 50, 1.0) for value in range(-50, 51)]
        fills += [theme.NEUTRAL, theme.NO_GRADIENT, theme.ZERO, theme.BAD]
        assert min(theme.contrast(theme.text_on(fill), fill) for fill in fills) >= 4.5
        assert min(theme.contrast(ink, theme.PAPER) for ink in (theme.INK, theme.FAINT, theme.HIGHWAY)) >= 4.5


def test_data_inside_a_node_has_no_cell_in_its_strip():
    """Filled near-white, it would pass for a gradient like the reference."""
    node = viz.gradient_flow(nets.recorded(nets.net(blocks=2)), level="block").nodes[2]
    flow = viz.gradient_flow(nets.recorded(nets.net(blocks=2)), level="block")
    cells = (None, "data"), (-1.0, ""), (None, "zero")
    assert Box(type(node)(**{**vars(node), "strip": cells, "kind": "group"}), flow).strip == list(cells[1:])


def test_import_is_light():
    code = "import sys, viz; assert not {'matplotlib', 'graphviz', 'pygraphviz'} & set(sys.modules)"
    root = os.path.dirname(os.path.dirname(viz.__file__))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_pages_and_texts_need_no_matplotlib(monkeypatch):
    flow = viz.gradient_flow(nets.recorded(nets.net(blocks=4)))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for level in (flow.to_html(), flow.to_dot(), flow.to_text()):
        assert "blocks.3" in level


def test_ticks():
    for scale in (1, 2, 3, 4, 5, 6, 8, 12, 0.7):
        ticks = labels.ticks(scale)
        assert [value for value, _ in ticks] == sorted(value for value, _ in ticks)
        assert ticks[0][0] == -ticks[-1][0] == pytest.approx(-scale)
        assert (0, "10^0") in ticks


def test_the_pen_for_large_graphs_draws_the_same_picture(flow, monkeypatch):
    """But for a fraction of a pixel in the height of words; and an SVG names the same nodes and edges."""
    pictures = []
    for many in (10_000, 0):
        monkeypatch.setattr(draw, "_MANY", many)
        pixels = matplotlib.image.imread(io.BytesIO(draw.draw_bytes(flow, "png")), format="png")
        svg = draw.draw_bytes(flow, "svg").decode()
        words = sorted(ElementTree.fromstring(svg).itertext())
        names = re.findall(r'<g id="([ne]\d+)"><title>', svg)
        pictures.append((pixels[..., :3], names, [word for word in words if word.strip()]))
        assert draw.draw_bytes(flow, "pdf").startswith(b"%PDF")
    (slow, names, words), (quick, same_names, same_words) = pictures
    assert slow.shape == quick.shape and np.abs(slow - quick).mean() < 0.01
    assert sorted(names) == sorted(same_names) and words == same_words


def test_theme_and_wrapping_are_given_where_a_picture_is_made_or_written(tmp_path):
    recording = nets.recorded(nets.net(12))
    dark = viz.gradient_flow(recording, level="block", theme="dark")
    light = viz.gradient_flow(recording, level="block")
    assert dark.to_dot() == light.with_theme("dark").to_dot() != light.to_dot()
    light.save(tmp_path / "dark.dot", theme="dark")
    assert (tmp_path / "dark.dot").read_text(encoding="utf-8") == dark.to_dot() and light.theme == "light"
    sizes = [
        [float(one) for one in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text).groups()]
        for text in (light.to_svg(renderer="builtin", wrap=wrap) for wrap in (True, False))
    ]
    (wide, low), (narrow, tall) = sizes
    assert narrow < wide and tall > 2 * low
