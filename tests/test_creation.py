"""New tensors: sizes, dtypes, random numbers, and what a tensor says about itself."""

import copy

import numpy as np
import pytest

import tinygrad_course as tg


@pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.empty, tg.rand, tg.randn])
def test_sizes_dtypes_and_gradients(make):
    for x in (make(2, 3), make((2, 3)), make([2, 3]), make(size=(2, 3)), make(tg.zeros(2, 3).shape)):
        assert x.shape == (2, 3) and x.dtype == tg.float32 and not x.requires_grad
    assert make(()).shape == () and make(0).shape == (0,)
    x = make(2, dtype=tg.float64, requires_grad=True, device="cpu")
    assert x.dtype == tg.float64 and x.requires_grad and x.is_leaf
    like = getattr(tg, make.__name__ + "_like")(x)
    assert like.shape == (2,) and like.dtype == tg.float64 and not like.requires_grad
    with pytest.raises(RuntimeError, match="negative size"):
        make(-1)
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        make(2, device="cuda")


def test_full_and_its_dtypes():
    for value, dtype in ((1.5, tg.float32), (2, tg.int64), (True, tg.bool_), (tg.tensor(2), tg.int64)):
        assert tg.full((2, 2), value).dtype == dtype
    assert tg.full((2,), 3, dtype=tg.float64).tolist() == [3, 3]
    assert tg.full_like(tg.ones(2), 4).tolist() == [4, 4]
    assert tg.ones_like(tg.tensor([1, 2])).dtype == tg.int64


SEQUENCES = {
    "arange(3)": (lambda: tg.arange(3), [0, 1, 2], tg.int64),
    "arange(1, 4)": (lambda: tg.arange(1, 4), [1, 2, 3], tg.int64),
    "arange(5, 0, -2)": (lambda: tg.arange(5, 0, -2), [5, 3, 1], tg.int64),
    "arange(0, 1, 0.25)": (lambda: tg.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75], tg.float32),
    "arange of float": (lambda: tg.arange(2.0), [0, 1], tg.float32),
    "arange dtype": (lambda: tg.arange(2, dtype=tg.float64), [0, 1], tg.float64),
    "linspace": (lambda: tg.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1], tg.float32),
    "linspace of none": (lambda: tg.linspace(0, 1, 0), [], tg.float32),
    "logspace": (lambda: tg.logspace(-1, 2, 4), [0.1, 1, 10, 100], tg.float32),
    "logspace base": (lambda: tg.logspace(0, 3, 4, base=2, dtype=tg.float64), [1, 2, 4, 8], tg.float64),
    "eye": (lambda: tg.eye(2), [[1, 0], [0, 1]], tg.float32),
    "eye 2, 3": (lambda: tg.eye(2, 3, dtype=tg.int64), [[1, 0, 0], [0, 1, 0]], tg.int64),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name):
    make, expected, dtype = SEQUENCES[name]
    x = make()
    assert x.dtype == dtype
    np.testing.assert_allclose(x.data, np.asarray(expected), rtol=1e-6)


def test_sequences_that_go_nowhere():
    for call in (lambda: tg.arange(3, 0), lambda: tg.arange(0, 3, -1), lambda: tg.arange(0, 3, 0)):
        with pytest.raises(RuntimeError, match="no steps of"):
            call()
    with pytest.raises(RuntimeError, match="must not be negative"):
        tg.linspace(0, 1, -1)
    with pytest.raises(RuntimeError, match="must not be negative"):
        tg.eye(-1)


