"""The graph model: levels, blocks, folds, highways, values, marks and the scale."""

import dataclasses
import math

import numpy as np
import pictured_nets
import pytest
import viz_nets as nets

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
import viz
from tinygrad_course import nn
from tinygrad_course.models.cifar_resnet import CifarResNet
from tinygrad_course.models.mobilenet import MobileNetV2
from viz.graph import labels, theme, values, view
from viz.graph.levels import find_repeats
from viz.graph.skips import find_highways


def _names(flow):
    return [node.name for node in flow.nodes]


# ------------------------------------------------------------------------------------------- skips


def _skips(names, sources, weights):
    return {edge for highway in find_highways(names, sources, weights) for edge in highway.edges}


@pytest.mark.parametrize(
    ("title", "names", "sources", "expected"),
    [
        ("identity skip", ["x", "linear", "relu", "add"], [[], [0], [1], [0, 2]], {(3, 0)}),
        ("either operand", ["x", "linear", "relu", "add"], [[], [0], [1], [2, 0]], {(3, 1)}),
        ("a branch of one operation is none", ["x", "tanh", "add"], [[], [0], [0, 1]], set()),
        ("x + x", ["x", "add"], [[], [0, 0]], set()),
        ("no merge", ["x", "a", "b", "mul"], [[], [0], [1], [0, 2]], set()),
        ("concatenation", ["x", "a", "b", "cat"], [[], [0], [1], [0, 2]], {(3, 0)}),
        ("nested", ["x", "a", "b", "add", "c", "d", "add"], [[], [0], [1], [0, 2], [3], [4], [3, 5]], {(3, 0), (6, 0)}),
        ("around two blocks", ["x", "a", "b", "c", "add"], [[], [0], [1], [2], [3, 0]], {(4, 1)}),
        (
            "a convolution on the highway",
            ["x", "conv", "bn", "relu", "conv", "bn", "conv", "add"],
            [[], [0], [1], [2], [3], [4], [0], [5, 6]],
            {(6, 0), (7, 1)},
        ),
        ("two equal branches", ["x", "a", "b", "c", "d", "add"], [[], [0], [1], [0], [3], [2, 4]], set()),
        ("a weight's own way", ["x", "a", "b", "c", "", "w", "mul", "add"],
         [[], [0], [1], [2], [], [4], [0, 5], [3, 6]], {(6, 0), (7, 1)}),
        ("operands of different origin", ["x", "y", "a", "b", "add"], [[], [], [0], [2], [1, 3]], set()),
    ],
)
def test_skips(title, names, sources, expected):
    assert _skips(names, sources, [1] * len(names)) == expected, title


def test_one_layer_with_weights_counts_as_two_operations():
    names, sources = ["x", "linear", "add"], [[], [0], [0, 1]]
    assert _skips(names, sources, [1, 2, 1]) == {(2, 0)}


def test_a_skip_is_there_at_every_level():
    recording = nets.recorded(nets.net(blocks=5))
    flows = {level: viz.gradient_flow(recording, level=level) for level in ("op", "module", "block", "folded")}
    counts = {level: sum(edge.is_skip for edge in flow.edges) for level, flow in flows.items()}
    assert counts == {"op": 5, "module": 5, "block": 5, "folded": 1}
    plain = nets.recorded(nets.net(blocks=5, residual=False))
    assert not any(edge.is_skip for edge in viz.gradient_flow(plain, level="op").edges)


def _skips_and_layers(x, prepare):
    """Which operands of the additions of h + tanh(W h), twice, are skips, where h begins as prepare(x)."""
    layers = [nn.Linear(3, 3) for _ in range(2)]

    def loss():
        h = prepare(x)
        for layer in layers:
            h = h + layer(h).tanh()
        return h.sum()

    flow = viz.gradient_flow(loss, level="op")
    return [(edge.is_skip, edge.rms is not None) for edge in flow.edges if flow.node(edge.target).op == "add"]


