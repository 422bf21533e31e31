"""Shapes, indexing, joining, sorting, diagonals, einsum: against NumPy, and two derivatives by finite differences."""

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course.gradient import gradgradcheck

A, B, C4 = (3, 4), (4,), (2, 3, 4)
INDEX = np.array([[0, 2, 2, 1], [1, 0, 0, 0]])
MASK = np.array([[True, False, True, False], [False] * 4, [True] * 4])


def t(array):
    return tg.tensor(np.asarray(array))


def changed(array, change):
    array = array.copy()
    change(array)
    return array


def put(place, how="set"):
    def change(x, v):
        return changed(x, lambda a: np.add.at(a, place, v) if how == "add" else a.__setitem__(place, v))

    return change


def set_item(x, v, place):
    y = x.clone()
    y[place] = v
    return y


ROWS = {
    # name: (operation, the same in NumPy, the inputs' shapes)
    "view": (lambda x: x.view(2, -1), lambda x: x.reshape(2, -1), [A]),
    "reshape shape=": (lambda x: tg.reshape(x, shape=(6, 2)), lambda x: x.reshape(6, 2), [A]),
    "view_as": (lambda x: x.view_as(tg.ones(12)), lambda x: x.reshape(12), [A]),
    "unflatten": (lambda x: x.unflatten(1, (2, -1)), lambda x: x.reshape(3, 2, 2), [A]),
    "ravel": (lambda x: x.ravel(), np.ravel, [A]),
    "swapaxes": (lambda x: x.swapaxes(0, 2), lambda x: x.swapaxes(0, 2), [C4]),
    "mT": (lambda x: x.mT, lambda x: x.swapaxes(1, 2), [C4]),
    "t": (lambda x: x.t(), np.transpose, [A]),
    "movedim": (lambda x: x.movedim((0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0)), [C4]),
    "squeeze several": (lambda x: x.squeeze((0, 1, -1)), lambda x: x[0, :, 0], [(1, 3, 1)]),
    "expand_as": (lambda x: x.expand_as(tg.ones(2, 3, 4)), lambda x: np.broadcast_to(x, C4), [(3, 1)]),
    "broadcast_tensors": (
        lambda x, y: sum(tg.broadcast_tensors(x, y)), lambda x, y: sum(np.broadcast_arrays(x, y)), [(3, 1), B],
    ),
    "meshgrid": (
        lambda x, y: tg.stack(tg.meshgrid(x, y, indexing="xy")), lambda x, y: np.stack(np.meshgrid(x, y)), [(3,), B],
    ),
    "repeat": (lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3)), [A]),
    "repeat 0": (lambda x: x.repeat(0, 1), lambda x: np.tile(x, (0, 1)), [A]),
    "tile": (lambda x: x.tile(2), lambda x: np.tile(x, 2), [A]),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), lambda x: x.repeat(2, 1), [A]),
    "repeat_interleave each": (
        lambda x: x.repeat_interleave(t([2, 0, 1]), dim=0), lambda x: x.repeat([2, 0, 1], 0), [A],
    ),
    "hstack": (lambda x, y: tg.hstack([x, y]), lambda x, y: np.hstack([x, y]), [A, A]),
    "vstack": (lambda x, y: tg.vstack([x, y]), lambda x, y: np.vstack([x, y]), [A, B]),
    "split": (lambda x: x.split(3, 1)[1], lambda x: x[:, 3:], [A]),
    "split sizes": (lambda x: tg.cat(x.split([1, 3], 1)[::-1], 1), lambda x: np.roll(x, -1, 1), [A]),
    "chunk": (lambda x: x.chunk(2)[0] * 2 + x.chunk(2)[1], lambda x: x[:2] * 2 + x[2:], [A]),
    "tensor_split": (lambda x: x.tensor_split(3, 1)[0], lambda x: x[:, :2], [A]),
    "unbind": (lambda x: x.unbind(1)[2], lambda x: x[:, 2], [A]),
    "flip": (lambda x: x.flip(0, -1), lambda x: x[::-1, :, ::-1], [C4]),
    "roll": (lambda x: x.roll((1, -2), (0, 1)), lambda x: np.roll(x, (1, -2), (0, 1)), [A]),
    "roll flat": (lambda x: x.roll(5), lambda x: np.roll(x, 5), [A]),
    "rot90": (lambda x: x.rot90(3, (0, 2)), lambda x: np.rot90(x, 3, (0, 2)), [C4]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1), value=3.0), lambda x: np.pad(x, ((0, 1), (1, 2)), constant_values=3), [A]),
    "pad negative": (lambda x: F.pad(x, (-1, 1)), lambda x: np.pad(x[:, 1:], ((0, 0), (0, 1))), [A]),
    "pad reflect": (
        lambda x: F.pad(x, (3, 1), "reflect"), lambda x: np.pad(x, ((0, 0), (0, 0), (3, 1)), "reflect"), [C4],
    ),
    "pad replicate": (
        lambda x: F.pad(x, (1, 0, 2, 1), "replicate"), lambda x: np.pad(x, ((0, 0), (2, 1), (1, 0)), "edge"), [C4],
    ),
    "pad circular": (lambda x: F.pad(x, (2, 4), "circular"), lambda x: np.pad(x, ((0, 0), (2, 4)), "wrap"), [A]),
    "x[0, :, [2, 2]]": (lambda x: x[0, :, [2, 2]], lambda x: x[0][:, [2, 2]], [C4]),
    "x[[1, 0], :, 2]": (lambda x: x[[1, 0], :, 2], lambda x: x[[1, 0]][:, :, 2], [C4]),
    "x[[1, 0], None, [2, 2]]": (lambda x: x[[1, 0], None, [2, 2]], lambda x: x[[1, 0], None, [2, 2]], [C4]),
    "x[mask rows, 1:]": (lambda x: x[t([True, False, True]), 1:], lambda x: x[[0, 2], 1:], [A]),
    "x[..., [0, 0]]": (lambda x: x[..., t([0, 0])], lambda x: x[..., [0, 0]], [C4]),
    "x[2-d]": (lambda x: x[t(INDEX)], lambda x: x[INDEX], [A]),
    "x[0] 1-d": (lambda x: x[t(-1)], lambda x: x[-1], [B]),
    "x[1:] = v": (lambda x, v: set_item(x, v, slice(1, None)), put(slice(1, None)), [A, B]),
    "x[mask] = v": (lambda x, v: set_item(x, v, t(MASK)), put(MASK), [A, ()]),
    "x[[0, 2], 1] = v": (lambda x, v: set_item(x, v, ([0, 2], 1)), put(([0, 2], 1)), [A, (2,)]),
    "index_put add": (
        lambda x, v: x.index_put((t([0, 0]), t([1, 1])), v, accumulate=True), put(([0, 0], [1, 1]), "add"), [A, (2,)],
    ),
    "select": (lambda x: x.select(1, -1), lambda x: x[:, -1], [A]),
    "narrow": (lambda x: x.narrow(-1, 1, 2), lambda x: x[:, 1:3], [A]),
    "index_select": (lambda x: x.index_select(1, t([3, 3, 0])), lambda x: x[:, [3, 3, 0]], [A]),
    "gather 0": (lambda x: x.gather(0, t(INDEX)), lambda x: np.take_along_axis(x, INDEX, 0), [A]),
    "gather 1": (lambda x: x.gather(1, t(INDEX)), lambda x: np.take_along_axis(x[:2], INDEX, 1), [A]),
    "take": (lambda x: x.take(t([11, 0, 0])), lambda x: x.take([11, 0, 0]), [A]),
    "take_along_dim": (
        lambda x: tg.take_along_dim(x, t(INDEX[:, :1]), 0), lambda x: np.take_along_axis(x, INDEX[:, :1], 0), [A],
    ),
    "scatter": (
        lambda x, v: x.scatter(1, t([[2, 0], [1, 3]]), v), put(([[0], [1]], [[2, 0], [1, 3]])), [A, (2, 2)],
    ),
    "scatter_add": (
        lambda x, v: x.scatter_add(0, t(INDEX), v), put((INDEX, np.arange(4)[None]), "add"), [A, (2, 4)],
    ),
    "index_add": (
        lambda x, v: x.index_add(1, t([1, 1]), v, alpha=2), lambda x, v: put((slice(None), [1, 1]), "add")(x, 2 * v),
        [A, (3, 2)],
    ),
    "index_copy": (lambda x, v: x.index_copy(0, t([2, 0]), v), put([2, 0]), [A, (2, 4)]),
    "index_fill": (lambda x: x.index_fill(1, t([0, 3]), -1.0), lambda x: put((slice(None), [0, 3]))(x, -1), [A]),
    "masked_select": (lambda x: x.masked_select(t(MASK)), lambda x: x[MASK], [A]),
    "masked_fill": (lambda x: x.masked_fill(t(MASK[0]), 2.0), lambda x: np.where(MASK[0], 2, x), [A]),
    "masked_fill tensor": (lambda x, v: x.masked_fill(t(MASK), v), lambda x, v: np.where(MASK, v, x), [A, ()]),
    "masked_scatter": (lambda x, v: x.masked_scatter(t(MASK), v), lambda x, v: put(MASK)(x, v[:6]), [A, (7,)]),
    "diagonal": (lambda x: x.diagonal(1, -1, 0), lambda x: x.diagonal(1, -1, 0), [C4]),
    "diag": (lambda x: x.diag(-1), lambda x: np.diag(x, -1), [A]),
    "diag of a vector": (lambda x: tg.diag(x, 1), lambda x: np.diag(x, 1), [B]),
    "diag_embed": (lambda x: tg.diag_embed(x), lambda x: x[:, :, None] * np.eye(4), [A]),
    "trace": (lambda x: x.trace(), np.trace, [A]),
    "tril": (lambda x: x.tril(1), lambda x: np.tril(x, 1), [C4]),
    "triu": (lambda x: x.triu(), np.triu, [A]),
    "sort": (lambda x: x.sort(0).values, lambda x: np.sort(x, 0), [A]),
    "sort descending": (lambda x: x.sort(descending=True)[0], lambda x: -np.sort(-x), [A]),
    "topk": (lambda x: x.topk(2).values, lambda x: -np.sort(-x)[:, :2], [A]),
    "topk smallest": (lambda x: x.topk(2, 0, largest=False)[0], lambda x: np.sort(x, 0)[:2], [A]),
    "kthvalue": (lambda x: x.kthvalue(2, 0, keepdim=True)[0], lambda x: np.sort(x, 0)[1:2], [A]),
    "mm": (tg.mm, np.matmul, [A, (4, 2)]),
    "bmm": (tg.bmm, np.matmul, [C4, (2, 4, 2)]),
    "matmul broadcast": (tg.matmul, np.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "mv": (tg.mv, np.matmul, [A, B]),
    "dot": (tg.dot, np.dot, [B, B]),
    "inner": (tg.inner, np.inner, [A, (2, 4)]),
    "outer": (tg.outer, np.outer, [B, (3,)]),
    "addmm": (lambda x, a, b: tg.addmm(x, a, b, beta=2, alpha=3), lambda x, a, b: 2 * x + 3 * a @ b, [(2,), A, (4, 2)]),
    "baddbmm": (tg.baddbmm, lambda x, a, b: x + a @ b, [(2, 3, 2), C4, (2, 4, 2)]),
    "linear": (F.linear, lambda x, w, b: x @ w.T + b, [C4, (2, 4), (2,)]),
    "bilinear": (F.bilinear, lambda x, y, w, b: np.einsum("ni,oij,nj->no", x, w, y) + b, [A, (3, 2), (5, 4, 2), (5,)]),
    "tensordot": (lambda x, y: tg.tensordot(x, y, ([0, 2], [1, 0])), lambda x, y: np.tensordot(x, y, ([0, 2], [1, 0])),
                  [C4, (4, 2, 2)]),
    "einsum matmul": (lambda x, y: tg.einsum("ij,jk", x, y), np.matmul, [A, (4, 2)]),
    "einsum trace": (lambda x: tg.einsum("ii", x), np.trace, [(3, 3)]),
    "einsum diagonal": (lambda x: tg.einsum("...ii->...i", x), lambda x: x.diagonal(0, 1, 2), [(2, 3, 3)]),
    "einsum sum": (lambda x: tg.einsum("ijk->j", x), lambda x: x.sum((0, 2)), [C4]),
    "einsum dots": (lambda x, y: tg.einsum("...ij,jk->...ik", x, y), np.matmul, [C4, (4, 2)]),
    "einsum broadcast": (lambda x, y: tg.einsum("bi,bi->bi", x, y), np.multiply, [A, (3, 1)]),
    "einsum three": (
        lambda x, y, z: tg.einsum("bi,ij,bj->b", x, y, z), lambda x, y, z: np.einsum("bi,ij,bj->b", x, y, z),
        [A, (4, 2), (3, 2)],
    ),
    "einsum lists": (lambda x, y: tg.einsum(x, [0, 1], y, [1, 2], [2, 0]), lambda x, y: (x @ y).T, [A, (4, 2)]),
}  # fmt: skip


