"""The twelve properties of every picture, a test each, in their order; what else holds is in the files of each part.

1 same bytes, 2 every operand once, 3 contributions add up, 4 the path spectrum adds up, 5 drawing changes nothing,
6 large graphs, 7 marks without colours, 8 comparisons, 9 highways at every level, 10 the page in a browser, 11 nothing
installed, 12 receptive fields.
"""

import functools
import os
import pickle
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import browser as chromium
import numpy as np
import pytest
import viz_nets as nets
from checks import counted
from test_receptive import NETS as FIELDS
from test_spectrum import Chain

import tinygrad_course as tg
import viz
from tinygrad_course import Observer, nn, observe
from tinygrad_course.generator import default_generator
from viz.graph import theme
from viz.graph.layout import layout
from viz.graph.stats import root_mean_square

# ------------------------------------------------------------------------------------ 1 the same bytes


def test_1_same_model_and_seed_same_bytes_in_any_process():
    folders = [os.path.dirname(os.path.dirname(viz.__file__)), os.path.dirname(nets.__file__)]
    code = (
        f"import sys, hashlib; sys.path[:0] = {folders!r}; import viz, viz_nets as n;"
        "f = viz.gradient_flow(n.recorded(n.net(2)));"
        "print(hashlib.sha256((f.to_dot() + f.to_html() + f.to_text()).encode()).hexdigest())"
    )
    seen = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        seen.add(done.stdout.strip())
    assert len(seen) == 1
    here = [viz.gradient_flow(nets.recorded(nets.net(3, seed=seed))) for seed in (7, 7, 8)]
    for texts in ([flow.to_dot() for flow in here], [flow.to_html() for flow in here]):
        assert texts[0] == texts[1] != texts[2]


# ------------------------------------------------------------------------------------ 2 every operand once


class Operands(Observer):
    """Every operand of every operation, as (order, slot)."""

    def __init__(self):
        self.read = []

    def forward(self, node, inputs, output):
        self.read += [(node.order, slot) for slot, tensor in enumerate(inputs) if tensor is not None]


def _twice():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    return ((a + a) * (a * a)).sum()


def _reused():
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    b = a.exp()
    return (b * b + b.tanh() * 3.0).sum()


def _shared_weights():
    cell, x = nn.Linear(3, 3), tg.tensor(np.ones((2, 3), np.float32))
    return cell(cell(cell(x)).tanh()).sum()


PROGRAMS = {
    "a + a and a * a": _twice,
    "an output read three times": _reused,
    "shared weights": _shared_weights,
    "recurrent": nets.recurrent,
    "residual net": lambda: nets.loss_of(nets.net(3)),
    "plain net": lambda: nets.loss_of(nets.net(3, residual=False)),
    "variables that are rows": lambda: nets.chain(80),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_2_every_operand_is_drawn_once(name):
    """As an edge of its own, as a row of parameters, or as a constant of one number."""
    operands = Operands()
    with viz.record() as recording, observe(operands):
        PROGRAMS[name]().backward()
    flow = viz.gradient_flow(recording, level="op")
    orders = [vertex.order for vertex in flow.origin.vertices]
    edges = [(orders[edge.reader], edge.slot) for edge in flow.edges]
    inside = sum(len(node.parameters) + len(node.constants) for node in flow.nodes)
    assert len(edges) == len(set(edges))
    assert set(edges) <= set(operands.read)
    assert len(edges) + inside == len(operands.read)


# ------------------------------------------------------------------------------------ 3 contributions


class Sums(Observer):
    """Adds the contributions that leave along the edges to each node and leaf, and keeps what arrived there."""

    def __init__(self):
        self.sums, self.arrived, self.counts = {}, {}, {}

    def backward(self, node, gradient, contributions):
        self.arrived[node] = np.array(gradient)
        for edge, contribution in zip(node.edges, contributions, strict=True):
            if contribution is not None:
                self.counts[edge] = self.counts.get(edge, 0) + 1
                self.sums[edge] = self.sums.get(edge, 0.0) + np.array(contribution)


def _relative(a, b):
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)


def test_3_contributions_add_up_to_the_gradient_at_every_fan_out():
    """Σ of the contributions over a node's out-edges is its gradient, and a leaf's is `.grad`, to 1e-12 in float64."""
    model = nets.in_float64(nets.net(blocks=4))
    x, y = nets.data()
    x = x.double().requires_grad_()
    sums = Sums()
    with viz.record(model) as recording, observe(sums):
        loss = nets.loss_of(model, x, y)
        loss.backward()
    fan_outs = [edge for edge, count in sums.counts.items() if count > 1]
    assert len(fan_outs) >= 4
    for edge in sums.sums:
        total = edge.grad.data if isinstance(edge, tg.Tensor) else sums.arrived[edge]
        assert _relative(sums.sums[edge], np.asarray(total)) <= 1e-12
    # What the recorder kept is the RMS of just these arrays.
    for node, gradient in sums.arrived.items():
        operation = recording.trace.operations[node.order]
        assert operation.gradient.rms == pytest.approx(root_mean_square(gradient), rel=1e-12)


