"""Copies of arrays that lie across, against NumPy's: the very bits."""

import itertools

import numpy as np
import pytest

from tinygrad_course.kernels import arrange, buffers

SHAPES = [(301, 337), (512, 200), (3, 50_001), (50_001, 3), (37, 41, 61), (8, 7, 33, 40)]
DTYPES = ["float32", "float64", "int64", "bool"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_order_of_axes(dtype, shape):
    x = (3 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    for axes in itertools.permutations(range(len(shape))):
        source = x.transpose(axes)
        y = buffers.copy(source)
        assert y.flags.c_contiguous and y.dtype == dtype
        np.testing.assert_array_equal(y, source)


PARTS = {  # of (67, 5, 90, 61), as the source, and as the target, across
    "all": np.s_[:],
    "middle": np.s_[3:60, 1:4, 5:77, 2:60],
    "every other": np.s_[::2, :, ::3, ::2],
    "from the end": np.s_[::-1, :, ::-1],
    "one of the last": np.s_[..., 7],
}


@pytest.mark.parametrize("part", PARTS)
def test_parts(part):
    x = np.random.default_rng(0).standard_normal((67, 5, 90, 61)).astype("float32")
    for axes in ((3, 2, 1, 0), (0, 1, 3, 2), (2, 3, 0, 1), (0, 1, 2, 3)):
        source = x[PARTS[part]].transpose(np.argsort(np.argsort(axes)[: x[PARTS[part]].ndim]))
        around = np.zeros([size + 3 for size in source.shape], "float32")
        inside = around[tuple([slice(1, size + 1) for size in source.shape])]
        arrange.copy_into(source, inside)
        np.testing.assert_array_equal(inside, source)
        assert np.count_nonzero(around) == np.count_nonzero(source)  # nothing beside


def test_what_is_repeated():
    column = np.arange(400, dtype="float32")
    source = np.broadcast_to(column, (500, 400)).T
    np.testing.assert_array_equal(buffers.copy(source), source)


def test_more_axes_than_loops():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 70, 64)).astype("float32")
    for axes in itertools.islice(itertools.permutations(range(5)), 0, None, 7):
        np.testing.assert_array_equal(buffers.copy(x.transpose(axes)), x.transpose(axes))
