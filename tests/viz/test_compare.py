"""The comparison sheet: one scale and reference, aligned blocks, words from the numbers, the same in both orders."""

import copy
import dataclasses
import math
import os
import re

import numpy as np
import pytest
import viz_nets as nets
from matplotlib.backends.backend_agg import FigureCanvasAgg

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn
from viz.graph import labels
from viz.graph.layout import layout_pair
from viz.plots import comparison


def _trained(residual, steps=1, depth=12, details=False):
    tg.manual_seed(0)
    model = models.DeepMLP(depth, 16, 9, 4, residual=residual, batch_norm=False, activation="tanh", init=0.3)
    with viz.record(model, details=details) as recording:
        for _ in range(steps):
            nets.loss_of(model).backward()
    return recording, model


@pytest.fixture(scope="module")
def pair():
    return [_trained(residual, steps=3)[0] for residual in (False, True)]


@pytest.fixture(scope="module")
def sheet(pair):
    return viz.compare(*pair)


@pytest.fixture(scope="module")
def mirrored(pair):
    return viz.compare(*pair[::-1], names=("residual", "plain"))


def _texts(axes):
    return [(text.get_text(), *text.get_position()) for text in axes.texts]


def _graphs(figure):
    """The axes of the two graphs: those with nodes."""
    return [axes for axes in figure.axes if any((patch.get_gid() or "").startswith("n") for patch in axes.patches)]


def test_the_sheet_explains_the_marks_that_occur_in_one_of_its_graphs(sheet):
    whole, broken = ([text.get_text() for axes in one.figure.axes for text in axes.texts]
                     for one in (sheet, viz.compare(_spoilt(), _spoilt())))  # fmt: skip
    assert "NaN or Inf, and red edges that carry it" in broken
    assert not any("NaN" in text for text in whole)
    for found in (whole, broken):
        assert found.count("dashed: no gradient returns, as to data") == 1


def _marked(marks, flow):
    """The graph with these marks on its first nodes."""
    other = copy.copy(flow)
    first, rest = flow.nodes[: len(marks)], flow.nodes[len(marks) :]
    made = [dataclasses.replace(node, mark=mark, value=None) for node, mark in zip(first, marks, strict=True)]
    other.nodes = made + rest
    other.edges = [dataclasses.replace(flow.edges[0], rms=0.0), *flow.edges[1:]]
    return other


@pytest.mark.parametrize("marks", [[], ["nan"], ["nan", "zero"], ["nan", "zero", "none", "inf"]])
def test_marks_of_a_sheet_stand_above_the_names_of_its_nets(pair, marks):
    """However many there are: the head of the sheet grows."""
    flows = [_marked(marks, viz.gradient_flow(one, level="block", title=name)) for one, name in zip(pair, "ab")]
    side = [comparison.Side(flow, [1.0], [1.0], np.ones((1, 1)), [], []) for flow in flows]
    for figure in (comparison.comparison_sheet(*side), viz.summary_sheet(*flows, {"a": [1.0], "b": [1.0]})):
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        names = [text.get_window_extent(renderer) for text in figure.texts if text.get_text() in ("a", "b")]
        head = next(axes for axes in figure.axes if any("dashed:" in text.get_text() for text in axes.texts))
        samples = [artist.get_window_extent(renderer) for artist in (*head.patches, *head.texts)]
        assert len(names) == 2 and min(box.y0 for box in samples) > max(box.y1 for box in names) + 1.0


def test_a_loss_that_is_no_number_is_written_as_everywhere():
    flow = viz.gradient_flow(_spoilt(), title="a")
    words = flow.to_text() + "".join(labels.tooltip(node)[0] + " ".join(labels.details(node)) for node in flow.nodes)
    assert "NaN" in words and not re.search(r"\bnan\b|\binf\b", words + labels.legend(flow)[0])


def _spoilt():
    """A net whose weights are too large for any number."""
    model = nets.net(4, False)
    for parameter in model.parameters():
        parameter.data *= np.float32(1e38)
    with np.errstate(all="ignore"):
        return nets.recorded(model)


def test_both_sides_report_one_scale_and_reference(sheet, mirrored):
    assert sheet.flows[0].scale == sheet.flows[1].scale == sheet.scale == mirrored.scale
    assert sheet.references == mirrored.references == ("head", "head")
    asked = viz.compare(*[_trained(residual)[0] for residual in (False, True)], reference="stem", scale=2)
    assert (asked.scale, asked.references) == (2, ("stem", "stem"))
    assert [flow.node("stem").value for flow in asked.flows] == [0.0, 0.0]


