"""Tensor: construction, dtypes, conversion, comparison, printing, copies, in-place changes."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn

CONSTRUCTIONS = [  # made, dtype, value
    (lambda: tg.tensor(3), tg.int64, 3),
    (lambda: tg.tensor(3.5), tg.float32, 3.5),
    (lambda: tg.tensor(True), tg.bool_, True),
    (lambda: tg.tensor([1, 2]), tg.int64, [1, 2]),
    (lambda: tg.tensor([[1.0], [2]]), tg.float32, [[1.0], [2.0]]),
    (lambda: tg.tensor([]), tg.float32, []),
    (lambda: tg.tensor(np.ones(2)), tg.float64, [1.0, 1.0]),
    (lambda: tg.tensor(np.float64(2)), tg.float64, 2.0),
    (lambda: tg.tensor([tg.tensor(1.0), tg.tensor(2.0)]), tg.float32, [1.0, 2.0]),
    (lambda: tg.tensor([1, 2], dtype=tg.float64), tg.float64, [1.0, 2.0]),
    (lambda: tg.tensor(np.array([1, 2], ">f4")), tg.float32, [1.0, 2.0]),
    (lambda: tg.Tensor([1, 2]), tg.float32, [1.0, 2.0]),
    (lambda: tg.Tensor(np.array([1, 2], ">i8")), tg.int64, [1, 2]),
    (lambda: tg.zeros(2, 1), tg.float32, [[0.0], [0.0]]),
    (lambda: tg.ones((2,), dtype=tg.int32), tg.int32, [1, 1]),
    (lambda: tg.full((2,), 7), tg.int64, [7, 7]),
    (lambda: tg.arange(3), tg.int64, [0, 1, 2]),
    (lambda: tg.arange(1, 2, 0.5), tg.float32, [1.0, 1.5]),
    (lambda: tg.linspace(0, 1, 3), tg.float32, [0.0, 0.5, 1.0]),
    (lambda: tg.eye(2), tg.float32, [[1.0, 0.0], [0.0, 1.0]]),
    (lambda: tg.zeros_like(tg.tensor([1, 2])), tg.int64, [0, 0]),
    (lambda: tg.randn(2, 0), tg.float32, [[], []]),
]


@pytest.mark.parametrize("row", range(len(CONSTRUCTIONS)))
def test_construction(row):
    make, dtype, value = CONSTRUCTIONS[row]
    t = make()
    assert t.dtype == dtype and t.tolist() == value and t.is_leaf and not t.requires_grad


def test_what_a_tensor_shares_and_what_it_copies():
    array = np.ones(3)
    for shared in (tg.Tensor(array), tg.from_numpy(array), tg.Tensor(tg.Tensor(array)), tg.Tensor(array).detach()):
        assert shared.data is array and shared.numpy() is array
    assert not np.shares_memory(tg.tensor(array).data, array)
    x = tg.tensor([1.0], requires_grad=True)
    assert x.data is x.data
    assert np.asarray(tg.Tensor(array)) is array
    assert np.array(tg.Tensor(array), np.float32).dtype == np.float32


@pytest.mark.parametrize("data", ["text", ["a"], [1j], np.ones(2, np.float16), np.ones(2, complex), [None], {"a": 1}])
def test_what_is_no_tensor(data):
    for make in (tg.tensor, tg.Tensor):
        with pytest.raises(TypeError, match="tensors hold"):
            make(data)


def test_ragged_lists():
    with pytest.raises(ValueError, match="different lengths"):
        tg.tensor([[1], [2, 3]])


x = tg.tensor([[1.0, -2.0], [3.0, 4.0]])
a = x.data
SIDES = [  # result, NumPy's
    (lambda: 2 * x, 2 * a), (lambda: x * 2, 2 * a), (lambda: 2 - x, 2 - a), (lambda: 2 / x, 2 / a),
    (lambda: 2.0**x, 2.0**a), (lambda: a + x, a + a), (lambda: a - x, a - a), (lambda: a * x, a * a),
    (lambda: a / x, a / a), (lambda: a @ x, a @ a), (lambda: x @ a, a @ a), (lambda: np.float32(2) * x, 2 * a),
    (lambda: np.float64(2) * x, 2 * a), (lambda: x * np.array(2.0), 2 * a), (lambda: np.array(2.0) * x, 2 * a),
    (lambda: np.tanh(x), np.tanh(a)), (lambda: np.exp(x), np.exp(a)), (lambda: np.abs(x), np.abs(a)),
    (lambda: np.sqrt(x * x), np.abs(a)), (lambda: np.add(a, x), a + a), (lambda: np.negative(x), -a),
    (lambda: -x, -a), (lambda: abs(x), np.abs(a)), (lambda: x.dot(a), a.dot(a)), (lambda: tg.tanh(a), np.tanh(a)),
    (lambda: tg.matmul(a, a), a @ a), (lambda: np.matmul(a, x), a @ a),
    (lambda: a > x, a > a), (lambda: a == x, a == a),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(SIDES)))
def test_arrays_and_numbers_on_either_side(row):
    make, expected = SIDES[row]
    result = make()
    assert type(result) is tg.Tensor
    np.testing.assert_allclose(result.data, expected, rtol=1e-6)


def test_operations_with_arrays_are_recorded():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (np.tanh(np.ones(2, np.float32) * x)).sum().backward()
    np.testing.assert_allclose(x.grad.data, 1 - np.tanh(x.data) ** 2, rtol=1e-6)
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        x * None
    with pytest.raises(TypeError):
        x * np.ones(2, complex)
    array = np.zeros(2)
    with pytest.raises(RuntimeError, match="detach"):  # the gradient would be lost
        array += x
    array += x.detach()
    assert array.tolist() == [1.0, 2.0]


def test_scalars_lengths_and_truth():
    t = tg.tensor([[2.5]])
    assert t.item() == 2.5 and type(t.item()) is float and float(t) == 2.5 and int(t) == 2 and bool(t)
    assert type(tg.tensor(3).item()) is int and [10, 20][tg.tensor(1)] == 20
    assert len(tg.zeros(3, 2)) == 3 and [r.tolist() for r in tg.arange(2)] == [0, 1]
    assert tg.zeros(3, 2).size() == (3, 2) and tg.zeros(3, 2).size(-1) == 2 and tg.zeros(3, 2).numel() == 6
    for wrong, kind in (
        (lambda: tg.zeros(2).item(), RuntimeError), (lambda: bool(tg.zeros(2)), RuntimeError),
        (lambda: bool(tg.zeros(0)), RuntimeError), (lambda: len(tg.tensor(1)), TypeError),
        (lambda: iter(tg.tensor(1)), TypeError), (lambda: [1][tg.tensor(0.0)], TypeError),
        (lambda: tg.zeros(2, requires_grad=True).numpy(), RuntimeError),
        (lambda: np.asarray(tg.zeros(2, requires_grad=True)), RuntimeError),
        (lambda: tg.tensor([1], requires_grad=True), RuntimeError), (lambda: tg.from_numpy([1]), TypeError),
        (lambda: (tg.zeros(1, requires_grad=True) * 1).requires_grad_(False), RuntimeError),
    ):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_comparisons():
    t = tg.tensor([1.0, 2.0, 3.0])
    for result, expected in (
        (t > 2, [False, False, True]), (2 > t, [True, False, False]), (t >= t, [True] * 3),  # noqa: SIM300
        (t == 2, [False, True, False]), (t != 2, [True, False, True]), (t <= 1.5, [True, False, False]),
        (t < np.array([2, 2, 2]), [True, False, False]),
        (tg.tensor([True, False]) == np.True_, [True, False]),
    ):  # fmt: skip
        assert type(result) is tg.Tensor and result.dtype == tg.bool_ and result.tolist() == expected
    assert (t == None) is False and (t != "a") is True  # noqa: E711
    assert (t > 0).all() and (t > 2).any() and not (t > 5).any()
    assert not (tg.zeros(1, requires_grad=True) > 0).requires_grad
    with pytest.raises(RuntimeError, match=r"\(3,\) and \(2,\)"):
        t == tg.ones(2)  # noqa: B015
    assert len({t, t, t.clone()}) == 2  # hashed by identity


PRINTED = [  # as torch 2.13 prints the same tensor
    (3.0, "tensor(3.)"),
    (3.5, "tensor(3.5000)"),
    (7, "tensor(7)"),
    ([1.0, 2.0], "tensor([1., 2.])"),
    ([1.5, -2.0], "tensor([ 1.5000, -2.0000])"),
    ([1.0, 1000.0], "tensor([   1., 1000.])"),
    ([1.0, 2000.0], "tensor([1.0000e+00, 2.0000e+03])"),
    ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
    ([1e-8], "tensor([1.0000e-08])"),
    ([123456.789], "tensor([123456.7891])"),
    ([1.0, float("nan")], "tensor([1., nan])"),
    ([0.5, float("inf")], "tensor([0.5000,    inf])"),
    ([True, False], "tensor([ True, False])"),
    ([1, -20], "tensor([  1, -20])"),
    ([], "tensor([])"),
    ([[]], "tensor([], size=(1, 0))"),
    ([[1.0, 2.0], [3.0, 4.0]], "tensor([[1., 2.],\n        [3., 4.]])"),
    ([[[1], [2]], [[3], [4]]], "tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]])"),
    ([*range(19)], "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n        18])"),
    ([0.0] * 1001, "tensor([0., 0., 0.,  ..., 0., 0., 0.])"),
    ([[1] * 1000] * 2, "tensor([[1, 1, 1,  ..., 1, 1, 1],\n        [1, 1, 1,  ..., 1, 1, 1]])"),
    ([[1]] * 1001, "tensor([[1],\n        [1],\n        [1],\n        ...,\n        [1],\n        [1],\n        [1]])"),
]


@pytest.mark.parametrize(("data", "expected"), PRINTED)
def test_printing(data, expected):
    assert repr(tg.tensor(data)) == str(tg.tensor(data)) == expected


def test_printing_says_what_is_not_the_default():
    t = tg.tensor([1.0], requires_grad=True)
    assert repr(t) == "tensor([1.], requires_grad=True)"
    assert repr(t * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr(tg.tensor(np.ones(1))) == "tensor([1.], dtype=float64)"
    assert repr(tg.tensor([1], dtype=tg.uint8)) == "tensor([1], dtype=uint8)"
    assert repr(nn.Parameter(tg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t)), copy.copy])
@pytest.mark.parametrize("make", [tg.tensor, nn.Parameter])
def test_copies(duplicate, make):
    t = make(np.array([1.0, 2.0]))
    t.requires_grad = True
    c = duplicate(t)
    assert type(c) is type(t) and c.tolist() == t.tolist() and c.requires_grad and c.dtype == t.dtype
    (c * 2).sum().backward()
    assert t.grad is None
    if duplicate is not copy.copy:
        assert not np.shares_memory(c.data, t.data)
        with pytest.raises(RuntimeError, match="leaf"):
            duplicate(t * 2)


def test_deepcopy_takes_the_gradient_along_and_keeps_sharing():
    t = tg.tensor([1.0], requires_grad=True)
    (t * 3).backward()
    c, again = copy.deepcopy([t, t])
    assert c is again and c.grad.tolist() == [3.0] and c.grad is not t.grad


def test_changes_in_place():
    t = tg.tensor([1.0, 2.0, 4.0])
    array, same = t.data, t
    t += 1
    t -= tg.tensor([1.0, 1.0, 1.0])
    t *= 2
    t /= 4
    t **= 2
    assert t is same and t.data is array and t.tolist() == [0.25, 1.0, 4.0]
    assert t.add_(1, alpha=2).tolist() == [2.25, 3.0, 6.0] and t.sub_(1).mul_(2).div_(2).tolist() == [1.25, 2.0, 5.0]
    assert t.copy_(tg.tensor([7])).tolist() == [7.0] * 3 and t.fill_(3).tolist() == [3.0] * 3
    assert t.zero_().tolist() == [0.0] * 3 and t.data is array
    counts = tg.tensor([1, 2])
    counts += 1
    assert counts.tolist() == [2, 3] and counts.dtype == tg.int64
    for wrong in (
        lambda: counts.add_(0.5),  # float into int
        lambda: t.add_(tg.ones(2, 3)),  # grows
        lambda: t.copy_(tg.ones(2)),
        lambda: tg.ones(3).expand(2, 3).add_(1),  # elements share memory
        lambda: t.__setitem__(slice(0, 2), tg.ones(3)),
    ):
        with pytest.raises(RuntimeError):
            wrong()
    assert t.tolist() == [0.0] * 3 and counts.tolist() == [2, 3]


def test_setitem_and_views():
    t = tg.zeros(2, 3)
    t[0] = 1
    t[1, -1] = tg.tensor(5.0)
    t[t == 0] = -1
    t[:, [1]] = np.array([[8], [9]])
    assert t.tolist() == [[1.0, 8.0, 1.0], [-1.0, 9.0, 5.0]]
    t[1][2].fill_(6)  # even one number is a view
    t.T[0, 0] = 4
    assert t[1, 2].item() == 6 and t[0, 0].item() == 4
    with pytest.raises(IndexError):
        t[5]
    with pytest.raises(IndexError):
        t[tg.tensor([True, False, True])]


def test_data_can_be_assigned_as_in_lectures():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad.data
    assert w.tolist() == [0.0, 0.0] and w.requires_grad and w.dtype == tg.float32
    w.data = [3.0, 4.0]
    assert w.tolist() == [3.0, 4.0] and w.dtype == tg.float32


def test_conversions():
    t = tg.tensor([1.7, 0.0], requires_grad=True)
    assert t.long().tolist() == [1, 0] and not t.long().requires_grad and t.int().dtype == tg.int32
    assert t.bool().tolist() == [True, False] and t.float() is t and t.double().dtype == tg.float64
    assert t.to(tg.tensor(1)).dtype == tg.int64 and t.to(np.float64).requires_grad
