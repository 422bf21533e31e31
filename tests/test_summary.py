"""summary: shapes, counts, multiply-adds, memory, receptive fields; and that it leaves the model alone."""

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import models, nn


def fields(model, size):
    return [layer.receptive_field for layer in tg.summary(model, size)]


def test_rows_of_lenet5():
    report = tg.summary(models.LeNet5(), (1, 32, 32), batch_size=4)
    assert [layer.output_shape for layer in report][:6] == [
        (4, 6, 28, 28), (4, 6, 28, 28), (4, 6, 14, 14), (4, 16, 10, 10), (4, 16, 10, 10), (4, 16, 5, 5),
    ]  # fmt: skip
    conv = report["features.3"]
    assert (conv.type, conv.parameters, conv.macs, conv.memory) == ("Conv2d", 2416, 4 * 240_000, 4 * 1600 * 4)
    assert (conv.receptive_field, conv.jump) == (14, 2) and report[-1].receptive_field is None
    assert report.parameters == report.trainable == 61_706 and report.macs == 4 * 416_520 and len(report) == 12
    assert report.parameter_bytes == 4 * 61_706 and report.input_bytes == 4 * 4096 and report.flops == 2 * report.macs
    assert sum(layer.parameters for layer in report) == 61_706
    with pytest.raises(KeyError, match=r"features\.0"):
        report["nothing"]


def test_it_reads_well():
    net = nn.Sequential(nn.Conv2d(1, 2, (3, 1)), nn.Flatten(), nn.Linear(8, 2))
    net[2].requires_grad_(False)
    lines = str(tg.summary(net, (1, 4, 2))).split("\n")
    assert lines[0] == "Sequential: input 1×1×4×2" and "receptive field" in lines[2]
    assert lines[4].split() == ["0", "Conv2d", "1×2×2×2", "8", "24", "32", "B", "3×1", "(every", "1)"]
    assert lines[6].split() == ["2", "Linear", "1×2", "18", "16", "8", "B"]
    assert lines[8] == "parameters     26 (8 trainable), 104 B" and lines[9] == "multiply-adds  40"
    assert max(map(len, lines)) <= 100


def test_the_model_is_left_alone():
    tg.manual_seed(0)
    net = models.CifarResNet(8)
    net.bn1.eval()
    before = {name: tensor.data.copy() for name, tensor in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    attributes = [set(vars(module)) - {"_module_hooks"} for module in net.modules()]
    tg.summary(net, (3, 8, 8))
    with pytest.raises(RuntimeError, match=r"^conv1: .*channels"):
        tg.summary(net, (4, 8, 8))
    assert modes == [module.training for module in net.modules()]
    assert attributes == [set(vars(module)) - {"_module_hooks"} for module in net.modules()]
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.data, before[name])
    assert net(tg.randn(2, 3, 8, 8)).data.any() and all(p.grad is None for p in net.parameters())


LAYERS = [  # a module whose shape is computed without running it, an input
    (lambda: nn.Conv2d(4, 6, 3, 2, 1, 2, 2), (4, 11, 9)), (lambda: nn.Conv2d(4, 6, (3, 2), padding="same"), (4, 5, 5)),
    (lambda: nn.Conv2d(1, 1, 3, padding="valid", dtype=np.float64), (1, 5, 5)),
    (lambda: nn.Linear(3, 2), (5, 3)), (lambda: nn.Linear(3, 2), 3), (lambda: nn.BatchNorm2d(3), (3, 2, 2)),
    (lambda: nn.BatchNorm1d(3), (3,)), (lambda: nn.BatchNorm1d(3), (3, 4)), (lambda: nn.ReLU6(), (2, 2)),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(LAYERS)))
def test_computed_shapes_are_the_real_ones(row):
    make, size = LAYERS[row]
    net = make()
    report = tg.summary(net, size, 2)
    dtype = next((p.dtype for p in net.parameters()), np.float32)
    y = net(tg.zeros(2, *([size] if isinstance(size, int) else size), dtype=dtype))
    assert report[0].output_shape == y.shape and report[0].memory == y.data.nbytes and report[0].name == ""


WRONG = [
    (lambda: nn.Conv2d(3, 1, 3), (2, 5, 5)), (lambda: nn.Conv2d(3, 1, 7), (3, 5, 5)), (lambda: nn.Linear(3, 2), (4,)),
    (lambda: nn.BatchNorm2d(3), (4, 2, 2)), (lambda: nn.Conv2d(3, 1, 3), (5,)),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_what_does_not_fit_gives_the_layers_own_error(row):
    make, size = WRONG[row]
    with pytest.raises(RuntimeError) as expected:
        make()(tg.zeros(1, *size))
    with pytest.raises(RuntimeError) as found:
        tg.summary(make(), size)
    assert str(found.value) == str(expected.value)


def test_receptive_fields():
    convs = [nn.Conv2d(1, 1, 3) for _ in range(3)]
    assert fields(nn.Sequential(*convs), (1, 9, 9)) == [3, 5, 7]
    dilated = nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.AvgPool2d(2), nn.Conv2d(1, 1, (3, 1)))
    assert fields(dilated, (1, 16, 16)) == [5, 6, (10, 6)]
    branch = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    skip = nn.Sequential(nn.Residual(branch), nn.ReLU())
    assert fields(skip, (1, 8, 8)) == [3, 5, 5]
    assert fields(nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.AdaptiveAvgPool2d(1)), (1, 9, 9)) == [3, 9]
    assert fields(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 3, 3))), (1, 3, 3)) == [None, None]

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.last = nn.Parameter(tg.ones(2, 1, 3, 3)), nn.ReLU()

        def forward(self, x):
            return self.last(F.max_pool2d(F.conv2d(x, self.weight, padding=1), 2))

    report = tg.summary(Functional(), (1, 8, 8))
    assert report["last"].receptive_field == 4 and report.macs == 64 * 2 * 9
    assert report[-1].parameters == 18 and report[-1].macs == 64 * 2 * 9 and report[-1].name == ""


def test_operations_outside_of_layers_count_too():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = nn.Linear(8, 4), nn.Linear(8, 4)

        def forward(self, x, y):
            return self.query(x) @ self.key(y).transpose(-1, -2), {"x": x}

    report = tg.summary(Attention(), [(5, 8), (3, 8)])
    assert report["matmul"].macs == 5 * 3 * 4 and report.macs == 5 * 3 * 4 + 8 * 8 * 4
    assert report.input_shapes == [(1, 5, 8), (1, 3, 8)]
    assert tg.summary(Attention(), input_data=[tg.ones(5, 8), tg.ones(3, 8)])["query"].output_shape == (5, 4)
    with pytest.raises(ValueError, match="input_size"):
        tg.summary(Attention())


def test_a_shared_layer_counts_its_parameters_once():
    layer = nn.Linear(4, 4)
    report = tg.summary(nn.Sequential(layer, nn.ReLU(), layer), (4,))
    assert [row.parameters for row in report] == [20, 0, 0] and report.parameters == 20 and report.macs == 32
