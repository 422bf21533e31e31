"""The page as a file: whole, deterministic, small, escaped; and what is refused."""

import base64
import functools
import itertools
import json
import math
import os
import re
import zlib

import numpy as np
import pictured_nets
import pytest
from checks import counted
from viz_nets import Net, flat, loss_of, net, recorded, recorded_loss, resnet
from viz_nets import chain as long_chain

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from viz.graph import claim, theme
from viz.graph.outline import outline
from viz.page import chain, facts, scene, svg
from viz.page import run as run_of_page
from viz.page.packed import PLACES, as_json, by_column, packed
from viz.page.run import training

NASTY = ["a<b>&\"c'", "</script><script>alert(1)</script>", "line\nbreak\ttab", "emoji 🧠 ∂", "<!-- -->",
         "{{js}} $& \\1"]  # fmt: skip


def flow_of(model=None, **options):
    return viz.gradient_flow(recorded(model or net()), **options)


def unpacked(text):
    return zlib.decompress(base64.b64decode(text)).decode("utf-8")


def by_row(panes):
    """The inverse of `by_column`, as the page's program has it."""
    return [{**pane, "cards": _entries(pane["cards"]), **_scenes(pane)} for pane in panes]


def _scenes(pane):
    return {key: [{**scene, "edges": _rows(scene["edges"])} for scene in pane[key]] for key in ("scenes", "insides")}


def _rows(columns):
    whole = [itertools.accumulate(column) if i in PLACES else column for i, column in enumerate(columns)]
    return [list(row) for row in zip(*whole, strict=True)]


def _entries(columns):
    rows = zip(*columns.values(), strict=True)
    return [{key: value for key, value in zip(columns, row, strict=True) if value is not None} for row in rows]


def data_of(html):
    data = json.loads(unpacked(re.search(r'<script type="text/plain" id="data">(.*?)</script>', html)[1]))
    return {**data, "panes": by_row(data["panes"])}


def trained(residual, steps=4):
    tg.manual_seed(0)
    model = Net(3, residual)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    with viz.record(model) as recording:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
    return recording


def spoilt_at_the_end():
    """A run whose gradients vanish at first; then one layer is as large as float32 can bear, then NaN."""
    tg.manual_seed(0)
    model = nn.Sequential(*[nn.Sequential(nn.Linear(9, 9), nn.ReLU()) for _ in range(6)], nn.Linear(9, 4))
    with viz.record(model) as recording:
        for factor in (1.0, 3e36, math.nan):
            model[3][0].weight.data[...] *= factor
            loss_of(model).backward()
    return recording


# ------------------------------------------------------------------------------------ the file


