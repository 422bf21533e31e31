"""No kernel reads or writes beyond the end of an array: here memory ends where an array does.

The loops run in a program of its own, which the system ends at the first access beyond; it says what it was at.
"""

import ctypes
import itertools
import math
import mmap
import pathlib
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")

INPUTS = [(1, 2, 1, 1), (3, 1, 5, 7), (4, 3, 8, 8), (5, 7, 9, 6), (2, 16, 16, 16)]  # (N, C, H, W)


def guarded(array):
    """A copy of an array, with no memory behind its last byte."""
    size = max(1, math.ceil(array.nbytes / mmap.PAGESIZE)) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + mmap.PAGESIZE)
    end = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + size
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(end), mmap.PAGESIZE, 0) == 0
    copy = np.frombuffer(memory, np.uint8)[size - array.nbytes : size].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def convolutions(dtype):
    """Each case of the kernels' own test, and batches that are no multiple of what is computed together."""
    import test_conv_kernels as table

    from tinygrad_course.kernels import conv

    cases = dict(table.CASES)
    for batch, size, (kernel, stride) in itertools.product((1, 3, 4, 9), (1, 5, 16), ((1, 2), (2, 1), (2, 2), (3, 1))):
        name = f"batch {batch} of {size} x {size}, kernel {kernel}, stride {stride}"
        if kernel <= size:
            cases[name] = ((batch, 4, size, size), 8, (kernel,) * 2, (stride,) * 2, table.NONE, (1, 1), 1)
    for name, case in cases.items():
        yield f"convolution {name}"
        x, w, bias, dy, geometry = table._arrays(case, dtype)
        x, w, bias, dy = map(guarded, (x, w, bias, dy))
        conv.conv2d_forward(x, w, bias, *geometry)
        conv.conv2d_forward(x, w, bias, *geometry, True)
        conv.conv2d_input_grad(dy, w, x.shape, *geometry)
        conv.conv2d_weight_grad(dy, x, w.shape, *geometry)
        conv.bias_grad(dy)


