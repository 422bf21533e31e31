"""Small nets that the tests of viz draw."""

import numpy as np

import tinygrad_course as tg
import viz
from tinygrad_course import models, nn


class Block(nn.Module):
    """linear → batch norm → relu → linear → batch norm, with or without a skip around it, → relu."""

    def __init__(self, width, residual):
        super().__init__()
        self.linear1, self.bn1 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.linear2, self.bn2 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.relu = nn.ReLU()
        self.residual = residual

    def forward(self, x):
        branch = self.bn2(self.linear2(self.relu(self.bn1(self.linear1(x)))))
        return self.relu(x + branch if self.residual else branch)


class Net(nn.Module):
    """stem → blocks → head."""

    def __init__(self, blocks, residual, width=12, inputs=9):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*[Block(width, residual) for _ in range(blocks)])
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


def data(samples=16, inputs=9, classes=4):
    generator = np.random.default_rng(0)
    x = tg.tensor(generator.standard_normal((samples, inputs)).astype(np.float32))
    return x, tg.tensor(generator.integers(0, classes, samples))


def loss_of(model, x=None, y=None):
    if x is None:
        x, y = data()
    return nn.CrossEntropyLoss()(model(x), y)


def recorded(model):
    """The recording of one training step without the step."""
    with viz.record(model) as recording:
        loss_of(model).backward()
    return recording


def recorded_loss(make, *models):
    """The recording of a backward pass of the loss that a function makes."""
    with viz.record(*models) as recording:
        make().backward()
    return recording


def dead_in_the_middle(layers=20, dead=9):
    """The loss of relu layers, one of which lets nothing through: what is below it gets a gradient of exactly 0."""
    tg.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(layers)]
    blocks[dead][0].bias.data[...] = -100.0
    model = nn.Sequential(*blocks, nn.Linear(8, 2))
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32))
    return lambda: (model(x) ** 2).mean()


def spoilt_in_the_middle():
    """The loss of tanh layers in whose middle stands √0: its gradient is Inf, and 0 times that is NaN below it."""
    tg.manual_seed(0)
    cells = [nn.Linear(8, 8) for _ in range(6)]
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32))

    def loss():
        h = x
        for i, cell in enumerate(cells):
            h = cell(h).tanh()
            h = h + (h - h).sqrt() * 0.0 if i == 2 else h
        return (h**2).mean()

    return loss


def net(blocks=3, residual=True, seed=0):
    tg.manual_seed(seed)
    return Net(blocks, residual)


def in_float64(model):
    """The same net with float64 parameters and buffers."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor._data.dtype == np.float32:
            tensor._data = tensor._data.astype(np.float64)
    return model


def flat(layers=30, width=8):
    """A plain net written as one long list."""
    tg.manual_seed(0)
    modules = [nn.Linear(9, width), nn.ReLU()]
    for _ in range(layers):
        modules += [nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(width, 4))


def resnet(depth):
    """(a function that makes the loss of two images, the net): CIFAR's residual net."""
    tg.manual_seed(0)
    model, images = models.CifarResNet(depth), np.random.default_rng(0).standard_normal((2, 3, 32, 32))
    x, y = tg.tensor(images.astype(np.float32)), tg.tensor(np.array([0, 1]))
    return lambda: loss_of(model, x, y), model


def chain(length, operation=lambda x, i: x * 0.999):
    """A chain of operations on one tensor, as a loss."""
    x = tg.tensor(np.ones(3, np.float64), requires_grad=True)
    h = x
    for i in range(length):
        h = operation(h, i)
    return h.sum()


def recurrent(steps=50):
    """A recurrent net with one cell for all steps, as a loss."""
    tg.manual_seed(0)
    cell, x, h = nn.Linear(8, 8), tg.randn(steps, 4, 8), tg.zeros(4, 8)
    for step in range(steps):
        h = (cell(h) + x[step]).tanh()
    return h.sum()


def as_laid_out(flow):
    """(sizes, edges) of a flow as `layout` takes them, with boxes of one size."""
    place = {node.id: i for i, node in enumerate(flow.nodes)}
    edges = [(place[edge.source], place[edge.target], edge.is_skip) for edge in flow.edges]
    return [(90.0, 40.0)] * len(place), edges
