"""Losses and distances on PyTorch's own sample inputs, and over their arguments: values, gradients, their gradients."""

import importlib.util
import itertools
import sys
import types
import unittest
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
TF = torch.nn.functional
if "expecttest" not in sys.modules and importlib.util.find_spec("expecttest") is None:
    # PyTorch's tables import it, for its TestCase alone.
    sys.modules["expecttest"] = types.ModuleType("expecttest")
    sys.modules["expecttest"].TestCase = unittest.TestCase

NAMES = """
    cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div poisson_nll_loss
    gaussian_nll_loss mse_loss l1_loss smooth_l1_loss huber_loss soft_margin_loss margin_ranking_loss
    multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss triplet_margin_loss
    triplet_margin_with_distance_loss cosine_embedding_loss hinge_embedding_loss cosine_similarity pairwise_distance
    pdist cdist
"""
# PyTorch's second derivative of binary_cross_entropy adds 1e-12 to x and to 1 - x.
ONCE = ("multi_margin_loss", "multilabel_margin_loss", "cdist", "pdist")  # PyTorch has no second derivative of them


def rows():
    from torch.testing._internal.common_methods_invocations import op_db

    return [op for op in op_db if op.name.removeprefix("nn.functional.") in NAMES.split()]


def ours(value):
    if isinstance(value, torch.Tensor):
        tensor = tg.tensor(value.detach().numpy())
        tensor.requires_grad = value.requires_grad
        return tensor
    return type(value)(map(ours, value)) if isinstance(value, list | tuple) else value


def agree(mine, yours, tensors, keywords, second=True, tolerance=1e-10, second_tolerance=1e-10):
    """Value, gradients and gradients of gradients of a loss of `tensors` (PyTorch's), on both sides."""
    theirs = [t.detach().clone().requires_grad_(t.requires_grad) if isinstance(t, torch.Tensor) else t for t in tensors]
    own, own_keywords = [ours(t) for t in theirs], {k: ours(v) for k, v in keywords.items()}
    z, t = mine(*own, **own_keywords), yours(*theirs, **keywords)
    close(z, t, tolerance)
    wanted = [i for i, x in enumerate(theirs) if isinstance(x, torch.Tensor) and x.requires_grad]
    if not t.requires_grad or not wanted:
        return
    cotangent = torch.rand(t.shape, dtype=t.dtype, generator=torch.Generator().manual_seed(0)) + 0.5
    cotangent.requires_grad_()
    own_cotangent = ours(cotangent)
    first = torch.autograd.grad(t, [theirs[i] for i in wanted], cotangent, create_graph=True, allow_unused=True)
    own_first = tg.grad(z, [own[i] for i in wanted], own_cotangent, create_graph=True, allow_unused=True)
    plain = tg.grad(mine(*own, **own_keywords), [own[i] for i in wanted], own_cotangent, allow_unused=True)
    for g, g_own, g_plain in zip(first, own_first, plain, strict=True):
        if g is not None:
            close(g_own, g, tolerance)
            close(g_plain, g, tolerance)
    if not second:
        return
    weights = [torch.rand(g.shape, dtype=g.dtype, generator=torch.Generator().manual_seed(1)) if g is not None else None
               for g in first]  # fmt: skip
    total = sum((g * w).sum() for g, w in zip(first, weights, strict=True) if g is not None and g.requires_grad)
    if not isinstance(total, torch.Tensor):
        return
    own_total = sum((g * ours(w)).sum() for g, w in zip(own_first, weights, strict=True) if w is not None)
    inputs, own_inputs = [theirs[i] for i in wanted] + [cotangent], [own[i] for i in wanted] + [own_cotangent]
    again = torch.autograd.grad(total, inputs, allow_unused=True)
    own_again = tg.grad(own_total, own_inputs, allow_unused=True)
    for g, g_own in zip(again, own_again, strict=True):
        if g is None:
            assert g_own is None or not g_own.data.any()
        elif g_own is None:
            assert not g.any()
        else:
            close(g_own, g, second_tolerance)