def inputs(name, dtype=np.float64):
    """No two numbers tie."""
    draw = np.random.default_rng(1)
    return [np.asarray(draw.permutation(np.prod(s, dtype=int)).reshape(s) * 0.37 - 1, dtype) for s in ROWS[name][2]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ROWS)
def test_against_numpy(name, dtype):
    operation, oracle, _ = ROWS[name]
    arrays = inputs(name, dtype)
    before = [a.copy() for a in arrays]
    found, expected = operation(*map(tg.Tensor, arrays)), np.asarray(oracle(*inputs(name)))
    assert type(found.data) is np.ndarray and found.dtype == dtype and found.shape == expected.shape
    np.testing.assert_allclose(found.data, expected, rtol=1e-12 if dtype == np.float64 else 1e-5, atol=1e-6)
    for array, was in zip(arrays, before):
        np.testing.assert_array_equal(array, was)


@pytest.mark.parametrize("name", ROWS)
def test_two_derivatives(name):
    operation = ROWS[name][0]
    leaves = [tg.Tensor(a, requires_grad=True) for a in inputs(name)]
    assert tg.gradcheck(operation, leaves)

    def squared(*leaves):  # a linear operation has no second derivative of its own
        y = operation(*leaves)
        return y * y

    assert gradgradcheck(squared, leaves)


