"""Shapes, indexing, sorting and linear products on PyTorch's own sample inputs.

Every sample of `op_db` is run on both sides: values, all gradients, and the gradients of the gradients.
"""

import importlib.util
import sys
import types
import unittest

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
if "expecttest" not in sys.modules and importlib.util.find_spec("expecttest") is None:
    # PyTorch's tables import it, for its TestCase alone.
    sys.modules["expecttest"] = types.ModuleType("expecttest")
    sys.modules["expecttest"].TestCase = unittest.TestCase

METHODS = {"view", "view_as", "reshape_as", "expand", "expand_as", "repeat", "unflatten", "index_put", "contiguous",
           "__getitem__"}  # fmt: skip
NAMES = """
    reshape view reshape_as view_as flatten unflatten ravel permute transpose t movedim squeeze unsqueeze expand
    expand_as broadcast_to broadcast_tensors meshgrid atleast_1d atleast_2d contiguous clone
    cat stack hstack vstack split chunk tensor_split unbind
    repeat tile repeat_interleave flip fliplr flipud roll rot90 nn.functional.pad
    __getitem__ index_put select narrow index_select gather take take_along_dim scatter scatter_add index_add index_copy
    index_fill masked_select masked_fill masked_scatter nonzero argwhere nn.functional.one_hot
    diagonal diag diag_embed diagflat trace tril triu
    sort argsort msort topk kthvalue unique
    matmul __rmatmul__ mm bmm mv dot vdot inner outer ger addmm addmv addr addbmm baddbmm einsum tensordot
    nn.functional.linear nn.functional.bilinear
"""


def samples():
    from torch.testing._internal.common_methods_invocations import op_db

    names = NAMES.split()
    for op in op_db:
        if op.name in names:
            variant = op.variant_test_name
            dtype = torch.float64 if torch.float64 in op.dtypes else torch.int64
            wants = dtype == torch.float64 and op.supports_autograd
            yield pytest.param(op, dtype, wants, id=f"{op.name} {variant}".strip())


ROWS = list(samples())


def ours(value):
    if isinstance(value, torch.Tensor):
        tensor = tg.tensor(value.detach().resolve_conj().numpy())
        tensor.requires_grad = value.requires_grad
        return tensor
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.dtype):
        return getattr(np, str(value).removeprefix("torch."))
    if isinstance(value, list | tuple):
        return type(value)(ours(v) for v in value)
    return value


def tensors(value, kind):
    if isinstance(value, kind):
        return [value]
    return [t for v in value for t in tensors(v, kind)] if isinstance(value, list | tuple) else []


def our_function(op):
    name = op.name.removeprefix("nn.functional.")
    if name == "__getitem__":
        return lambda x, index: x[index]
    if name == "einsum":
        return lambda operands, equation: tg.einsum(equation, *operands)
    if name == "__rmatmul__":
        return lambda x, y: y @ x
    if name in METHODS:
        return lambda x, *a, **k: getattr(x, name)(*a, **k)
    return getattr(F if name != op.name else tg, name)


def close(found, expected):
    assert tuple(found.shape) == tuple(expected.shape)
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(found.detach().data, expected.detach().numpy(), rtol=1e-10, atol=1e-10)


def gradients(module, outputs, inputs, directions, probes):
    """First gradients against `directions`, then gradients of those against `probes`, as far as there are any."""
    first = module.grad(outputs, inputs, directions, create_graph=True, allow_unused=True)
    pairs = [(g, p) for g, p in zip(first, probes) if g is not None and g.requires_grad]
    sources = [*inputs, *directions]
    if not pairs:
        return first, [None] * len(sources)
    second = module.grad([g for g, _ in pairs], sources, [p for _, p in pairs], allow_unused=True)
    return first, second