def close(own, theirs, tolerance):
    assert tuple(own.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(own.data, theirs.detach().numpy(force=True), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("op", rows(), ids=lambda op: op.name)
def test_pytorchs_samples(op):
    name = op.name.removeprefix("nn.functional.")
    mine = getattr(F, name, None) or getattr(tg, name)
    for i, sample in enumerate(op.sample_inputs_func(op, "cpu", torch.float64, True)):
        if name in ("cdist", "gaussian_nll_loss") and i % 4:
            continue
        tensors = [sample.input, *sample.args]
        keywords = dict(sample.kwargs)
        if name == "triplet_margin_with_distance_loss" and "distance_function" in keywords:
            distance = keywords.pop("distance_function")
            if getattr(distance, "__name__", "") not in ("pairwise_distance", "cosine_similarity"):
                continue
            own = getattr(F, distance.__name__)
            agree(
                lambda *a, own=own, **k: mine(*a, distance_function=own, **k),
                lambda *a, distance=distance, **k: op.op(*a, distance_function=distance, **k), tensors, keywords,
            )  # fmt: skip
            continue
        agree(mine, op.op, tensors, keywords, second=name not in ONCE,
              second_tolerance=1e-6 if name == "binary_cross_entropy" else 1e-10)


def leaf(*shape, low=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if low is None:
        return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
    return (torch.rand(shape, dtype=torch.float64, generator=generator) * (1 - 2 * low) + low).requires_grad_()


REDUCTIONS = ["mean", "sum", "none"]
SHAPES = [(), (3,), (2, 3), (2, 0)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_regression(reduction, shape):
    pair = [leaf(*shape), leaf(*shape, seed=1)]
    for name, keywords in [
        ("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}), ("smooth_l1_loss", dict(beta=0.3)),
        ("smooth_l1_loss", dict(beta=0.0)), ("huber_loss", {}), ("huber_loss", dict(delta=0.4)),
        ("mse_loss", dict(weight=leaf(*shape, low=0.1).detach())),
        ("l1_loss", dict(weight=leaf(*shape, low=0.1).detach())),
        ("huber_loss", dict(weight=leaf(*shape, low=0.1).detach())),
    ]:  # fmt: skip
        agree(getattr(F, name), getattr(TF, name), pair, dict(reduction=reduction, **keywords), second=0 not in shape)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_broadcast_pairs_warn_and_agree(name):
    pair = [leaf(3, 1), leaf(3, seed=1)]
    agree(getattr(F, name), getattr(TF, name), pair, {})
    agree(getattr(F, name), getattr(TF, name), pair, dict(reduction="none"))
    with pytest.warns(UserWarning, match=r"\(3,\).*\(3, 1\)"):
        getattr(F, name)(*map(ours, pair))
    equal = [leaf(4), leaf(4)]  # the kink at 0
    agree(getattr(F, name), getattr(TF, name), equal, {})


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 2), (0, 3)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary(reduction, shape):
    logits, truth = leaf(*shape), leaf(*shape, low=0.01, seed=1)
    last = shape[-1:] or (1,)
    weights = [None, leaf(*last, low=0.1, seed=2).detach(), leaf(*shape, low=0.1, seed=3).detach()]
    for weight, positive in itertools.product(weights, [None, leaf(*last, low=0.1, seed=4).detach() * 3]):
        keywords = dict(reduction=reduction, weight=weight)
        if shape or (weight is None and positive is None):
            agree(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, [logits, truth],
                  dict(pos_weight=positive, **keywords), second=0 not in shape)  # fmt: skip
            agree(F.binary_cross_entropy, TF.binary_cross_entropy, [leaf(*shape, low=0.01), truth], keywords,
                  second=0 not in shape)


def test_binary_extremes():
    x = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.5, 1e-300, 1e-30], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0], dtype=torch.float64)
    agree(F.binary_cross_entropy, TF.binary_cross_entropy, [x, y], dict(reduction="none"), second=False)
    z = torch.tensor([-1e4, -800.0, -40.0, 0.0, 40.0, 800.0, 1e4], dtype=torch.float64, requires_grad=True)
    for p in (None, torch.tensor(2.5, dtype=torch.float64)):
        for target in (y, 1 - y):
            keywords = dict(reduction="none", pos_weight=p)
            agree(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, [z, target], keywords)
    float_z = z.detach().float().requires_grad_()
    agree(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, [float_z, y.float()],
          dict(reduction="none"), second=False, tolerance=1e-6)  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
def test_kl_div(reduction):
    for shape in [(), (3,), (4, 3), (2, 3, 2)]:
        x, y = leaf(*shape), leaf(*shape, low=0.05, seed=1)
        agree(F.kl_div, TF.kl_div, [x, y], dict(reduction=reduction))
        agree(F.kl_div, TF.kl_div, [x, leaf(*shape, seed=1)], dict(reduction=reduction, log_target=True))
    zeros = torch.tensor([0.0, 0.5, 0.0, 0.5], dtype=torch.float64)
    agree(F.kl_div, TF.kl_div, [leaf(4), zeros], dict(reduction=reduction))


CLASSES = list(itertools.product(REDUCTIONS, [0.0, 0.2], [False, True], [-100, 1], [None, (), (3,), (2, 2)]))


@pytest.mark.parametrize("reduction, smoothing, weighted, ignore, more", CLASSES)
def test_class_numbers(reduction, smoothing, weighted, ignore, more):
    shape, labels = ((4,), ()) if more is None else ((6, 4, *more), (6, *more))
    target = torch.randint(0, 4, labels, generator=torch.Generator().manual_seed(3))
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64) if weighted else None
    keywords = dict(weight=weight, ignore_index=ignore, reduction=reduction)
    agree(F.cross_entropy, TF.cross_entropy, [leaf(*shape), target], dict(label_smoothing=smoothing, **keywords))
    if not smoothing:
        agree(F.nll_loss, TF.nll_loss, [leaf(*shape), target], keywords)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nothing_but_ignored_targets(reduction):
    target = torch.tensor([-100, -100])
    for name in ("cross_entropy", "nll_loss"):
        agree(getattr(F, name), getattr(TF, name), [leaf(2, 3), target], dict(reduction=reduction), second=False)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_probabilities(reduction, smoothing, weighted):
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64) if weighted else None
    for shape in [(4,), (6, 4), (2, 4, 3), (2, 4, 2, 3)]:
        keywords = dict(weight=weight, reduction=reduction, label_smoothing=smoothing)
        agree(F.cross_entropy, TF.cross_entropy, [leaf(*shape), leaf(*shape, low=0.01, seed=1)], keywords)