@pytest.mark.parametrize("name", ROWS)
def test_read_only_and_strided_inputs(name):
    operation = ROWS[name][0]
    results = []
    for layout in (np.copy, lambda a: a.copy(order="F"), lambda a: np.flip(np.flip(a).copy())):
        arrays = [np.asarray(layout(a)) for a in inputs(name)]
        for a in arrays:
            a.flags.writeable = False
        leaves = [tg.Tensor(a, requires_grad=True) for a in arrays]
        y = operation(*leaves)
        (y * tg.tensor(np.cos(np.arange(y.data.size)).reshape(y.shape))).sum().backward()
        results.append([y.data, *(leaf.grad.data for leaf in leaves)])
    for other in results[1:]:
        for found, expected in zip(other, results[0]):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_setitem_is_recorded():
    w = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    h = tg.zeros(4)
    for i in range(3):  # a recurrence, as a learner writes it
        h[i + 1] = h[i] * 2 + w[i]
    h[-1].backward()
    assert h.tolist() == [0.0, 1.0, 4.0, 11.0] and w.grad.tolist() == [4.0, 2.0, 1.0]
    with pytest.raises(RuntimeError, match="leaf"):
        w[0] = 1.0
    y = w * 2
    row = y[1:]
    with pytest.raises(RuntimeError, match="view"):  # `row` would have to become another number's tensor
        y[0] = w[1]
    assert row.tolist() == [4.0, 6.0]


