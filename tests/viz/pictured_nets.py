"""The nets whose pictures are looked at: each a function that records one backward pass and names its graph.

`RECORDINGS[name]()` is a recording, `flow(name)` its graph; recordings are made once and kept.
"""

from functools import cache

import numpy as np

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn
from tinygrad_course.nn import functional as F


class TanhBlock(nn.Module):
    """tanh(W h + b), with PyTorch's default initialization; with a skip, h + tanh(W h + b)."""

    def __init__(self, width, residual):
        super().__init__()
        self.linear, self.residual = nn.Linear(width, width), residual

    def forward(self, h):
        out = self.linear(h).tanh()
        return h + out if self.residual else out


class DenseBlock(nn.Module):
    """Each layer reads the concatenation of all that came before it (Huang et al. 2017)."""

    def __init__(self, channels, layers, growth):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(channels + i * growth), nn.ReLU(),
                          nn.Conv2d(channels + i * growth, growth, 3, padding=1, bias=False))
            for i in range(layers)
        )  # fmt: skip

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(features[0] if len(features) == 1 else tg.cat(features, 1)))
        return tg.cat(features, 1)


class Recurrent(nn.Module):
    """h ← tanh(W x_t + U h), `steps` times with the same W and U, and a classifier of the last h."""

    def __init__(self, steps, inputs=8, width=16, classes=4):
        super().__init__()
        self.steps = steps
        self.read, self.keep = nn.Linear(inputs, width), nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = tg.zeros(x.shape[0], self.keep.in_features)
        for step in range(self.steps):
            h = (self.read(x[:, step]) + self.keep(h)).tanh()
        return self.head(h)


def tanh_mlp(residual, blocks=10, width=64):
    tg.manual_seed(0)
    blocks = [TanhBlock(width, residual) for _ in range(blocks)]
    return nn.Sequential(*blocks, nn.Linear(width, 10))


def _step(model, shape, classes=10):
    """The recording of one backward pass on random data."""
    generator = np.random.default_rng(0)
    x = tg.tensor(generator.standard_normal(shape).astype(np.float32))
    y = tg.tensor(generator.integers(0, classes, shape[0]))
    with viz.record(model) as recording:
        F.cross_entropy(model(x), y).backward()
    return recording


def _seeded(make, *arguments, **options):
    tg.manual_seed(0)
    return make(*arguments, **options)


class DenseNet(nn.Module):
    """A convolution, one dense block, and a classifier."""

    def __init__(self, layers=5, growth=12):
        super().__init__()
        channels = 16 + layers * growth
        self.stem, self.dense = nn.Conv2d(3, 16, 3, padding=1), DenseBlock(16, layers, growth)
        self.norm, self.relu, self.pool = nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, 10)

    def forward(self, x):
        return self.head(self.pool(self.relu(self.norm(self.dense(self.stem(x))))).flatten(1))


def _inverted_residual():
    tg.manual_seed(0)
    block = models.mobilenet.InvertedResidual
    return nn.Sequential(block(16, 24, 2, 6), block(24, 24, 1, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(24, 10))  # fmt: skip


class Sine(nn.Module):
    """sin(W h): bounded on the way forward, multiplied by W on the way back."""

    def __init__(self, width, scale):
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.normal_(self.linear.weight, std=scale / width**0.5)

    def forward(self, h):
        return self.linear(h).sin()


def _exploding():
    """Each layer makes the gradient about 250 times as large, until float32 has no number for it."""
    tg.manual_seed(0)
    return _step(nn.Sequential(*[Sine(32, 350.0) for _ in range(18)], nn.Linear(32, 10)), (16, 32))


RECORDINGS = {
    "tanh_plain": lambda: _step(tanh_mlp(False), (64, 64)),
    "tanh_residual": lambda: _step(tanh_mlp(True), (64, 64)),
    "lenet5": lambda: _step(_seeded(models.LeNet5), (8, 1, 32, 32)),
    "resnet20": lambda: _step(_seeded(models.CifarResNet, 20), (8, 3, 16, 16)),
    "plain56": lambda: _step(_seeded(models.CifarResNet, 56, residual=False), (8, 3, 16, 16)),
    "resnet56": lambda: _step(_seeded(models.CifarResNet, 56), (8, 3, 16, 16)),
    "resnet110": lambda: _step(_seeded(models.CifarResNet, 110), (4, 3, 16, 16)),
    "mobilenet_block": lambda: _step(_inverted_residual(), (8, 16, 16, 16)),
    "rnn50": lambda: _step(_seeded(Recurrent, 50), (8, 50, 8), 4),
    "dense_block": lambda: _step(_seeded(DenseNet), (8, 3, 16, 16)),
    "nan": _exploding,
}
TITLES = {
    "tanh_plain": "Plain, 10 tanh layers", "tanh_residual": "Residual, 10 tanh blocks", "lenet5": "LeNet-5",
    "resnet20": "ResNet-20", "plain56": "Plain, 56 layers", "resnet56": "ResNet-56", "resnet110": "ResNet-110",
    "mobilenet_block": "MobileNetV2 blocks", "rnn50": "RNN, 50 steps", "dense_block": "DenseNet block",
    "nan": "A net of sines that explodes",
}  # fmt: skip


@cache
def recording(name):
    return RECORDINGS[name]()


@cache
def flow(name, level="auto"):
    return viz.gradient_flow(recording(name), level=level, title=TITLES[name])