def test_swapping_mirrors_the_sheet(sheet, mirrored):
    assert sheet.names == mirrored.names[::-1]
    assert sheet.slopes == mirrored.slopes[::-1]
    assert sheet.caption == mirrored.caption
    here, there = _graphs(sheet.figure), _graphs(mirrored.figure)
    assert [len(here), len(there)] == [2, 2]
    for one, other in zip(here, there[::-1], strict=True):
        assert _texts(one) == _texts(other)
        assert one.get_ylim() == other.get_ylim()
        assert [p.get_facecolor() for p in one.patches] == [p.get_facecolor() for p in other.patches]
    here, there = [[axes.images[0] for axes in s.figure.axes if axes.images] for s in (sheet, mirrored)]
    for one, other in zip(here, there[::-1], strict=True):
        assert (one.get_array() == other.get_array()).all()
        assert one.get_clim() == other.get_clim() == (-sheet.scale, sheet.scale)


def test_blocks_stand_at_one_height(sheet):
    heights = []
    for axes, flow in zip(_graphs(sheet.figure), sheet.flows, strict=True):
        tops = {patch.get_gid(): patch.get_y() for patch in axes.patches if hasattr(patch, "get_boxstyle")}
        own = {}
        for node in flow.nodes:  # of a block and the merge behind it, both of the block's name, the block
            own.setdefault(node.name, tops[node.id])
        heights.append(own)
    common = [name for name in heights[0] if name in heights[1]]
    assert len(common) >= 8
    assert [heights[0][name] for name in common] == pytest.approx([heights[1][name] for name in common])


@pytest.mark.parametrize("tallest", [100.0, 300.0, 1e9])
def test_layout_of_a_pair(tallest):
    chain = [(i, i + 1, False) for i in range(20)]
    other = [(i, i + 1, False) for i in range(40)] + [(i, i + 2, True) for i in range(0, 39, 2)]
    keys = [list(range(21)), [i // 2 for i in range(41)]]
    graphs = [([(60.0, 20.0)] * 21, chain, {}, (), 0.0), ([(50.0, 30.0)] * 41, other, {}, (), 0.0)]
    left, right = layout_pair(graphs, keys, tallest=tallest)
    assert left.columns == right.columns
    assert (left.columns > 1) == (tallest < 1e9)
    for key in range(21):
        assert left.centres[key][1] - 10.0 == pytest.approx(right.centres[2 * key][1] - 15.0)
    swapped = layout_pair(graphs[::-1], keys[::-1], tallest=tallest)
    assert (swapped[1], swapped[0]) == (left, right)


def test_the_caption_is_written_from_the_numbers(pair, sheet):
    plain, residual = sheet.slopes
    assert plain < -0.3 < residual
    assert f"plain: the gradient falls 10^{plain:+.2f} a block" in sheet.caption
    first = [flow.node("stem").value for flow in sheet.flows]
    ratio = 10.0 ** (first[1] - first[0])
    assert f"{ratio:,.0f}× less than in residual" in sheet.caption
    layers = pair[0].layers()
    assert 10.0 ** first[0] == pytest.approx(layers[0].gradient_rms / layers[-1].gradient_rms)


def test_everything_is_on_the_sheet():
    recordings = [_trained(residual, 3, details=True) for residual in (False, True)]
    spectrum = viz.path_spectrum(nets.loss_of(recordings[1][1]))
    spectra, law = {"residual": spectrum}, {"plain": 0.3}
    sheet = viz.compare(*[r for r, _ in recordings], spectra=spectra, theory=law, steps=[0, 5, 9])
    titles = [axes.get_title(loc="left") for axes in sheet.figure.axes]
    for title in (
        "Backward: gradients", "Forward: activations", "Through training: plain", "Through training: residual",
        "The highway’s share at each fork", "Paths through residual",
    ):  # fmt: skip
        assert title in titles
    profile = sheet.figure.axes[titles.index("Backward: gradients")]
    lines = profile.get_lines()
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert profile.yaxis_inverted()
    assert lines[0].get_xdata()[-1] == pytest.approx(0.0)
    assert f"{spectrum.mean_length:.2g} of {len(spectrum.blocks)} branches" in sheet.caption


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "html"])
def test_save(sheet, tmp_path, suffix):
    path = tmp_path / f"sheet.{suffix}"
    assert sheet.save(path) == os.fspath(path)
    head = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!"}[suffix]
    assert path.read_bytes().lower().startswith(head.lower())
    if suffix == "svg":
        again = tmp_path / "again.svg"
        sheet.save(again)
        assert again.read_bytes() == path.read_bytes()


def test_deep_nets_are_folded():
    flows = viz.compare(*[_trained(residual, depth=90)[0] for residual in (False, True)]).flows
    assert [flow.level for flow in flows] == ["folded", "folded"]


