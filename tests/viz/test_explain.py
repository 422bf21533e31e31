"""`explain`: local derivatives, paths and sums, equal to `.grad`; the gates of the lectures; what is too large."""

import json

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import nn


def _leaf(value):
    return tg.tensor(value, requires_grad=True, dtype=tg.float64)


def _scalars(**values):
    return {name: _leaf(value) for name, value in values.items()}


def _vectors():
    return {"W": _leaf([[1.0, 2.0], [3.0, -1.0]]), "v": _leaf([0.5, -0.2]), "b": _leaf([0.1, 0.3])}


GRAPHS = {
    # LECTURES: the neuron, ∂ŷ/∂x = g'(wx + b)·w; the squared error behind it, with ∂J/∂w and ∂J/∂b as products
    "neuron": (lambda w, x, b: (w * x + b).sigmoid(), lambda: _scalars(w=0.5, x=2.0, b=-1.0)),
    "squared error": (lambda w, x, b, y: ((w * x + b).tanh() - y) ** 2, lambda: _scalars(w=0.5, x=2.0, b=-0.3, y=0.9)),
    "circuit": (lambda x, y, z: (x + y) * z, lambda: _scalars(x=-2.0, y=5.0, z=-4.0)),
    "router": (lambda a, b, c: tg.maximum(a * b, c) * 2.0, lambda: _scalars(a=3.0, b=-4.0, c=2.0)),
    "reuse": (lambda a: a * a + a / (a + 1.0) + a.exp(), lambda: _scalars(a=0.7)),
    "long way": (lambda a, b: ((a - b) * (a + b)).relu() + (a * b).log(), lambda: _scalars(a=2.0, b=1.5)),
    "vectors": (lambda W, v, b: ((W @ v + b).tanh() ** 2).sum(), _vectors),
    "broadcast": (lambda W, v, b: (W * v + b.exp()).mean(), _vectors),
    "softmax": (lambda W, v, b: -((W @ v).log_softmax(0) * b).sum(), _vectors),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_sum_over_paths_is_grad(name):
    build, leaves = GRAPHS[name]
    leaves = leaves()
    found = viz.explain(lambda: build(**leaves), names=leaves)
    assert found.error <= 1e-12
    assert all(leaf.grad is None for leaf in leaves.values())
    build(**leaves).backward()
    for leaf, tensor in leaves.items():
        assert np.allclose(found.gradients[leaf], tensor.grad.numpy(), rtol=1e-12, atol=1e-14)
        assert f"∂L/∂{leaf} = " in found.text()
    for ways in found.paths.values():
        for way in ways:
            product = np.ones((1, 1))
            for step in way.steps:
                product = product @ found.locals[step].jacobian
            assert np.allclose(product.ravel(), way.product.ravel())
    assert json.loads(json.dumps(found.data()))["error"] <= 1e-12
    assert found.latex().count(r"\frac{\partial L}") >= len(leaves)
    assert found.latex().count("{") == found.latex().count("}")


def test_the_gates():
    """Multiplication swaps, addition distributes, the maximum routes."""
    names = _scalars(x=-2.0, y=5.0, z=-4.0)
    text = str(viz.explain(lambda: tg.maximum(names["x"] + names["y"], names["z"]) * names["z"], names=names))
    assert "∂L/∂z₂ = z = −4" in text
    assert "∂z₁/∂x = 1" in text and "∂z₁/∂y = 1" in text
    assert "∂z₂/∂z₁ = [z₁ > z] = [3 > −4] = 1" in text
    assert "∂z₂/∂z = [z > z₁] = [−4 > 3] = 0" in text
    for word in ("swaps", "distributes", "routes"):
        assert word in text


def test_the_neuron_in_full():
    names = _scalars(w=0.5, x=2.0, b=-1.0)
    found = viz.explain(lambda: (names["w"] * names["x"] + names["b"]).sigmoid(), names=names)
    assert found.text().endswith(
        "  ∂L/∂x = ∂L/∂z₂ · ∂z₂/∂z₁ · ∂z₁/∂x\n        = 0.25 · 1 · 0.5\n"
        "        = 0.125   (what backward puts into .grad)"
    )
    assert r"\frac{\partial L}{\partial z_{2}} &= L \cdot (1 - L) = 0.25" in found.latex()
    assert found._repr_latex_().startswith(r"\begin{align*}")


def test_scaling_forward_scales_backward():
    names = _scalars(a=1.5, b=-2.0)
    once = viz.explain(lambda: names["a"] * names["b"], names=names).gradients
    thrice = viz.explain(lambda: (names["a"] * names["b"]) * 3.0, names=names).gradients
    assert all(thrice[name] == 3.0 * once[name] for name in names)


def test_a_loss_that_is_there_already_and_a_model():
    model = nets.in_float64(nn.Linear(2, 1))
    x = tg.tensor(np.array([[1.0, -2.0]]))
    loss = (model(x) ** 2).sum()
    found = viz.explain(loss, model)
    assert set(found.gradients) == {"weight", "bias"}
    loss.backward()  # the graph is still alive
    assert np.allclose(found.gradients["weight"], model.weight.grad.numpy())
    with pytest.raises(RuntimeError, match=r"freed .* explain before it"):
        viz.explain(loss)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (3, TypeError, "a loss or a function"),
        (lambda: tg.ones(1), RuntimeError, "no graph"),
        (lambda: tg.ones(2, requires_grad=True) * 2.0, RuntimeError, "one number"),
        (lambda: nets.loss_of(nets.net(1)), ValueError, r"at most 48 operations .*: viz.gradient_flow draws it"),
        (lambda: (_leaf(np.zeros((0, 3))) * 2.0).sum(), ValueError, r"shape \(0, 3\) holds no numbers"),
        (lambda: nets.chain(60), ValueError, "this one has 61 operations"),
        (lambda: sum_of_paths(9), ValueError, "more than 200 paths"),
    ],
)
def test_what_cannot_be_explained(loss, error, message):
    with pytest.raises(error, match=message):
        viz.explain(loss)


def sum_of_paths(blocks):
    h = _leaf(0.5)
    for _ in range(blocks):
        h = h + h.tanh()
    return h


@pytest.mark.parametrize("name", ["<b>", 'a"b', "two\nlines", "🙂", "a_b$&%", "\\x"])
def test_any_name(name):
    a = _leaf(2.0)
    found = viz.explain(lambda: a * a, names={name: a})
    assert "\n\n" in found.text() and json.dumps(found.data())
    assert found.latex().count(r"\\" + "\n") == 2
