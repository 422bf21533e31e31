"""Convolution, pooling and resampling on PyTorch's own sample inputs: values, gradients, and their gradients."""

import sys
import types
import unittest

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
if "expecttest" not in sys.modules:  # PyTorch's tables import it, for its TestCase alone
    try:
        import expecttest  # noqa: F401
    except ImportError:
        sys.modules["expecttest"] = types.ModuleType("expecttest")
        sys.modules["expecttest"].TestCase = unittest.TestCase

NAMES = [
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "max_unpool1d",
    "max_unpool2d", "interpolate", "upsample_nearest", "upsample_bilinear", "unfold", "fold", "pixel_shuffle",
    "pixel_unshuffle",
]  # fmt: skip
AT_MOST = 30  # samples of an operation: the pools have more than a thousand each


def operations(keep):
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db:
        if op.name.startswith("nn.functional.") and op.name.removeprefix("nn.functional.") in NAMES and keep(op):
            yield pytest.param(op, id=f"{op.name} {op.variant_test_name}".strip())


def ours(value):
    if isinstance(value, torch.Tensor):
        return tg.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    return tuple(value) if isinstance(value, torch.Size) else value


def close(found, expected):
    assert tuple(found.shape) == tuple(expected.shape)
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(found.detach().data, expected.detach().numpy(), rtol=1e-10, atol=1e-10)


def gradients(module, output, inputs, direction, probes):
    """The gradients along `direction`, and the gradients of their products with `probes`."""
    first = module.grad(output, inputs, direction, create_graph=True)
    pairs = [(g, p) for g, p in zip(first, probes) if g.requires_grad]
    second = module.grad(
        [g for g, _ in pairs], [*inputs, direction], [p for _, p in pairs], allow_unused=True, create_graph=False
    )
    return first, second


def compare(expected, found, their_inputs, our_inputs):
    """Values, gradients and second gradients of two results of one computation agree."""
    close(found, expected)
    assert found.requires_grad == expected.requires_grad
    if not expected.requires_grad:
        return
    draw = np.random.default_rng(0)
    direction = draw.normal(size=tuple(expected.shape))
    probes = [draw.normal(size=tuple(t.shape)) for t in their_inputs]
    theirs = gradients(
        torch.autograd, expected, their_inputs, torch.tensor(direction, requires_grad=True), map(torch.tensor, probes)
    )
    mine = gradients(tg, found, our_inputs, tg.tensor(direction, requires_grad=True), map(tg.tensor, probes))
    for mine_of_order, theirs_of_order in zip(mine, theirs):
        for m, t in zip(mine_of_order, theirs_of_order, strict=True):
            if m is None or t is None:  # nothing and a tensor of zeros are both said of a gradient that is 0
                assert not np.any((t if m is None else m) is not None and np.asarray((t if m is None else m).detach()))
            else:
                close(m, t)


