"""Bad input gets one clear sentence, of PyTorch's type, that names the layer, the shapes and what to change."""

import os
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.models import LeNet5
from tinygrad_course.nn import functional as F

ones, long = tg.ones, lambda *v: tg.tensor(list(v))
d = tg.float64
CASES = {  # name: (what, error, what the message must say)
    "add": (lambda: ones(2, 3) + ones(4, 3), RuntimeError, ["(2, 3)", "(4, 3)", "sizes 2 and 4", "dimension 0"]),
    "add in front": (lambda: ones(5, 2, 3) * ones(3, 2), RuntimeError, ["(5, 2, 3)", "(3, 2)", "dimension 2"]),
    "pow": (lambda: long(2, 3) ** -1, RuntimeError, ["negative"]),
    "bool sub": (lambda: tg.tensor([True]) - tg.tensor([True]), RuntimeError, ["bool"]),
    "bool neg": (lambda: -tg.tensor([True]), RuntimeError, ["bool"]),
    "matmul": (lambda: ones(2, 3) @ ones(2, 3), RuntimeError, ["(2, 3) and (2, 3)", "last size of the first, 3", "2"]),
    "matmul vector": (lambda: ones(2, 3) @ ones(4), RuntimeError, ["(2, 3) and (4,)"]),
    "matmul batch": (lambda: ones(2, 2, 3) @ ones(3, 3, 4), RuntimeError, ["batch", "(2, 2, 3)", "(3, 3, 4)"]),
    "matmul 0-d": (lambda: ones(2) @ tg.tensor(1.0), RuntimeError, ["(2,) and ()"]),
    "matmul dtype": (lambda: ones(2, 3) @ ones(3, 2, dtype=d), RuntimeError, ["float32 and float64"]),
    "linear": (lambda: F.linear(ones(2, 3), ones(4, 5)), RuntimeError, ["(2, 3)", "(4, 5)", "must be 5"]),
    "linear bias": (lambda: F.linear(ones(2, 3), ones(4, 3), ones(3)), RuntimeError, ["bias", "(3,)", "4 outputs"]),
    "linear dtype": (lambda: F.linear(ones(2, 3), ones(4, 3, dtype=d)), RuntimeError, ["float32", "float64", ".to("]),
    "linear array": (lambda: nn.Linear(2, 2)(np.ones((1, 2))), TypeError, ["ndarray", "tg.tensor"]),
    "reshape": (lambda: ones(2, 3).reshape(4, 2), RuntimeError, ["(4, 2)", "6 elements", "(2, 3)"]),
    "reshape -1": (lambda: ones(2, 3).reshape(4, -1), RuntimeError, ["(4, -1)", "(2, 3)"]),
    "reshape -1 -1": (lambda: ones(2, 3).reshape(-1, -1), RuntimeError, ["only one"]),
    "reshape 0": (lambda: ones(0, 3).reshape(0, -1), RuntimeError, ["(0, -1)"]),
    "flatten": (lambda: ones(2, 3).flatten(1, 0), RuntimeError, ["start_dim"]),
    "permute": (lambda: ones(2, 3).permute(0), RuntimeError, ["(2, 3)"]),
    "permute twice": (lambda: ones(2, 3).permute(0, 0), RuntimeError, ["twice"]),
    "expand": (lambda: ones(2, 3).expand(4, 3), RuntimeError, ["(2, 3)", "(4, 3)"]),
    "expand -1": (lambda: ones(2).expand(-1, 2), RuntimeError, ["(-1, 2)"]),
    "sum dim": (lambda: ones(2, 3).sum(5), IndexError, ["5", "2 dimensions", "[-2, 1]"]),
    "sum twice": (lambda: ones(2, 3).sum((0, -2)), RuntimeError, ["twice"]),
    "squeeze": (lambda: ones(2, 3).squeeze(3), IndexError, ["3"]),
    "softmax dim": (lambda: F.softmax(ones(2), 3), IndexError, ["3"]),
    "index": (lambda: ones(2, 3)[5], IndexError, ["5", "size 2"]),
    "cat": (lambda: tg.cat([ones(2, 3), ones(2)]), RuntimeError, ["(2, 3)", "(2,)"]),
    "cat sizes": (lambda: tg.cat([ones(2, 3), ones(3, 4)], 0), RuntimeError, ["(2, 3)", "(3, 4)", "but 0"]),
    "cat nothing": (lambda: tg.cat([]), ValueError, ["at least one"]),
    "cat array": (lambda: tg.cat([ones(1), np.ones(1)]), TypeError, ["ndarray"]),
    "stack": (lambda: tg.stack([ones(2), ones(3)]), RuntimeError, ["(2,)", "(3,)"]),
    "mean of integers": (lambda: long(1, 2).mean(), RuntimeError, ["int64", ".float()"]),
    "conv dims": (lambda: F.conv2d(ones(4, 4), ones(1, 1, 2, 2)), RuntimeError, ["(4, 4)", "(N, C, H, W)"]),
    "conv channels": (
        lambda: F.conv2d(ones(1, 3, 4, 4), ones(2, 1, 2, 2)), RuntimeError, ["(1, 3, 4, 4)", "3 channels", "2, 2)"],
    ),
    "conv groups": (lambda: F.conv2d(ones(1, 3, 4, 4), ones(2, 1, 2, 2), groups=3), RuntimeError, ["2 out", "=3"]),
    "conv kernel": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 7, 7), padding=1), RuntimeError,
        ["7 x 7", "6 x 6", "larger image", "more padding"],
    ),
    "conv dilated": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), dilation=2), RuntimeError, ["5 x 5", "4 x 4"],
    ),
    "conv dtype": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2, dtype=d)), RuntimeError, ["float32", "float64"]),
    "conv bias": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(3, 1, 2, 2), ones(2)), RuntimeError, ["(2,)", "3 output"]),
    "conv bias dtype": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(3, 1, 2, 2), ones(3, dtype=d)), RuntimeError, ["bias", "float64"],
    ),
    "conv stride": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), stride=0), RuntimeError, ["least 1"]),
    "conv padding": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), padding=-1), RuntimeError, ["padding", "-1"]),
    "conv padding word": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), padding="sam"), RuntimeError, ["'sam'", "'same'"],
    ),
    "conv same stride": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), padding="same", stride=2), RuntimeError, ["stride 1"],
    ),
    "conv triple": (
        lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), stride=(1, 2, 3)), RuntimeError, ["pair", "(1, 2, 3)"],
    ),
    "Conv2d groups": (lambda: nn.Conv2d(3, 4, 2, groups=3), ValueError, ["channels=3", "channels=4", "groups=3"]),
    "Conv2d padding": (lambda: nn.Conv2d(3, 4, 2, padding="x"), ValueError, ["'x'", "'same'"]),
    "Conv2d same": (lambda: nn.Conv2d(3, 4, 2, stride=2, padding="same"), ValueError, ["stride 1"]),
    "pool kernel": (lambda: F.max_pool2d(ones(1, 1, 2, 2), 3), RuntimeError, ["(3, 3)", "(2, 2)", "larger image"]),
    "avg_pool kernel": (lambda: F.avg_pool2d(ones(1, 1, 2, 2), 3), RuntimeError, ["(3, 3)", "(2, 2)"]),
    "pool padding": (lambda: F.max_pool2d(ones(1, 1, 8, 8), 2, padding=2), RuntimeError, ["half", "(2, 2)"]),
    "pool dims": (lambda: F.max_pool2d(ones(2, 2), 2), RuntimeError, ["(2, 2)", "(N, C, H, W)"]),
    "pool stride": (lambda: F.max_pool2d(ones(1, 1, 4, 4), 2, stride=0), RuntimeError, ["stride"]),
    "pool divisor": (lambda: F.avg_pool2d(ones(1, 1, 4, 4), 2, divisor_override=0), RuntimeError, ["zero"]),
    "norm channels": (
        lambda: F.batch_norm(ones(2, 3), ones(4), ones(4)), RuntimeError, ["(2, 3)", "3 channels", "_mean", "(4,)"],
    ),
    "norm eval": (lambda: F.batch_norm(ones(2, 3), None, None), RuntimeError, ["running_mean"]),
    "norm one value": (lambda: nn.BatchNorm1d(3)(ones(1, 3)), ValueError, ["more than 1 value", "(1, 3)", "eval()"]),
    "norm dims": (lambda: nn.BatchNorm2d(3)(ones(2, 3, 5)), ValueError, ["4 dimensions", "(2, 3, 5)"]),
    "norm layer": (lambda: nn.BatchNorm2d(3)(ones(2, 4, 5, 5)), RuntimeError, ["(2, 4, 5, 5)", "4 channels", "3"]),
    "norm dtype": (lambda: nn.BatchNorm1d(3)(ones(2, 3, dtype=d)), RuntimeError, ["float64", "float32"]),
    "loss batch": (lambda: F.cross_entropy(ones(2, 3), long(1, 2, 0)), ValueError, ["(2, 3)", "(2,)", "(3,)"]),
    "loss 0-d": (lambda: F.cross_entropy(ones(2, 3), tg.tensor(1)), ValueError, ["(2, 3)", "(2,)", "()"]),
    "loss column": (lambda: F.cross_entropy(ones(2, 3), tg.tensor([[1], [2]])), RuntimeError, ["(2,)", "(2, 1)"]),
    "loss one-hot": (
        lambda: F.cross_entropy(ones(2, 3), ones(2, 3).long()), RuntimeError, ["(2,)", "(2, 3)", "argmax(1)"],
    ),
    "loss label": (lambda: F.cross_entropy(ones(2, 3), long(1, 3)), IndexError, ["target 3", "3 classes", "0 … 2"]),
    "loss negative": (lambda: F.cross_entropy(ones(2, 3), long(1, -1)), IndexError, ["target -1"]),
    "loss dtype": (lambda: F.cross_entropy(ones(2, 3), ones(2)), RuntimeError, ["(2, 3)", "(2,)", "integers"]),
    "loss image": (lambda: F.cross_entropy(ones(2, 3, 4), ones(2, 5).long()), RuntimeError, ["(2, 4)", "(2, 5)"]),
    "loss weight": (lambda: F.cross_entropy(ones(2, 3), long(1, 1), ones(2)), RuntimeError, ["(3,)", "(2,)"]),
    "loss weight dtype": (lambda: F.cross_entropy(ones(2, 3), long(1, 1), ones(3, dtype=d)), RuntimeError, ["float64"]),
    "loss list": (lambda: F.cross_entropy(ones(2, 3), [1, 2]), TypeError, ["target", "list"]),
    "loss reduction": (lambda: F.cross_entropy(ones(2, 3), long(1, 1), reduction="x"), ValueError, ["'mean'", "'x'"]),
    "loss module": (lambda: nn.MSELoss("x"), ValueError, ["'x'"]),
    "loss smoothing": (
        lambda: F.cross_entropy(ones(2, 3), long(1, 1), label_smoothing=2.0), RuntimeError, ["between 0 and 1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name):
    wrong, kind, fragments = CASES[name]
    with pytest.raises(kind) as error:
        wrong()
    assert error.type is kind
    message = str(error.value)
    assert [f for f in fragments if f not in message] == [], message
    assert "\n" not in message


def test_losses_warn_when_shapes_would_broadcast():
    for loss in (F.mse_loss, F.l1_loss):
        with pytest.warns(UserWarning, match=r"\(3,\).*\(3, 1\)"):
            loss(ones(3, 1), ones(3))
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match=r"\(3,\) and \(4,\)"):
        F.mse_loss(ones(3), ones(4))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc1 = nn.Linear(2 * 6 * 6, 5)

    def forward(self, x):
        return self.fc1(self.conv(x).flatten(1))


MODELS = [  # model, input, what the message must say
    (Net, (2, 1, 9, 9), ["fc1: linear: ", "(2, 98)", "(5, 72)", "must be 72"]),
    (Net, (2, 3, 8, 8), ["conv: conv2d: ", "(2, 3, 8, 8)", "3 channels"]),
    (Net, (2, 1, 2, 2), ["conv: conv2d: ", "3 x 3", "2 x 2"]),
    (LeNet5, (2, 1, 28, 28), ["classifier.1: linear: ", "(2, 256)", "(120, 400)", "must be 400"]),
    (LeNet5, (2, 1, 8, 8), ["features.3: conv2d: ", "5 x 5", "larger image"]),
]


@pytest.mark.parametrize("row", range(len(MODELS)))
def test_a_wrong_image_names_the_layer(row):
    make, shape, fragments = MODELS[row]
    with pytest.raises(RuntimeError) as error:
        make()(ones(*shape))
    message = str(error.value)
    assert message.startswith(fragments[0]) and all(f in message for f in fragments), message


def test_unflattened_images_get_the_advice_to_flatten():
    with pytest.raises(RuntimeError, match=r"flatten it first to \(N, 72\)"):
        nn.Linear(72, 5)(ones(2, 2, 6, 6))


def test_a_failed_step_leaves_nothing_behind():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(4, 2))
    bn = net[1]
    before = [p.data.copy() for p in net.parameters()]
    with pytest.raises(RuntimeError):
        net(ones(2, 3))
    assert all(p.grad is None for p in net.parameters())
    for p, array in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, array)
    bn.num_batches_tracked.zero_()
    with pytest.raises(ValueError):
        bn(ones(1, 3))
    assert bn.num_batches_tracked.item() == 0


SCRIPT = """
import warnings
warnings.simplefilter("always")
import tinygrad_course as tg
x = tg.tensor([[-1.0, 2.0]], requires_grad=True)
x.sigmoid().sum().backward()
tg.nn.functional.mse_loss(x.relu(), x.relu()).backward()
print(x.grad.shape)
"""


def test_a_cache_that_cannot_be_written_warns_once_and_works(tmp_path):
    (tmp_path / "file").write_text("")
    # below a regular file no folder can be made, not even by an administrator
    pytest.importorskip("numba")
    cache = str(tmp_path / "file" / "cache")
    environment = {**os.environ, "TINYGRAD_COURSE_CACHE": cache, "TINYGRAD_COURSE_BACKEND": "numba"}
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(1, 2)"
    assert result.stderr.count("cannot be kept") == 1 and "TINYGRAD_COURSE_CACHE" in result.stderr
    assert "Traceback" not in result.stderr
