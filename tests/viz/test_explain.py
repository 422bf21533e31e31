"""`explain`: local derivatives, paths and sums, equal to `.grad`; the gates of the lectures; what is too large."""

import json

import numpy as np
import pytest
import viz_nets as nets
from test_page import data_of

import tinygrad_course as tg
import viz
from tinygrad_course import nn
from tinygrad_course.function import Function


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


def test_edges_carry_local_derivatives():
    """The product of the numbers along a path is what that path brings."""
    names = _scalars(w=0.5, x=2.0, b=-1.0)
    flow = viz.gradient_flow(lambda: (names["w"] * names["x"] + names["b"]).sigmoid(), names=names)
    found = [(flow.node(edge.source).name, flow.node(edge.target).name, edge.derivative) for edge in flow.edges]
    assert found == [
        ("w", "mul", "2"), ("x", "mul", "0.5"), ("mul", "add", "1"), ("b", "add", "1"), ("add", "sigmoid", "0.25"),
    ]  # fmt: skip
    assert 'label=" ×0.25 "' in flow.to_dot()
    assert "by the local derivative 0.25" in flow.to_dot()
    assert data_of(flow.to_html())["panes"][0]["scenes"][0]["shares"][-1] == "×0.25"
    assert "×0.25" in flow.to_svg(renderer="builtin")
    assert "the local derivative, by which backward multiplies there" in flow.to_dot()
    both = viz.gradient_flow(lambda: names["w"] * names["w"], names=names)
    assert 'label=" ×0.5, 50% "' in both.to_dot()


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


KEPT = {  # made before anyone looked: its values and constants come from what backward needs
    "sum": (lambda a, b: (a * a + 1.0).log() * b, ["z₁ = a · a = 9", "z₂ = z₁ + 1 = 10"]),
    "constant of the loss": (lambda a, b: a * b - 4.0, ["L = z₁ − 4 = 2"]),
    "constant in front": (lambda a, b: (0.5 - a * b).sin(), ["z₂ = 0.5 − z₁ = −5.5"]),
    "product": (lambda a, b: (a * 3.0).exp() / 2.0 + b, ["z₁ = a · 3 = 9", "z₃ = z₂ / 2 = 4051.5"]),
    "power": (lambda a, b: a**3.0 * b, ["z₁ = a^3 = 27"]),
    "what nobody kept": (lambda a, b: ((a + 1.0) + b) * 2.0, ["z₁ = a + …"]),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_a_loss_that_ran_before(name):
    build, lines = KEPT[name]
    leaves = _scalars(a=3.0, b=2.0)
    loss = build(**leaves)
    found = viz.explain(loss, names=leaves)
    for line in lines:
        assert f"  {line}\n" in found.text()
    again = viz.explain(loss, names=leaves)
    assert again.text() == found.text()
    loss.backward()  # what it had kept is still there
    for leaf, tensor in leaves.items():
        assert np.allclose(found.gradients[leaf], tensor.grad.numpy(), rtol=1e-12)


def test_hooks_are_refused():
    a = _leaf(1.0)
    h = a * 2.0
    loss = h * 3.0
    handle = h.register_hook(lambda gradient: gradient * 10.0)
    with pytest.raises(ValueError, match=r"explain .* hook on the gradient of mul .* remove the hook"):
        viz.explain(loss, names={"a": a})
    assert viz.gradient_flow(loss).explanation is None
    handle.remove()
    a.register_hook(lambda gradient: gradient * 10.0)
    with pytest.raises(ValueError, match=r"hook on the gradient of a leaf of shape \(\)"):
        viz.explain(loss)
    with pytest.raises(ValueError, match=r"hook on the gradient of a, a leaf of shape \(\) .*that only looks"):
        viz.explain(loss, names={"a": a})
    model, x = nn.Linear(2, 1), tg.ones(1, 2)
    model.weight.register_hook(lambda gradient: None)
    with pytest.raises(ValueError, match=r"of weight, a leaf of shape \(1, 2\) .* remove the hook first \("):
        viz.explain(lambda: model(x).sum(), model)


class Clipped(Function):
    """z = x, and a gradient that is cut off at 1: no derivative of anything."""

    __slots__ = ()

    def forward(self, x):
        return x.copy()

    def backward(self, dz):
        return np.clip(dz, -1.0, 1.0)


def test_a_backward_that_is_no_derivative():
    a, b = _leaf(1.0), _leaf(2.0)
    found = viz.explain(lambda: Clipped()(a) * 3.0 + b, names={"a": a, "b": b})
    assert found.error == 2.0
    assert "= 3   (but backward puts something else into .grad" in found.text()
    assert found.text().count("(what backward puts into .grad)") == 1  # of b


def test_a_tensor_that_retains_its_gradient_keeps_it():
    a = _leaf(1.0)
    h = a * 2.0
    h.retain_grad()
    viz.explain(h * 3.0)
    assert h.grad is None


@pytest.mark.parametrize(("value", "spelled", "latex"), [(-1.0, "nan", r"\mathrm{NaN}"), (0.0, "inf", r"\infty")])
def test_numbers_that_are_none(value, spelled, latex):
    a = _leaf(value)
    found = viz.explain(lambda: a.sqrt() * 2.0, names={"a": a})
    data = json.loads(json.dumps(found.data(), allow_nan=False))
    assert data["gradients"] == {"a": spelled}
    assert data["error"] == 0.0
    assert rf"= 2 \cdot {latex} = {latex}" in found.latex()
    assert spelled in viz.gradient_flow(lambda: a.sqrt() * 2.0, names={"a": a}).to_html()


def test_latex_says_nothing_twice():
    a, b = _leaf(1.0), _leaf(2.0)
    assert viz.explain(lambda: a * b, names={"a": a, "b": b}).latex() == (
        "\\frac{\\partial L}{\\partial a} &= b = 2 \\\\\n\\frac{\\partial L}{\\partial b} &= a = 1 \\\\\n"
        "\\frac{\\partial L}{\\partial a} &= 2 \\\\\n\\frac{\\partial L}{\\partial b} &= 1"
    )
    assert viz.explain(lambda: a * 4.0, names={"a": a}).latex().startswith("\\frac{\\partial L}{\\partial a} &= 4 ")


def test_every_name_is_one_of_its_own():
    a, b, c = _leaf(1.0), _leaf(2.0), tg.tensor(5.0, dtype=tg.float64)
    found = viz.explain(lambda: a * b + c, names={"a\nb": a, "a b": b, "a  b": c, "also a": a})
    assert found.gradients == {"a b": 2.0, "a b (2)": 1.0}
    assert "L = z₁ + a b (3) = 7" in found.text()


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