def test_it_loads_nothing_and_forbids_itself_to():
    html = flow_of().to_html()
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)""", html)
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|https?://(?!www\.w3\.org)", html)
    assert "default-src 'none'" in html


# ------------------------------------------------------------------------------------ its size


def bound(*flows):
    """Bytes that a page may take: 50 kB, and 1.1 kB for each operation and input of its graphs."""
    return 50_000 + 1_100 * sum(len(flow.origin.vertices) for flow in flows)


def scalar_chain():
    a = tg.tensor(2.0, requires_grad=True)
    return viz.gradient_flow(lambda: (a * a).tanh(), names={"a": a})


def dense(layers, level):
    tg.manual_seed(0)
    model = pictured_nets.DenseNet(layers)
    return lambda: viz.gradient_flow(lambda: model(tg.ones(2, 3, 16, 16)).sum(), model, level=level)


SIZES = {  # beside the nets that are looked at
    "three nodes": scalar_chain,
    "chain rule and spectrum": lambda: flow_of(net(4), level="op"),
    "operations of a residual net": lambda: viz.gradient_flow(pictured_nets.recording("resnet56"), level="op"),
    "6 edges a node": dense(40, "op"), "6 edges a node, folded": dense(40, "folded"),
    "many short paths": lambda: fan(),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_about_a_kilobyte_a_node(name):
    flow = SIZES[name]()
    assert len(flow.to_html().encode()) <= bound(flow)


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("name", pictured_nets.RECORDINGS)
def test_the_pictured_nets_take_about_a_kilobyte_a_node(name, details, monkeypatch):
    monkeypatch.setattr(viz, "record", functools.partial(viz.record, details=details))
    with np.errstate(all="ignore"):
        flow = viz.gradient_flow(pictured_nets.RECORDINGS[name]())
    html = flow.to_html()
    assert len(html.encode()) <= bound(flow)
    has_histogram = [len(card.get("g", [])) > 5 for card in data_of(html)["panes"][0]["cards"]]
    assert any(has_histogram) == details


def test_two_graphs_share_a_page():
    flows = [pictured_nets.flow(name) for name in ("tanh_plain", "tanh_residual")]
    assert len(viz.page.to_html(*flows).encode()) <= bound(*flows)


def test_a_step_of_training_adds_two_bytes_a_node():
    """On other data each time, at a rate that moves it."""
    sizes, generator = {}, np.random.default_rng(0)
    for steps in (2, 102):
        tg.manual_seed(0)
        model = Net(6, True)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
        with viz.record(model) as recording:
            for _ in range(steps):
                x, y = generator.standard_normal((16, 9)).astype(np.float32), generator.integers(0, 4, 16)
                optimizer.zero_grad()
                nn.CrossEntropyLoss()(model(tg.tensor(x)), tg.tensor(y)).backward()
                optimizer.step()
        flow = viz.gradient_flow(recording, level="op")
        sizes[steps] = len(flow.to_html().encode())
    assert 0 < sizes[102] - sizes[2] <= 100 * 2 * len(flow.nodes)


def test_what_is_packed_is_unpacked_and_told_by_column_and_by_row():
    for text in ("", "∂L/∂x · </script><!-- 🧠", "line\n" * 1000):
        assert unpacked(packed(text)) == text
    assert not set(packed("∂<>&" * 99)) & set("<>&")
    stage = scene.Stage(flow_of(net(3)), (1000.0, 600.0))
    cards = [{"n": "a", "v": 0}, {"n": "b", "p": [1, None]}, {"x": 2}]
    for insides in ([], stage.insides):
        panes = [{"name": "one", "cards": cards, "scenes": stage.scenes, "insides": insides}]
        again = by_row(json.loads(as_json(by_column(panes))))
        assert again == json.loads(as_json(panes))


def test_the_ways_of_edges_are_told_from_where_the_pen_is():
    ways = [
        ([(10.4, 20.0), (10.4, 60.0)], "M10,20v40"),
        ([(0.0, 0.0), (50.0, 0.0), (50.0, 99.0)], "M0,0h41q9 0 9 9v90"),
        ([(50.0, 0.0), (-50.0, 80.0)], "M50,0c0 40-100 40-100 80"),
    ]
    for points, way in ways:
        assert svg.relative(outline(points)) == way


def fan(width=400):
    """Many short paths from one leaf: more edges and sources of shapes than any net."""
    w = tg.tensor(np.ones(4, np.float32), requires_grad=True)
    return viz.gradient_flow(lambda: sum((w * float(i + 1)).tanh() for i in range(width)).sum(), level="op")


def test_a_name_may_hold_what_is_told_in_short():
    names = ['","svg":"', '"},{"n":"', "</text>", '<path class="e" d="M', "$& $1 \\u0100"]
    model = nn.Sequential()
    for number, name in enumerate(names):
        model.add_module(f"{number}{name}".replace(".", ""), nn.Linear(2, 2))
    flow = viz.gradient_flow(lambda: model(tg.ones(1, 2)).sum(), model)
    shown = [card["n"] for card in data_of(flow.to_html())["panes"][0]["cards"]]
    assert {f"{number}{name}" for number, name in enumerate(names)} <= set(shown)


def test_what_the_first_picture_shows_is_not_said_twice():
    flow = flow_of(net(3), level="op")
    html = flow.to_html()
    pane = data_of(html)["panes"][0]
    scene, picture = pane["scenes"][pane["level"]], html[html.index('id="g0"') : html.index('class="over"')]
    assert "paths" not in scene and picture.count("<path class=\"e") == len(scene["edges"])
    drawn = {card for card, *_ in scene["nodes"]}
    assert {i for i, card in enumerate(pane["cards"]) if "svg" not in card} == drawn


@pytest.mark.parametrize("suffix", ["html", "htm", "HTML"])
def test_save_writes_an_ordinary_file(tmp_path, suffix):
    path = tmp_path / f"flow.{suffix}"
    assert flow_of().save(path) == os.fspath(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    "path, error, words",
    [
        ("no/such/folder/x.html", FileNotFoundError, "there is no folder"),
        ("x.txt", ValueError, "x.txt"),
        (".", ValueError, "written as .html"),
    ],
)
def test_a_path_that_cannot_be(tmp_path, monkeypatch, path, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(words)):
        viz.page.save(path, flow_of())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("count", [0, 3])
def test_one_graph_or_two(count):
    with pytest.raises(ValueError, match=f"one graph or two side by side, got {count}"):
        viz.page.to_html(*[flow_of()] * count)


# ------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("name", NASTY)
def test_a_name_may_hold_anything(name):
    a = tg.tensor(2.0, requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * a).tanh(), names={name: a}, title=name)
    html = flow.to_html()
    assert html.count("</script>") == 3 and html.count("<script") == 3
    assert "alert(1)</script>" not in html and "<!--" not in html
    shown = "".join(c if c.isprintable() else " " for c in name)
    data = data_of(html)
    assert data["title"] == shown
    assert shown in [card["n"] for card in data["panes"][0]["cards"]]
    assert shown in viz.page.in_frame(html) or "&" in viz.page.in_frame(html)


# ------------------------------------------------------------------------------------ what it holds


def test_every_level_holds_every_operation_once():
    flow = flow_of(net(6))
    for level in scene.levels_of(flow):
        members = [vertex for node in level.nodes if node.kind != "input" for vertex in node.members]
        assert len(members) == len(set(members))
        operations = {i for i, v in enumerate(flow.origin.vertices) if v.is_operation}
        assert operations <= set(members)


def test_levels_that_look_alike_are_one():
    names = [level.name for level in scene.levels_of(viz.gradient_flow(recorded(net(6)), level="module"))]
    assert names == ["module", "block", "folded"]  # each module ran one operation


def test_what_is_inside_a_node_is_what_it_holds():
    stage = scene.Stage(flow_of(net(3), level="block"), (1000.0, 600.0))
    scenes = {s["name"]: s for s in stage.scenes}
    opened = 0
    for index, _, _, inside in scenes["block"]["nodes"]:
        if inside >= 0:
            held = [m for part in stage.insides[inside]["nodes"] for m in stage.boxes[part[0]].node.members]
            assert sorted(held) == sorted(stage.boxes[index].node.members)
            opened += 1
    assert opened >= 3


def test_boxes_do_not_overlap_and_stay_inside():
    for level in ("op", "block", "folded"):
        stage = scene.Stage(flow_of(net(7), level=level), (1000.0, 600.0))
        for drawn in [*stage.scenes, *stage.insides]:
            boxes = [(x, y, stage.boxes[i].width, stage.boxes[i].height) for i, x, y, _ in drawn["nodes"]]
            for i, (x, y, w, h) in enumerate(boxes):
                assert x >= -1 and y >= -1 and x + w <= drawn["w"] + 1 and y + h <= drawn["h"] + 1
                for a, b, c, d in boxes[i + 1 :]:
                    assert x + w <= a or a + c <= x or y + h <= b or b + d <= y


def test_a_fold_stays_in_one_column():
    stage = scene.Stage(flow_of(flat(40), level="folded"), (1000.0, 300.0))
    folded = next(s for s in stage.scenes if s["name"] == "folded")
    for x, y, w, h, *_ in folded["folds"]:
        inside = [n for n in folded["nodes"] if x <= n[1] <= x + w and y <= n[2] <= y + h]
        assert inside and w < 700


def test_two_graphs_share_the_larger_scale():
    plain, residual = viz.gradient_flow(recorded(net(6, False))), viz.gradient_flow(recorded(net(6, True)))
    data = data_of(viz.page.to_html(plain.with_scale(2), residual.with_scale(6)))
    assert data["scale"] == 6 and len(data["panes"]) == 2
    swapped = data_of(viz.page.to_html(residual.with_scale(6), plain.with_scale(2)))
    assert swapped["scale"] == 6
    assert [card["c"] for card in swapped["panes"][0]["cards"]] == [card["c"] for card in data["panes"][1]["cards"]]


def test_details_come_with_histogram_dead_and_saturated_shares():
    model = net(2)
    with viz.record(model, details=True) as recording:
        loss_of(model).backward()
    cards = data_of(viz.gradient_flow(recording, level="op").to_html())["panes"][0]["cards"]
    relu = next(card for card in cards if card.get("o") == "relu")
    assert sum(relu["g"][5]) == 16 * 12 and len(relu["g"][5]) > 3
    assert recording.trace.operations and 0.0 <= (relu["a"] + [0.0] * 8)[7] <= 1.0


def test_a_training_run_gives_a_value_for_each_step():
    recording = trained(True)
    flow = viz.gradient_flow(recording)
    run = training(flow)
    assert run["step"] == [1, 2, 3, 4] and len(run["values"]) == 4
    for vertex, value in zip(flow.origin.vertices, run["values"][-1], strict=True):
        if value is not None and vertex.node.value is not None:
            assert value / 100 == pytest.approx(vertex.node.value, abs=0.006)
    assert training(flow_of()) is None


@pytest.mark.parametrize(
    ("rms", "told"),
    [(0.01, -200), (1.0, 0), (0.0, run_of_page.ZERO), (math.nan, run_of_page.NAN), (math.inf, run_of_page.INF),
     (1e-320, -32000)],
)  # fmt: skip
def test_a_training_run_tells_zero_nan_and_inf_apart(rms, told):
    assert run_of_page._relative(rms, 1.0) == told


def test_the_numbers_of_a_long_run_are_bounded(monkeypatch):
    monkeypatch.setattr(run_of_page, "_MOST_CELLS", 60)
    run = training(viz.gradient_flow(trained(True, steps=9)))
    assert run["step"][0] == 1 and run["step"][-1] == 9 and len(run["step"]) == 2


def test_a_node_has_room_for_what_stands_on_it_at_every_step():
    flow = viz.gradient_flow(spoilt_at_the_end(), level="op")
    table = training(flow)["values"]
    assert run_of_page.NAN in table[-1] and run_of_page.NAN not in table[0]
    stage = scene.Stage(flow, (1004.0, 600.0))
    for box in stage.boxes:
        node = box.node
        if len(node.members) > 1 or node.is_neutral or node.gradient is None:
            continue
        for row in table:
            value = row[node.members[0]]
            if value is not None and value < run_of_page.ZERO:
                words = f"{theme.glyph(value / 100, flow.scale)} {theme.power(value / 100)}"
                drawn = svg.text_width(node.name, svg.TITLE, True) + svg._value_width(words)
                assert drawn + 2 * svg.PADDING < box.width, (node.name, words)


def test_the_chain_rule_of_a_scalar_graph_with_its_numbers():
    a, b = tg.tensor(2.0, requires_grad=True), tg.tensor(-3.0, requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * b * 0.1).tanh() * a, names={"a": a, "b": b})
    lines = {}
    for index, vertex in enumerate(flow.origin.vertices):
        if vertex.is_operation:
            for slot, text, value in facts.scalar_lines(flow.origin.vertices, index):
                lines[index, slot] = (text, value)
                source = next(s for i, s, _ in vertex.operands if i == slot)
                rms = next(r for i, _, r in vertex.operands if i == slot)
                assert abs(value) == pytest.approx(rms, rel=0.01), source
    assert any("(1 − (−0.537)²)" in text for text, _ in lines.values())
    by_source = {}
    for (index, slot), (_, value) in lines.items():
        source = next(s for i, s, _ in flow.origin.vertices[index].operands if i == slot)
        by_source[source] = by_source.get(source, 0.0) + value
    for source, total in by_source.items():
        assert total == pytest.approx(flow.origin.vertices[source].node.gradient.value, rel=0.02)


def test_a_fold_holds_all_its_repeats():
    stage = scene.Stage(flow_of(net(9), level="folded"), (1000.0, 600.0))
    folded = next(s for s in stage.scenes if s["name"] == "folded")
    ((*_, inside, members),) = folded["folds"]
    shown = [stage.boxes[folded["nodes"][i][0]].node for i in members]
    held = [stage.boxes[part[0]].node for part in stage.insides[inside]["nodes"]]
    assert {node.repeats for node in shown} == {9} and [node.repeats for node in held] == [1] * 18
    assert sorted(m for node in held for m in node.members) == sorted(m for node in shown for m in node.members)


def test_the_chain_rule_stands_beside_a_small_graph():
    names = {name: tg.tensor(value, requires_grad=True) for name, value in (("w", 0.5), ("x", 2.0), ("<b>", -1.0))}
    w, x, b = names.values()
    flow = viz.gradient_flow(lambda: (w * x + b).sigmoid() * w, names=names)
    text = re.sub("<br>", "\n", chain.chain(flow))
    assert "∂L/∂&lt;b&gt; = 0.125" in text and "<b>w" not in text
    assert "∂L/∂z₃ · ∂z₃/∂z₂ · ∂z₂/∂z₁ · ∂z₁/∂x\n= 0.5 · 0.25 · 1 · 0.5 = <b>0.0625</b>" in text
    assert "sum over the paths: 0.25 + 0.5 = <b>0.75</b>" in text
    assert "∂z₃/∂z₂ = z₃ · (1 − z₃) = 0.5 · (1 − 0.5) = 0.25" in text
    edges = {(edge.reader, edge.slot) for edge in flow.edges}
    for ends in re.findall('data-e="([^"]*)"', text):
        assert {tuple(map(int, end.split(":"))) for end in ends.split()} <= edges
    assert text in chain.beside([flow], ["net"]).replace("<br>", "\n")
    assert flow_of().explanation is None and viz.gradient_flow(lambda: loss_of(net(2))).explanation is None


@pytest.mark.parametrize(("asked", "shown"), [("auto", True), (True, True), (False, False), ("given", True)])
def test_the_path_spectrum_stands_beside_a_residual_net(asked, shown):
    model = net(4)
    found = viz.path_spectrum(lambda: loss_of(model))
    flow = viz.gradient_flow(lambda: loss_of(model), spectrum=found if asked == "given" else asked)
    assert (flow.spectrum is not None) == shown
    if not shown:
        return
    assert flow.spectrum.error < 1e-5 and np.allclose(flow.spectrum.rms, found.rms, rtol=1e-4)
    drawn = chain.spectrum(flow.spectrum)
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([\d.]+)"', drawn)]
    assert len(heights) == 5
    assert np.allclose(np.array(heights) / max(heights), found.energy / found.energy.max(), atol=0.01)
    law = viz.theory.path_length_law(4, found.branch_ratio)
    points = [float(pair.split(",")[1]) for pair in re.search('points="([^"]*)"', drawn)[1].split()]
    assert np.argmin(points) == np.argmax(law) and "binomial law" in drawn


def test_which_spectra_are_not_shown():
    assert viz.gradient_flow(lambda: loss_of(net(2, False))).spectrum is None
    assert viz.gradient_flow(lambda: loss_of(net(17))).spectrum is None
    assert flow_of().spectrum is None
    with pytest.raises(ValueError, match="a recording's graph is gone"):
        flow_of(spectrum=True)
    with pytest.raises(ValueError, match='spectrum must be a PathSpectrum, True, False or "auto"'):
        flow_of(spectrum="yes")


# ------------------------------------------------------------------------------------ words


def test_the_claim_is_written_from_the_numbers():
    plain = viz.gradient_flow(recorded(flat(12)), scale=2)
    name, value = claim.first_layer(plain)
    assert name == "0"
    text = claim.claim(plain)
    assert claim.times(abs(value)) in text and (f"gradient {'falls' if value < 0 else 'grows'}") in text


def test_the_claim_of_an_empty_batch():
    model = nn.Linear(4, 3)
    flow = viz.gradient_flow(lambda: model(tg.zeros(0, 4)).sum(), model)
    assert claim.claim(flow) == "There are no numbers at “linear”: its output has shape 0×3."


_RATIOS = [(0.3, "2.0-fold"), (2.76, "575-fold"), (7.0, "10^7.0-fold"), (400.0, "10^4")]


@pytest.mark.parametrize("decades, words", _RATIOS)
def test_a_ratio_in_words(decades, words):
    assert claim.times(decades).startswith(words)


def test_structure_only():
    model = net(2)
    x, y = np.zeros((4, 9), np.float32), np.zeros(4, np.int64)
    with viz.record(model) as recording:
        nn.CrossEntropyLoss()(model(tg.tensor(x)), tg.tensor(y))
    html = viz.gradient_flow(recording).to_html()
    assert "Structure only" in html and data_of(html)["panes"][0]["has"] == 0
    assert 'class="bar"' not in html


def test_no_parameters_at_all():
    html = viz.gradient_flow(lambda: tg.tensor([1.0, 2.0], requires_grad=True).exp().sum()).to_html()
    assert len(data_of(html)["panes"][0]["cards"]) == 3


def test_nan_and_inf_do_not_break_the_json():
    with np.errstate(all="ignore"):
        flow = viz.gradient_flow(lambda: (tg.tensor([0.0, 1.0], requires_grad=True).log() * 2.0).exp().log().sum())
        html = flow.to_html()
    assert "NaN or Inf" in data_of(html)["panes"][0]["claim"]


def test_a_long_chain():
    flow = viz.gradient_flow(long_chain(5000))
    html, lines = counted(flow.to_html)
    assert lines <= 1800 * 5000
    assert [s["name"] for s in data_of(html)["panes"][0]["scenes"]] == ["folded"]


@pytest.mark.slow
def test_resnet_110_is_written_small_and_in_work_that_grows_with_its_nodes():
    """7,850 lines of Python run for each node of ResNet-56, and 8,730 here, when this is written."""
    lines_a_node = {}
    for depth in (56, 110):
        recording = recorded_loss(*resnet(depth))
        flow = viz.gradient_flow(recording, level="op")
        assert len(flow.nodes) == {56: 201, 110: 390}[depth]
        flow.to_html()  # what is done once in a process is done
        html, lines = counted(lambda seen=recording: viz.gradient_flow(seen, level="op").to_html())
        lines_a_node[depth] = lines / len(flow.nodes)
    assert len(html.encode()) <= 1_500_000
    assert lines_a_node[110] <= min(13_000, 1.25 * lines_a_node[56])


@pytest.mark.parametrize("position", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_ink_can_be_read_on_every_fill(position):
    def luminance(code):
        linear = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in linear]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for dark in (False, True):
        rules = dict(re.findall(r"\.(c\d+)\{(.*?)\}", svg.colour_rules(dark)))
        fill, ink = re.findall("#[0-9a-f]{6}", rules[svg.colour_class(position, "", 1.0)])
        light, deep = sorted((luminance(fill), luminance(ink)), reverse=True)
        assert (light + 0.05) / (deep + 0.05) >= 4.5


# ------------------------------------------------------------------------------------ a notebook


def test_a_notebook_shows_a_picture_of_a_small_graph_and_the_page_of_a_large_one():
    a = tg.tensor(2.0, requires_grad=True)
    small, large = viz.gradient_flow(lambda: (a * a).tanh()), flow_of(net(4), level="op")
    assert small._repr_html_() is None and small._repr_svg_().startswith("<svg")
    assert large._repr_svg_() is None
    frame = large._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and frame.count("<") == 2 and 'sandbox="allow-scripts' in frame