def test_nets_without_blocks_are_compared_by_layers():
    models_ = [nn.Sequential(nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)) for _ in "ab"]
    sheet = viz.compare(*map(nets.recorded, models_), names=("a", "b"))
    assert sheet.unit == "layer"
    assert sheet.figure.axes
    assert all(map(math.isfinite, sheet.slopes))


def test_nan_is_said():
    recording, _ = _trained(False)
    model = models.DeepMLP(12, 16, 9, 4, batch_norm=False)
    model.head.weight.data[...] = math.nan
    sheet = viz.compare(nets.recorded(model), recording, names=("broken", "whole"))
    assert "In broken backward meets NaN or Inf first at" in sheet.caption
    assert sheet.figure.axes


def _panel(figure, title):
    return next((axes for axes in figure.axes if axes.get_title(loc="left").startswith(title)), None)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (nets.dead_in_the_middle(), "at the input broken’s gradient is exactly 0, whole’s 10^"),
        (nets.spoilt_in_the_middle(), "at the input broken’s gradient is NaN, whole’s 10^"),
    ],
)
def test_a_gradient_without_a_size_is_said(pair, make, said):
    """Not the next layer's that has one; and the profile shows where."""
    recording = nets.recorded_loss(make)
    first = recording.layers()[0].gradient_rms
    assert first == 0.0 or math.isnan(first)
    for order in (1, -1):
        sheet = viz.compare(*[recording, pair[1]][::order], names=("broken", "whole")[::order])
        words = said if said in sheet.caption else "whole’s gradient is 10^"
        assert words in sheet.caption
        assert ("broken’s exactly 0" if first == 0.0 else "broken’s NaN") in sheet.caption or words is said
        labels = [line.get_label() for line in _panel(sheet.figure, "Backward").get_lines()]
        assert ("broken: exactly 0" if first == 0.0 else "broken: NaN or Inf") in labels
    if first == 0.0:
        assert "In broken it is exactly 0 at 10 of 21 layers." in sheet.caption
        assert "as far as it has a size" in sheet.caption
    same = viz.compare(recording, recording, names=("one", "two"))
    assert "the gradient of both is " + ("exactly 0" if first == 0.0 else "NaN") in same.caption


def test_no_lost_unit_is_shown_as_none(pair):
    """Nothing dead or saturated is not the same as nothing recorded."""
    model = nn.Sequential(nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    for parameter in model.parameters():
        parameter.data[...] *= 0.1
    panel = _panel(viz.compare(lambda: nets.loss_of(model), lambda: nets.loss_of(model)).figure, "Dead")
    assert [text.get_text() for text in panel.texts] == ["none"]
    assert _panel(viz.compare(*pair).figure, "Dead") is None


def test_losses_and_functions_are_compared_as_they_are_drawn():
    """Whatever `gradient_flow` takes; no gradient changes."""
    model = nets.net(3)
    sheet = viz.compare(lambda: nets.loss_of(model), nets.loss_of(model), names=("function", "loss"))
    same = viz.compare(nets.recorded(model), nets.recorded(model))
    assert sheet.slopes == pytest.approx(same.slopes, rel=1e-5)
    assert all(parameter.grad is None for parameter in nets.net(3).parameters())
    assert sheet.figure.axes and "layer" in sheet.to_html()


@pytest.mark.parametrize("name", ["$\\frac$", "cost $5", "$x$", "a\\$b"])
def test_names_with_a_dollar_are_no_formulas(pair, name, tmp_path):
    sheet = viz.compare(*pair, names=(name, "b$"), title="$\\bad{ $", theory={name: 0.5})
    sheet.save(tmp_path / "sheet.svg")
    text = (tmp_path / "sheet.svg").read_text(encoding="utf-8")
    assert name in text and "$\\bad{ $" in text


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"names": ("a", "a")}),
        (ValueError, {"names": ("a",)}),
        (ValueError, {"theory": {"plane": 1.0}}),
        (ValueError, {"spectra": {"plane": None}}),
        (ValueError, {"level": "atom"}),
        (ValueError, {"reference": "nowhere"}),
        (ValueError, {"scale": -1}),
    ],
)
def test_bad_input(pair, error, options):
    with pytest.raises(error, match=r"."):
        viz.compare(*pair, **options)


def test_bad_recordings(pair, tmp_path, sheet):
    with pytest.raises(TypeError, match=r"compare takes a recording, a loss, or a function .*, not GradientFlow"):
        viz.compare(pair[0], sheet.flows[1])
    with pytest.raises(ValueError, match="no backward pass"):
        viz.compare(pair[0], viz.record())
    with pytest.raises(ValueError, match=r"ends in no known format.* \.html"):
        sheet.save(tmp_path / "sheet.gif")
    with pytest.raises(FileNotFoundError):
        sheet.save(tmp_path / "nowhere" / "sheet.html")
    assert not os.listdir(tmp_path)