@pytest.mark.parametrize("prepare", [lambda x: x, lambda x: x.flatten(1), lambda x: x.flatten(1) * 2.0])
def test_a_highway_may_begin_at_data(prepare):
    """No gradient returns along it, but the first block is drawn as the others are."""
    expected = [(True, False), (False, True), (True, True), (False, True)]
    assert _skips_and_layers(tg.tensor(np.ones((2, 3), np.float32)), prepare) == expected


def test_data_read_many_times_is_no_fork():
    """All steps of a recurrent net read one sequence: its states are no highways."""
    tg.manual_seed(0)
    cell, x, h = nn.Linear(3, 3), tg.tensor(np.ones((4, 2, 3), np.float32)), tg.zeros(2, 3)
    for step in range(4):
        h = (cell(x[step]) + cell(h)).tanh()
    assert not any(edge.is_skip for edge in viz.gradient_flow(h.sum(), level="op").edges)


def _h(seed=0):
    """A tensor on the tape, as of a first layer."""
    return tg.tensor(np.random.default_rng(seed).standard_normal((4, 8)), requires_grad=True) * 1.0


def _stack(layers, width=8, outputs=None):
    tg.manual_seed(0)
    modules = [module for _ in range(layers) for module in (nn.Linear(width, width), nn.Tanh())]
    return nets.in_float64(nn.Sequential(*modules, *([nn.Linear(width, outputs)] if outputs else [])))


def _penalty():
    net = _stack(3)
    return (net(_h()) ** 2).mean() + 1e-3 * (net[0].weight ** 2).sum()


def _activation_penalty():
    h = _h()
    return (_stack(3)(h) ** 2).mean() + 0.1 * h.abs().mean()


def _losses_of_each_sample():
    h = _h()
    return ((_stack(3)(h) ** 2).sum(1) + 0.1 * h.abs().sum(1)).mean()


def _two_heads():
    h = _h()
    return (_stack(3, outputs=2)(h) ** 2).mean() + (_stack(0, outputs=2)(h) ** 2).mean()


def _twelve_heads():
    h = _h()
    return (sum(_stack(1, outputs=2)(h) for _ in range(12)) ** 2).mean()


def _square():
    h = _h()
    return (h.tanh().exp() + h * h).sum()


def _gate():
    h, gate, layer = _h(), _stack(1), _stack(1)
    for _ in range(2):
        g = gate(h).sigmoid()
        h = g * layer(h) + (1.0 - g) * h
    return h.sum()


def _initial_residual():
    """Each layer reads the first one's output again, scaled: these are highways."""
    h = first = _h()
    for layer in [_stack(1) for _ in range(3)]:
        h = layer(layer(h)) + first * 0.5
    return h.sum()


def test_a_fork_of_several_highways():
    flow = viz.gradient_flow(_initial_residual, level="op")
    assert [flow.node(e.target).op for e in flow.edges if e.is_skip] == ["mul", "add"] * 3
    assert len(flow.spectrum.blocks) == 3


def _recurrent():
    x, h, of_input, of_state = _h(), tg.zeros(4, 8, dtype=tg.float64), _stack(0, outputs=8), _stack(0, outputs=8)
    for _ in range(4):
        h = (of_input(x) + of_state(h)).tanh()
    return h.sum()


@pytest.mark.parametrize(
    "loss",
    [_penalty, _activation_penalty, _losses_of_each_sample, _two_heads, _twelve_heads, _square, _gate, _recurrent],
)
def test_what_is_no_highway(loss):
    flow = viz.gradient_flow(loss, level="op")
    assert not [edge for edge in flow.edges if edge.is_skip]
    assert not [node.name for node in flow.nodes if node.is_merge]
    with pytest.raises(ValueError, match="no additive skip"):
        viz.path_spectrum(loss)


