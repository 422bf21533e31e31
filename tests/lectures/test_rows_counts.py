"""LECTURES.md, the rows whose expectation is a count or a shape. Each test is named after its rows."""

import math

import pytest

import tinygrad_course as tg
from tinygrad_course import data, models, nn


def count(model):
    return sum(p.numel() for p in model.parameters())


def size(x, layer):
    """The size that a layer makes of a grey image of x by x."""
    return layer(tg.zeros(1, 1, x, x)).shape[-1]


def meta(make, *arguments, **options):
    with nn.meta():
        return make(*arguments, **options)


def test_A25_why_not_an_mlp_for_images():
    mlp = meta(nn.Linear, 224 * 224 * 3, 4096)
    assert mlp.weight.numel() == 616_562_688 and round(mlp.weight.numel() / 1e6, 1) == 616.6
    assert count(nn.Conv2d(3, 64, 3)) == 1792


@pytest.mark.parametrize("c, k, o", [(3, 5, 10), (1, 5, 6), (16, 3, 32), (512, 1, 64)])
def test_A29_conv_weights_and_parameters(c, k, o):
    conv = nn.Conv2d(c, o, k)
    assert conv.weight.shape == (o, c, k, k) and count(conv) == o * (c * k * k + 1)


def test_A30_receptive_fields():
    def fields(model, shape, *types):
        return [layer.receptive_field for layer in tg.summary(model, shape) if layer.type in types]

    assert fields(models.LeNet5(), (1, 32, 32), "Conv2d", "MaxPool2d") == [5, 6, 14, 16]
    three = nn.Sequential(*[nn.Conv2d(3, 3, 3) for _ in range(3)])
    assert fields(three, (3, 32, 32), "Conv2d")[-1] == 7 == fields(nn.Conv2d(3, 3, 7), (3, 32, 32), "Conv2d")[0]
    assert fields(meta(models.vgg19).features, (3, 224, 224), "Conv2d", "MaxPool2d")[-1] == 268


def test_A31_padding_stride_dilation():
    for how, expected in (({}, 5), ({"padding": 1}, 7), ({"stride": 2}, 3), ({"dilation": 2}, 3)):
        assert size(7, nn.Conv2d(1, 1, 3, **how)) == expected


def test_B1_flatten():
    assert nn.Flatten()(tg.zeros(1, 3, 32, 32)).shape == (1, 3072) == nn.Linear(3072, 1).weight.shape


def test_B2_six_filters():
    conv = nn.Conv2d(3, 6, 5)
    assert conv(tg.zeros(1, 3, 32, 32)).shape == (1, 6, 28, 28) and conv.weight[0].numel() == 75


def test_B3_the_animation():
    assert nn.Conv2d(3, 2, 3, stride=2, padding=1)(tg.zeros(1, 3, 5, 5)).shape == (1, 2, 3, 3)


def test_B4_B5_E1_ten_filters():
    conv = nn.Conv2d(3, 10, 5, stride=1, padding=2)
    report = tg.summary(conv, (3, 32, 32))
    assert report[0].output_shape == (1, 10, 32, 32) and report.parameters == count(conv) == 760
    assert report.macs == 768_000 == 75 * 10_240


def test_C1_mlp():
    report = tg.summary(nn.Sequential(nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 10)), (784,))
    assert report.parameters == 636_010


def test_C2_logistic_regression():
    assert count(nn.Linear(3, 1)) == 4


def test_C13_two_layers():
    net = nn.Sequential(nn.Linear(784, 20), nn.ReLU(), nn.Linear(20, 10))
    report = tg.summary(net, (784,), batch_size=7)
    assert report.parameters == 15_910 and [r.output_shape for r in report] == [(7, 20), (7, 20), (7, 10)]


def test_C14_C15_C16_lenet5():
    report = tg.summary(models.LeNet5(10), (1, 32, 32), batch_size=3)
    assert [r.parameters for r in report if r.parameters] == [156, 2416, 48_120, 10_164, 850]
    assert report.parameters == 61_706 and report.macs == 3 * 416_520
    shapes = [r.output_shape[1:] for r in report if r.type != "ReLU"]
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]
    x = tg.zeros(3, 16, 5, 5)
    assert x.reshape(x.size(0), -1).size(1) == 400


def test_C19_padding_same():
    assert size(6, nn.Conv2d(1, 1, 3, padding="same")) == 6


