"""Buffers: memory comes back when the last view is gone, is bounded, and no two living arrays ever share it."""

import gc
import threading

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.kernels import buffers

N = buffers.LARGE  # bytes


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    gc.collect()
    monkeypatch.setattr(buffers, "_free", {})
    monkeypatch.setattr(buffers, "_bytes", {"used": 0, "free": 0, "most": 0})


def _address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(3, N), (N,), (2, 1, N // 8, 5), (0,), (), (7,)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_an_array_as_numpy_has_it(shape, dtype):
    x = buffers.empty(shape, dtype)
    assert x.shape == shape and x.dtype == dtype and x.flags.carray and type(x) is np.ndarray
    assert type(x.base) is not np.ndarray
    like = buffers.empty_like(x.T)
    assert like.shape == shape[::-1] and like.dtype == dtype and like.flags.c_contiguous
    if x.nbytes >= N:
        assert _address(x) % buffers.ALIGNMENT == 0
        assert type(x[1:].base) is np.ndarray


def test_memory_comes_back_with_the_last_view():
    x = buffers.empty((N,), "float32")
    address, view = _address(x), x.reshape(2, -1)[1:]
    del x
    view[...] = 7
    other = buffers.empty((N,), "float32")
    assert _address(other) != address and (view == 7).all()
    del view
    assert _address(buffers.empty((N,), "float32")) == address


def test_bounded(monkeypatch):
    """Ever new sizes: free blocks make room, so that all together stay within the most that was used."""
    monkeypatch.setattr(buffers, "SLACK", 0)
    for k in range(1, 50):
        held = [buffers.empty((N + 100 * k,), "uint8") for _ in range(3)]
        assert buffers._bytes["used"] + buffers._bytes["free"] <= buffers._bytes["most"] <= 3 * (N + 100 * k)
        del held
    sizes = sum(size * len(blocks) for size, blocks in buffers._free.items())
    assert buffers._bytes["used"] == 0 and buffers._bytes["free"] == sizes
    buffers.clear()
    assert buffers._bytes["free"] == 0 and not buffers._free
    monkeypatch.setattr(buffers, "MOST_KEPT", N)
    del [buffers.empty((N,), "uint8") for _ in range(2)][:]
    assert buffers._bytes["free"] == N


def test_threads_never_share():
    wrong = []

    def work(number):
        for k in range(300):
            x = buffers.empty((N // 4 + k % 3,), "float32")
            x[::997] = number
            y = buffers.empty_like(x)
            y[::997] = -number
            if (x[::997] != number).any() or (y[::997] != -number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n + 1,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and buffers._bytes["used"] == 0


def test_gradients_of_large_tensors_add_up():
    """A gradient that several paths bring, in memory from here, is added in place and is nobody else's."""
    x = tg.randn(64, N // 64).requires_grad_()
    y = tg.relu(x)
    (tg.relu(y) * 2 + tg.relu(y) + y).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.where(x.data > 0, 4, 0))
    first = x.grad.data.copy()
    tg.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, first + (x.data > 0))
