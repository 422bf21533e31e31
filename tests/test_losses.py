"""Losses and distances against plain formulas, finite differences, and finite differences of their gradients."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.gradient import gradcheck, gradgradcheck
from tinygrad_course.nn import functional as F

DRAW = np.random.default_rng(0)
X, Y = DRAW.standard_normal((4, 3)), DRAW.standard_normal((4, 3))
P, Q = DRAW.uniform(0.05, 0.95, (4, 3)), DRAW.uniform(0.05, 0.95, (4, 3))
W = DRAW.uniform(0.2, 2, (4, 3))
SIGNS = np.array([[1.0, -1, 1], [-1, -1, 1], [1, 1, 1], [-1, 1, -1]])
LABELS = np.array([2, 0, 1, 2])
D = X - Y


def hinge(x):
    return np.maximum(x, 0)


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def cosine(x, y):
    return (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)


def multi_margin(x, p, weight):
    return np.array([
        sum(weight[y] * hinge(0.8 - row[y] + row[j]) ** p for j in range(3) if j != y) / 3
        for row, y in zip(x, LABELS, strict=True)
    ])  # fmt: skip


LISTED = np.array([[2, 0, -1], [1, -1, 0], [-1, 0, 1], [0, 1, 2]])


def multilabel_margin(x):
    losses = []
    for row, listed in zip(x, LISTED, strict=True):
        classes = list(listed[: list(listed).index(-1)] if -1 in listed else listed)
        losses.append(sum(hinge(1 - row[j] + row[i]) for j in classes for i in range(3) if i not in classes) / 3)
    return np.array(losses)


T = tg.tensor
C = np.array([0.5, 1.0, 2.0])
# name -> loss of the inputs with a reduction, its inputs, the losses
CASES = {
    "mse": (lambda x, y, r: F.mse_loss(x, y, reduction=r), [X, Y], D**2),
    "l1": (lambda x, y, r: F.l1_loss(x, y, reduction=r), [X, Y], np.abs(D)),
    "smooth l1": (
        lambda x, y, r: F.smooth_l1_loss(x, y, reduction=r, beta=0.7), [X, Y],
        np.where(np.abs(D) < 0.7, D**2 / 1.4, np.abs(D) - 0.35),
    ),
    "huber": (
        lambda x, y, r: F.huber_loss(x, y, reduction=r, delta=0.7), [X, Y],
        np.where(np.abs(D) < 0.7, D**2 / 2, 0.7 * (np.abs(D) - 0.35)),
    ),
    "binary": (
        lambda x, y, r: F.binary_cross_entropy(x, y, reduction=r), [P, Q], -Q * np.log(P) - (1 - Q) * np.log(1 - P),
    ),
    "binary weight": (
        lambda x, y, w, r: F.binary_cross_entropy(x, y, w, reduction=r), [P, Q, W],
        W * (-Q * np.log(P) - (1 - Q) * np.log(1 - P)),
    ),
    "binary logits": (
        lambda x, y, r: F.binary_cross_entropy_with_logits(x, y, reduction=r), [X, Q],
        -Q * log_sigmoid(X) - (1 - Q) * log_sigmoid(-X),
    ),
    "binary logits weights": (
        lambda x, y, w, p, r: F.binary_cross_entropy_with_logits(x, y, w, reduction=r, pos_weight=p), [X, Q, W, W[0]],
        W * (-W[0] * Q * log_sigmoid(X) - (1 - Q) * log_sigmoid(-X)),
    ),
    "kl": (lambda x, y, r: F.kl_div(x, y, reduction=r), [X, Q], Q * (np.log(Q) - X)),
    "kl log target": (lambda x, y, r: F.kl_div(x, y, reduction=r, log_target=True), [X, Y], np.exp(Y) * (Y - X)),
    "poisson": (lambda x, y, r: F.poisson_nll_loss(x, y, reduction=r), [X, W], np.exp(X) - W * X),
    "poisson rate": (
        lambda x, y, r: F.poisson_nll_loss(x, y, log_input=False, full=True, reduction=r), [P, W],
        P - W * np.log(P + 1e-8) + np.where(W > 1, W * np.log(W) - W + np.log(2 * np.pi * W) / 2, 0),
    ),
    "gaussian": (
        lambda x, y, v, r: F.gaussian_nll_loss(x, y, v, full=True, reduction=r), [X, Y, W],
        (np.log(W) + D**2 / W + math.log(2 * math.pi)) / 2,
    ),
    "gaussian one variance": (
        lambda x, y, v, r: F.gaussian_nll_loss(x, y, v, reduction=r), [X, Y, W[:, 0]],
        (np.log(W[:, :1]) + D**2 / W[:, :1]) / 2,
    ),
    "hinge embedding": (
        lambda x, r: F.hinge_embedding_loss(x, T(SIGNS), 0.7, reduction=r), [X], np.where(SIGNS > 0, X, hinge(0.7 - X)),
    ),
    "margin ranking": (
        lambda x, y, r: F.margin_ranking_loss(x, y, T(SIGNS), 0.3, reduction=r), [X, Y], hinge(0.3 - SIGNS * D),
    ),
    "soft margin": (lambda x, r: F.soft_margin_loss(x, T(SIGNS), reduction=r), [X], np.log1p(np.exp(-SIGNS * X))),
    "cosine embedding": (
        lambda x, y, r: F.cosine_embedding_loss(x, y, T(SIGNS[:, 0]), -0.5, reduction=r), [X, Y],
        np.where(SIGNS[:, 0] > 0, 1 - cosine(X, Y), hinge(cosine(X, Y) + 0.5)),
    ),
    "triplet": (
        lambda a, p, n, r: F.triplet_margin_loss(a, p, n, margin=2.0, swap=True, reduction=r), [X, Y, W],
        hinge(2 + np.linalg.norm(D + 1e-6, axis=1) - np.minimum(
            np.linalg.norm(X - W + 1e-6, axis=1), np.linalg.norm(Y - W + 1e-6, axis=1))),
    ),
    "triplet own distance": (
        lambda a, p, n, r: F.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: ((x - y) ** 2).sum(1), margin=3.0, reduction=r), [X, Y, W],
        hinge(3 + (D**2).sum(1) - ((X - W) ** 2).sum(1)),
    ),
    "multi margin": (
        lambda x, r: F.multi_margin_loss(x, T(LABELS), margin=0.8, reduction=r), [X], multi_margin(X, 1, np.ones(3)),
    ),
    "multi margin squared": (
        lambda x, r: F.multi_margin_loss(x, T(LABELS), p=2, margin=0.8, weight=T(C), reduction=r), [X],
        multi_margin(X, 2, C),
    ),
    "multilabel margin": (
        lambda x, r: F.multilabel_margin_loss(x, T(LISTED), reduction=r), [X], multilabel_margin(X),
    ),
    "multilabel soft margin": (
        lambda x, y, r: F.multilabel_soft_margin_loss(x, y, T(C), reduction=r), [X, Q],
        (C * (-Q * log_sigmoid(X) - (1 - Q) * log_sigmoid(-X))).mean(1),
    ),
}  # fmt: skip
WEIGHTED = {  # the mean is divided by the weights of the batch
    "nll": (lambda x, r: F.nll_loss(x, T(LABELS), T(C), reduction=r), [X], -C[LABELS] * X[range(4), LABELS], C[LABELS]),
    "nll ignore": (
        lambda x, r: F.nll_loss(x, T(LABELS), ignore_index=2, reduction=r), [X],
        np.where(LABELS == 2, 0, -X[range(4), LABELS]), LABELS != 2,
    ),
    "nll images": (
        lambda x, r: F.nll_loss(x.T.reshape(3, 2, 2).permute(1, 0, 2), T(LABELS.reshape(2, 2)), reduction=r), [X],
        -X[range(4), LABELS].reshape(2, 2), np.ones(4),
    ),
    "cross entropy": (
        lambda x, r: F.cross_entropy(x, T(LABELS), T(C), reduction=r, ignore_index=0), [X],
        np.where(LABELS == 0, 0, -C[LABELS] * log_softmax(X)[range(4), LABELS]), C[LABELS] * (LABELS != 0),
    ),
    "cross entropy smooth": (
        lambda x, r: F.cross_entropy(x, T(LABELS), T(C), reduction=r, label_smoothing=0.3), [X],
        -((0.7 * np.eye(3)[LABELS] + 0.1) * C * log_softmax(X)).sum(1), C[LABELS],
    ),
    "cross entropy of probabilities": (
        lambda x, q, r: F.cross_entropy(x, q, T(C), reduction=r, label_smoothing=0.3), [X, Q],
        -((0.7 * Q + 0.1) * C * log_softmax(X)).sum(1), np.ones(4),
    ),
    "mse weight": (lambda x, y, r: F.mse_loss(x, y, reduction=r, weight=T(W)), [X, Y], W * D**2, W),
    "l1 weight": (lambda x, y, r: F.l1_loss(x, y, reduction=r, weight=T(W)), [X, Y], W * np.abs(D), W),
}  # fmt: skip
ROWS = {**{name: (*case, np.ones(case[2].shape)) for name, case in CASES.items()}, **WEIGHTED}


@pytest.mark.filterwarnings("ignore:kl_div")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ROWS)
def test_losses(name, reduction):
    loss, arrays, expected, weights = ROWS[name]
    if reduction != "none":
        expected = expected.sum() / (weights.sum() if reduction == "mean" else 1)
    inputs = [tg.tensor(a, requires_grad=True) for a in arrays]
    z = loss(*inputs, reduction)
    np.testing.assert_allclose(z.data, expected, rtol=1e-11, atol=1e-14)
    assert gradcheck(lambda *a: loss(*a, reduction), inputs)
    assert gradgradcheck(lambda *a: loss(*a, reduction), inputs)
    single = [tg.tensor(a.astype(np.float32)) for a in arrays]
    if "weight" not in name and name not in WEIGHTED and "multi" not in name and "embedding" not in name:
        loss_32 = loss(*single, reduction)
        assert loss_32.dtype in (np.float32, np.float64)
        np.testing.assert_allclose(loss_32.data, expected, rtol=2e-5, atol=1e-5)


DISTANCES = {
    "pairwise": (lambda x, y: F.pairwise_distance(x, y), np.linalg.norm(D + 1e-6, axis=1)),
    "pairwise 1": (lambda x, y: F.pairwise_distance(x, y, p=1, keepdim=True), np.abs(D + 1e-6).sum(1, keepdims=True)),
    "cosine": (F.cosine_similarity, cosine(X, Y)),
    "cosine dim": (lambda x, y: F.cosine_similarity(x, y, dim=0), cosine(X.T, Y.T)),
    "cdist": (tg.cdist, np.linalg.norm(X[:, None] - Y[None], axis=2)),
    "cdist 3": (lambda x, y: tg.cdist(x, y, 3), (np.abs(X[:, None] - Y[None]) ** 3).sum(2) ** (1 / 3)),
    "pdist": (lambda x, y: F.pdist(x * y), np.linalg.norm((X * Y)[np.triu_indices(4, 1)[0]]
                                                          - (X * Y)[np.triu_indices(4, 1)[1]], axis=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", DISTANCES)
def test_distances(name):
    function, expected = DISTANCES[name]
    inputs = [tg.tensor(a, requires_grad=True) for a in (X, Y)]
    np.testing.assert_allclose(function(*inputs).data, expected, rtol=1e-12)
    assert gradcheck(function, inputs) and gradgradcheck(function, inputs)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, math.inf])
def test_equal_rows_have_distance_and_gradient_zero(p):
    x = tg.tensor(X[[0, 0, 1]], requires_grad=True)
    for distances in (tg.cdist(x, x.detach(), p), F.pdist(x, p)):
        x.grad = None
        distances.sum().backward()
        assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("view", ["transposed", "negative", "read-only", "expanded"])
def test_any_memory_layout(view):
    arrays = {
        "transposed": (X.T.copy().T, Y.T.copy().T), "negative": (X[::-1, ::-1], Y[::-1, ::-1]),
        "read-only": (X.copy(), Y.copy()), "expanded": (np.broadcast_to(X[:1], X.shape), Y),
    }[view]  # fmt: skip
    for a in arrays:
        a.flags.writeable = view == "negative" and a.flags.writeable
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy_with_logits):
        results = []
        for pair in (arrays, [np.array(a, order="C") for a in arrays]):
            inputs = [tg.Tensor(a).requires_grad_() for a in pair]
            z = loss(*inputs)
            z.backward()
            results.append([z.data, *[t.grad.data for t in inputs]])
        for own, plain in zip(*results, strict=True):
            np.testing.assert_allclose(own, plain, rtol=1e-14)


def test_scalars_and_nothing():
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss):
        x = tg.tensor(2.0, requires_grad=True)
        z = loss(x, tg.tensor(-1.0), reduction="none")
        assert z.shape == ()
        z.backward()
        assert x.grad.shape == ()
        empty = tg.zeros(0, 3).requires_grad_()
        loss(empty, tg.zeros(0, 3), reduction="sum").backward()
        assert empty.grad.shape == (0, 3)
        assert math.isnan(loss(empty, tg.zeros(0, 3)).item())


KINKS = {  # x -> slope of the loss at target 0
    "l1": (lambda x: F.l1_loss(x, x * 0, reduction="sum"), [-2.0, 0.0, 2.0], [-1, 0, 1]),
    "huber": (lambda x: F.huber_loss(x, x.detach() * 0, reduction="sum"), [-3.0, -1, 0, 1, 3], [-1, -1, 0, 1, 1]),
    "smooth l1": (
        lambda x: F.smooth_l1_loss(x, x.detach() * 0, reduction="sum", beta=2.0),
        [-3.0, -2, 0, 1, 2], [-1, -1, 0, 0.5, 1],
    ),
    "ranking at its margin": (
        lambda x: F.margin_ranking_loss(x, x.detach() * 0, x.detach() * 0 + 1, reduction="sum"),
        [-1.0, 0, 1], [-1, -1, 0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_slopes_at_kinks(name):
    loss, x, slope = KINKS[name]
    x = tg.tensor(np.array(x), requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, slope)


def test_no_overflow():
    z = tg.tensor(np.array([-1e4, -800.0, 800.0, 1e4]), requires_grad=True)
    for target in (0.0, 1.0):
        losses = F.binary_cross_entropy_with_logits(z, tg.full((4,), target).double(), reduction="none")
        np.testing.assert_allclose(losses.data, np.maximum(z.data if target == 0 else -z.data, 0))
    np.testing.assert_allclose(F.soft_margin_loss(z, tg.ones(4).double(), reduction="none").data, [1e4, 800, 0, 0])
    x = tg.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(x, tg.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    assert losses.tolist() == [100, 100, 0, 0]  # logarithms are not let below -100
    losses.sum().backward()
    assert np.isfinite(x.grad.data).all()
    huge = tg.tensor(np.array([np.inf, -np.inf, np.nan, 1e300]), requires_grad=True)
    F.huber_loss(huge, tg.zeros(4).double(), reduction="sum").backward()
    np.testing.assert_array_equal(huge.grad.data, [1, -1, np.nan, 1])


def test_names_of_the_reduction():
    x, y = tg.tensor(X), tg.tensor(Y)
    assert F.mse_loss(x, y, "sum").item() == pytest.approx((D**2).sum())  # a name in the old argument's place
    assert nn.MSELoss("none")(x, y).shape == (4, 3)
    for average, reduce, shape in ((True, None, ()), (False, True, ()), (None, False, (4, 3)), (True, False, (4, 3))):
        with pytest.warns(UserWarning, match="old names"):
            assert F.l1_loss(x, y, average, reduce).shape == shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.kl_div(x, y.exp(), reduction="batchmean")
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(x, y.exp())
    assert nn.KLDivLoss(reduction="batchmean")(x, tg.tensor(Q)).item() == pytest.approx(
        (Q * (np.log(Q) - X)).sum() / 4
    )  # fmt: skip
    with pytest.raises(ValueError, match="batchmean"):
        F.kl_div(x, y, reduction="average")
    with pytest.raises(ValueError, match="'batchmean'"):
        F.mse_loss(x, y, reduction="batchmean")


def test_errors_name_the_layer_and_the_shapes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.loss = nn.BCELoss()

        def forward(self, x, y):
            return self.loss(x, y)

    with pytest.raises(ValueError, match=r"loss: binary_cross_entropy: .*\(3,\).*\(3, 1\)"):
        Net()(tg.ones(3, 1), tg.ones(3))
    with pytest.raises(RuntimeError, match=r"between 0 and 1, got 0.0 … 2.0.*binary_cross_entropy_with_logits"):
        Net()(tg.tensor([0.0, 2.0]), tg.ones(2))
    with pytest.raises(RuntimeError, match=r"\(2, 3\).*\(2, 4\)"):
        tg.cdist(tg.ones(2, 3), tg.ones(2, 4))


def test_soft_threshold_marks_the_change():
    w = tg.tensor([1.0, -0.2, 0.5, -3.0], requires_grad=True)
    loss = (w * w).sum()
    nn.soft_threshold_([w], 0.5)
    assert w.tolist() == [0.5, 0.0, 0.0, -2.5]
    with pytest.raises(RuntimeError, match="in place"):
        loss.backward()
