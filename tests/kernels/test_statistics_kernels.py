"""The one-pass statistics against NumPy in double precision, over sizes, scales and bad numbers."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.kernels import columns, objects, statistics
from tinygrad_course.kernels.jit import kernel
from viz.graph import stats


def _alone(x, table, number):
    statistics.measure_many([x], table, number)


def _among_others(x, table, number):
    """As the second of three arrays in one call."""
    rows = np.zeros((3, statistics.COLUMNS))
    statistics.measure_many([np.full(3, np.nan, np.float32), x, np.ones((5, 1))], rows, 0)
    table[number] = rows[1]
    assert rows[2].tolist() == [1.0, 1.0, 5.0, 0.0, 0.0, 5.0] and rows[0, statistics.NOT_FINITE] == 3.0


KERNELS = {
    "32 among others": (_among_others, np.float32),
    "64 among others": (_among_others, np.float64),
    "32": (_alone, np.float32),
    "64": (_alone, np.float64),
}
SIZES = [0, 1, 7, 4096, 4097, 70_001, 140_000, 300_001]
SPOILT = {
    "clean": [],
    "zeros": [(0, 0.0), (3, -0.0)],
    "nan": [(2, np.nan)],
    "inf": [(1, -np.inf)],
    "both": [(1, np.inf), (6, np.nan)],
}


def _row(kernel, x):
    table = np.full((3, statistics.COLUMNS), 7.0)
    kernel(x, table, 1)
    assert (table[[0, 2]] == 7.0).all()
    return table[1]


def _expected(x):
    table = np.zeros((1, statistics.COLUMNS))
    stats._by_numpy([x], table, 0)
    return table[0]


def _check(kernel, x):
    tolerance = 2e-6 if x.dtype == np.float32 else 1e-12
    found, expected = _row(kernel, x), _expected(x)
    exact = [statistics.LARGEST, statistics.ZEROS, statistics.NOT_FINITE, statistics.SIZE]
    assert found[exact].tolist() == expected[exact].tolist()
    assert found[statistics.RMS] == pytest.approx(expected[statistics.RMS], rel=tolerance, nan_ok=True)
    room = tolerance * max(1e-300, np.abs(x[np.isfinite(x)]).astype(float).sum()) if x.size else 0.0
    assert found[statistics.SUM] == pytest.approx(expected[statistics.SUM], abs=room, nan_ok=True)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", SIZES)
def test_sizes(kernel, size):
    function, dtype = KERNELS[kernel]
    _check(function, np.random.default_rng(size).standard_normal(size).astype(dtype))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("spoilt", SPOILT)
def test_zeros_and_bad_numbers(kernel, spoilt):
    function, dtype = KERNELS[kernel]
    x = np.random.default_rng(0).standard_normal(5000).astype(dtype)
    for index, value in SPOILT[spoilt]:
        x[index] = value
    _check(function, x)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("power", [-40, -38, -20, -15, 0, 15, 19, 37])
def test_rms_neither_overflows_nor_vanishes(kernel, power):
    function, dtype = KERNELS[kernel]
    x = (np.array([3.0, -4.0] * 300) * 10.0**power).astype(dtype)
    found = _row(function, x)[statistics.RMS]
    assert found == pytest.approx(_expected(x)[statistics.RMS], rel=2e-6)


@pytest.mark.parametrize("power", [-300, -200, 200, 300])
def test_rms_of_very_small_and_very_large_doubles(power):
    x = np.array([3.0, -4.0]) * 10.0**power
    assert _row(_alone, x)[statistics.RMS] == pytest.approx(12.5**0.5 * 10.0**power, rel=1e-12)


LAYOUTS = {
    "one number": (np.array(3.0), 1),
    "no array": (np.float32(3.0), -1),
    "empty": (np.zeros((0, 3)), 0),
    "Fortran's order": (np.ones((4, 6), np.float32).T, 24),
    "a part": (np.ones((4, 6))[2:], 12),
    "five axes": (np.ones((2, 3, 1, 2, 2), np.float32), 24),
    "every other": (np.ones((4, 6), np.float32)[:, ::2], -1),
    "turned round": (np.ones(4)[::-1], -1),
    "the other byte order": (np.ones(4, ">f4"), -1),
    "half precision": (np.ones(4, np.float16), -1),
    "whole numbers": (np.arange(4), -1),
    "between the places": (np.zeros(17, np.uint8)[1:].view(np.float32), -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_one_among_others(layout):
    """What the kernel cannot read it says, and leaves to others."""
    array, size = LAYOUTS[layout]
    rows = np.full((3, statistics.COLUMNS), 7.0)
    statistics.measure_many([array, np.ones(2)], rows, 1)
    assert rows[0].tolist() == [7.0] * 6 and rows[2, statistics.SIZE] == 2.0
    assert rows[1, statistics.SIZE] == size
    if size > 0:
        assert rows[1, statistics.RMS] == pytest.approx(stats.root_mean_square(array))


def test_what_the_kernel_cannot_read_is_measured_all_the_same():
    table = stats.Table()
    numbers = [table.add(np.asarray(array)) for array, _ in LAYOUTS.values()] + [table.add_all([np.float32(3.0), None])]
    for number, (array, _) in zip(numbers, LAYOUTS.values(), strict=False):
        found, whole = table[number], np.asarray(array).dtype.kind != "f"
        assert found is None if whole else found.rms == pytest.approx(stats.root_mean_square(array))
    assert table[numbers[-1]].value == 3.0 and table[numbers[-1] + 1] is None


def test_without_numba_numpy_measures(monkeypatch):
    x = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    monkeypatch.setattr(stats, "_kernel", lambda: stats._by_numpy)
    alone = stats.measure(x)
    monkeypatch.undo()
    assert stats.measure(x)[:5] == pytest.approx(alone[:5], rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_company_and_threads_change_no_bit(dtype):
    """Whether an array is measured alone, with many others, by one thread or by two."""
    arrays = [np.random.default_rng(n).standard_normal(n).astype(dtype) for n in (100, 50_000, 250_001, 3)]
    found = np.zeros((2, len(arrays), statistics.COLUMNS))
    statistics.measure_many(arrays, found[0], 0)
    for number, array in enumerate(arrays):
        statistics.measure_many([array], found[1], number)
    assert found[0].tobytes() == found[1].tobytes()
    threads = tg.get_num_threads()
    try:
        tg.set_num_threads(1)
        statistics.measure_many(arrays, found[1], 0)
    finally:
        tg.set_num_threads(threads)
    assert found[0].tobytes() == found[1].tobytes()


def test_arrays_that_cannot_be_read_are_found_all_the_same(monkeypatch):
    """Where NumPy's layout is another one, a kernel is told where the numbers are."""
    monkeypatch.setattr(objects, "READABLE", False)
    rows = [[np.arange(5.0), np.full(100, 2.0)], [np.ones(5), np.zeros(100)]]
    table, count = columns.columns(rows)
    assert count == 105 and [_sum(table, r, k) for r in range(2) for k in range(2)] == [10.0, 200.0, 5.0, 0.0]


@kernel
def _sum(table, row, k):
    return columns.own(0, 1, table, row, k).sum()
