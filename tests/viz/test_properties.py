"""What holds of every picture, where no other file holds it already: operands, size, marks, names.

The same model and seed give the same bytes: test_drawing, test_page. Contributions add up to `.grad`; recording changes
nothing; two backwards; structure only: test_recorder, test_graph. The path spectrum adds up: test_spectrum. Both sides
of a comparison: test_compare. Highways at every level, folds list what they hide: test_graph. The page in a browser:
test_page_browser. Pictures without a renderer: test_drawing. Receptive fields: test_receptive.
"""

import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import Observer, nn, observe
from viz.graph.layout import layout


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


def _recurrent(steps=50):
    tg.manual_seed(0)
    cell, x, h = nn.Linear(8, 8), tg.randn(steps, 4, 8), tg.zeros(4, 8)
    for step in range(steps):
        h = (cell(h) + x[step]).tanh()
    return h.sum()


PROGRAMS = {
    "a + a and a * a": _twice,
    "an output read three times": _reused,
    "shared weights": _shared_weights,
    "recurrent": _recurrent,
    "residual net": lambda: nets.loss_of(nets.net(3)),
    "plain net": lambda: nets.loss_of(nets.net(3, residual=False)),
    "variables that are rows": lambda: nets.chain(80),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_operand_is_drawn_once(name):
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


# ------------------------------------------------------------------------------------ size


def test_the_text_of_five_thousand_operations_takes_less_than_a_second():
    flow = viz.gradient_flow(nets.chain(5000), level="op")
    assert len(flow.nodes) == 5001
    times = []
    for _ in range(3):
        start = time.perf_counter()
        text = flow.to_dot()
        times.append(time.perf_counter() - start)
    assert (text.count(" -> "), text.count("shape=plain"), text.count("<TABLE BORDER=\"1\"")) == (5000, 1, 5000)
    assert min(times) < 1.0


@pytest.mark.parametrize("level", ["op", "auto"])
def test_a_recurrent_net_is_laid_out_within_the_limit(level):
    """50 steps with shared weights once made dot take 45 s. Here weights are rows, and time grows with the edges."""
    flow = viz.gradient_flow(_recurrent, level=level)
    assert not [node for node in flow.nodes if node.kind == "leaf"]
    assert level == "op" or len(flow.nodes) <= 66
    place = {node.id: i for i, node in enumerate(flow.nodes)}
    edges = [(place[edge.source], place[edge.target], edge.is_skip) for edge in flow.edges]
    start = time.perf_counter()
    layout([(90.0, 40.0)] * len(flow.nodes), edges)
    assert time.perf_counter() - start < 2.0
    start = time.perf_counter()
    ElementTree.fromstring(flow.to_svg(time_limit=5.0))
    assert time.perf_counter() - start < 20.0


# ------------------------------------------------------------------------------------ marks

# What is said of a node, whatever the colours: (mark or value on a scale of 2 decades, words that only it has)
SIGNS = {"zero": "0 exactly", "none": "∅ no gradient", "nan": "NaN", "inf": "Inf", -1.0: "▼ 10^-1.0", 1.0: "▲ 10^+1.0",
         -9.0: "▼▼ 10^-9.0", 9.0: "▲▲ 10^+9.0", 0.0: "● 10^0"}  # fmt: skip


@pytest.mark.parametrize("write", ["to_dot", "to_text", "to_svg", "to_html"])
def test_each_mark_is_told_from_the_others_without_colour(write):
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