@pytest.mark.parametrize(("op", "dtype", "wants"), ROWS)
def test_samples(op, dtype, wants):
    torch.manual_seed(0)
    function = our_function(op)
    draw = np.random.default_rng(0)
    count = 0
    for sample in op.sample_inputs("cpu", dtype, requires_grad=wants):
        theirs_in = (sample.input, *sample.args, sample.kwargs)
        everything = tensors([*theirs_in[:-1], *sample.kwargs.values()], torch.Tensor)
        if any(t.is_complex() for t in everything):
            continue
        arguments = [ours(sample.input), *map(ours, sample.args)]
        keywords = {k: ours(v) for k, v in sample.kwargs.items()}
        expected = op(sample.input, *sample.args, **sample.kwargs)
        found = function(*arguments, **keywords)
        expected, found = tensors(expected, torch.Tensor), tensors(found, tg.Tensor)
        assert len(found) == len(expected)
        for f, e in zip(found, expected):
            close(f, e)
        count += 1
        inputs = [t for t in everything if t.requires_grad]
        our_inputs = [t for t in tensors([*arguments, *keywords.values()], tg.Tensor) if t.requires_grad]
        kept = [i for i, e in enumerate(expected) if e.requires_grad]
        assert [i for i, f in enumerate(found) if f.requires_grad] == kept
        if not kept:
            continue
        # An input in the outputs (a view of all of it, say `contiguous()`) is a new tensor of the same numbers.
        outputs, our_outputs = [expected[i] for i in kept], [found[i] for i in kept]
        directions = [draw.normal(size=tuple(o.shape)) for o in outputs]
        probes = [draw.normal(size=tuple(t.shape)) for t in inputs]
        theirs = gradients(
            torch.autograd, outputs, inputs, [torch.tensor(d, requires_grad=True) for d in directions],
            [torch.tensor(p) for p in probes],
        )  # fmt: skip
        mine = gradients(
            tg, our_outputs, our_inputs, [tg.tensor(d, requires_grad=True) for d in directions],
            [tg.tensor(p) for p in probes],
        )  # fmt: skip
        for f, e in zip([*mine[0], *mine[1]], [*theirs[0], *theirs[1]]):
            if f is None or e is None:
                for g in (f, e):
                    assert g is None or not np.any(g.detach().numpy())
            else:
                close(f, e)
    assert count


def random_index(draw, shape):
    """Ints, slices, None, arrays and masks, with `...` for no, some or all dimensions."""
    index, axis = [], 0
    dots = int(draw.integers(0, len(shape) + 1)) if draw.random() < 0.4 else None
    length = int(draw.integers(1, 4))
    while axis < len(shape):
        if dots is not None and axis >= dots:
            index.append(...)
            dots = None
            axis += int(draw.integers(0, len(shape) - axis + 1))
            if axis == len(shape):
                break
        elif dots is None and not any(i is ... for i in index) and draw.random() < 0.15:
            break
        size = shape[axis]
        index.append([
            int(draw.integers(-size, size)), slice(int(draw.integers(0, size)), None, int(draw.integers(1, 3))),
            draw.integers(-size, size, length), draw.integers(-size, size, (2, length)), draw.random(size) < 0.6,
            None,
        ][draw.integers(0, 6)])  # fmt: skip
        axis += index[-1] is not None
    return index


def test_indexing_of_every_kind():
    draw = np.random.default_rng(0)
    for _ in range(1500):
        shape = tuple(draw.integers(1, 4, draw.integers(1, 5)).tolist())
        index = random_index(draw, shape)
        array = draw.normal(size=shape)
        theirs_in, ours_in = torch.tensor(array, requires_grad=True), tg.tensor(array, requires_grad=True)
        theirs_index = tuple(torch.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        ours_index = tuple(tg.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        try:
            expected = theirs_in[theirs_index]
        except IndexError:  # arrays that do not broadcast
            with pytest.raises(IndexError):
                ours_in[ours_index]
            continue
        found = ours_in[ours_index]
        close(found, expected)
        direction = draw.normal(size=found.shape)
        expected.backward(torch.tensor(direction))
        found.backward(tg.tensor(direction))
        close(ours_in.grad, theirs_in.grad)
        theirs_in, ours_in = torch.zeros(shape), tg.zeros(shape)
        theirs_in[theirs_index] = 1.0
        ours_in[ours_index] = 1.0
        close(ours_in, theirs_in)


def test_printing():
    draw = np.random.default_rng(0)
    special = [0, 1, -1, 2.5, 1e-3, 1e-5, 1e4, 1e5, 1e8, 1e9, 123456.789, np.inf, -np.inf, np.nan, 99999.5, 1000, 7e-5]
    arrays = [draw.choice(special, n) for n in (1, 2, 3, 5, 30) for _ in range(60)]
    arrays += [draw.normal(size=s) * 1e3 for s in [(), (0,), (2, 0), (3, 2), (2, 3, 4), (1, 2, 2), (40, 40), (1001,)]]
    arrays += [draw.normal(size=s) for s in [(7, 300), (2000, 1), (3, 4, 200), (8, 8, 8, 8), (6, 334), (20, 1, 60)]]
    for array in arrays:
        for dtype in (np.float32, np.int64, np.bool_):
            with np.errstate(invalid="ignore"):
                array_of = array.astype(dtype)
            for grad in [False, True] if dtype == np.float32 else [False]:
                theirs = repr(torch.tensor(array_of, requires_grad=grad)).replace("torch.", "")
                assert repr(tg.tensor(array_of, requires_grad=grad)) == theirs
