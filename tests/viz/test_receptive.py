"""Receptive fields: the geometry against known sizes, and the gradient's support inside the geometric box."""

import numpy as np
import pytest

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn
from tinygrad_course.models.mobilenet import InvertedResidual

F = nn.functional


def _convs(*hows, channels=3):
    return nn.Sequential(*[nn.Conv2d(channels, channels, **how) for how in hows])


class Odd(nn.Module):
    """Padding on one side, and a mean over an axis that is broadcast again."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, (1, 5))

    def forward(self, x):
        h = self.conv(F.pad(x, (2, 0, 0, 0)))
        return h * self.gate(h).mean(3, keepdim=True).sigmoid()


class Upsampled(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.down, self.up, self.mode = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 3, 3, padding=1), mode

    def forward(self, x):
        return self.up(F.interpolate(self.down(x), scale_factor=2, mode=self.mode)) + x


# name: (model, input's shape, size, stride); None: not told by a formula of one line
NETS = {
    "plain": (lambda: _convs({"kernel_size": 3}, {"kernel_size": 3}, {"kernel_size": 3}), (3, 15, 15), (7, 7), (1, 1)),
    "strided": (lambda: _convs({"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "padding": 1}),
                (3, 16, 12), (7, 7), (2, 2)),
    "dilated": (lambda: _convs(*[{"kernel_size": 3, "dilation": d, "padding": d} for d in (1, 2, 4)]), (3, 24, 24),
                (15, 15), (1, 1)),
    "two sizes": (lambda: _convs({"kernel_size": (1, 5), "stride": (1, 3)}, {"kernel_size": (3, 1)}), (3, 9, 21),
                  (3, 5), (1, 3)),
    "same": (lambda: _convs({"kernel_size": 4, "padding": "same"}, {"kernel_size": 2, "padding": "same"}), (3, 9, 9),
             (5, 5), (1, 1)),
    "residual": (lambda: nn.Sequential(nn.Residual(_convs(*[{"kernel_size": 3, "padding": 1}] * 2)), nn.ReLU(),
                                       nn.Residual(_convs({"kernel_size": 5, "padding": 2}))), (3, 16, 16),
                 (9, 9), (1, 1)),
    "resnet": (lambda: models.CifarResNet(8, width=4), (3, 32, 32), None, None),
    "mobilenet": (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), InvertedResidual(4, 6, 2, 3)), (3, 12, 12), (3, 3),
                  (2, 2)),
    "pooled": (lambda: nn.Sequential(nn.Conv2d(3, 4, 5), nn.MaxPool2d(2), nn.Tanh(), nn.AvgPool2d(3, 2, 1)),
               (3, 20, 20), (10, 10), (4, 4)),
    "adaptive": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(4)), (3, 13, 13), None, None),
    "transposed": (lambda: nn.Sequential(nn.Conv2d(3, 4, 2, stride=2), nn.ConvTranspose2d(4, 3, 4, 2, 1)), (3, 12, 12),
                   (4, 4), None),
    "nearest": (lambda: Upsampled("nearest"), (3, 12, 12), None, None),
    "bilinear": (lambda: Upsampled("bilinear"), (3, 12, 12), None, None),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3, dilation=2), nn.ReLU(), nn.Conv1d(4, 4, 3, stride=2)),
                 (3, 20), (7,), (2,)),
    "odd": (Odd, (3, 8, 14), None, None),
    "flattened": (lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 8),
                                        nn.Unflatten(1, (2, 2, 2))), (3, 8, 8), (8, 8), (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_the_gradient_lies_inside_the_geometric_box(name):
    build, shape, size, stride = NETS[name]
    tg.manual_seed(0)
    model = build()
    for position in (None, (0,) * (len(shape) - 1)):
        field = viz.receptive_field(model, shape, position=position)
        assert field.gradient.shape == shape[1:] and field.support is not None
        for (first, end), (low, high), extent in zip(field.support, field.box, shape[1:], strict=True):
            assert 0 <= low <= first < end <= high <= extent
        outside = field.gradient.copy()
        outside[tuple(slice(*ends) for ends in field.box)] = 0.0
        assert not outside.any()
        assert size is None or field.size == size
        assert stride is None or field.stride == stride
        assert 0.0 < field.effective <= 1.0


_FULL = ["plain", "strided", "dilated", "two sizes", "same", "residual", "one axis", "nearest"]


@pytest.mark.parametrize("name", _FULL)
def test_the_box_is_no_larger_than_it_must_be(name):
    """Where no maximum and no dead unit hides a pixel, the gradient fills the box from rim to rim."""
    build, shape, *_ = NETS[name]
    tg.manual_seed(0)
    field = viz.receptive_field(build(), shape, samples=16)
    assert field.support == field.box


def test_lenet_layer_by_layer():
    """Receptive fields 5, 6, 14, 16 of the convolutions and pools, as the summary tells them."""
    model = models.LeNet5()
    rows = [layer for layer in tg.summary(model, (1, 32, 32)) if layer.type in ("Conv2d", "MaxPool2d", "AvgPool2d")]
    found = [viz.receptive_field(model, (1, 32, 32), at=layer.name) for layer in rows]
    assert [field.size[0] for field in found] == [5, 6, 14, 16] == [layer.receptive_field for layer in rows]
    assert [field.stride[0] for field in found] == [layer.jump for layer in rows]
    assert found[0].box == ((14, 19), (14, 19)) and found[0].position == (14, 14)
    assert repr(found[0]).startswith("<ReceptiveField of ")
    assert "5×5 pixels, stride 1×1, box [14:19, 14:19]" in repr(found[0])


def test_nothing_is_left_behind():
    tg.manual_seed(0)
    model = models.CifarResNet(8, width=4).train()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    viz.receptive_field(model, (3, 16, 16))
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(np.array_equal(before[name], value.numpy()) for name, value in model.state_dict().items())


def test_a_function_and_frozen_layers():
    conv = nn.Conv2d(2, 2, 3, dilation=2)
    for parameter in conv.parameters():
        parameter.requires_grad = False
    assert viz.receptive_field(lambda x: conv(x) * 2.0, (2, 9, 9)).size == (5, 5)
    nothing = viz.receptive_field(lambda x: (x * 0.0).relu(), (1, 5))
    assert nothing.support is None and nothing.size == (1,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": 7}, "the shape of one image"),
        ({"input_shape": (3,)}, "the shape of one image"),
        ({"at": "faetures.0"}, r"no layer is named 'faetures.0'; there are: features.0, "),
        ({"at": "classifier.5"}, "makes no image of 2 axes"),
        ({"position": (0, 99)}, r"position \(0, 99\) is not in an output of"),
        ({"position": (0,)}, "is not in an output of"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        viz.receptive_field(models.LeNet5(), **{"input_shape": (1, 32, 32), **options})
    with pytest.raises(TypeError, match="a model that can be called on images, not NoneType"):
        viz.receptive_field(None, (1, 32, 32))