def test_in_place_forms():
    x = tg.zeros(2, 3)
    x.masked_fill_(t([True, False, False]), 1.0).scatter_(1, t([[2], [1]]), 5.0).index_add_(0, t([0, 0]), tg.ones(2, 3))
    assert x.tolist() == [[3.0, 2.0, 7.0], [1.0, 5.0, 0.0]]


def test_views_share_memory_and_copies_do_not():
    x = tg.zeros(3, 3)
    for view in (x.view(9), x.T, x.mT, x.diagonal(), x.select(0, 1), x.narrow(1, 0, 2), x.unbind()[0], x.split(2)[1]):
        assert np.shares_memory(view.data, x.data) and view.data.flags.writeable
    for copy in (x.flip(0), x.roll(1), x.tril(), x.repeat(1, 1), x[[0, 1]], x.gather(0, t([[0]])), x.sort()[0]):
        assert not np.shares_memory(copy.data, x.data)


def test_order():
    x = tg.tensor([2.0, float("nan"), 1.0, 2.0])
    assert x.argsort().tolist() == [2, 0, 3, 1] and x.argsort(descending=True).tolist() == [1, 0, 3, 2]
    assert x.topk(1).indices.tolist() == [1] and x.kthvalue(1).values.item() == 1.0
    values, places, counts = tg.tensor([3, 1, 3]).unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 3] and places.tolist() == [1, 0, 1] and counts.tolist() == [1, 2]
    assert tg.tensor(4.0).sort() == (tg.tensor(4.0), tg.tensor(0))
    assert tg.tensor([1, 0, 2]).nonzero().tolist() == [[0], [2]]
    assert F.one_hot(t([[1], [0]]), 3).tolist() == [[[0, 1, 0]], [[1, 0, 0]]]