def test_random_numbers():
    tg.manual_seed(3)
    first = [tg.rand(4), tg.randn(2, 2), tg.randint(5, (3,)), tg.randperm(6), tg.normal(1.0, 2.0, (2,))]
    tg.manual_seed(3)
    again = [tg.rand(4), tg.randn(2, 2), tg.randint(5, (3,)), tg.randperm(6), tg.normal(1.0, 2.0, (2,))]
    assert all(tg.equal(a, b) for a, b in zip(first, again, strict=True))
    n = tg.randint(-2, 3, (1000,))
    assert n.dtype == tg.int64 and n.min().item() == -2 and n.max().item() == 2
    assert tg.randint(0, 2, size=(3,), dtype=tg.float32).dtype == tg.float32
    assert tg.randint_like(tg.zeros(3), 5).dtype == tg.float32
    assert sorted(tg.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    x = tg.normal(tg.full((10_000,), 3.0), tg.tensor(0.5))
    assert abs(x.mean().item() - 3) < 0.03 and abs(x.std().item() - 0.5) < 0.03
    assert abs(tg.bernoulli(tg.full((10_000,), 0.3)).mean().item() - 0.3) < 0.03
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        tg.bernoulli(tg.full((2,), 1.5))
    with pytest.raises(RuntimeError, match="must be below"):
        tg.randint(3, 3, (2,))


def test_random_numbers_in_place():
    x = tg.zeros(10_000)
    assert x.normal_(1, 2) is x and abs(x.mean().item() - 1) < 0.1 and abs(x.std().item() - 2) < 0.1
    assert x.uniform_(-1, 1).min().item() >= -1 and x.max().item() < 1
    assert set(x.bernoulli_(0.5).tolist()) == {0, 1}
    assert set(tg.zeros(100, dtype=tg.int64).random_(2).tolist()) == {0, 1}


def test_as_tensor_shares_where_it_can():
    array = np.zeros(3, np.float32)
    x = tg.as_tensor(array)
    x += 1
    assert array.tolist() == [1, 1, 1]
    assert tg.as_tensor(x) is x and tg.as_tensor(x, dtype=tg.float64).dtype == tg.float64
    assert tg.as_tensor([1, 2]).dtype == tg.int64 and tg.as_tensor(2.5).dtype == tg.float32
    assert tg.tensor(array).data is not array


def test_new_tensors_like_one():
    x = tg.zeros(2, dtype=tg.float64)
    for made in (x.new_zeros(3, 2), x.new_ones((3, 2)), x.new_empty(3, 2), x.new_full((3, 2), 7)):
        assert made.shape == (3, 2) and made.dtype == tg.float64
    assert x.new_tensor([1, 2]).dtype == tg.float64 and x.new_ones(2, dtype=tg.int64).dtype == tg.int64


def test_what_a_tensor_says_about_itself():
    x = tg.zeros(2, 3, requires_grad=True)
    assert x.numel() == x.nelement() == tg.numel(x) == 6 and x.dim() == x.ndim == x.ndimension() == 2
    assert x.size() == (2, 3) and x.size(-1) == 3 and x.element_size() == 4 and x.nbytes == 24
    assert x.is_floating_point() and tg.is_floating_point(x) and tg.is_tensor(x) and not tg.is_tensor(3)
    assert x.stride() == (3, 1) and x.is_contiguous() and not x.T.is_contiguous() and x.T.contiguous().is_contiguous()
    assert x.type() == "torch.FloatTensor" and x.type(tg.float64).dtype == tg.float64
    assert x.cpu() is x and x.to("cpu") is x and x.to(device="cpu", dtype=tg.float64).dtype == tg.float64
    assert x.to(tg.float32, copy=True) is not x and x.type_as(tg.tensor([1.0]).double()).dtype == tg.float64
    dtypes = [x.detach().__getattribute__(name)().dtype for name in ("float", "double", "long", "int", "bool", "byte")]
    assert dtypes == [tg.float, tg.double, tg.long, tg.int, tg.bool, tg.uint8]
    with pytest.raises(RuntimeError, match="no device 'cuda'"):
        x.to("cuda")


def test_detach_and_copies():
    x = tg.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y and y.is_leaf and not y.requires_grad
    for twin in (copy.copy(x), copy.deepcopy(x)):
        assert twin is not x and twin.requires_grad and twin.tolist() == [1, 1]
    twin = copy.deepcopy(x)
    with tg.no_grad():
        twin += 1
    assert x.tolist() == [1, 1]