class Attention(nn.Module):
    """A block of a transformer: x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, width=8):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        h = self.norm1(x)
        scores = self.query(h) @ self.key(h).transpose(-1, -2)
        x = x + scores.softmax(-1) @ self.value(h)
        return x + self.down(self.up(self.norm2(x)).relu())


class Scaled(nn.Module):
    """x·½ + f(x)·½, with Python's sum, which begins at 0."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return sum([x * 0.5, self.layer(x).tanh() * 0.5])


class UNet(nn.Module):
    """Two levels; the decoder reads what the encoder made, beside what comes up."""

    def __init__(self):
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up, self.head = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        wide = self.stem(x).relu()
        return self.head(tg.cat([wide, self.up(self.down(wide).relu())], 1))


@pytest.mark.parametrize(
    ("model", "shape", "merges", "edges"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 8), *[Attention() for _ in range(3)]), (2, 5, 8), 6, 6),
        (lambda: nn.Sequential(nn.Linear(8, 8), *[Scaled() for _ in range(4)]), (4, 8), 4, 12),
        (UNet, (2, 3, 8, 8), 1, 1),
        (lambda: CifarResNet(14, width=4), (2, 3, 8, 8), 6, 6 + 2 * 2),  # two shortcuts: convolution, normalization
        (lambda: MobileNetV2(num_classes=3, width_mult=0.25), (2, 3, 32, 32), 11, 11),
    ],
)
def test_real_skips(model, shape, merges, edges):
    tg.manual_seed(0)
    model, x = model(), tg.randn(*shape)
    for level in ("op", "module", "block"):
        flow = viz.gradient_flow(lambda: (model(x) ** 2).mean(), model, level=level, spectrum=False)
        assert sum(node.is_merge for node in flow.nodes) == merges, level
        if level == "op":
            assert sum(edge.is_skip for edge in flow.edges) == edges


def test_dense_connections_are_highways():
    x = tg.tensor(np.ones((2, 3)), requires_grad=True)
    weights = [nn.Parameter(tg.tensor(np.ones((3 * (i + 1), 3)) / 10)) for i in range(3)]

    def loss():
        features = [x]
        for weight in weights:
            features.append((tg.cat(features, 1) @ weight).relu())
        return tg.cat(features, 1).sum()

    flow = viz.gradient_flow(loss, level="op")
    assert sum(edge.is_skip for edge in flow.edges) >= 5


# ------------------------------------------------------------------------------------------- levels


def test_blocks_and_their_merges():
    flow = viz.gradient_flow(nets.recorded(nets.net(blocks=2)), level="block")
    assert " | ".join(_names(flow)) == (
        "input | stem | blocks.0 | blocks.0 ⊕ | blocks.1 | blocks.1 ⊕ | head | cross_entropy"
    )
    assert flow.node("blocks.0").hidden == (
        "blocks.0.linear1 (linear)", "blocks.0.bn1 (batch_norm)", "blocks.0.relu (relu)",
        "blocks.0.linear2 (linear)", "blocks.0.bn2 (batch_norm)",
    )  # fmt: skip
    assert flow.node("blocks.1 ⊕").is_merge


def test_a_fold_lists_what_it_hides():
    recording = nets.recorded(nets.net(blocks=18, residual=False))
    flow = viz.gradient_flow(recording, level="folded")
    assert len(flow.nodes) == 5
    fold = flow.nodes[2]
    assert (fold.name, fold.repeats, len(fold.strip), len(fold.hidden)) == ("blocks.0 … blocks.17", 18, 18, 108)
    assert not fold.shared
    single = viz.gradient_flow(recording, level="block")
    assert [value for value, _ in fold.strip] == [node.value for node in single.nodes[2:-2]]
    assert fold.parameter_count == sum(node.parameter_count for node in single.nodes[2:-2])


def _pieces(flow):
    """How many parts of a picture hang together."""
    part = {node.id: {node.id} for node in flow.nodes}
    for edge in flow.edges:
        joined = part[edge.source] | part[edge.target]
        part.update(dict.fromkeys(joined, joined))
    return len({id(one) for one in part.values()})