EMPTY = [
    (lambda x: x.repeat(2, 1), (0, 3)), (lambda x: x.flip(1), (0, 3)), (lambda x: x.sort().values, (0, 3)),
    (lambda x: x.gather(0, t(np.zeros((0, 2), int))), (0, 2)), (lambda x: tg.cat([x, x]), (0, 3)),
    (lambda x: tg.einsum("ij,kj->ik", x, x), (0, 0)), (lambda x: tg.einsum("ij,ik->jk", x, x), (3, 3)),
    (lambda x: x.split(2)[0], (0, 3)), (lambda x: x.index_select(1, t([0])), (0, 1)), (lambda x: x.ravel(), (0,)),
    (lambda x: x.masked_select(t(np.zeros((0, 3), bool))), (0,)), (lambda x: x[:, None], (0, 1, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "shape"), EMPTY)
def test_zero_size(operation, shape):
    x = tg.zeros(0, 3, dtype=np.float64, requires_grad=True)
    y = operation(x)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == (0, 3)


X = tg.zeros(3, 4)
ERRORS = {
    "view": (lambda: X.view(5, 2), RuntimeError, r"shape \(5, 2\) does not fit the 12 elements of shape \(3, 4\)"),
    "unflatten": (lambda: X.unflatten(1, (3, 2)), RuntimeError, "dim 1"),
    "cat": (lambda: tg.cat([X, tg.zeros(3, 5)]), RuntimeError, "tensor 1 shape"),
    "stack": (lambda: tg.stack([X, X[0]]), RuntimeError, "must be equal"),
    "split": (lambda: X.split([1, 1], 1), RuntimeError, "add up to size 4"),
    "gather index": (lambda: X.gather(0, t([[3]])), RuntimeError, "index 3 is out of range for size 3"),
    "gather dims": (lambda: X.gather(0, t([0])), RuntimeError, "as many dimensions"),
    "gather float": (lambda: X.gather(0, tg.zeros(1, 1)), RuntimeError, "must hold integers"),
    "index_select": (lambda: X.index_select(0, t([-1])), IndexError, "index -1"),
    "select": (lambda: X.select(1, 4), IndexError, "index 4"),
    "narrow": (lambda: X.narrow(1, 2, 3), RuntimeError, "exceed size 4"),
    "masked_fill": (lambda: X.masked_fill(X, 1.0), RuntimeError, "bools"),
    "pad": (lambda: F.pad(X, (1, 1, 1)), RuntimeError, "pairs"),
    "pad reflect": (lambda: F.pad(X, (4, 0), "reflect"), RuntimeError, "by 3 at most"),
    "topk": (lambda: X.topk(5), RuntimeError, "k=5"),
    "tril": (lambda: X[0].tril(), RuntimeError, "2 dimensions"),
    "mm": (lambda: tg.mm(X, X[0]), RuntimeError, "matmul takes any"),
    "bmm": (lambda: tg.bmm(tg.zeros(2, 3, 4), tg.zeros(3, 4, 2)), RuntimeError, "batches of 2 and 3"),
    "einsum sizes": (lambda: tg.einsum("ij,jk", X, X), RuntimeError, "sizes 4 and 3"),
    "einsum dims": (lambda: tg.einsum("ijk->i", X), RuntimeError, "'ijk' does not fit"),
    "einsum letter": (lambda: tg.einsum("ij->ik", X), RuntimeError, "'k'"),
    "setitem": (lambda: X.__setitem__(0, tg.zeros(3)), RuntimeError, "does not fit"),
    "dim": (lambda: X.unbind(2), IndexError, "out of range"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error, words = ERRORS[name]
    with pytest.raises(error, match=words):
        call()


def test_printing_names_the_operation_as_pytorch_does():
    x = tg.ones(2, requires_grad=True)
    tensors = {"Mul": x * 2, "Sum": x.sum(), "Cat": tg.cat([x, x]), "View": x.view(2, 1)}
    for name, tensor in tensors.items():
        assert repr(tensor).endswith(f"grad_fn=<{name}Backward0>)")
    assert f"{x.sum():.2f}" == "2.00" and f"{x}" == repr(x)