MODULES = [
    ("MSELoss", {}, "pair"), ("L1Loss", {}, "pair"), ("SmoothL1Loss", dict(beta=0.5), "pair"),
    ("HuberLoss", dict(delta=0.5), "pair"), ("BCELoss", {}, "probabilities"),
    ("BCEWithLogitsLoss", {}, "probabilities"), ("KLDivLoss", dict(log_target=True), "pair"),
    ("PoissonNLLLoss", dict(full=True), "probabilities"), ("HingeEmbeddingLoss", dict(margin=0.7), "signs"),
    ("SoftMarginLoss", {}, "signs"), ("MultiLabelSoftMarginLoss", {}, "probabilities"),
    ("CrossEntropyLoss", dict(label_smoothing=0.1), "classes"), ("NLLLoss", dict(ignore_index=1), "classes"),
    ("MultiMarginLoss", dict(p=2), "classes"), ("CosineSimilarity", {}, "pair"),
    ("PairwiseDistance", dict(p=1), "pair"),
    ("TripletMarginLoss", dict(swap=True, p=1), "three"), ("TripletMarginWithDistanceLoss", dict(margin=2.0), "three"),
    ("GaussianNLLLoss", dict(full=True), "variance"), ("MarginRankingLoss", dict(margin=0.2), "ranking"),
    ("CosineEmbeddingLoss", dict(margin=0.1), "embedding"),
]  # fmt: skip
SIGNS = torch.tensor([[1.0, -1, 1], [-1, -1, 1]], dtype=torch.float64)
INPUTS = {
    "pair": lambda: [leaf(2, 3), leaf(2, 3, seed=1)],
    "probabilities": lambda: [leaf(2, 3, low=0.1), leaf(2, 3, low=0.1, seed=1)],
    "signs": lambda: [leaf(2, 3), SIGNS],
    "classes": lambda: [leaf(2, 3), torch.tensor([2, 0])],
    "three": lambda: [leaf(2, 3, seed=i) for i in range(3)],
    "variance": lambda: [leaf(2, 3), leaf(2, 3, seed=1), leaf(2, 3, low=0.1, seed=2)],
    "ranking": lambda: [leaf(2, 3), leaf(2, 3, seed=1), SIGNS],
    "embedding": lambda: [leaf(2, 3), leaf(2, 3, seed=1), SIGNS[0, :2]],
}


@pytest.mark.parametrize("name, options, inputs", MODULES, ids=[m[0] for m in MODULES])
def test_modules(name, options, inputs):
    for reduction in REDUCTIONS if name not in ("CosineSimilarity", "PairwiseDistance") else [None]:
        how = dict(options) if reduction is None else dict(options, reduction=reduction)
        mine, yours = getattr(nn, name)(**how), getattr(torch.nn, name)(**how)
        agree(mine, yours, INPUTS[inputs](), {}, second=name != "MultiMarginLoss")
    if name != "TripletMarginWithDistanceLoss":  # PyTorch's prints the distance as a layer
        assert repr(getattr(nn, name)(**options)) == repr(getattr(torch.nn, name)(**options))


