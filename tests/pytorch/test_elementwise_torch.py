"""Elementwise functions, comparisons, reductions and creation against PyTorch, over PyTorch's own sample inputs."""

import sys
import types
import unittest

import numpy as np
import pytest

import tinygrad_course as tg

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))  # not needed by the samples
try:
    from torch.testing._internal.common_methods_invocations import op_db
except ImportError as error:  # PyTorch's own test requirements
    pytest.skip(f"PyTorch's sample inputs: {error}", allow_module_level=True)

# PyTorch's names of operations and, after a dot, of what it tests of them
DIFFERENTIABLE = """
    add sub rsub mul div.no_rounding_mode div.floor_rounding div.trunc_rounding true_divide remainder fmod pow neg
    positive abs exp log sqrt lerp addcmul addcdiv exp2 expm1 log2 log10 log1p rsqrt reciprocal square sin cos tan
    asin acos atan sinh cosh asinh acosh atanh atan2 hypot erf erfc deg2rad rad2deg logit logaddexp logaddexp2 xlogy
    sinc floor ceil trunc round round.decimals_0 round.decimals_3 round.decimals_neg_3 frac sign sgn float_power
    where maximum minimum fmax fmin clamp clamp_min clamp_max nan_to_num
    sum nansum mean nanmean prod var var.unbiased std std.unbiased var_mean var_mean.unbiased std_mean
    std_mean.unbiased max.binary max.reduction_no_dim max.reduction_with_dim min.binary min.reduction_no_dim
    min.reduction_with_dim amax amin aminmax median nanmedian mode logsumexp norm norm.fro norm.inf dist
    linalg.vector_norm cumsum cumprod logcumsumexp cummax cummin
    __radd__ __rmul__ __rsub__ __rmod__ __rpow__
    tanh sigmoid softmax log_softmax nn.functional.relu clone
"""
CONSTANT = """
    eq ne lt le gt ge isnan isinf isfinite isposinf isneginf isreal signbit logical_and logical_or logical_xor
    logical_not bitwise_and bitwise_or bitwise_xor bitwise_not isclose allclose equal argmax argmin any all
    count_nonzero floor_divide __rand__ __ror__ __rxor__
"""
PLACES = ("device", "layout", "memory_format", "pin_memory")  # arguments that mean nothing here
SAMPLES = {
    f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in op_db
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def ours_of(value):
    """A sample's argument as ours."""
    if isinstance(value, torch.Tensor):
        return tg.tensor(value.detach().numpy(), requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(np, str(value).split(".")[1])
    if isinstance(value, list | tuple):
        return type(value)(map(ours_of, value))
    return value


def leaves_of(values, kind):
    """All tensors that require grad in nested arguments."""
    if isinstance(values, kind):
        return [values] if values.requires_grad else []
    if isinstance(values, dict):
        values = list(values.values())
    return [leaf for v in values for leaf in leaves_of(v, kind)] if isinstance(values, list | tuple) else []


def outputs_of(result):
    if isinstance(result, tuple):
        return list(result)
    return [result]


def function_of(name):
    base = name.split(".")[0]
    if name == "where":
        return tg.Tensor.where  # the samples begin with the tensor, not with the condition
    if base.startswith("__"):
        return getattr(tg.Tensor, base)
    if name == "linalg.vector_norm":
        return tg.linalg.vector_norm
    if name.startswith("nn.functional."):
        return getattr(tg.nn.functional, name.split(".")[2])
    return getattr(tg, base)


def samples_of(name, dtype, requires_grad):
    op = SAMPLES[name]
    for sample in op.sample_inputs("cpu", dtype, requires_grad=requires_grad):
        theirs = (sample.input, *sample.args)
        if name == "mode" and sample.input.numel() > 1000:
            continue  # which of equal numbers PyTorch names is the chance of its sort
        flat = [a for a in theirs if isinstance(a, torch.Tensor)]
        dtypes = [a.dtype for a in flat] + [sample.kwargs.get("dtype")]
        if any(dtype in (torch.complex64, torch.complex128, torch.float16, torch.bfloat16) for dtype in dtypes):
            continue
        yield op, theirs, sample.kwargs


def described(name, arguments, options):
    return f"{name} {[tuple(a.shape) if isinstance(a, torch.Tensor) else a for a in arguments]} {options}"


def same(ours, theirs, context, tolerance=1e-10):
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs, context
        return
    theirs = theirs.detach()
    assert tuple(ours.shape) == tuple(theirs.shape), (context, ours.shape, theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch."), (context, ours.dtype, theirs.dtype)
    if theirs.dtype == torch.float32:
        tolerance = 1e-5
    np.testing.assert_allclose(ours.data, theirs.numpy(force=True), rtol=tolerance, atol=tolerance, err_msg=context)


def second_gradients(gradients, weights, leaves, grad, tensor):
    """The gradients of Σ w · gradients."""
    pairs = [(g, tensor(np.asarray(w))) for g, w in zip(gradients, weights, strict=True)
             if g is not None and g.requires_grad]  # fmt: skip
    if not pairs:
        return [None] * len(leaves)
    return grad([g for g, _ in pairs], leaves, [w for _, w in pairs], allow_unused=True)


@pytest.mark.parametrize("name", DIFFERENTIABLE.split())
def test_values_gradients_and_second_gradients(name):
    """z, v·∂z/∂x, and the gradient of that weighed with another random w."""
    count = 0
    for op, theirs, options in samples_of(name, torch.float64, requires_grad=True):
        context = described(name, theirs, options)
        ours = ours_of(theirs)
        z = outputs_of(function_of(name)(*ours, **{k: ours_of(v) for k, v in options.items()}))
        t = outputs_of(op(*theirs, **options))
        draw = np.random.default_rng(count)
        count += 1
        for a, b in zip(z, t, strict=True):
            same(a, b, context)
        z, t = [a for a in z if a.requires_grad], [b for b in t if isinstance(b, torch.Tensor) and b.requires_grad]
        mine, yours = leaves_of(ours, tg.Tensor), leaves_of(theirs, torch.Tensor)
        if not t or not mine:
            continue
        v = [draw.standard_normal(b.shape) for b in t]
        first = tg.grad(z, mine, [tg.tensor(np.asarray(a, b.dtype)) for a, b in zip(v, z, strict=True)],
                        create_graph=True, allow_unused=True)  # fmt: skip
        expected = torch.autograd.grad(t, yours, [torch.tensor(a, dtype=b.dtype) for a, b in zip(v, t, strict=True)],
                                       create_graph=True, allow_unused=True)  # fmt: skip
        for a, b in zip(first, expected, strict=True):
            if b is not None:
                same(a, b, "gradient of " + context)
        if not op.supports_gradgrad:
            continue
        w = [draw.standard_normal(leaf.shape) for leaf in yours]
        found = second_gradients(first, w, mine, tg.grad, tg.tensor)
        wanted = second_gradients(expected, w, yours, torch.autograd.grad, torch.tensor)
        for a, b, leaf in zip(found, wanted, mine, strict=True):
            a = np.zeros(leaf.shape) if a is None else a.data
            b = np.zeros(leaf.shape) if b is None else b.numpy(force=True)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg="second gradient of " + context)
    assert count


@pytest.mark.parametrize("name, dtype", [
    *[(name, torch.float64) for name in CONSTANT.split()],
    *[(name, dtype) for name in (CONSTANT + DIFFERENTIABLE).split() for dtype in (torch.int64, torch.bool)],
])  # fmt: skip
def test_values_of_every_dtype(name, dtype):
    if not SAMPLES[name].supports_dtype(dtype, "cpu"):
        return
    if name == "__rpow__" and dtype == torch.int64:
        return  # its samples have negative exponents, which PyTorch itself computes as an integer power
    for op, theirs, options in samples_of(name, dtype, requires_grad=False):
        context = described(name, theirs, options)
        z = outputs_of(function_of(name)(*ours_of(theirs), **{k: ours_of(v) for k, v in options.items()}))
        t = outputs_of(op(*theirs, **options))
        for a, b in zip(z, t, strict=True):
            same(a, b, context, 1e-10)


@pytest.mark.parametrize("name", ["arange", "linspace", "linspace.tensor_overload", "logspace",
                                  "logspace.tensor_overload", "eye", "zeros", "ones", "full"])  # fmt: skip
def test_creation(name):
    for sample in SAMPLES[name].sample_inputs("cpu", torch.float64):
        options = {k: v for k, v in sample.kwargs.items() if k not in PLACES}
        theirs = getattr(torch, name.split(".")[0])(sample.input, *sample.args, **options)
        ours = getattr(tg, name.split(".")[0])(
            ours_of(sample.input), *ours_of(tuple(sample.args)), **{k: ours_of(v) for k, v in options.items()}
        )
        same(ours, theirs, described(name, (sample.input, *sample.args), options))


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full",
                                  "empty_like", "new_empty", "rand_like", "randn_like"])  # fmt: skip
def test_creation_like_a_tensor(name):
    for sample in SAMPLES[name].sample_inputs("cpu", torch.float64):
        options = {k: v for k, v in sample.kwargs.items() if k not in PLACES}
        theirs = SAMPLES[name](sample.input, *sample.args, **options)
        make = getattr(tg.Tensor if name.startswith("new") else tg, name)
        ours = make(*ours_of((sample.input, *sample.args)), **{k: ours_of(v) for k, v in options.items()})
        assert tuple(ours.shape) == tuple(theirs.shape) and str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        if "empty" not in name and "rand" not in name:
            same(ours, theirs, described(name, (sample.input, *sample.args), options))
