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


EINSUMS = {  # equation: shapes, multiplications that are added up, counted by hand
    "ik,kj->ij": ([(4, 6), (6, 5)], 4 * 6 * 5),
    "bij,bjk->bik": ([(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
    "bhqd,bhkd->bhqk": ([(2, 3, 4, 8), (2, 3, 5, 8)], 2 * 3 * 4 * 5 * 8),
    "...ij,...jk->...ik": ([(7, 2, 3), (7, 3, 4)], 7 * 2 * 3 * 4),
    "i,i->": ([(9,), (9,)], 9),
    "ij,j->i": ([(4, 9), (9,)], 4 * 9),
    "ii,ij->j": ([(3, 3), (3, 5)], 3 * 5),  # the diagonal is taken first
    "ijk,jl->il": ([(2, 3, 4), (3, 5)], 2 * 3 * 5),  # k is summed first, and no product is made for it
    "bi,ij->bj": ([(1, 6), (6, 5)], 6 * 5),
    "ij,jk,kl->il": ([(2, 3), (3, 4), (4, 50)], 3 * 4 * 50 + 2 * 3 * 50),  # NumPy begins with the last two
    "bi,oij,bj->bo": ([(32, 30), (20, 30, 40), (32, 40)], 32 * 20 * 30 * 40 + 32 * 20 * 30),
    "ai,jik,ak->aj": ([(5, 3), (2, 3, 4), (5, 4)], 2 * (5 * 2 * 3 * 4)),  # so small: all three at once
    "i,i,i->": ([(6,), (6,), (6,)], 6 + 6),
    "i,j->ij": ([(4,), (5,)], 0),  # nothing is added up: as `*`
    "ij,ij->ij": ([(4, 5), (4, 5)], 0),
    "ij->ji": ([(4, 5)], 0),
    "ij->": ([(4, 5)], 0),
    "ii->": ([(4, 4)], 0),
    "ij,jk->ik": ([(0, 3), (3, 4)], 0),
}


@pytest.mark.parametrize("equation", EINSUMS)
def test_the_multiply_adds_of_einsum(equation):
    shapes, expected = EINSUMS[equation]
    operands = [tg.ones(*shape, requires_grad=True) for shape in shapes]

    class Net(nn.Module):
        def forward(self, *operands):
            return tg.einsum(equation, *operands)

    with viz.record() as recording:
        for _ in range(3):  # later steps are like the first
            (tg.einsum(equation, *operands).exp()).sum().backward()
    for flow in (viz.gradient_flow(recording, level="op"),
                 viz.gradient_flow(lambda: tg.einsum(equation, *operands).exp().sum(), level="op")):  # fmt: skip
        assert sum(node.multiply_adds for node in flow.nodes) == expected
    assert tg.summary(Net(), input_data=tuple(operands)).macs == expected


class Language(nn.Module):
    """Tokens and their positions, looked up; one residual layer; a classifier of the next token."""

    def __init__(self):
        super().__init__()
        self.token, self.position, self.layer = nn.Embedding(20, 8, padding_idx=0), nn.Embedding(6, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 20)

    def forward(self, tokens):
        h = self.token(tokens) + self.position(tg.arange(tokens.shape[1]))
        return self.head(h + self.layer(h).tanh())


@pytest.mark.parametrize("level", ["op", "module", "folded"])
@pytest.mark.parametrize("length", [6, 1])
def test_the_indices_of_an_embedding_are_a_node(level, length):
    tg.manual_seed(0)
    model, tokens = Language(), tg.tensor(np.arange(length)[None] % 20)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    with viz.record(model, names={"text": tokens} if level == "op" else None) as recording:
        for _ in range(3):
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(tokens).flatten(0, 1), tokens.flatten()).backward()
            optimizer.step()
    flow = viz.gradient_flow(recording, level=level)
    inputs = {node.name: node for node in flow.nodes if node.kind == "input"}
    assert list(inputs) == (["text", "indices"] if level == "op" else ["indices", "indices 2"])
    first = next(iter(inputs.values()))
    assert (first.shape, first.dtype, first.mark, first.gradient) == ((1, length), "int64", "data", None)
    readers = [edge.target for edge in flow.edges if edge.source == first.id]
    assert [node.op for node in flow.nodes if node.id in readers] == ["embedding"] and not flow.node("token").constants
    assert sum(edge.is_skip for edge in flow.edges) == 1