@pytest.mark.parametrize("op", list(operations(lambda op: True)))
def test_samples(op):
    torch.manual_seed(0)
    function = getattr(F, op.name.removeprefix("nn.functional."))
    samples = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    for sample in samples[:: -(-len(samples) // AT_MOST)]:
        arguments, keywords = [sample.input, *sample.args], sample.kwargs
        expected = op(*arguments, **keywords)
        our_arguments = [ours(a) for a in arguments]
        found = function(*our_arguments, **{k: ours(v) for k, v in keywords.items()})
        if isinstance(expected, tuple):
            close(found[1], expected[1])
            found, expected = found[0], expected[0]
        pairs = [(a, b) for a, b in zip(arguments, our_arguments) if isinstance(a, torch.Tensor) and a.requires_grad]
        compare(expected, found, [a for a, _ in pairs], [b for _, b in pairs])


@pytest.mark.parametrize("op", list(operations(lambda op: op.error_inputs_func is not None)))
def test_errors(op):
    function = getattr(F, op.name.removeprefix("nn.functional."))
    for row in op.error_inputs("cpu"):
        sample = row.sample_input
        if any(isinstance(t, torch.Tensor) and t.is_complex() for t in (sample.input, *sample.args)):
            continue
        with pytest.raises(row.error_type):
            function(ours(sample.input), *map(ours, sample.args), **{k: ours(v) for k, v in sample.kwargs.items()})


WITH_INTEGERS = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "max_pool2d", "avg_pool1d", "avg_pool2d"]


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_integers(name):
    dims = int(name[-2])
    draw = np.random.default_rng(0)
    operands = [draw.integers(-9, 9, (2, 3) + (6,) * dims)]
    if "conv" in name:
        operands.append(draw.integers(-9, 9, (3, 3) + (3,) * dims))
    keywords = {} if "conv" in name else {"kernel_size": 3, "stride": 2, "padding": 1}
    expected = getattr(torch.nn.functional, name)(*map(torch.tensor, operands), **keywords)
    close(getattr(F, name)(*map(tg.tensor, operands), **keywords), expected)


LAYERS = [  # layer, arguments, keywords, shape of x, keywords of the call
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2}, (2, 4, 9), {}),
    ("Conv1d", (4, 6, 4), {"padding": 2, "padding_mode": "circular", "groups": 2}, (4, 9), {}),
    ("Conv2d", (4, 6, (3, 2)), {"padding": (1, 2), "stride": (2, 1), "bias": False}, (2, 4, 7, 8), {}),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}, (4, 7, 8), {}),
    ("Conv2d", (4, 6, (4, 3)), {"padding": "same", "padding_mode": "reflect"}, (2, 4, 7, 8), {}),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "replicate", "stride": 2}, (2, 4, 7, 8), {}),
    ("Conv2d", (4, 6, 3), {"padding": "valid", "padding_mode": "circular"}, (2, 4, 7, 8), {}),
    ("Conv2d", (4, 4, 3), {"padding": 4, "groups": 4, "dilation": 2}, (2, 4, 7, 8), {}),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, (2, 4, 5), {}),
    ("ConvTranspose1d", (4, 6, 3, 3), {"padding": 1}, (4, 5), {"output_size": (15,)}),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2, False, 2), {}, (2, 4, 5, 4), {}),
    ("ConvTranspose2d", (4, 6, 3, 2, 1), {}, (2, 4, 5, 4), {"output_size": (2, 6, 10, 8)}),
    ("ConvTranspose2d", (4, 6, 3, 2, 1), {}, (2, 4, 5, 4), {"output_size": [9, 7]}),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"dilation": 3, "output_padding": 2}, (2, 4, 5, 4), {}),
    ("ConvTranspose2d", (4, 6, 2), {"dilation": 3, "output_padding": (1, 2), "padding": 1}, (4, 5, 4), {}),
    ("ConvTranspose2d", (4, 6, 1), {"padding": 1, "stride": 2}, (2, 4, 5, 4), {}),
    ("ConvTranspose2d", (4, 6, 2), {"padding": 3, "stride": 1}, (2, 4, 9, 9), {}),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, (2, 4, 9), {}),
    ("MaxPool2d", ((3, 2),), {"stride": (2, 1), "ceil_mode": True}, (2, 4, 8, 9), {}),
    ("AvgPool1d", (3,), {"padding": 1, "ceil_mode": True, "count_include_pad": False}, (2, 4, 8), {}),
    ("AvgPool2d", ((3, 2), (2, 3)), {"padding": 1, "divisor_override": 5}, (2, 4, 8, 9), {}),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 4, 8), {}),
    ("AdaptiveAvgPool2d", ((3, None),), {}, (2, 4, 8, 9), {}),
    ("AdaptiveAvgPool2d", ((11, 5),), {}, (2, 4, 8, 9), {}),
    ("AdaptiveMaxPool1d", (5,), {}, (2, 4, 8), {}),
    ("AdaptiveMaxPool2d", ((3, None),), {}, (2, 4, 8, 9), {}),
    ("AdaptiveMaxPool2d", ((11, 5),), {}, (4, 8, 9), {}),
    ("LPPool1d", (3, 2), {"stride": 1}, (2, 4, 8), {}),
    ("LPPool2d", (1.5, (2, 3)), {"ceil_mode": True}, (2, 4, 8, 9), {}),
    ("Upsample", (), {"scale_factor": (1.3, 2.7), "mode": "bilinear"}, (2, 4, 5, 6), {}),
    ("Upsample", (), {"size": (3, 11), "mode": "bicubic", "align_corners": True}, (2, 4, 5, 6), {}),
    ("Upsample", (), {"scale_factor": 1.3, "mode": "linear", "recompute_scale_factor": True}, (2, 4, 5), {}),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, (2, 4, 5, 6), {}),
    ("UpsamplingBilinear2d", ((7, 3),), {}, (2, 4, 5, 6), {}),
    ("PixelShuffle", (2,), {}, (2, 8, 3, 5), {}),
    ("PixelUnshuffle", (2,), {}, (8, 4, 6), {}),
    ("Unfold", ((3, 2),), {"dilation": 2, "padding": 1, "stride": 2}, (2, 3, 7, 8), {}),
    ("Fold", ((7, 8), (3, 2)), {"dilation": 2, "padding": 1, "stride": 2}, (2, 18, 12), {}),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(LAYERS)))