# ------------------------------------------------------------------------------------ 4 the path spectrum


@pytest.mark.parametrize("blocks", [1, 5])
def test_4_the_path_spectrum_adds_up(blocks):
    """Σ_k v_k = ∂L/∂x to 1e-10; of a chain of h + f(h) the highway alone, k = 0, is the loss-side gradient exactly."""
    chain, v = Chain(blocks, 16), tg.tensor(np.random.default_rng(2).standard_normal((8, 16)))
    x = tg.tensor(np.random.default_rng(1).standard_normal((8, 16)), requires_grad=True)
    loss = (chain(x) * v).sum()
    found = viz.path_spectrum(loss, at=x)
    loss.backward()
    assert len(found.parts) == blocks + 1
    assert np.array_equal(found.parts[0], v.numpy())
    assert _relative(sum(found.parts), x.grad.numpy()) <= 1e-10


# ------------------------------------------------------------------------------------ 5 drawing changes nothing


def test_5_drawing_changes_nothing():
    """No gradient, no value; it works after two backwards, and with no gradients at all."""
    seen = []
    for watched in (False, True):
        model, (x, y) = nets.net(2), nets.data()
        loss = nets.loss_of(model, x, y)
        if watched:
            viz.gradient_flow(loss, model).to_svg()
        loss.backward(retain_graph=True)
        with viz.record(model) as recording:
            other = nets.loss_of(model, x, y)
            other.backward(retain_graph=True)
            other.backward()
        if watched:
            flow = viz.gradient_flow(recording)
            assert flow.has_gradients and flow.to_dot() and flow.to_html()
        seen.append([loss.item(), other.item(), *(p.grad.numpy().tobytes() for p in model.parameters())])
    assert seen[0] == seen[1]
    with viz.record(model) as recording:
        nets.loss_of(model)
    flow = viz.gradient_flow(recording)
    assert not flow.has_gradients and "structure only" in flow.to_dot()


def _step_with(model, x, y, way):
    """A function that makes the loss of a step, and names the model in one of the ways there are."""

    def step():
        return nets.loss_of(model, x, y)

    method = functools.partial(_Task(model).loss, x, y)
    return {"a variable": step, "a function": lambda: step(), "a method": method}[way]


class _Task:
    def __init__(self, model):
        self.model = model

    def loss(self, x, y):
        return nets.loss_of(self.model, x, y)


class Noise(nn.Module):
    """Multiplies by numbers that NumPy's and Python's own generators draw, as a learner's layer may."""

    def forward(self, x):
        return x * float(np.random.rand() + random.random())  # noqa: NPY002


@pytest.mark.parametrize("way", ["a variable", "a function", "a method"])
@pytest.mark.parametrize("look", ["gradient_flow", "with the model", "path_spectrum", "compare"])
def test_5_a_step_that_is_run_to_be_drawn_leaves_no_trace(look, way):
    """Batch norm's running statistics and count, and the random numbers that dropout and the layer draw, stay."""
    model, (x, y) = nets.net(2), nets.data()
    model.head = nn.Sequential(nn.Dropout(0.5), Noise(), model.head)
    step = _step_with(model, x, y, way)

    def state():
        drawn = pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002
        return [b.numpy().tobytes() for b in model.buffers()], default_generator().bit_generator.state, drawn

    before, arrays = state(), [buffer._data for buffer in model.buffers()]
    looks = {
        "gradient_flow": lambda: viz.gradient_flow(step),
        "with the model": lambda: viz.gradient_flow(step, model),
        "path_spectrum": lambda: viz.path_spectrum(step),
        "compare": lambda: viz.compare(step, step),
    }
    for _ in range(2):
        looks[look]()
    assert state() == before
    assert all(buffer._data is array for buffer, array in zip(model.buffers(), arrays, strict=True))
    nets.loss_of(model, x, y)
    assert state() != before


# ------------------------------------------------------------------------------------ 6 large graphs


def test_6_the_text_of_five_thousand_operations():
    """Took 0.3 s, and runs 340 lines of Python for each, when this is written."""
    flow = viz.gradient_flow(nets.chain(5000), level="op")
    assert len(flow.nodes) == 5001
    text, lines = counted(flow.to_dot)
    assert (text.count(" -> "), text.count("shape=plain"), text.count("<TABLE BORDER=\"1\"")) == (5000, 1, 5000)
    assert lines <= 550 * 5000


