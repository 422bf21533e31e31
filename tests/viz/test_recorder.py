"""The recorder: every operand seen once, numbers that are right, gradients and values left alone."""

import gc
import math

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from viz.graph.stats import measure, root_mean_square


@pytest.mark.parametrize(
    ("build", "operands"),
    [
        (lambda a: a + a, 2),
        (lambda a: a * a, 2),
        (lambda a: (a * 2.0) + (a * 3.0), 4),
        (lambda a: (lambda b: b * b + b)(a.exp()), 5),
    ],
)
def test_every_operand_is_one_edge(build, operands):
    a = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: build(a).sum(), level="op")
    edges = [edge for edge in flow.edges if edge.target != flow.nodes[-1].id]
    assert len(edges) == operands
    assert len({(edge.source, edge.target, edge.slot) for edge in edges}) == operands


def test_shares_at_a_fan_out():
    a = tg.tensor([1.0, -2.0], requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * 3.0 + a * 1.0).sum())
    assert [edge.share for edge in flow.edges if edge.share is not None] == pytest.approx([0.75, 0.25])
    twice = viz.gradient_flow(lambda: (a + a).sum())
    assert [edge.share for edge in twice.edges if edge.share is not None] == pytest.approx([0.5, 0.5])


def test_shared_weights_get_the_gradient_of_all_their_uses():
    weight = nn.Parameter(tg.tensor(np.eye(3), dtype=tg.float64))
    x = tg.tensor(np.arange(6.0).reshape(2, 3))
    with viz.record() as recording:
        ((x @ weight) @ weight).sum().backward()
    (leaf,) = [leaf for leaf in recording.trace.leaves if leaf.requires_grad]
    assert leaf.uses == 2
    assert leaf.gradient.rms == pytest.approx(root_mean_square(weight.grad.numpy()), rel=1e-12)


def test_recording_and_drawing_change_nothing():
    """Gradients and values are the same bits with and without a recorder, before and after drawing."""
    results = []
    for watch in (False, True):
        model = nets.net()
        if watch:
            with viz.record(model) as recording:
                loss = nets.loss_of(model)
                loss.backward()
            viz.gradient_flow(recording).to_dot()
        else:
            loss = nets.loss_of(model)
            loss.backward()
        results.append([float(loss), *(p.grad.numpy().tobytes() for p in model.parameters())])
    assert results[0] == results[1]


def test_drawing_a_loss_leaves_grad_and_graph_alone():
    model = nets.net()
    x, y = nets.data()
    h = model.stem(x)
    h.retain_grad()
    loss = nn.CrossEntropyLoss()(model.head(model.blocks(h)), y)
    flow = viz.gradient_flow(loss, model)
    assert flow.has_gradients
    assert all(p.grad is None for p in model.parameters())
    assert h.grad is None
    loss.backward()
    before = [p.grad.numpy().copy() for p in model.parameters()]
    again = nets.loss_of(model)
    viz.gradient_flow(again, model)
    assert all(np.array_equal(a, p.grad.numpy()) for a, p in zip(before, model.parameters(), strict=True))


def test_two_backwards_through_one_graph():
    model = nets.net()
    with viz.record(model) as recording:
        loss = nets.loss_of(model)
        loss.backward(retain_graph=True)
        loss.backward()
    flow = viz.gradient_flow(recording)
    assert len(recording.steps) == 2
    assert all(node.mark in ("", "data") for node in flow.nodes)


def test_training_keeps_the_last_graph_and_small_numbers_of_each_step():
    model = nets.net()
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    with viz.record(model) as recording:
        for _ in range(5):
            optimizer.zero_grad()
            nets.loss_of(model).backward()
            optimizer.step()
            with tg.no_grad():
                nets.loss_of(model)  # an evaluation is not the graph to draw
    assert len(recording.steps) == 5
    assert len({id(step.structure) for step in recording.steps}) == 1
    assert recording.steps[-1].loss < recording.steps[0].loss
    once = nets.recorded(nets.net())
    assert len(viz.gradient_flow(recording, level="op").nodes) == len(viz.gradient_flow(once, level="op").nodes)
    assert recording.layers(0) == once.layers()
    assert recording.gradient_history().shape == (5, 8)
    assert not [value for value in vars(recording).values() if isinstance(value, np.ndarray)]


def test_every_other_step():
    model = nets.net()
    with viz.record(model, every=2) as recording:
        for _ in range(5):
            nets.loss_of(model).backward()
    assert len(recording.steps) == 3


def test_a_long_evaluation_does_not_pile_up(monkeypatch):
    monkeypatch.setattr("viz.graph.tracer._SWEEP_FROM", 200)
    model = nets.net()
    with viz.record(model) as recording, tg.no_grad():
        recording._sweep_at = 200
        for _ in range(100):
            nets.loss_of(model)
    assert len(recording.trace.operations) <= 200


def test_a_recording_holds_no_tensor():
    model = nets.net()
    recording = nets.recorded(model)
    gc.collect()
    held = [o for o in gc.get_referrers(*model.parameters()) if o is recording or o is vars(recording)]
    assert not held


def test_layers_are_those_with_weights_after_their_norm():
    recording = nets.recorded(nets.net(blocks=2))
    layers = recording.layers()
    assert [layer.name for layer in layers] == [
        "stem", "blocks.0.linear1", "blocks.0.linear2", "blocks.1.linear1", "blocks.1.linear2", "head",
    ]  # fmt: skip
    assert [layer.depth for layer in layers] == [1, 2, 3, 4, 5, 6]
    assert all(layer.activation_rms == pytest.approx(1.0, abs=0.01) for layer in layers[1:-1])  # batch norm's output


def test_graph_that_began_before_the_recording():
    model = nets.net()
    loss = nets.loss_of(model)
    with viz.record(model) as recording:
        loss.backward()
    flow = viz.gradient_flow(recording)
    assert [node.value for node in flow.nodes if node.name == "head"] == [0.0]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20, 1e30])
def test_rms_neither_overflows_nor_vanishes(scale):
    array = (np.array([3.0, -4.0]) * scale).astype(np.float32)
    assert root_mean_square(array) == pytest.approx(math.sqrt(12.5) * scale, rel=1e-5)


@pytest.mark.parametrize(
    ("array", "rms", "zeros", "not_finite"),
    [
        (np.zeros(4), 0.0, 1.0, 0),
        (np.array([0.0, 2.0]), math.sqrt(2.0), 0.5, 0),
        (np.array([np.nan, 1.0]), math.nan, 0.0, 1),
        (np.array([-np.inf, 1.0]), math.inf, 0.0, 1),
        (np.zeros((0, 3)), 0.0, 0.0, 0),
        (np.ones((4, 6))[::2, ::3], 1.0, 0.0, 0),
    ],
)
def test_statistics(array, rms, zeros, not_finite):
    found = measure(array)
    assert found.rms == pytest.approx(rms, nan_ok=True)
    assert (found.zeros, found.not_finite, found.size) == (zeros, not_finite, array.size)


def test_integers_have_no_statistics():
    assert measure(np.arange(3)) is None