def _many_losses():
    """A recurrent net whose states go into a list, and each then into a loss of its own."""
    read, keep, head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
    h, states, target = tg.zeros(2, 8), [], tg.tensor(np.array([0, 1]))
    for _ in range(30):
        h = (read(tg.ones(2, 4)) + keep(h)).tanh()
        states.append(h)
    return sum([nn.functional.cross_entropy(head(state), target) for state in states])


def _encoder_and_decoder():
    """Each step of the second loop reads a step of the first, the last one first."""
    cell, h, states = nn.Linear(8, 8), tg.ones(2, 8), []
    for _ in range(6):
        h = cell(h).tanh()
        states.append(h)
    for state in reversed(states):
        h = cell(h + state).relu()
    return (h**2).mean()


def _four_hundred_terms():
    w = tg.tensor(np.ones(4), requires_grad=True)
    return sum([(w * float(i)).tanh() for i in range(400)]).sum()


def _joined_states():
    cell, h, states = nn.Linear(8, 8), tg.ones(2, 8), []
    for _ in range(9):
        h = cell(h).tanh()
        states.append(h)
    return (tg.cat(states, 1) ** 2).mean()


@pytest.mark.parametrize(
    ("make", "joins"),
    [
        (_many_losses, [("linear … tanh (2)", "linear … cross_entropy"), ("linear … cross_entropy", "add … add")]),
        (_encoder_and_decoder, [("linear … tanh (1)", "add")] * 6),
        (_four_hundred_terms, [("mul … tanh (1)", "add"), ("mul … tanh (1)", "add … add")]),
        (_joined_states, [("linear … tanh (2)", "cat")]),
    ],
)
def test_what_leaves_an_earlier_repeat_is_not_lost(make, joins):
    """One edge from a fold to what reads it, whichever of its repeats that is; a skip stays a skip."""
    tg.manual_seed(0)
    recording = nets.recorded_loss(make)
    flows = {level: viz.gradient_flow(recording, level=level) for level in ("op", "block", "folded")}
    assert {_pieces(flow) for flow in flows.values()} == {1}
    folded = flows["folded"]
    name = {node.id: node.name for node in folded.nodes}
    edges = [(name[edge.source], name[edge.target]) for edge in folded.edges]
    for source, target in set(joins):
        found = [(a, b) for a, b in edges if a.startswith(source) and b.startswith(target)]
        assert len(found) >= 1, (source, target, edges)
    assert len({node.id for node in folded.nodes} - {edge.source for edge in folded.edges}) == 1, "only the loss ends"
    if make is _encoder_and_decoder:
        assert [sum(edge.is_skip for edge in flow.edges) for flow in flows.values()] == [5, 5, 5]
    if make is _joined_states:  # one for the last, one for all that go around
        into = [edge for edge in folded.edges if name[edge.target] == "cat" and "(2)" in name[edge.source]]
        assert sorted(edge.is_skip for edge in into) == [False, True]


