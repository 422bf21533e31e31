"""Normalization: the formula in NumPy as oracle, finite differences for both backward passes, and what equals what."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def standardized(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def along(v, ndim):
    return v.reshape((-1,) + (1,) * (ndim - 2))


def np_group_norm(x, groups, weight=1.0, bias=0.0):
    y = standardized(x.reshape(len(x), groups, -1), 2).reshape(x.shape)
    return y * along(np.broadcast_to(weight, x.shape[1]), x.ndim) + along(np.broadcast_to(bias, x.shape[1]), x.ndim)


def np_local_response(x, size, alpha=1e-4, beta=0.75, k=1.0):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        first, last = max(c - size // 2, 0), c + (size - 1) // 2 + 1
        y[:, c] = x[:, c] / (k + alpha / size * (x[:, first:last] ** 2).sum(1)) ** beta
    return y


X, C, MEAN, VAR = (3, 4, 2, 5), (4,), np.array([0.5, -1, 0, 2]), np.array([1, 2, 0.5, 3.0])
NORMS = {
    # name: (operation, oracle, shapes of the inputs)
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
                   lambda x, w, b: standardized(x, (0, 2, 3)) * along(w, 4) + along(b, 4), [X, C, C]),
    "batch_norm of a matrix": (lambda x: F.batch_norm(x, None, None, training=True, eps=0.1),
                               lambda x: standardized(x, 0, 0.1), [(6, 3)]),
    "batch_norm in eval": (lambda x, w, b: F.batch_norm(x, tg.tensor(MEAN), tg.tensor(VAR), w, b),
                           lambda x, w, b: (x - along(MEAN, 4)) / np.sqrt(along(VAR, 4) + 1e-5) * along(w, 4)
                           + along(b, 4),
                           [X, C, C]),
    "batch_norm in eval, plain": (lambda x: F.batch_norm(x, tg.tensor(MEAN), tg.tensor(VAR), eps=0.1),
                                  lambda x: (x - MEAN) / np.sqrt(VAR + 0.1), [(3, 4)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (5,), w, b), lambda x, w, b: standardized(x, 3) * w + b,
                   [X, (5,), (5,)]),
    "layer_norm of an image": (lambda x, w, b: F.layer_norm(x, (4, 2, 5), w, b, eps=0.1),
                               lambda x, w, b: standardized(x, (1, 2, 3), 0.1) * w + b, [X, X[1:], X[1:]]),
    "layer_norm, plain": (lambda x: F.layer_norm(x, 4), lambda x: standardized(x, 1), [(3, 4)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), lambda x, w, b: np_group_norm(x, 2, w, b), [X, C, C]),
    "group_norm, no space": (lambda x: F.group_norm(x, 2), lambda x: np_group_norm(x, 2), [(3, 6)]),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), lambda x, w, b: np_group_norm(x, 4, w, b),
                      [X, C, C]),
    "instance_norm in eval": (lambda x: F.instance_norm(x, tg.tensor(MEAN), tg.tensor(VAR), use_input_stats=False),
                              lambda x: (x - along(MEAN, 4)) / np.sqrt(along(VAR, 4) + 1e-5), [X]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (2, 5), w, 0.1),
                 lambda x, w: x / np.sqrt((x * x).mean((2, 3), keepdims=True) + 0.1) * w, [X, (2, 5)]),
    "rms_norm, eps None": (lambda x: F.rms_norm(x, 5), lambda x: x / np.sqrt((x * x).mean(3, keepdims=True)), [X]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.5, 0.6, 2),
                            lambda x: np_local_response(x, 3, 0.5, 0.6, 2), [X]),
    "local_response_norm of 2": (lambda x: F.local_response_norm(x, 2, alpha=0.3),
                                 lambda x: np_local_response(x, 2, 0.3), [(2, 5, 3)]),
    "normalize": (F.normalize, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True), [X]),
    "normalize, p = 1": (lambda x: F.normalize(x, 1, -1), lambda x: x / abs(x).sum(-1, keepdims=True), [(3, 4)]),
    "normalize, two dims": (lambda x: F.normalize(x, dim=(1, 2)),
                            lambda x: x / np.sqrt((x * x).sum((1, 2), keepdims=True)), [(2, 3, 4)]),
}  # fmt: skip


def inputs_of(name, dtype=np.float64):
    draw = np.random.default_rng(sum(map(ord, name)))
    return [draw.normal(0.5, 1.5, shape).astype(dtype) for shape in NORMS[name][2]]


@pytest.mark.parametrize("name", NORMS)
def test_against_the_formula(name):
    operation, oracle, _ = NORMS[name]
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        inputs = inputs_of(name, dtype)
        if dtype == np.float32 and "eval" in name:
            continue  # its statistics are float64
        found = operation(*[tg.Tensor(a) for a in inputs])
        assert found.dtype == dtype
        expected = oracle(*[a.astype(np.float64) for a in inputs])
        np.testing.assert_allclose(found.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NORMS)
def test_first_and_second_gradient_by_finite_differences(name):
    small = [a[:2, ..., :3] if a.shape == X else a for a in inputs_of(name)]
    if small[0].shape[-1:] != inputs_of(name)[0].shape[-1:]:  # what belongs to the last dimension follows it
        small[1:] = [a[..., :3] if a.shape[-1] == 5 else a for a in small[1:]]
    name_sizes = "layer_norm" in name or "rms_norm" in name
    inputs = [tg.Tensor(a, requires_grad=True) for a in (inputs_of(name) if name_sizes else small)]
    assert tg.gradcheck(NORMS[name][0], inputs, atol=1e-5)
    if sum(t.numel() for t in inputs) < 150:
        assert tg.gradgradcheck(NORMS[name][0], inputs, atol=1e-5)


@pytest.mark.parametrize("name", NORMS)
def test_layouts(name):
    """Strided, reversed and read-only inputs give the same results and gradients."""
    operation = NORMS[name][0]
    reference = [tg.Tensor(a, requires_grad=True) for a in inputs_of(name)]
    z = operation(*reference)
    weights = tg.tensor(np.cos(np.arange(z.numel())).reshape(z.shape))
    z.backward(weights)
    for layout in (np.asfortranarray, lambda a: a[::-1].copy()[::-1], lambda a: np.repeat(a, 2, -1)[..., ::2]):
        leaves = [tg.Tensor(layout(a), requires_grad=True) for a in inputs_of(name)]
        for leaf in leaves:
            leaf.data.flags.writeable = False
        operation(*leaves).backward(weights)
        for leaf, expected in zip(leaves, reference, strict=True):
            np.testing.assert_allclose(leaf.grad.data, expected.grad.data, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("norm", [
    lambda x: F.layer_norm(x, (4,)), lambda x: F.group_norm(x.reshape(-1, 4, 1), 2), lambda x: F.rms_norm(x, 4),
    lambda x: F.instance_norm(x.reshape(-1, 2, 2)), lambda x: F.batch_norm(x, None, None, training=True), F.normalize,
])  # fmt: skip
def test_no_samples(norm):
    x = tg.zeros(0, 4, requires_grad=True)
    y = norm(x)
    assert y.numel() == 0
    y.sum().backward()
    assert x.grad.shape == (0, 4)


def test_a_batch_without_samples_leaves_the_running_estimates():
    bn = nn.BatchNorm1d(3)
    bn(tg.zeros(0, 3))
    assert bn.running_mean.tolist() == [0, 0, 0] and bn.running_var.tolist() == [1, 1, 1]


def test_float32_keeps_its_digits_far_from_zero():
    """Statistics are summed in float64: mean 10⁴ and deviation 1 are no problem in float32."""
    x = np.random.default_rng(0).standard_normal((8, 4, 50)).astype(np.float32) + np.float32(1e4)
    exact = standardized(x.astype(np.float64), 2)
    for y in (F.layer_norm(tg.tensor(x), 50), F.instance_norm(tg.tensor(x)), F.group_norm(tg.tensor(x), 4)):
        np.testing.assert_allclose(y.data, exact, atol=2e-5)


# ------------------------------------------------------------------------------------- what equals what


def test_groups_between_layer_and_instance_norm():
    x = tg.tensor(np.random.default_rng(0).normal(2, 3, (3, 6, 4, 5)))
    np.testing.assert_array_equal(F.group_norm(x, 1).data, F.layer_norm(x, (6, 4, 5)).data)
    np.testing.assert_array_equal(F.group_norm(x, 6).data, F.instance_norm(x).data)


def test_batch_norm_of_one_sample_is_instance_norm():
    x = tg.tensor(np.random.default_rng(0).normal(2, 3, (1, 6, 4, 5)))
    np.testing.assert_allclose(F.batch_norm(x, None, None, training=True).data, F.instance_norm(x).data, atol=1e-14)


def test_rms_norm_of_centered_runs_is_layer_norm():
    x = np.random.default_rng(0).normal(size=(3, 8))
    x = tg.tensor(x - x.mean(1, keepdims=True))
    np.testing.assert_allclose(F.rms_norm(x, 8, eps=1e-5).data, F.layer_norm(x, 8).data, rtol=1e-12)


@pytest.mark.parametrize("layer, shape", [
    (nn.LayerNorm(6), (4, 6)), (nn.GroupNorm(2, 6), (4, 6, 3)), (nn.InstanceNorm1d(6), (4, 6, 3)),
    (nn.RMSNorm(6), (4, 6)),
])  # fmt: skip
def test_within_a_sample_training_and_evaluation_are_alike(layer, shape):
    x = tg.randn(*shape)
    together = layer(x)
    np.testing.assert_array_equal(together.detach().data, layer.eval()(x).detach().data)
    alone = np.concatenate([layer(x[i : i + 1]).detach().data for i in range(4)])
    np.testing.assert_allclose(together.detach().data, alone, rtol=1e-5, atol=1e-6)


def test_running_estimates_of_instance_norm():
    layer = nn.InstanceNorm2d(3, momentum=0.25, track_running_stats=True).double()
    x = np.random.default_rng(0).normal(2, 3, (4, 3, 5, 6))
    layer(tg.tensor(x))
    np.testing.assert_allclose(layer.running_mean.data, 0.25 * x.mean((0, 2, 3)), rtol=1e-12)
    unbiased = x.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_var.data, 0.75 + 0.25 * unbiased, rtol=1e-12)
    layer.eval()
    expected = (x - along(layer.running_mean.data, 4)) / np.sqrt(along(layer.running_var.data, 4) + 1e-5)
    np.testing.assert_allclose(layer(tg.tensor(x)).data, expected, rtol=1e-12)


def test_unbatched_instances():
    x = tg.randn(3, 4, 5)
    np.testing.assert_array_equal(nn.InstanceNorm2d(3)(x).data, nn.InstanceNorm2d(3)(x.unsqueeze(0))[0].data)
    np.testing.assert_array_equal(nn.InstanceNorm1d(4)(x[0]).data, nn.InstanceNorm1d(4)(x[:1])[0].data)
    with pytest.warns(UserWarning, match="has 3 channels"):
        nn.InstanceNorm2d(7)(x)


# ------------------------------------------------------------------------------------- layers


LAYERS = {
    # text: (shape of x, names of parameters)
    "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True)": ((2, 3, 4), ["weight", "bias"]),
    "LayerNorm((4,), eps=0.1, elementwise_affine=True, bias=False)": ((2, 3, 4), ["weight"]),
    "LayerNorm((4,), eps=1e-05, elementwise_affine=False)": ((2, 3, 4), []),
    "RMSNorm((4,), eps=None, elementwise_affine=True)": ((2, 3, 4), ["weight"]),
    "GroupNorm(2, 6, eps=1e-05, affine=True)": ((2, 6, 4), ["weight", "bias"]),
    "GroupNorm(3, 6, eps=1e-05, affine=False)": ((2, 6), []),
    "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)": ((2, 3, 4), []),
    "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)": (
        (2, 3, 4, 5), ["weight", "bias"]),
    "BatchNorm2d(3, eps=1e-05, momentum=None, affine=True, bias=False, track_running_stats=False)": (
        (2, 3, 4, 5), ["weight"]),
    "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)": ((2, 3, 4), []),
}  # fmt: skip


@pytest.mark.parametrize("text", LAYERS)
def test_layers_print_how_they_are_made_copy_and_pickle(text):
    shape, parameters = LAYERS[text]
    layer = eval(f"nn.{text}")
    assert repr(layer) == text and [name for name, _ in layer.named_parameters()] == parameters
    x = tg.randn(*shape)
    y = layer(x)
    assert y.shape == shape
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x).detach().data, y.detach().data)
    if parameters:
        layer.weight.data[...] = 3
        layer.reset_parameters()
        assert (layer.weight.data == 1).all()


ERRORS = [
    (lambda: nn.LayerNorm((4,))(tg.zeros(2, 3)), RuntimeError, r"^layer_norm: .*\(4,\).*shape \(2, 3\)"),
    (lambda: F.layer_norm(tg.zeros(2, 3), (3,), tg.zeros(2)), RuntimeError, r"weight has shape \(2,\)"),
    (lambda: F.layer_norm(tg.zeros(2, 3), (3,), bias=tg.zeros(3, dtype=tg.float64)), RuntimeError, "bias is float64"),
    (lambda: F.layer_norm(tg.zeros(2, 3), ()), RuntimeError, "at least one dimension"),
    (lambda: F.layer_norm(tg.tensor([[1, 2]]), 2), RuntimeError, "got int64"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "3 channels cannot be divided into 2 groups"),
    (lambda: F.group_norm(tg.zeros(2, 3), 2), RuntimeError, r"3 channels of the input of shape \(2, 3\)"),
    (lambda: F.group_norm(tg.zeros(4), 2), RuntimeError, r"got shape \(4,\)"),
    (lambda: F.group_norm(tg.zeros(1, 4), 4), ValueError, "more than 1 value"),
    (lambda: nn.GroupNorm(1, 4)(tg.zeros(2, 3)), RuntimeError, r"has 3 channels, but weight has shape \(4,\)"),
    (lambda: nn.InstanceNorm2d(3)(tg.zeros(2, 3)), ValueError, r"\(N, C, H, W\) or \(C, H, W\), got shape \(2, 3\)"),
    (lambda: nn.InstanceNorm2d(3, affine=True)(tg.zeros(2, 4, 5, 5)), ValueError, "has 4 channels, not 3"),
    (lambda: nn.InstanceNorm1d(3)(tg.zeros(2, 3, 1)), ValueError, "more than 1 value"),
    (lambda: F.rms_norm(tg.zeros(2, 3), (2,)), RuntimeError, r"\(2,\).*\(2, 3\)"),
    (lambda: F.local_response_norm(tg.zeros(2, 3), 2), ValueError, r"got shape \(2, 3\)"),
    (lambda: nn.BatchNorm1d(3)(tg.zeros(1, 3)), ValueError, "more than 1 value"),
    (lambda: nn.BatchNorm1d(3, eps=-1.0)(tg.zeros(2, 3)), ValueError, "eps"),
    (lambda: F.batch_norm(tg.zeros(2, 3), None, None), RuntimeError, "running_mean and running_var are needed"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, text", ERRORS)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
