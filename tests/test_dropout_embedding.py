"""Dropout: what is kept, how often, and what stays the same. Embedding: rows, their gradients, padding, norms."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn

N = 200_000  # numbers drawn: a rate of p is known to √(p (1 - p)/N) < 0.0012, so 0.006 is 5 sigma


@pytest.fixture(autouse=True)
def seeded():
    tg.manual_seed(0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean(p):
    y = F.dropout(tg.ones(N), p).data
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
    assert (y == 0).mean() == pytest.approx(p, abs=0.006)
    assert y.mean() == pytest.approx(1, abs=0.006 / (1 - p))


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout(),
                                   nn.Dropout(0.0), nn.Dropout(1.0)])  # fmt: skip
def test_out_of_training_it_is_the_input_itself(layer):
    x = tg.randn(3, 4, 5, 5)
    x.data[0, 0, 0] = [math.nan, math.inf, -0.0, 0.0, 1e-45]
    before = x.data.tobytes()
    assert layer.eval()(x).data.tobytes() == before
    assert F.dropout(x, 0.5, False).data.tobytes() == F.alpha_dropout(x, 0.5).data.tobytes() == before


@pytest.mark.parametrize("dropout", [F.dropout, F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout])
def test_p_0_and_1(dropout):
    x = tg.randn(4, 5, 6)
    assert (dropout(x, 0, True) == x).all()
    assert (dropout(x, 1.0, True) == 0).all()


@pytest.mark.parametrize("dropout", [F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout,
                                     F.feature_alpha_dropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout,
                                     nn.FeatureAlphaDropout])  # fmt: skip
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_must_be_a_probability(dropout, p):
    with pytest.raises(ValueError, match="probability p has to be between 0 and 1, got"):
        dropout(p) if isinstance(dropout, type) else dropout(tg.ones(2, 2, 2, 2), p)


@pytest.mark.parametrize("dropout, shape, channels", [
    (F.dropout1d, (50, 40, 7), 2), (F.dropout1d, (2000, 7), 1), (F.dropout2d, (50, 40, 3, 4), 2),
    (F.dropout3d, (50, 40, 2, 3, 2), 2), (F.dropout3d, (2000, 2, 3, 2), 1),
])  # fmt: skip
def test_whole_channels(dropout, shape, channels):
    y = dropout(tg.ones(*shape), 0.3).data.reshape(math.prod(shape[:channels]), -1)
    assert (y == y[:, :1]).all() and set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    assert (y[:, 0] == 0).mean() == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / len(y)))


@pytest.mark.parametrize("dropout", [F.dropout, F.alpha_dropout])
def test_gradients_of_both_orders(dropout):
    x = tg.randn(3, 4, dtype=tg.float64, requires_grad=True)

    def again(x):
        tg.manual_seed(1)
        return dropout(x, 0.4, True) * x

    assert tg.gradcheck(again, x) and tg.gradgradcheck(again, x)


def test_the_gradient_passes_where_the_number_did():
    x = tg.randn(1000, requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.where(y.data == 0, 0, np.float32(1 / 0.75)))


def test_seeds_and_fresh_masks():
    layer, x = nn.Dropout(), tg.ones(100)
    first, second = layer(x), layer(x)
    assert (first.data != second.data).any()
    tg.manual_seed(0)
    np.testing.assert_array_equal(layer(x).data, first.data)
    assert layer(tg.ones(3, dtype=tg.float64)).dtype == tg.float64


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_0_and_variance_1(p):
    y = nn.AlphaDropout(p)(tg.randn(N))
    assert y.mean().item() == pytest.approx(0, abs=0.012) and y.var().item() == pytest.approx(1, abs=0.02)
    low = -1.7580993408473766  # what selu tends to
    scale = 1 / math.sqrt((1 - p) * (1 + p * low * low))
    kept_at_zero = F.alpha_dropout(tg.zeros(N), p, True).data
    np.testing.assert_allclose(np.unique(kept_at_zero), [scale * low * (1 - p), -scale * low * p], rtol=1e-5)


def test_alpha_dropout_in_a_deep_selu_net():
    """40 layers of W ~ N(0, 1/n), SELU and AlphaDropout(0.1) stay at mean 0 and variance 1: the fixed point."""
    x, n = tg.randn(300, 300), 300
    for _ in range(40):
        x = F.alpha_dropout(F.selu(x @ (tg.randn(n, n) / math.sqrt(n))), 0.1, True)
    assert abs(x.mean().item()) < 0.15 and x.var().item() == pytest.approx(1, abs=0.15)


def test_feature_alpha_dropout_drops_whole_channels():
    y = F.feature_alpha_dropout(tg.ones(40, 50, 2, 3), 0.4, True).data.reshape(2000, 6)
    assert (y == y[:, :1]).all() and len(np.unique(y)) == 2
    assert (y[:, 0] < 0).mean() == pytest.approx(0.4, abs=0.06)


def test_dropout_layers_in_a_network():
    net = nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.9), nn.Dropout2d(0.2, inplace=True))
    assert repr(net[1]) == "Dropout(p=0.9, inplace=False)" and repr(net[2]) == "Dropout2d(p=0.2, inplace=True)"
    with pytest.raises(RuntimeError, match=r"^2: dropout2d: channels need at least 2 dimensions"):
        nn.Sequential(nn.Identity(), nn.Identity(), nn.Dropout2d())(tg.ones(3))
    with pytest.raises(RuntimeError, match=r"dropout1d: expected .* got shape \(3,\)"):
        F.dropout1d(tg.ones(3))
    with pytest.warns(UserWarning, match="use dropout1d"):
        F.dropout2d(tg.ones(2, 3, 4))


# ------------------------------------------------------------------------------------- embedding

TABLE = np.arange(15.0).reshape(5, 3)


def test_rows():
    for indices in ([1, 2, 2], [[0, 4], [3, 3]], 2, np.zeros((0, 2), np.int64)):
        i = tg.tensor(indices)
        assert F.embedding(i, tg.tensor(TABLE)).data.tolist() == TABLE[np.asarray(indices)].tolist()
    assert F.embedding(tg.tensor([1], tg.int32), tg.tensor(TABLE)).tolist() == [[3, 4, 5]]


def test_repeated_rows_add_their_gradients():
    weight = tg.tensor(TABLE, requires_grad=True)
    indices = tg.tensor([1, 2, 1, 1])
    y = F.embedding(indices, weight)
    indices.data[:] = 0  # what backward needs is a copy
    y.backward(tg.tensor(np.array([[1.0], [2], [3], [4]]) * np.ones(3)))
    assert weight.grad[:, 0].tolist() == [0, 8, 2, 0, 0]


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"padding_idx": -4}])
def test_gradients_of_both_orders_of_embedding(options):
    weight = tg.tensor(TABLE / 7, requires_grad=True)
    indices = tg.tensor([[1, 2], [1, 4]])
    function = lambda w: F.embedding(indices, w, **options) ** 2  # noqa: E731
    if not options:
        assert tg.gradcheck(function, weight) and tg.gradgradcheck(function, weight)
    function(weight).sum().backward()
    expected = np.zeros((5, 3))
    np.add.at(expected, indices.data, 2 * TABLE[indices.data] / 7)
    expected[1] *= not options
    np.testing.assert_allclose(weight.grad.data, expected, rtol=1e-12)


def test_it_is_a_linear_layer_of_one_hot_vectors():
    embedding, labels = nn.Embedding(5, 3), tg.tensor([4, 0, 4])
    found = embedding(labels)
    np.testing.assert_allclose(found.detach().data, (F.one_hot(labels, 5).float() @ embedding.weight).detach().data)


def test_frequencies():
    weight = tg.tensor(TABLE, requires_grad=True)
    F.embedding(tg.tensor([1, 2, 1, 1]), weight, scale_grad_by_freq=True).sum().backward()
    assert weight.grad[:, 0].tolist() == pytest.approx([0, 1, 1, 0, 0])


def test_max_norm_changes_the_rows_that_are_looked_up():
    weight = tg.tensor(TABLE)
    y = F.embedding(tg.tensor([1, 4]), weight, max_norm=1.0)
    np.testing.assert_allclose(np.linalg.norm(y.data, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(weight.data[[0, 2, 3]], TABLE[[0, 2, 3]])
    np.testing.assert_allclose(weight.data[4], TABLE[4] / np.linalg.norm(TABLE[4]), rtol=1e-6)


def test_layer():
    layer = nn.Embedding(1000, 8, padding_idx=-1)
    assert layer.padding_idx == 999 and (layer.weight[999] == 0).all()
    numbers = layer.weight.data[:999]
    assert numbers.mean() == pytest.approx(0, abs=0.06) and numbers.std() == pytest.approx(1, abs=0.04)
    assert repr(layer) == "Embedding(1000, 8, padding_idx=999)"
    assert repr(nn.Embedding(3, 2, max_norm=1.0, norm_type=1)) == "Embedding(3, 2, max_norm=1.0, norm_type=1)"
    frozen = nn.Embedding.from_pretrained(tg.tensor(TABLE))
    assert not frozen.weight.requires_grad and frozen(tg.tensor(2)).tolist() == [6, 7, 8]
    assert nn.Embedding.from_pretrained(tg.tensor(TABLE), freeze=False, padding_idx=0).weight.requires_grad
    with nn.meta():
        assert nn.Embedding(10**5, 10**3, padding_idx=0).weight.shape == (10**5, 10**3)


EMBEDDING_ERRORS = [
    (lambda: nn.Embedding(5, 3)(tg.tensor([0, 5])), IndexError, "index 5 is out of range: the table has 5 rows"),
    (lambda: nn.Embedding(5, 3)(tg.tensor([-1])), IndexError, "index -1"),
    (lambda: nn.Embedding(5, 3)(tg.tensor([1.0])), RuntimeError, r"must be integers, got float32; use \.long\(\)"),
    (lambda: nn.Embedding(5, 3, padding_idx=5), AssertionError, "padding_idx 5"),
    (lambda: nn.Embedding(-1, 3), RuntimeError, r"\(-1, 3\)"),
    (lambda: nn.Embedding.from_pretrained(tg.zeros(3)), AssertionError, r"must be a matrix, got shape \(3,\)"),
    (lambda: F.embedding(tg.tensor([0]), tg.zeros(3)), RuntimeError, r"matrix \(V, D\), got shape \(3,\)"),
    (lambda: F.embedding([0], tg.zeros(3, 2)), TypeError, "must be a Tensor"),
]


@pytest.mark.parametrize("make, error, text", EMBEDDING_ERRORS)
def test_errors_of_embedding(make, error, text):
    with pytest.raises(error, match=text):
        make()