def test_a_fold_shows_that_a_gradient_inside_is_exactly_zero():
    """Nine of twenty blocks get nothing: the range begins with 0, and counts them in the middle of it."""
    flow = viz.gradient_flow(nets.recorded_loss(nets.dead_in_the_middle()), level="folded")
    fold = next(node for node in flow.nodes if node.repeats > 1)
    values_ = sorted(-math.inf if mark == "zero" else value for value, mark in fold.strip)
    assert values_[0] == -math.inf and fold.value == values_[len(values_) // 2]
    assert labels.value(fold, flow.scale).split()[1:] == ["0", "…", theme.power(values_[-1])]
    assert any(row[0] == "zero" for row in labels.legend(flow)[2])


@pytest.mark.parametrize(
    ("marks", "mark", "text"),
    [
        (["zero", "zero", -1.0], "zero", "0 … 10^-1.0"),
        (["none", "none", -1.0], "none", "∅ … 10^-1.0"),
        (["zero", -2.0, -1.0], "", "▼▼ 0 … 10^-1.0"),
        (["nan", -2.0, -1.0], "nan", "NaN … 10^-1.0"),
        (["zero", "zero", "zero"], "zero", "0 exactly"),
        (["nan", "nan", "nan"], "nan", "NaN"),
        ([-3.0, -2.0, -1.0], "", "▼▼ 10^-3.0 … 10^-1.0"),
    ],
)
def test_marks_inside_a_fold(marks, mark, text):
    plain = viz.gradient_flow(nets.recorded(nets.net(1)), level="op").node("stem")
    made = [
        dataclasses.replace(plain, value=one, mark="")
        if isinstance(one, float)
        else dataclasses.replace(plain, value=None, mark=one)
        for one in marks
    ]
    fold = view._folded(made)
    assert (fold.mark, labels.value(fold, 1.0)) == (mark, text)


@pytest.mark.parametrize(
    ("sizes", "mean"),
    [
        ([0.1, 10.0], 1.0), ([0.3], 0.3), ([0.0, 0.0, 5.0], 0.0), ([0.0, 2.0, 5.0], 2.0), ([None, 4.0], 4.0),
        ([None], None), ([0.1, math.nan, 0.2], math.nan), ([0.0, math.inf], math.inf),
    ],
)  # fmt: skip
def test_an_edge_of_a_fold_stands_for_those_of_all_repeats(sizes, mean):
    assert view._mean_rms([(size,) for size in sizes]) == pytest.approx(mean, nan_ok=True)


def test_a_long_strip_keeps_its_marks():
    strip = ((-1.0, ""), (None, "zero"), (-9.0, ""), (None, "none")) * 40
    node = dataclasses.replace(viz.gradient_flow(nets.recorded(nets.net(1))).nodes[0], strip=strip, repeats=160)
    assert labels.strip(node) == [(None, "zero")] * 40


def test_a_fold_of_shared_parameters_says_so():
    tg.manual_seed(0)
    cell = nn.Linear(6, 6)
    x = tg.tensor(np.ones((2, 6), np.float32))

    def loss():
        h = x
        for _ in range(9):
            h = cell(h).tanh()
        return h.sum()

    flow = viz.gradient_flow(loss, cell, level="folded")
    fold = next(node for node in flow.nodes if node.repeats > 1)
    assert fold.shared
    assert fold.parameter_count == 42
    assert "shared parameters" in flow.to_dot()


def test_a_net_written_as_one_list_falls_into_blocks():
    model = nets.flat(layers=30)
    flow = viz.gradient_flow(nets.recorded(model))
    assert flow.level == "block"
    blocks = [node for node in flow.nodes if node.kind == "block"]
    assert len(blocks) == 30
    assert blocks[3].name == "11 … 13"  # begins with its layer of weights


@pytest.mark.parametrize(
    ("signatures", "expected"),
    [
        ("abcabcabc", [(0, 3, 3)]),
        ("xababababy", [(1, 2, 4)]),
        ("aaaa", [(0, 1, 4)]),
        ("abab", []),
        ("abcd", []),
        ("aaabbb", [(0, 1, 3), (3, 1, 3)]),
        ("", []),
    ],
)
def test_repeats(signatures, expected):
    assert find_repeats(list(signatures)) == expected


@pytest.mark.parametrize("blocks", [1, 6, 25, 60, 200])
@pytest.mark.parametrize("residual", [False, True])
def test_auto_shows_about_sixty_nodes(blocks, residual):
    flow = viz.gradient_flow(nets.recorded(nets.net(blocks, residual)))
    assert len(flow.nodes) <= 66
    assert any(edge.is_skip for edge in flow.edges) == residual


def test_every_node_is_behind_its_sources():
    for level in ("op", "module", "block", "folded"):
        flow = viz.gradient_flow(nets.recorded(nets.net(blocks=7)), level=level)
        place = {node.id: i for i, node in enumerate(flow.nodes)}
        assert list(place) == [f"n{i}" for i in range(len(place))]
        assert all(place[edge.source] < place[edge.target] for edge in flow.edges)


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda: nn.Linear(6, 5), (4, 6), 4 * 6 * 5),
        (lambda: nn.Conv2d(3, 8, 3, padding=1), (2, 3, 5, 5), 2 * 8 * 25 * 3 * 9),
        (lambda: nn.Conv2d(4, 8, 3, groups=2), (1, 4, 5, 5), 8 * 9 * 2 * 9),
        (lambda: nn.Conv1d(4, 6, 3), (2, 4, 9), 2 * 6 * 7 * 4 * 3),
        (lambda: nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1), (2, 3, 5, 5), 2 * 3 * 25 * 8 * 16),
        (lambda: lambda x: F.conv2d(x, tg.ones(6, 3, 3, 3, requires_grad=True) * 2.0), (1, 3, 5, 5), 6 * 9 * 27),
        (lambda: lambda x: F.linear(x, tg.ones(5, 6, requires_grad=True) * 2.0), (4, 6), 4 * 6 * 5),
        (lambda: lambda x: x @ tg.ones(6, 5, requires_grad=True), (4, 6), 4 * 6 * 5),
        (lambda: lambda x: tg.ones(6, requires_grad=True) * x, (4, 6), 0),
    ],
)
def test_multiply_adds(make, shape, expected):
    model = make()
    flow = viz.gradient_flow(lambda: model(tg.ones(*shape)).sum(), level="op")
    assert sum(node.multiply_adds for node in flow.nodes) == expected