def test_layers(row):
    name, arguments, keywords, shape, called_with = LAYERS[row]
    draw = np.random.default_rng(row)
    theirs, mine = getattr(torch.nn, name)(*arguments, **keywords).double(), getattr(nn, name)(*arguments, **keywords)
    assert repr(mine) == repr(theirs)
    mine.double().load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    array = draw.uniform(0.1, 1, shape) if name.startswith("LP") else draw.normal(size=shape)
    x, y = torch.tensor(array, requires_grad=True), tg.tensor(array, requires_grad=True)
    compare(
        theirs(x, **called_with), mine(y, **called_with), [x, *theirs.parameters()], [y, *mine.parameters()]
    )


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_every_size_of_an_image(mode):
    draw = np.random.default_rng(0)
    for before in (1, 2, 3, 7, 10):
        for after in (1, 2, 5, 14, 20, 23):
            x = draw.normal(size=(1, 1, before, 3))
            for how in ({"size": (after, 4)}, {"scale_factor": (after / before, 1.4)}):
                close(F.interpolate(tg.tensor(x), mode=mode, **how),
                      torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **how))  # fmt: skip


def test_maxima_of_nan_and_equal_numbers():
    x = np.array([1.0, 1, np.nan, 1, np.nan, 0, 0, -np.inf, -np.inf, 2, 2, 0]).reshape(1, 1, 3, 4)
    pools = ("max_pool2d", {"kernel_size": 2, "stride": 1}), ("adaptive_max_pool2d", {"output_size": 2})
    for name, keywords in pools:
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x), return_indices=True, **keywords)
        for f, e in zip(getattr(F, name)(tg.tensor(x), return_indices=True, **keywords), theirs, strict=True):
            close(f, e)


def test_windows_along_a_dimension():
    x = np.random.default_rng(0).normal(size=(4, 5, 6))
    for row in ((0, 2, 1), (1, 3, 2), (-1, 6, 1), (2, 0, 4), (-2, 1, 5)):
        theirs, mine = torch.tensor(x, requires_grad=True), tg.tensor(x, requires_grad=True)
        compare(theirs.unfold(*row) ** 2, mine.unfold(*row) ** 2, [theirs], [mine])
    assert tg.tensor(3.0).unfold(0, 1, 1).shape == (1,) and tg.tensor(3.0).unfold(0, 0, 1).shape == (0,)
    for row in ((0, 5, 1), (1, 2, 0), (0, -1, 1)):
        with pytest.raises(RuntimeError):
            torch.tensor(x).unfold(*row)
        with pytest.raises(RuntimeError, match="unfold"):
            tg.tensor(x).unfold(*row)