def test_C20_strides():
    assert size(7, nn.Conv2d(1, 1, 3, stride=2)) == 3
    assert nn.MaxPool2d(2, stride=(4, 3))(tg.zeros(1, 1, 10, 11)).shape == (1, 1, 3, 4)


def test_C24_a_million_pixels():
    assert nn.Flatten()(tg.zeros(1, 3, 1000, 1000)).shape[1] == 3 * 10**6


def test_C25_C26_vgg19():
    net = meta(models.vgg19)
    report = tg.summary(net, (3, 224, 224))
    kinds = [layer.type for layer in report]
    assert kinds.count("Conv2d") == 16 and kinds.count("Linear") == 3
    assert report.parameters == 143_667_240
    assert round(report.macs / 1e9, 2) == 19.63 and round(report.flops / 1e9, 1) == 39.3
    assert round(100 * count(net.classifier) / report.parameters) == 86


RESNETS = {18: (11_689_512, 1.81), 34: (21_797_672, 3.66), 50: (25_557_032, 4.09), 101: (44_549_160, 7.80),
           152: (60_192_808, 11.51)}  # fmt: skip


@pytest.mark.parametrize("depth", RESNETS)
def test_C46_C47_resnets(depth):
    net = meta(getattr(models, f"resnet{depth}"))
    report = tg.summary(net, (3, 224, 224))
    assert (report.parameters, round(report.macs / 1e9, 2)) == RESNETS[depth]
    weights = [m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "downsample" not in n]
    assert len(weights) == depth
    if depth == 152:
        assert round(100 * count(net.fc) / report.parameters, 1) == 3.4


def test_C45_depths_of_published_resnets():
    net = meta(models.CifarResNet, 1202)
    weights = [m for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n]
    assert len(weights) == 1202


PRINTED = """\
MobileNetV2(
  (features): Sequential(
    (0): ConvBNActivation(
      (0): Conv2d(3, 32, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): BatchNorm2d(32, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
      (2): ReLU6(inplace=True)
    )
    (1): InvertedResidual(
      (conv): Sequential(
        (0): ConvBNActivation(
          (0): Conv2d(32, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=32, bias=False)
          (1): BatchNorm2d(32, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
          (2): ReLU6(inplace=True)
        )
        (1): Conv2d(32, 16, kernel_size=(1, 1), stride=(1, 1), bias=False)
"""


def test_C51_C52_mobilenet_v2():
    net = meta(models.mobilenet_v2)
    assert repr(net).startswith(PRINTED)
    blocks = [m for m in net.modules() if type(m).__name__ == "InvertedResidual"]
    assert len(blocks) == 17 and sum(b.use_res_connect for b in blocks) == 10 and not blocks[0].use_res_connect
    report = tg.summary(net, (3, 224, 224))
    assert report.parameters == 3_504_872 and round(report.macs / 1e9, 3) == 0.301
    assert round(report.parameter_bytes / 2**20, 2) == 13.37


def test_C53_C57_only_a_new_head_is_trained():
    net = meta(models.resnet50).requires_grad_(False)
    net.fc = meta(nn.Linear, 2048, 2)
    report = tg.summary(net, (3, 64, 64))
    assert report.trainable == 4098 == report["fc"].trainable and report[0].trainable == 0


def test_D17_channels_of_a_mean_image():
    images = tg.zeros(4, 3, 32, 32)
    assert images.mean(0).shape == (3, 32, 32) and images.mean((0, 2, 3)).shape == (3,)


def test_D31_shapes_of_statistics():
    assert nn.BatchNorm2d(5).running_mean.shape == (5,)
    assert tg.zeros(2, 5, 3, 3).mean((0, 2, 3), keepdim=True).shape == (1, 5, 1, 1)


def test_E3_pooling():
    pool = nn.MaxPool2d(3, 2)
    assert size(55, pool) == 27 and count(pool) == 0


def test_E4_pooling_saves_memory():
    report = tg.summary(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2)), (3, 32, 32))
    assert report[0].memory == 4 * report[1].memory


@pytest.mark.parametrize("n, batch", [(60_000, 100), (1000, 64), (5, 8), (8, 8)])
def test_E12_steps_of_an_epoch(n, batch):
    loader = data.DataLoader(data.TensorDataset(tg.zeros(n, 1), tg.zeros(n)), batch_size=batch)
    assert len(loader) == math.ceil(n / batch)
