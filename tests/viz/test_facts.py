"""What is told of nodes and edges: how contributions agree, update ratios, and the facts on every node."""

import itertools
import math

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import Observer, nn, observe
from viz.graph import labels


class Contributions(Observer):
    """The arrays themselves, by where they go."""

    def __init__(self):
        self.arrays = {}

    def backward(self, node, gradient, contributions):
        for edge, contribution in zip(node.edges, contributions, strict=True):
            if contribution is not None and edge.order:
                self.arrays.setdefault(edge.order, []).append(np.array(contribution, dtype=np.float64).ravel())


def _three_ways():
    tg.manual_seed(1)
    h = tg.randn(4, 5, requires_grad=True).exp()
    return ((h * 2.0).tanh() + h.sin() * 3.0 - h).sum()


def _against():
    h = tg.tensor([1.0, 2.0], requires_grad=True).exp()
    return (h * 3.0 - h * 2.0).sum()


@pytest.mark.parametrize("build", [_three_ways, _against, lambda: nets.loss_of(nets.net(4))])
def test_the_agreement_of_contributions_is_that_of_their_arrays(build):
    seen = Contributions()
    with viz.record() as recording, observe(seen):
        build().backward()
    flow = viz.gradient_flow(recording, level="op")
    found = 0
    for vertex in flow.origin.vertices:
        arrays = seen.arrays.get(vertex.order, []) if vertex.is_operation else []
        if len(arrays) < 2:
            assert not vertex.is_operation or vertex.node.agreement is None
            continue
        norms = [np.linalg.norm(array) for array in arrays]
        pairs = list(itertools.combinations(range(len(arrays)), 2))
        mean = sum(arrays[i] @ arrays[j] for i, j in pairs) / sum(norms[i] * norms[j] for i, j in pairs)
        met = vertex.node.agreement
        assert met.count == len(arrays)
        assert met.cancellation == pytest.approx(np.linalg.norm(sum(arrays)) / sum(norms), abs=1e-5)
        assert met.cosine == pytest.approx(mean, abs=1e-4)
        found += 1
        edges = [edge for edge in flow.edges if edge.maker == flow.origin.vertices.index(vertex)]
        assert all(edge.agreement == met for edge in edges) and len(edges) == len(arrays)
    assert found >= 1
    assert "contributions meet: " in flow.to_dot()


def test_no_agreement_where_a_hook_or_a_loss_of_its_own_has_part_in_the_gradient():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with viz.record() as recording:
        h = x.exp()
        h.register_hook(lambda gradient: gradient * 2.0)
        ((h * 2.0) + h.tanh()).sum().backward()
    assert viz.gradient_flow(recording, level="op").node("exp").agreement is None


@pytest.mark.parametrize("given", ["recorded", "asked", "nowhere"])
def test_update_ratios(given):
    """RMS(lr · g) / RMS(w), with the learning rate of each parameter group."""
    model = nets.net(1)
    groups = [{"params": model.stem.parameters(), "lr": 0.5}, {"params": model.head.parameters()}]
    optimizer = tg.optim.SGD(groups, lr=0.01)
    if given == "asked":
        flow = viz.gradient_flow(lambda: nets.loss_of(model), model, level="op", optimizer=optimizer)
        nets.loss_of(model).backward()
    else:
        with viz.record(model, optimizer=optimizer if given == "recorded" else None) as recording:
            nets.loss_of(model).backward()
        flow = viz.gradient_flow(recording, level="op")
    for name, rate in (("stem", 0.5), ("head", 0.01), ("blocks.0.linear1", None)):
        weight, parameter = flow.node(name).parameters[0], model.get_submodule(name).weight
        expected = None
        if rate is not None and given != "nowhere":
            expected = rate * np.sqrt(np.mean(parameter.grad.numpy() ** 2) / np.mean(parameter.detach().numpy() ** 2))
        assert weight.update_ratio == (expected if expected is None else pytest.approx(expected, rel=1e-5))
    assert ("update ratio" in flow.to_dot()) == (given != "nowhere")
    with pytest.raises(TypeError, match="optimizer must have param_groups"):
        viz.record(optimizer=0.1)


def test_everything_is_on_a_node():
    """Path, shape, dtype, parameters, multiply-adds, bytes; mean and spread, dead and saturated shares; the line."""
    model = nn.Sequential(nn.Linear(9, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh())
    flow = viz.gradient_flow(lambda: model(nets.data()[0]).sum(), model, level="op")
    text = {node.name: "\n".join(labels.tooltip(node)) for node in flow.nodes}
    for words in ("0 (linear)", "16×6 float32", "weight 6×9: 54", "864 multiply-adds", "bytes kept for backward",
                  "output mean ", "gradient RMS", "test_facts.py:"):  # fmt: skip
        assert words in text["0"], words
    assert "dead units" in text["1"] and "saturated outputs" in text["3"]
    output = flow.node("0").activation
    assert output.std == pytest.approx(math.sqrt(output.rms**2 - output.mean**2))
    file, _, line = flow.node("0").details.source
    assert file == "test_facts.py" and "flow = viz.gradient_flow(lambda: model(" in line
