"""The gradient checker accepts right gradients and rejects wrong ones, saying where and by how much."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.base import changes
from tinygrad_course.function import Function
from tinygrad_course.gradient import GradcheckError


class Square(Function):
    """y = x², with a backward to be chosen."""

    __slots__ = ("wrong",)

    def __init__(self, wrong):
        self.wrong = wrong

    def forward(self, x):
        self.saved = (x,)
        return x * x

    def backward(self, dy):
        (x,) = self.saved
        return self.wrong(dy * 2 * x)


def element(gradient, factor):
    gradient.flat[4] *= factor
    return gradient


WRONG = {  # what backward makes of the right gradient, what the message must say
    "factor": (lambda g: 1.001 * g, "6 of 6 elements are wrong"),
    "sign": (lambda g: -g, "6 of 6"),
    "one element": (lambda g: element(g, 2), r"element \(1, 1\): backward gives .* finite differences .* 1 of 6"),
    "one element is nan": (lambda g: element(g, np.nan), r"element \(1, 1\): backward gives nan"),
    "shape": (lambda g: g.sum(0), r"shape \(3,\) for an input of shape \(2, 3\)"),
    "nothing": (lambda g: None, "backward gives 0, "),
    "transposed": (lambda g: g.T.reshape(g.shape), "finite differences"),
}


@pytest.fixture
def x():
    return tg.tensor(np.array([[0.5, -1.5, 2.0], [3.0, 0.7, -0.2]]), requires_grad=True)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_rejected(name, x):
    wrong, message = WRONG[name]
    with pytest.raises(GradcheckError, match=message):
        tg.gradcheck(lambda x: Square(wrong)(x), x)
    assert tg.gradcheck(lambda x: Square(wrong)(x), x, raise_exception=False) is False


def test_the_message_says_by_how_much(x):
    with pytest.raises(GradcheckError) as error:
        tg.gradcheck(lambda x: Square(lambda g: element(g, 2))(x), x)
    text = str(error.value)
    off = float(text.split("off by ")[1].split(")")[0])
    gives = float(text.split("backward gives ")[1].split(",")[0])
    assert abs(gives) / 2 == pytest.approx(off, rel=1e-2)  # twice the right value is off by once the right value


def test_a_missing_term_is_rejected(x):
    with pytest.raises(GradcheckError, match="input 0"):
        tg.gradcheck(lambda x: x * x.detach(), x)


def test_right_gradients_are_accepted(x):
    w = tg.tensor(np.array([1.0, 2.0, -1.0]), requires_grad=True)
    assert tg.gradcheck(lambda x: Square(lambda g: g)(x), x) is True
    assert tg.gradcheck(lambda x, w: (x * w).tanh(), [x, w]) is True
    assert tg.gradcheck(lambda x, w: (x + w, x * w, x.argmax()), (x, w)) is True
    assert tg.gradcheck(lambda x: x.transpose(0, 1)[::-1], x) is True
    scalar = tg.tensor(np.float64(1.5), requires_grad=True)
    assert tg.gradcheck(lambda s: s.exp() * s, scalar) is True


def test_several_inputs_are_told_apart(x):
    y = tg.tensor(x.data * 2, requires_grad=True)
    with pytest.raises(GradcheckError, match="input 1") as error:
        tg.gradcheck(lambda x, y: x * 2 + Square(lambda g: g * 3)(y), [x, y])
    assert "input 0" not in str(error.value)


def test_float32_and_missing_inputs_are_refused(x):
    with pytest.raises(ValueError, match=r"input 0 is float32; use .double\(\)"):
        tg.gradcheck(lambda x: x * x, tg.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="at least one input that requires grad"):
        tg.gradcheck(lambda x: x * x, x.detach())


def test_a_function_that_leaves_the_tape_is_rejected(x):
    with pytest.raises(GradcheckError, match="left the tape"):
        tg.gradcheck(lambda x: x.detach() * 2, x)


def test_inputs_are_left_as_they_were(x):
    before, version = x.data.copy(), changes.of(x.data)
    x.grad = tg.ones(2, 3)
    tg.gradcheck(lambda x: x * x, x)
    np.testing.assert_array_equal(x.data, before)
    assert changes.of(x.data) == version
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 3)))


# ------------------------------------------------------------------------------------- gradients of gradients


class Cube(Function):
    """y = x³ with the right backward, whose own derivative can be made wrong."""

    __slots__ = ("wrong",)

    def __init__(self, wrong):
        self.wrong = wrong

    def forward(self, x):
        self.saved = (x,)
        return x * x * x

    def backward(self, dy):
        (x,) = self.saved
        return dy * (3 * x * x)

    def backward_on_tape(self, dy):
        (x,) = self.saved_tensors()
        return self.wrong(dy, x)


WRONG_SECOND = {
    "x is a constant": lambda dy, x: dy * (3 * x.detach() * x.detach()),
    "one x is a constant": lambda dy, x: dy * (3 * x * x.detach()),
    "the cotangent is a constant": lambda dy, x: dy.detach() * (3 * x * x),
    "wrong first gradient, too": lambda dy, x: dy * (3 * x * x * x),
    "nothing": lambda dy, x: (dy * (3 * x * x)).detach(),
}


@pytest.mark.parametrize("name", WRONG_SECOND)
def test_a_wrong_double_backward_is_rejected(name, x):
    function = Cube(WRONG_SECOND[name]).__call__
    assert tg.gradcheck(lambda x: Cube(WRONG_SECOND[name])(x), x)  # the plain backward is right
    if name == "wrong first gradient, too":  # consistent with itself, so only the comparison of both finds it
        assert tg.grad(function(x).sum(), x, create_graph=True)[0].tolist() != tg.grad(function(x).sum(), x)[0].tolist()
        return
    with pytest.raises(GradcheckError, match="finite differences"):
        tg.gradgradcheck(lambda x: Cube(WRONG_SECOND[name])(x), x)
    assert tg.gradgradcheck(lambda x: Cube(WRONG_SECOND[name])(x), x, raise_exception=False) is False


def test_right_double_backwards_are_accepted(x):
    w = tg.tensor(np.array([1.0, 2.0, -1.0]), requires_grad=True)
    assert tg.gradgradcheck(lambda x: Cube(lambda dy, x: dy * (3 * x * x))(x), x) is True
    assert tg.gradgradcheck(lambda x, w: ((x * w).tanh(), x / (w * w), x.sum()), [x, w]) is True
    assert tg.gradgradcheck(lambda x: x * 2, x, tg.ones(2, 3)) is True
    assert tg.gradgradcheck(lambda x: x.floor(), x) is True  # its gradient is a constant
    with pytest.raises(ValueError, match="at least one input that requires grad"):
        tg.gradgradcheck(lambda x: x * x, x.detach())


def test_hessian_vector_products(x):
    """For f = Σ (x³ + x e^x summed up) the Hessian is known."""
    f = (x**3).sum() + (x.exp() * x).sum() + x.sum() ** 2
    (g,) = tg.grad(f, x, create_graph=True)
    v = np.cos(np.arange(6.0)).reshape(2, 3)
    (product,) = tg.grad(g, x, tg.tensor(v), retain_graph=True)
    expected = (6 * x.data + np.exp(x.data) * (2 + x.data)) * v + 2 * v.sum()
    np.testing.assert_allclose(product.data, expected, rtol=1e-12)
    (again,) = tg.grad((g * tg.tensor(v)).sum(), x)
    np.testing.assert_allclose(again.data, expected, rtol=1e-12)


def test_third_derivative(x):
    y = (x**4).sum()
    for factor in (4 * x.data**3, 12 * x.data**2, 24 * x.data, np.full((2, 3), 24.0)):
        (g,) = tg.grad(y, x, create_graph=True)
        np.testing.assert_allclose(g.data, factor, rtol=1e-12)
        y = g.sum()


def test_backward_that_is_recorded(x):
    ((x * x).sum() ** 2).backward(create_graph=True)
    square = (x.data**2).sum()
    np.testing.assert_allclose(x.grad.data, 4 * square * x.data, rtol=1e-12)
    assert x.grad.requires_grad
    g, x.grad = x.grad, None
    (g * g).sum().backward()  # Σ (4 s x)² = 16 s³
    np.testing.assert_allclose(x.grad.data, 96 * square**2 * x.data, rtol=1e-12)


def test_recorded_gradients_of_two_passes_are_added(x):
    (x**3).sum().backward(create_graph=True)
    (x**2).sum().backward(create_graph=True)
    np.testing.assert_allclose(x.grad.data, 3 * x.data**2 + 2 * x.data, rtol=1e-12)
    (second,) = tg.grad(x.grad.sum(), x)
    np.testing.assert_allclose(second.data, 6 * x.data + 2, rtol=1e-12)


def test_recorded_gradients_are_no_views_of_each_other(x):
    y = tg.tensor(x.data.copy(), requires_grad=True)
    (x + y).sum().backward(create_graph=True)
    with tg.no_grad():
        x.grad += 1
    assert x.grad.data.min() == 2 and y.grad.data.max() == 1


def test_recorded_gradients_meet_where_paths_part(x):
    h = x.tanh()
    y = (h * h.exp() + h.sigmoid() * x).sum()
    (g,) = tg.grad(y, x, create_graph=True)
    assert tg.gradcheck(lambda x: tg.grad((x.tanh() * x.tanh().exp() + x.tanh().sigmoid() * x).sum(), x,
                                          create_graph=True)[0], x)  # fmt: skip
    assert g.requires_grad and tg.gradgradcheck(lambda x: x.tanh() * x.tanh().exp() + x.tanh().sigmoid() * x, x)


def test_a_long_chain_is_differentiated_twice():
    x = tg.tensor(np.float64(0.5), requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0001 + x * 0.0
    (g,) = tg.grad(y * y, x, create_graph=True)
    (h,) = tg.grad(g, x)
    assert h.item() == pytest.approx(2 * 1.0001**6000, rel=1e-9)


def test_hooks_are_part_of_the_recorded_pass(x):
    seen = []
    y = x * x
    y.register_hook(lambda g: seen.append(g) or g * x)
    x.register_hook(lambda g: seen.append(g) or g * 2)
    (g,) = tg.grad(y.sum(), x, create_graph=True)  # 2 · (1 · x · 2x) = 4x²
    assert len(seen) == 2 and all(isinstance(s, tg.Tensor) for s in seen)
    np.testing.assert_allclose(g.data, 4 * x.data**2, rtol=1e-12)
    (h,) = tg.grad(g.sum(), x)
    np.testing.assert_allclose(h.data, 2 * 8 * x.data, rtol=1e-12)  # x's own hook doubles this one as well


def test_a_gradient_that_is_not_recorded_has_no_graph(x):
    (g,) = tg.grad((x * x).sum(), x)
    assert not g.requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        tg.grad(g.sum(), x)
