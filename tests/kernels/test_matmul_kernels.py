"""Matrix products against NumPy in double precision: sizes on both sides of the threshold, every layout in memory."""

import itertools

import numpy as np
import pytest

pytest.importorskip("numba")

from tinygrad_course.kernels import blas, module

matmul, matmul_batch = module("matmul", "numba").matmul, module("matmul", "numba").matmul_batch
SHAPES = [
    (1, 1, 1), (3, 5, 7), (64, 64, 64), (64, 800, 784), (784, 33, 64), (129, 513, 77), (2, 4096, 40), (5000, 1, 99),
]  # fmt: skip
LAYOUTS = {"rows": np.ascontiguousarray, "columns": np.asfortranarray, "every other": lambda a: a.repeat(2, 1)[:, ::2]}
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


def _operands(shape, dtype):
    m, n, k = shape
    random = np.random.default_rng(0)
    return [random.standard_normal(size).astype(dtype) for size in ((m, k), (k, n), (n,))]


@pytest.mark.parametrize("library", ["OpenBLAS", "another BLAS"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_product(shape, dtype, library, monkeypatch):
    if library == "another BLAS":
        monkeypatch.setattr(blas, "address", lambda dtype: 0)
    a, b, bias = _operands(shape, dtype)
    exact = a.astype(float) @ b.astype(float)
    scale = np.abs(a).astype(float) @ np.abs(b) + np.abs(bias)
    for first, second in itertools.product(LAYOUTS.values(), repeat=2):
        for c, expected in ((matmul(first(a), second(b)), exact), (matmul(first(a), second(b), bias), exact + bias)):
            assert c.dtype == dtype and c.flags.c_contiguous
            assert np.max(np.abs(c - expected) / scale) <= TOLERANCE[dtype]


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_reach_their_row_and_no_other(special):
    a, b, bias = _operands((64, 800, 784), "float32")
    a[17, 5], b[5] = special, np.abs(b[5]) + 1
    c = matmul(a, b, bias)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(c[17], np.full(800, special, "float32"))
    assert np.isfinite(np.delete(c, 17, 0)).all()


def test_the_same_bits_again_and_blas_keeps_its_threads():
    a, b, bias = _operands((64, 800, 784), "float32")
    library = blas.library()
    before = library and library.scipy_openblas_get_num_threads64_()
    first = matmul(a, b, bias)
    for _ in range(5):
        np.testing.assert_array_equal(matmul(a, b, bias), first)
    assert before == (library and library.scipy_openblas_get_num_threads64_())


BATCHES = [((5,), (3, 7, 4)), ((3, 4), (33, 17, 65)), ((7,), (64, 64, 64)), ((1,), (130, 70, 50)), ((2, 0), (3, 4, 5))]


@pytest.mark.parametrize("library", ["OpenBLAS", "another BLAS"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch, shape", BATCHES)
def test_batches(batch, shape, dtype, library, monkeypatch):
    if library == "another BLAS":
        monkeypatch.setattr(blas, "address", lambda dtype: 0)
    m, n, k = shape
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((*batch, *size)).astype(dtype) for size in ((m, k), (k, n)))
    across = [lambda x: x, lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2), lambda x: x[..., ::-1]]
    for first, second in itertools.product(across, repeat=2):
        for x, y in ((first(a), second(b)), (first(a)[:1][0] if len(batch) == 1 else a, second(b))):
            if x.ndim == 2 and y.shape[0] == 1:
                continue
            c = matmul_batch(x, y)
            exact, scale = x.astype(float) @ y.astype(float), np.abs(x).astype(float) @ np.abs(y)
            assert c.dtype == dtype and c.shape == exact.shape and c.tobytes() == matmul_batch(x, y).tobytes()
            assert np.max(np.abs(c - exact) / scale, initial=0) <= TOLERANCE[dtype]