def test_parameters_are_rows_and_inputs_are_nodes():
    flow = viz.gradient_flow(nets.recorded(nets.net(blocks=1)), level="op")
    assert [p.name for p in flow.node("stem").parameters] == ["weight", "bias"]
    assert flow.node("stem").parameter_count == 9 * 12 + 12
    assert flow.node("stem").multiply_adds == 16 * 12 * 9
    assert [node.name for node in flow.nodes if node.kind == "input"] == ["input"]
    assert not [node for node in flow.nodes if "weight" in node.name]


def test_a_leaf_with_many_readers_is_drawn_once_per_use():
    x = tg.tensor(np.ones(3, np.float32))
    w = tg.tensor(np.ones(3, np.float32), requires_grad=True)

    def loss():
        h = w
        for _ in range(50):
            h = (h * x).tanh()
        return h.sum()

    flow = viz.gradient_flow(loss, level="op")
    inputs = [node for node in flow.nodes if node.kind == "input"]
    assert len(inputs) == 50
    assert {node.name for node in inputs} == {"input"}
    assert {labels.details(node)[0] for node in inputs} == {"data  3  read 50×"}


def test_no_line_of_a_node_begins_with_a_space():
    a = tg.tensor(2.0, requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * 3.0).mul(2.0), names={"a": a})
    lines = [line for node in flow.nodes for line in labels.details(node)]
    assert "with 2" in lines and all(line == line.strip() for line in lines)


@pytest.mark.parametrize("level", ["block", "folded"])
def test_data_that_folded_steps_read_says_so(level):
    """Drawn into the first step alone, it would look as if the later ones of a recurrent net had no input."""
    (data,) = [node for node in pictured_nets.flow("rnn50", level).nodes if node.name == "input"]
    assert labels.details(data)[0] == "data  8×50×8  read 50×"


def test_scalar_graph_with_names():
    a, b = tg.tensor(2.0, requires_grad=True), tg.tensor(-3.0, requires_grad=True)
    flow = viz.gradient_flow(a * b + a, names={"a": a, "b": b})
    assert flow.node("a").gradient.value == -2.0
    assert flow.node("b").gradient.value == 2.0
    assert "value −3, gradient 2" in flow.to_dot()


def test_a_head_that_missed_the_loss_has_no_gradient():
    class TwoHeads(nets.Net):
        def __init__(self):
            super().__init__(1, True)
            self.spare = nn.Linear(4, 2)

        def forward(self, x):
            out = super().forward(x)
            self.spare(out)
            return out

    flow = viz.gradient_flow(nets.recorded(TwoHeads()))
    assert flow.node("spare").mark == "none"
    assert "no gradient" in flow.to_dot()