@pytest.mark.parametrize("level", ["op", "auto"])
def test_6_a_recurrent_net_is_laid_out_within_the_limit(level):
    """50 steps with shared weights once made dot take 45 s. Here weights are rows, and time grows with the edges."""
    flow = viz.gradient_flow(nets.recurrent, level=level)
    assert not [node for node in flow.nodes if node.kind == "leaf"]
    assert level == "op" or len(flow.nodes) <= 66
    sizes, edges = nets.as_laid_out(flow)
    _, lines = counted(lambda: layout(sizes, edges))
    assert lines <= 800 * len(edges)
    viz.gradient_flow(nets.chain(3)).to_svg(renderer="builtin")  # imports and looks for fonts
    svg, lines = counted(lambda: flow.to_svg(time_limit=5.0))
    ElementTree.fromstring(svg)
    assert lines <= 5_000_000


# ------------------------------------------------------------------------------------ 7 marks without colours

# What is said of a node, whatever the colours: (mark or value on a scale of 2 decades, words that only it has)
SIGNS = {"zero": "0 exactly", "none": "∅ no gradient", "nan": "NaN", "inf": "Inf", -1.0: "▼ 10^-1.0", 1.0: "▲ 10^+1.0",
         -9.0: "▼▼ 10^-9.0", 9.0: "▲▲ 10^+9.0", 0.0: "● 10^0"}  # fmt: skip


@pytest.mark.parametrize("write", ["to_dot", "to_text", "to_svg", "to_html"])
def test_7_each_mark_is_told_from_the_others_without_colour(write):
    a = tg.tensor([2.0, 3.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * 2.0).tanh().sum(), level="op", scale=2, names={"a": a})
    node = flow.node("tanh")
    pictures = {}
    for sign, words in SIGNS.items():
        node.mark, node.value = (sign, None) if isinstance(sign, str) else ("", sign)
        pictures[sign] = picture = flow.to_svg(renderer="builtin") if write == "to_svg" else getattr(flow, write)()
        found = words if write in ("to_dot", "to_text") else words.split("10^")[0].strip()
        assert found in picture
    assert len(set(pictures.values())) == len(SIGNS)


def test_7_grey_shades_and_glyphs_tell_vanishing_from_exploding():
    """Both ends of the scale are dark in grey, so that the glyph has to differ; the marks differ from both."""
    grey = {value: _grey(theme.fill(value, "", 2.0)) for value in (-2.0, 0.0, 2.0)}
    assert grey[0.0] > 0.9 > 0.4 > max(grey[-2.0], grey[2.0])
    words = [f"{theme.glyph(value, 2.0)} {theme.power(value)}" for value in (-3.0, -1.0, 0.0, 1.0, 3.0)]
    assert [word.split()[0] for word in words] == ["▼▼", "▼", "●", "▲", "▲▲"]
    assert len({theme.fill(None, mark, 2.0) for mark in ("zero", "none", "nan")}) == 3