def test_old_names_of_the_reduction():
    pair = [leaf(2, 3), leaf(2, 3, seed=1)]
    for average, reduce in itertools.product([None, True, False], repeat=2):
        agree(F.mse_loss, TF.mse_loss, pair, dict(size_average=average, reduce=reduce))
        agree(nn.L1Loss(average, reduce), torch.nn.L1Loss(average, reduce), pair, {})


def error_of(action):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except Exception as error:
        return type(error)
    return None


BAD = {  # in terms of a library t (tg or torch) and its functions f
    "mse shapes": lambda t, f: f.mse_loss(t.ones(3), t.ones(4)),
    "mse weight": lambda t, f: f.mse_loss(t.ones(3), t.ones(3), weight=t.ones(2)),
    "mse reduction": lambda t, f: f.mse_loss(t.ones(3), t.ones(3), reduction="x"),
    "smooth beta": lambda t, f: f.smooth_l1_loss(t.ones(3), t.ones(3), beta=-1.0),
    "huber delta": lambda t, f: f.huber_loss(t.ones(3), t.ones(3), delta=0.0),
    "bce shapes": lambda t, f: f.binary_cross_entropy(t.ones(3), t.ones(3, 1)),
    "bce range": lambda t, f: f.binary_cross_entropy(2 * t.ones(3), t.ones(3)),
    "bce dtype": lambda t, f: f.binary_cross_entropy(t.ones(3), t.ones(3).double()),
    "bce integers": lambda t, f: f.binary_cross_entropy(t.ones(3), t.ones(3).long()),
    "bce weight": lambda t, f: f.binary_cross_entropy(t.ones(3), t.ones(3), t.ones(2)),
    "logits shapes": lambda t, f: f.binary_cross_entropy_with_logits(t.ones(3), t.ones(3, 1)),
    "logits pos_weight": lambda t, f: f.binary_cross_entropy_with_logits(t.ones(3), t.ones(3), pos_weight=t.ones(2)),
    "nll batch": lambda t, f: f.nll_loss(t.ones(2, 3), t.tensor([0, 1, 2])),
    "nll label": lambda t, f: f.nll_loss(t.ones(2, 3), t.tensor([0, 3])),
    "nll weight": lambda t, f: f.nll_loss(t.ones(2, 3), t.tensor([0, 1]), t.ones(2)),
    "nll floats": lambda t, f: f.nll_loss(t.ones(2, 3), t.ones(2)),
    "kl reduction": lambda t, f: f.kl_div(t.ones(2), t.ones(2), reduction="x"),
    "gaussian negative": lambda t, f: f.gaussian_nll_loss(t.ones(2), t.ones(2), -t.ones(2)),
    "gaussian shape": lambda t, f: f.gaussian_nll_loss(t.ones(2, 3), t.ones(2, 3), t.ones(3, 2)),
    "triplet margin": lambda t, f: f.triplet_margin_loss(t.ones(2), t.ones(2), t.ones(2), margin=-1),
    "triplet dims": lambda t, f: f.triplet_margin_loss(t.ones(2), t.ones(1, 2), t.ones(2)),
    "ranking dims": lambda t, f: f.margin_ranking_loss(t.ones(2), t.ones(1, 2), t.ones(2)),
    "cosine target": lambda t, f: f.cosine_embedding_loss(t.ones(2, 3), t.ones(2, 3), t.ones(2, 3)),
    "multi p": lambda t, f: f.multi_margin_loss(t.ones(2, 3), t.tensor([0, 1]), p=3),
    "multi target": lambda t, f: f.multi_margin_loss(t.ones(2, 3), t.tensor([0, 3])),
    "multilabel target": lambda t, f: f.multilabel_margin_loss(t.ones(2, 3), t.tensor([0, 1])),
    "cdist": lambda t, f: t.cdist(t.ones(2, 3), t.ones(2, 4)),
    "pdist": lambda t, f: f.pdist(t.ones(3)),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_have_pytorchs_type(name):
    theirs = error_of(lambda: BAD[name](torch, TF))
    assert theirs is not None and error_of(lambda: BAD[name](tg, F)) is theirs