def test_frozen_layers():
    model = nets.net(blocks=1)
    for parameter in model.stem.parameters():
        parameter.requires_grad = False
    flow = viz.gradient_flow(nets.recorded(model), level="op")
    assert flow.node("stem").mark == "data"
    assert "frozen" in flow.to_dot()


def test_structure_only():
    model = nets.net(blocks=2)
    with viz.record(model) as recording:
        model(nets.data()[0])
    flow = viz.gradient_flow(recording)
    assert not flow.has_gradients
    assert sum(edge.is_skip for edge in flow.edges) == 2
    assert "structure only" in flow.to_dot()


def test_unknown_level_and_reference():
    recording = nets.recorded(nets.net(blocks=1))
    with pytest.raises(ValueError, match='level must be "auto"'):
        viz.gradient_flow(recording, level="layer")
    with pytest.raises(ValueError, match=r"no node is named 'haed'; there are: .*head"):
        viz.gradient_flow(recording, reference="haed")
    with pytest.raises(ValueError, match="must be positive"):
        viz.gradient_flow(recording, reference=0.0)
    with pytest.raises(ValueError, match="scale must be"):
        viz.gradient_flow(recording, scale=-1)
    with pytest.raises(KeyError, match="nowhere"):
        viz.gradient_flow(recording).node("nowhere")


# ------------------------------------------------------------------------------------------- values


def test_value_is_the_decadic_logarithm_of_relative_rms():
    recording = nets.recorded(nets.net(blocks=2))
    flow = viz.gradient_flow(recording, level="op")
    assert flow.reference == "head"  # the last tensor before the loss
    head = flow.node("head")
    assert head.value == 0.0
    for node in flow.nodes:
        if node.value is not None:
            assert node.value == pytest.approx(math.log10(node.grad_rms / head.grad_rms))
    other = viz.gradient_flow(recording, level="op", reference="stem")
    assert other.node("stem").value == 0.0
    number = viz.gradient_flow(recording, level="op", reference=1.0)
    assert number.node("stem").value == pytest.approx(math.log10(number.node("stem").grad_rms))


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [
        ([0.2, -0.5], 1), ([1.5], 2), ([2.5, 0, 0], 3), ([5.0], 6), ([-7.0], 8), ([11.0], 12), ([40.0], 12), ([], 1),
        ([None, 0.1], 1), ([0.1] * 99 + [9.0], 1), ([0.1] * 19 + [3.9] * 2, 4),
    ],
)  # fmt: skip
def test_scale_is_the_smallest_that_covers_95_percent(numbers, scale):
    assert values.choose_scale(numbers) == scale


def test_compared_nets_share_scale_and_reference_rule():
    flows = [viz.gradient_flow(nets.recorded(nets.net(12, residual))) for residual in (False, True)]
    scale = viz.compare_scale(*flows)
    assert scale == viz.compare_scale(*flows[::-1]) == max(flow.scale for flow in flows)
    again = [flow.with_scale(scale) for flow in flows]
    assert {flow.scale for flow in again} == {scale}
    assert {flow.reference for flow in again} == {"head"}
    asked = viz.gradient_flow(nets.recorded(nets.net(2)), scale=scale)
    assert asked.scale == scale