def layers(dtype):
    """Layers, losses and optimizers."""
    import tinygrad_course as tg
    from tinygrad_course import nn

    F = nn.functional
    functions = {
        "relu": F.relu, "leaky_relu": F.leaky_relu, "tanh": F.tanh, "sigmoid": F.sigmoid, "gelu": F.gelu,
        "silu": F.silu, "exp": tg.exp, "softplus": F.softplus,
        "softmax of channels": lambda x: F.softmax(x, 1), "log_softmax of rows": lambda x: F.log_softmax(x, -1),
        "batch_norm": lambda x: F.batch_norm(x, None, None, training=True) if x.numel() > x.shape[1] else x,
        "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]), "group_norm": lambda x: F.group_norm(x, 1),
        "max_pool": lambda x: F.max_pool2d(x, 3, 2, 1), "avg_pool": lambda x: F.avg_pool2d(x, 3, 1, 1),
        "global max_pool": lambda x: F.adaptive_max_pool2d(x, 1),
        "global avg_pool": lambda x: F.adaptive_avg_pool2d(x, 1), "uneven pool": lambda x: F.adaptive_avg_pool2d(x, 3),
        "uneven max_pool": lambda x: F.adaptive_max_pool2d(x, 3),
        "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        "linear": lambda x: F.linear(x, tg.ones(5, x.shape[-1], dtype=x.dtype)),
        "cross_entropy": lambda x: F.cross_entropy(x, tg.zeros(x.shape[0], *x.shape[2:], dtype=tg.int64)),
        "mse_loss": lambda x: F.mse_loss(x, x.detach() * 0.5), "dropout": lambda x: F.dropout(x, 0.5),
        "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, x.detach() * 0.5),
        "cumsum": lambda x: tg.cumsum(x, 2) + tg.cumsum(x, 3),
        "mul": lambda x: x * x[:, :, :1], "div": lambda x: x[:, :1] / x,
        "add and sub": lambda x: x + x[:1] - x[:, :, :, :1], "sums": lambda x: x.sum((0, 2)) + x.mean((1, 3)).sum(),
        "amax": lambda x: x.amax((2, 3)) + x.max() + x.max(1)[0].sum(),
        "rms_norm": lambda x: F.rms_norm(x, x.shape[1:]), "std": lambda x: x.std((1, 3), correction=0),
        "softmax of rows": lambda x: F.softmax(x, 3),
        "masked_fill": lambda x: x.masked_fill(tg.ones(x.shape[1:]).triu() > 0, -1.0),
        "matmul": lambda x: x @ x.swapaxes(-1, -2), "einsum": lambda x: tg.einsum("nchw,nchv->ncvw", x, x),
        "transpose": lambda x: x.permute(3, 1, 0, 2).contiguous(), "cat": lambda x: tg.cat([x, x[:, :1]], 1),
        "embedding": lambda x: x.reshape(-1, 1)[tg.zeros(3, dtype=tg.int64)],
    }  # fmt: skip
    random = np.random.default_rng(0)
    for (name, function), shape in itertools.product(functions.items(), INPUTS):
        yield f"{name} of {shape}"
        x = tg.from_numpy(guarded(random.standard_normal(shape).astype(dtype)))
        x.requires_grad_()
        y = function(x)
        y.backward(tg.from_numpy(guarded(random.standard_normal(y.shape).astype(dtype))))
    for optimizer, shape in itertools.product((tg.optim.SGD, tg.optim.Adam), [(1,), (7,), (65,), (33, 70)]):
        yield f"{optimizer.__name__} of {shape}"
        parameters = [nn.Parameter(tg.ones(*shape, dtype=getattr(tg, dtype))) for _ in range(3)]
        for p in parameters:
            p.grad = tg.from_numpy(guarded(np.ones(shape, dtype)))
        optimizer(parameters, lr=0.1).step()


def run(part, dtype):
    """All of one part's cases, with guarded memory for whatever the library makes."""
    from tinygrad_course.kernels import buffers, module
    from tinygrad_course.ops import arithmetic, extrema, large, linear, loss, mask, scan

    make = np.empty

    def empty(shape, dtype=float, **more):
        array = make(shape, dtype, **more)
        return guarded(array) if array.itemsize else array  # NumPy broadcasts shapes with numbers of no bytes

    np.empty = empty
    np.empty_like = lambda array, dtype=None, **more: np.empty(array.shape, dtype or array.dtype)
    buffers.LARGE = sys.maxsize  # used memory has other numbers behind it
    for place in (module("arithmetic"), module("arrange"), linear, loss, mask, scan):
        place.FEW = 0  # so few numbers NumPy would take
    arithmetic.MANY = extrema.MANY = large.MANY = module("matmul").SERIAL_BELOW = 0
    for case in globals()[part](dtype):
        print(case, flush=True)
    print("all done")


def _python(code):
    """What a program does that has this module as `bounds`."""
    here = pathlib.Path(__file__)
    start = f"import sys; sys.path[:0] = {[str(here.parent), str(here.parent.parent)]}; import {here.stem} as bounds"
    program = [sys.executable, "-X", "faulthandler", "-c", f"{start}; {code}"]
    return subprocess.run(program, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("part", ["convolutions", "layers"])
def test_no_kernel_leaves_its_arrays(part, dtype):
    done = _python(f"bounds.run({part!r}, {dtype!r})")
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"at {last}: {done.stderr[:3000]}"
    assert last == ["all done"]


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_guard_ends_a_program(beyond):
    """What the test above relies on."""
    read = f"import ctypes, numpy as np; x = bounds.guarded(np.ones(7)); ctypes.string_at(x.ctypes.data, {56 + beyond})"
    assert (_python(read).returncode == 0) == (beyond == 0)
