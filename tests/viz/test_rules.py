"""The local rules in words and formulas: every operation of the library has one, and its numbers are right."""

import operator

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.function import Function
from viz.graph.rules import factor_value, rule_of, to_latex, with_numbers


def operations():
    names, stack = [], [Function]
    while stack:
        cls = stack.pop()
        stack += cls.__subclasses__()
        names.append(cls.name)
    return sorted({name for name in names if not name.startswith("_")})


@pytest.mark.parametrize("name", [*operations(), "leaf", "input", "conv2d · relu", "no such operation"])
def test_every_operation_has_words_and_a_formula_that_latex_takes(name):
    rule = rule_of(name)
    assert rule.words and rule.forward
    assert rule.formula_text or name == "input"
    latex = rule.formula_latex
    assert latex.count("{") == latex.count("}")
    assert latex.isascii(), [c for c in latex if not c.isascii()]


def test_the_gates_of_the_lectures():
    assert rule_of("add").words.startswith("distributes")
    assert rule_of("mul").words.startswith("swaps") and rule_of("mul").factors == ("y", "x")
    assert rule_of("maximum").words.startswith("routes")
    assert rule_of("tanh").formula_text == "∂L/∂x = ∂L/∂z · (1 − z²)"
    assert rule_of("tanh").formula_latex == (
        r"\frac{\partial L}{\partial x} = \frac{\partial L}{\partial z} \cdot (1 - z^2)"
    )


@pytest.mark.parametrize(
    "factor, values, text",
    [
        ("1 − z²", {"z": 0.5}, "1 − 0.5²"),
        ("1 − z²", {"z": -0.5}, "1 − (−0.5)²"),
        ("y", {"x": 1.0, "y": -2.0}, "−2"),
        ("−z/y", {"y": -2.0, "z": 3.0}, "−3/(−2)"),
        ("2x", {"x": 3.0}, "2(3)"),
        ("max(x)", {"x": 1.0}, "max(1)"),
        ("exp(z)", {"x": 1.0}, "exp(z)"),
    ],
)
def test_a_factor_with_numbers_in_place_of_letters(factor, values, text):
    assert with_numbers(factor, **values) == text


_F = tg.nn.functional
_UNARY = {
    "neg": operator.neg, "exp": tg.exp, "log": tg.log, "sqrt": tg.sqrt, "square": tg.square, "abs": tg.abs,
    "reciprocal": tg.reciprocal, "rsqrt": tg.rsqrt, "sin": tg.sin, "cos": tg.cos, "erf": tg.erf, "relu": _F.relu,
    "tanh": tg.tanh, "sigmoid": tg.sigmoid, "softplus": _F.softplus, "logsigmoid": _F.logsigmoid, "gelu": _F.gelu,
    "silu": _F.silu, "acos": tg.acos, "tan": tg.tan, "clone": lambda x: x.clone(), "relu6": _F.relu6,
}  # fmt: skip
_BINARY = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "maximum": tg.maximum, "minimum": tg.minimum,
}  # fmt: skip


@pytest.mark.parametrize("name", [*_UNARY, *_BINARY])
def test_the_factor_is_the_derivative(name):
    x = tg.tensor(np.array(0.7), requires_grad=True)
    y = tg.tensor(np.array(1.9), requires_grad=True)
    z = _UNARY[name](x) if name in _UNARY else _BINARY[name](x, y)
    assert z.node.name == name
    z.backward()
    wanted = [x.grad.item()] + ([y.grad.item()] if name in _BINARY else [])
    factors = rule_of(name).factors
    assert len(factors) == len(wanted)
    for factor, gradient in zip(factors, wanted, strict=True):
        assert factor_value(factor, x=0.7, y=1.9, z=z.item()) == pytest.approx(gradient, rel=1e-12)


def test_a_factor_that_has_no_number():
    assert factor_value("1/y", y=0.0) is None
    assert factor_value("m", x=1.0) is None
    assert factor_value("(1 if x > 0 else a)", x=-1.0) is None


def test_latex_of_words_roots_and_indices():
    assert to_latex("∂L/∂xᵢ = −1/√(1 − x²)") == r"\frac{\partial L}{\partial x_i} = -1/\sqrt{1 - x^2}"
    assert to_latex("x where it is") == r"x\text{ where it is}"