class Times(nn.Module):
    """Multiplies by a number: a place where a gradient can be spoilt."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize(
    ("factor", "mark"), [(0.0, "zero"), (math.nan, "nan"), (math.inf, "inf"), (1e30, ""), (1e-30, "")]
)
def test_marks(factor, mark):
    w = tg.tensor(np.ones(4), requires_grad=True)
    flow = viz.gradient_flow(lambda: ((w.exp() * factor) * 1.0).sum(), level="op", names={"w": w}, scale=3)
    assert flow.node("w").mark == mark
    printed = {"zero": "0 exactly", "nan": "NaN", "inf": "Inf", "": "▲▲" if factor > 1 else "▼▼"}[mark]
    assert printed in flow.to_dot()


def test_the_marks_look_different():
    fills = [theme.fill(None, mark, 1.0) for mark in ("zero", "none", "nan", "data")]
    assert len(set(fills)) == 4
    words = [theme.MARKS[mark] for mark in ("zero", "none", "nan", "inf")]
    assert len(set(words)) == 4
    # In greyscale red and blue look alike: the glyphs and the signs tell them apart.
    assert theme.glyph(-1.0, 2.0) != theme.glyph(1.0, 2.0)
    assert theme.glyph(3.0, 2.0) != theme.glyph(1.0, 2.0)
    assert (theme.power(-2.4), theme.power(0.01), theme.power(0.94)) == ("10^-2.4", "10^0", "10^+0.9")


def test_the_first_nan_of_both_directions_is_flagged():
    model = nn.Sequential(nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
    model[2].weight.data[0, 0] = np.nan
    flow = viz.gradient_flow(nets.recorded(model), level="op")
    assert [node.name for node in flow.nodes if node.is_first_bad_output] == ["2"]
    assert [node.name for node in flow.nodes if node.is_first_bad] == ["4"]


@pytest.mark.parametrize(("value", "colour"), [(0.0, "#f7f7f7"), (-2.0, "#053061"), (2.0, "#67001f"), (9.0, "#67001f")])
def test_colours(value, colour):
    assert theme.colour(value, 2.0) == colour


def test_widths_are_logarithmic_and_bounded():
    widths = [theme.width(10.0**power, 1.0, 2.0) for power in (-9, -2, -1, 0, 1, 2, 9)]
    assert widths[0] == widths[1] == theme.THINNEST
    assert widths[-1] == widths[-2] == theme.THICKEST
    steps = np.diff(widths[1:-1])
    assert np.allclose(steps, steps[0], atol=0.02)
    assert (
        theme.width(None, 1.0, 2.0) == theme.width(0.0, 1.0, 2.0) == theme.width(math.nan, 1.0, 2.0) == theme.THINNEST
    )


def test_bytes_kept_for_backward():
    """tanh keeps its output, a linear layer its input: each array is counted where it is first kept."""
    x = tg.tensor(np.ones((4, 6), np.float32))
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    flow = viz.gradient_flow(lambda: model(x).sum(), model, level="op")
    assert [flow.node(name).saved_bytes for name in ("0", "1", "2")] == [4 * 6 * 4, 4 * 5 * 4, 0]
    assert "bytes kept for backward" in flow.to_dot()


@pytest.mark.parametrize("uses", [4, 5, 9])
def test_a_leaf_used_often_is_drawn_once_per_use_and_its_contributions_still_meet(uses):
    """Shares, cosine and cancellation are those of the tensor, however many times it is drawn."""
    a = tg.tensor([1.0, 2.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: sum((a * float(k + 2)) for k in range(uses)).sum(), names={"a": a})
    copies = [node for node in flow.nodes if node.name == "a"]
    assert len(copies) == (uses if uses >= 5 else 1)
    total = sum(range(2, uses + 2))
    edges = [edge for edge in flow.edges if edge.source in {node.id for node in copies}]
    assert sorted(edge.share for edge in edges) == pytest.approx([k / total for k in range(2, uses + 2)])
    for node in copies:
        assert node.agreement.count == uses
        assert (node.agreement.cosine, node.agreement.cancellation) == pytest.approx((1.0, 1.0), abs=1e-5)
        assert node.grad_rms == pytest.approx(total)  # each copy shows the gradient of them all
    said = [f"use {number} of {uses}" for number in range(1, uses + 1)] if uses >= 5 else []
    dot, html = flow.to_dot(), flow.to_html()
    assert [words for words in said if words not in dot or words not in html] == []
    assert ("use 1 of" in dot) == (uses >= 5)