def _grey(fill):
    red, green, blue = (int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


# ------------------------------------------------------------------------------------ 8 comparisons


def test_8_both_sides_share_scale_and_reference_and_swapping_mirrors():
    pair = [nets.recorded(nets.net(14, residual)) for residual in (False, True)]
    assert len({viz.gradient_flow(one, level="op").scale for one in pair}) == 2
    sheet, mirrored = viz.compare(*pair, names=("p", "r")), viz.compare(*pair[::-1], names=("r", "p"))
    assert {flow.scale for one in (sheet, mirrored) for flow in one.flows} == {sheet.scale}
    assert sheet.scale == max(viz.gradient_flow(one, level="op").scale for one in pair)
    assert set(sheet.references) == {"head"} and mirrored.references == sheet.references[::-1]
    for one, other in zip(sheet.flows, mirrored.flows[::-1], strict=True):
        assert one.to_dot() == other.to_dot()


# ------------------------------------------------------------------------------------ 9 highways at every level


def test_9_highways_are_there_at_every_level_and_a_fold_lists_what_it_hides():
    recording = nets.recorded(nets.net(5))
    operations = {vertex.order for vertex in viz.gradient_flow(recording).origin.vertices if vertex.is_operation}
    for level, skips in (("op", 5), ("module", 5), ("block", 5), ("folded", 1)):
        flow = viz.gradient_flow(recording, level=level)
        assert sum(edge.is_skip for edge in flow.edges) == skips
        assert sum(max(1, len(node.hidden)) for node in flow.nodes if node.kind != "input") == len(operations)
        assert any(node.repeats == 5 for node in flow.nodes) == (level == "folded")


def _program(seed):
    """The loss of a program made at random: loops, states kept in lists and read by later loops, heads, delays."""
    choose = random.Random(seed)
    tg.manual_seed(seed)
    cells = [nn.Linear(4, 4) for _ in range(3)]
    h, lists = cells[0](tg.ones(2, 4)), []
    for _ in range(choose.randint(1, 3)):
        kind, cell = choose.choice(["loop", "read", "delay", "heads"]), choose.choice(cells)
        skip = choose.random() < 0.5
        states, earlier = [], choose.choice(lists) if lists else None
        for i in range(choose.randint(3, 7)):
            if kind == "heads":
                states.append(cell(h).tanh())
                continue
            if kind == "read" and earlier:
                other = earlier[i % len(earlier)]
                h = h + cell(other).tanh() if skip else cell(h + other).relu()
            elif kind == "delay" and len(states) > 2:
                h = cell(states[-1]).tanh() + states[-choose.choice([2, 3])]
            else:
                h = h + cell(h).tanh() if skip else cell(h).tanh()
            states.append(h)
        h = sum(states) if kind == "heads" else h
        lists.append(states)
    ends = choose.choice(lists)
    last = {"sum": lambda: (sum(ends) ** 2).mean(), "cat": lambda: (tg.cat(ends, 1) ** 2).mean(),
            "losses": lambda: sum([(cells[0](end) ** 2).mean() for end in ends])}  # fmt: skip
    return last[choose.choice([*last])]() + h.sum()


@pytest.mark.parametrize("seed", range(24))
def test_9_every_picture_hangs_together_and_shows_each_highway(seed):
    """At every level each node but the loss leads on, and two nodes that a highway joins are joined by one."""
    recording = nets.recorded_loss(lambda: _program(seed))
    for level in ("op", "module", "block", "folded"):
        flow = viz.gradient_flow(recording, level=level)
        assert {node.id for node in flow.nodes} - {edge.source for edge in flow.edges} == {flow.nodes[-1].id}
        place = {node.id: i for i, node in enumerate(flow.nodes)}
        assert all(place[edge.source] < place[edge.target] for edge in flow.edges)
        of = {member: node for node in flow.nodes for member in node.members}
        drawn = {(edge.source, edge.target) for edge in flow.edges if edge.is_skip}
        for reader, slot in flow.origin.skips:
            source = next(maker for i, maker, _ in flow.origin.vertices[reader].operands if i == slot)
            begin, end = of.get(source), of[reader]
            if begin is not None and begin is not end and (begin.fold is None or begin.fold != end.fold):
                assert (begin.id, end.id) in drawn, (level, begin.name, end.name)


# ------------------------------------------------------------------------------------ 10 the page in a browser


def test_10_the_page_loads_nothing_and_is_driven_in_a_browser(tmp_path):
    if chromium.find() is None:
        pytest.skip("there is no Chromium: apt-get install chromium (or Chrome) to drive the page")
    path = viz.gradient_flow(nets.recorded(nets.net(3)), level="op").save(tmp_path / "page.html")
    with chromium.Browser() as browser:
        page = browser.open(path)
        count = "document.getElementById('count').textContent"
        shown = "document.querySelectorAll('.nodes>.n').length"
        page.key("Home")
        page.key("ArrowRight")
        assert page.evaluate(count).startswith("step 1 of")
        page.click("#search")
        page.type("linear1")
        page.wait("document.querySelectorAll('.n.hit').length === 3")
        page.key("Escape")
        operations = page.evaluate(shown)
        page.click("#levels button:last-child")
        assert page.evaluate(shown) < operations
        assert page.requests() == [f"file://{path}"] and page.complaints() == []


# ------------------------------------------------------------------------------------ 11 nothing installed


def test_11_pictures_come_out_with_an_empty_path_and_no_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    flow = viz.gradient_flow(nets.recorded(nets.net(2)))
    for suffix, begin in (("svg", b"<?xml"), ("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF")):
        path = flow.save(tmp_path / f"flow.{suffix}")
        with open(path, "rb") as file:
            assert file.read().startswith(begin)


# ------------------------------------------------------------------------------------ 12 receptive fields


@pytest.mark.parametrize("name", ["dilated", "residual"])
def test_12_the_gradient_lies_inside_the_geometric_box(name):
    """The support of ∂(middle output)/∂input; more nets are in test_receptive."""
    build, shape, size, _ = FIELDS[name]
    tg.manual_seed(0)
    field = viz.receptive_field(build(), shape)
    assert field.size == size
    for (first, end), (low, high) in zip(field.support, field.box, strict=True):
        assert low <= first < end <= high
