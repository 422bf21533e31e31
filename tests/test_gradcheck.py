"""The gradient checker accepts right gradients and rejects wrong ones, saying where and by how much."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.engine import Function
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
    before, version = x.data.copy(), list(x._version)
    x.grad = tg.ones(2, 3)
    tg.gradcheck(lambda x: x * x, x)
    np.testing.assert_array_equal(x.data, before)
    assert x._version == version
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 3)))
