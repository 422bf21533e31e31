"""PyTorch as oracle, where it is installed: outputs, every gradient, optimizers, whole nets, types of errors."""

import itertools

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim
from tinygrad_course.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def compare(ours, theirs, *arrays, tolerance=1e-10):
    """Output and all gradients of a function of tensors, ours and theirs, with one random cotangent."""
    mine = [tg.tensor(a, requires_grad=True) for a in arrays]
    yours = [torch.tensor(a, requires_grad=True) for a in arrays]
    z, t = ours(*mine), theirs(*yours)
    assert tuple(z.shape) == tuple(t.shape)
    np.testing.assert_allclose(z.data, t.detach().numpy(), rtol=tolerance, atol=tolerance)
    v = draw(z.shape, 99)
    z.backward(tg.tensor(np.asarray(v)))
    t.backward(torch.tensor(v))
    for a, b in zip(mine, yours, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=tolerance, atol=tolerance)


# --------------------------------------------------------------------------- methods that are spelled alike

A, B3 = (3, 4), (2, 3, 4)
ALIKE = {
    "arithmetic": (lambda x, y: 2 * x / (y * y + 1) - x + 3 - y / 2 + 1 / (x * x + 1), [A, (4,)]),
    "powers": (lambda x, y: (x * x + 0.1) ** y + (x**2) ** 1.5 + 2.0**y + x**3, [A, (3, 1)]),
    "functions": (lambda x: x.exp() + (x * x + 1).log() + (x * x + 1).sqrt() + abs(x) + (-x).tanh() + x.sigmoid(), [A]),
    "relu": (lambda x: x.relu() * x, [A]),
    "sum": (lambda x: x.sum() + x.sum(0) + x.sum((0, 2), keepdim=True) + x.sum(-1).sum(), [B3]),
    "mean": (lambda x: x.mean() + x.mean(1, keepdim=True) + x.mean((-1, 0), keepdim=True), [B3]),
    "softmax": (lambda x: x.softmax(-1) + x.softmax(0) + x.log_softmax(1), [B3]),
    "shapes": (lambda x: x.permute(2, 0, 1).reshape(4, -1).transpose(0, 1).unsqueeze(1).expand(6, 5, 4).flatten(1),
               [B3]),
    "squeeze": (lambda x: x.squeeze() * x.squeeze(0).squeeze(1) * x.squeeze(-1), [(1, 3, 1)]),
    "T": (lambda x: x.T @ x, [A]),
    "slices": (lambda x: x[1:, ..., ::2] * x[0, -1][None, None, 1::2] + x[:1, :, 2:], [B3]),
    "repeats": (lambda x: x[[0, 0, 1]] * x[[1, 0, 1]], [A]),
    "in place": (lambda x: (x * 2).add_(1).mul_(3).sub_(x).div_(2), [A]),
    "matmul 1-1": (lambda x, y: x @ y, [(4,), (4,)]),
    "matmul 1-2": (lambda x, y: x @ y, [(4,), (4, 3)]),
    "matmul 2-1": (lambda x, y: x @ y, [(3, 4), (4,)]),
    "matmul 3-1": (lambda x, y: x @ y, [B3, (4,)]),
    "matmul 1-3": (lambda x, y: x @ y, [(3,), B3]),
    "matmul batch": (lambda x, y: x @ y, [(5, 1, 3, 4), (2, 4, 6)]),
    "matmul 2-3": (lambda x, y: x @ y, [A, (2, 4, 5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_methods(name):
    function, shapes = ALIKE[name]
    compare(function, function, *[draw(s, i) for i, s in enumerate(shapes)])


def both(name, *arguments, **options):
    """`nn.functional`'s function `name` of ours and of theirs, with further arguments."""
    return tuple(lambda *t, m=m: getattr(m, name)(*t, *arguments, **options) for m in (F, TF))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_linear(shape, bias):
    compare(*both("linear"), draw(shape), draw((5, 4), 1), *[draw(5, 2)] * bias)


def test_maximum_and_minimum():
    x, y = draw(A).round(1), draw((4,), 1)
    y[0] = x[0, 0]  # a tie
    compare(tg.maximum, torch.maximum, x, y)
    compare(tg.minimum, torch.minimum, x, y)


# --------------------------------------------------------------------------- convolution and pooling

GRID = list(itertools.product([(1, 1), (3, 3), (2, 5)], [1, 2, (3, 1)], [0, 1, (2, 0)], [1, 2, (1, 3)], [1, 2]))


@pytest.mark.parametrize("kernel, stride, padding, dilation, groups", GRID)
def test_conv2d(kernel, stride, padding, dilation, groups):
    x, w, b = draw((2, 4, 9, 14)), draw((6, 4 // groups, *kernel), 1), draw(6, 2)
    compare(*both("conv2d", stride=stride, padding=padding, dilation=dilation, groups=groups), x, w, b)


CONVS = [  # x, weight, options
    ((3, 1, 32, 32), (6, 1, 5, 5), {}),
    ((2, 3, 16, 16), (8, 3, 3, 3), dict(padding="same")),
    ((2, 3, 9, 8), (4, 3, 4, 2), dict(padding="same")),
    ((2, 3, 9, 8), (4, 3, 2, 3), dict(padding="same", dilation=(3, 2))),
    ((2, 3, 9, 8), (4, 3, 2, 3), dict(padding="valid")),
    ((3, 7, 6), (4, 3, 3, 3), dict(padding=1)),
    ((2, 6, 8, 8), (6, 1, 3, 3), dict(padding=1, groups=6)),
    ((2, 6, 8, 8), (12, 1, 3, 3), dict(padding=1, groups=6, stride=2)),
    ((2, 16, 8, 8), (32, 16, 1, 1), dict(stride=2)),
    ((1, 2, 5, 5), (3, 2, 5, 5), {}),
    ((1, 1, 1, 1), (1, 1, 1, 1), dict(padding=2)),
]


@pytest.mark.parametrize("row", range(len(CONVS)))
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_more_convolutions(row):
    x, w, options = CONVS[row]
    compare(*both("conv2d", **options), draw(x), draw(w, 1))


POOLS = list(itertools.product([2, 3, (3, 2)], [None, 1, 2, (3, 2)], [0, 1], [False, True]))


@pytest.mark.parametrize("kernel, stride, padding, ceil", POOLS)
def test_pools(kernel, stride, padding, ceil):
    x = draw((2, 3, 8, 11))
    compare(*both("max_pool2d", kernel, stride, padding, ceil_mode=ceil), x)
    compare(*both("max_pool2d", kernel, stride, padding, dilation=2, ceil_mode=ceil), x)
    compare(*both("max_pool2d", kernel, stride, padding, ceil_mode=ceil), x.round())  # ties
    for include in (True, False):
        compare(*both("avg_pool2d", kernel, stride, padding, ceil, include), x)
    compare(*both("avg_pool2d", kernel, stride, padding, ceil, divisor_override=3), x[0])


def test_adaptive_average_pool():
    for size in (1, (4, 1), (2, None), 2):
        compare(*both("adaptive_avg_pool2d", size), draw((2, 3, 4, 6)))


# --------------------------------------------------------------------------- normalization

STATISTICS = [(shape, training, affine) for shape in [(6, 3), (4, 3, 5), (3, 3, 4, 2)] for training in (True, False)
              for affine in (True, False)]  # fmt: skip


@pytest.mark.parametrize("shape, training, affine", STATISTICS)
def test_batch_norm(shape, training, affine):
    running = [[draw(3, 5), draw(3, 6) ** 2 + 0.5] for _ in range(2)]
    ours = [tg.Tensor(a) for a in running[0]]
    theirs = [torch.from_numpy(a) for a in running[1]]
    how = dict(training=training, momentum=0.3, eps=1e-3)
    extra = [draw(3, 1), draw(3, 2)] if affine else []
    compare(
        lambda x, *p: F.batch_norm(x, *ours, *p, **how), lambda x, *p: TF.batch_norm(x, *theirs, *p, **how),
        draw(shape) * 3 + 5, *extra,
    )  # fmt: skip
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_modules(momentum):
    ours = nn.BatchNorm2d(3, momentum=momentum, dtype=np.float64)
    theirs = torch.nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
    for step in range(4):
        x = draw((4, 3, 5, 5), step) * (step + 1) + step
        np.testing.assert_allclose(ours(tg.tensor(x)).data, theirs(torch.tensor(x)).detach().numpy(), atol=1e-10)
    ours.eval(), theirs.eval()
    np.testing.assert_allclose(ours(tg.tensor(x)).data, theirs(torch.tensor(x)).detach().numpy(), atol=1e-10)
    for (name, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        np.testing.assert_allclose(a.data, b.numpy(), rtol=1e-12, err_msg=name)


# --------------------------------------------------------------------------- losses

LOSSES = list(itertools.product(["mean", "sum", "none"], [0.0, 0.2], [False, True], [-100, 1], [(), (3,), (2, 2)]))


@pytest.mark.parametrize("reduction, smoothing, weighted, ignore, more", LOSSES)
def test_cross_entropy(reduction, smoothing, weighted, ignore, more):
    target = np.random.default_rng(3).integers(0, 4, (6, *more))
    weight = np.array([0.5, 1.0, 2.0, 3.0])
    how = dict(reduction=reduction, label_smoothing=smoothing, ignore_index=ignore)
    compare(
        lambda x: F.cross_entropy(x, tg.tensor(target), tg.tensor(weight) if weighted else None, **how),
        lambda x: TF.cross_entropy(x, torch.tensor(target), torch.tensor(weight) if weighted else None, **how),
        3 * draw((6, 4, *more)),
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_probabilities(reduction, smoothing, weighted):
    weight = np.array([0.5, 1.0, 2.0, 3.0])
    how = dict(reduction=reduction, label_smoothing=smoothing)
    for shape in ((6, 4), (2, 4, 3), (4,)):
        compare(
            lambda x, p: F.cross_entropy(x, p.softmax(0), tg.tensor(weight) if weighted else None, **how),
            lambda x, p: TF.cross_entropy(x, p.softmax(0), torch.tensor(weight) if weighted else None, **how),
            draw(shape), draw(shape, 1),
        )  # fmt: skip


def test_cross_entropy_of_one_sample():
    for reduction in ("mean", "sum", "none"):
        compare(
            lambda x, r=reduction: F.cross_entropy(x, tg.tensor(2), reduction=r),
            lambda x, r=reduction: TF.cross_entropy(x, torch.tensor(2), reduction=r), draw(4),
        )  # fmt: skip


def test_everything_ignored():
    x = draw((2, 3))
    ours, theirs = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    for reduction in ("mean", "sum"):
        F.cross_entropy(ours, tg.tensor([-100, -100]), reduction=reduction).backward()
        TF.cross_entropy(theirs, torch.tensor([-100, -100]), reduction=reduction).backward()
        np.testing.assert_array_equal(ours.grad.data, theirs.grad.numpy())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_distances(name, reduction):
    compare(*both(name, reduction=reduction), draw(A), draw(A, 1))


# --------------------------------------------------------------------------- optimizers

OPTIMIZERS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.05, momentum=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),
    ("SGD", dict(lr=0.05, maximize=True, weight_decay=0.1)),
    ("Adam", {}),
    ("Adam", dict(lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)),
    ("Adam", dict(lr=0.05, amsgrad=True)),
    ("AdamW", dict(lr=0.05)),
    ("AdamW", dict(lr=0.05, weight_decay=0.5, amsgrad=True, maximize=True)),
]


@pytest.mark.parametrize("row", range(len(OPTIMIZERS)))
def test_optimizer_trajectories(row):
    name, options = OPTIMIZERS[row]
    start = [draw((3, 4)), draw(5, 1)]
    ours = [tg.tensor(a, requires_grad=True) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    mine, yours = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(50):
        for params, optimizer in ((ours, mine), (theirs, yours)):
            optimizer.zero_grad()
            loss = sum(((p * p + 1).log() * np.cos(step) + p.tanh()).sum() for p in params)
            loss.backward()
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-10, atol=1e-10)


# --------------------------------------------------------------------------- layers and nets


LAYERS = [("Linear", (50, 40)), ("Conv2d", (6, 40, 5)), ("Conv2d", (8, 40, (3, 1), 1, 0, 1, 4))]


@pytest.mark.parametrize("name, arguments", LAYERS)
def test_layers_start_within_pytorchs_bounds(name, arguments):
    """PyTorch draws from the same uniform distribution: the largest of 1,000s of numbers tells its bound to 1 %."""
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    assert ours.weight.shape == tuple(theirs.weight.shape)
    a, b = np.abs(ours.weight.data).max(), theirs.weight.detach().abs().max().item()
    assert a == pytest.approx(b, rel=0.03)
    assert repr(ours) == repr(theirs)


def lenet(n):
    return n.Sequential(
        n.Conv2d(1, 6, kernel_size=(5, 5)), n.ReLU(), n.MaxPool2d(kernel_size=(2, 2)), n.Conv2d(6, 16, 5), n.Tanh(),
        n.AvgPool2d(2), n.Flatten(), n.Linear(400, 120), n.Sigmoid(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10),
    )  # fmt: skip


def resnet(n):
    class Block(n.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = n.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = n.BatchNorm2d(outputs)
            self.conv2 = n.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = n.BatchNorm2d(outputs)
            self.relu = n.ReLU(inplace=True)
            self.shortcut = n.Sequential()
            if stride != 1:
                self.shortcut = n.Sequential(n.Conv2d(inputs, outputs, 1, stride, bias=False), n.BatchNorm2d(outputs))

        def forward(self, x):
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            out += self.shortcut(x)
            return self.relu(out)

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.stem = n.Sequential(n.Conv2d(1, 4, 3, padding=1), n.BatchNorm2d(4), n.ReLU())
            self.layers = n.Sequential(Block(4, 4, 1), Block(4, 8, 2), Block(8, 8, 1), Block(8, 16, 2))
            self.fc = n.Linear(16, 10)

        def forward(self, x):
            return self.fc(self.layers(self.stem(x)).mean((2, 3)))

    return Net()


@pytest.mark.parametrize("make", [lenet, resnet])
def test_whole_nets(make):
    theirs = make(torch.nn).double()
    ours = make(nn).double()
    state = {name: t.numpy().copy() for name, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    if make is lenet:
        assert repr(ours) == repr(theirs)
    x, y = draw((4, 1, 32, 32)), np.array([3, 1, 4, 1])
    mine = optim.SGD(ours.parameters(), 0.05, momentum=0.9)
    yours = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9)
    for _ in range(3):  # three steps, so that running statistics and momentum count
        mine.zero_grad(), yours.zero_grad()
        a = nn.CrossEntropyLoss()(ours(tg.tensor(x)), tg.tensor(y))
        b = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(y))
        a.backward(), b.backward()
        assert a.item() == pytest.approx(b.item(), rel=1e-10)
        for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)
        mine.step(), yours.step()
    for (name, p), (_, q) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        np.testing.assert_allclose(p.data, q.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)


# --------------------------------------------------------------------------- errors, printing


def error_of(action):
    try:
        action()
    except Exception as error:
        return type(error)
    return None


BAD = {  # in terms of a library t (tg or torch), its n (nn) and f (functional)
    "add": lambda t, n, f: t.ones(2, 3) + t.ones(4, 3),
    "integer power": lambda t, n, f: t.tensor([2, 3]) ** -1,
    "bool minus": lambda t, n, f: t.tensor([True]) - t.tensor([True]),
    "bool negative": lambda t, n, f: -t.tensor([True]),
    "matmul": lambda t, n, f: t.ones(2, 3) @ t.ones(2, 3),
    "matmul batch": lambda t, n, f: t.ones(2, 2, 3) @ t.ones(3, 3, 4),
    "matmul 0-d": lambda t, n, f: t.ones(2) @ t.tensor(1.0),
    "matmul dtype": lambda t, n, f: t.ones(2, 3) @ t.ones(3, 2).double(),
    "linear": lambda t, n, f: f.linear(t.ones(2, 3), t.ones(4, 5)),
    "linear dtype": lambda t, n, f: f.linear(t.ones(2, 3), t.ones(4, 3).double()),
    "linear bias": lambda t, n, f: f.linear(t.ones(2, 3), t.ones(4, 3), t.ones(3)),
    "linear list": lambda t, n, f: f.linear([1.0], t.ones(4, 3)),
    "reshape": lambda t, n, f: t.ones(2, 3).reshape(4, 2),
    "reshape -1": lambda t, n, f: t.ones(0, 3).reshape(0, -1),
    "flatten": lambda t, n, f: t.ones(2, 3).flatten(1, 0),
    "permute": lambda t, n, f: t.ones(2, 3).permute(0),
    "expand": lambda t, n, f: t.ones(2, 3).expand(4, 3),
    "expand -1": lambda t, n, f: t.ones(2).expand(-1, 2),
    "sum dim": lambda t, n, f: t.ones(2, 3).sum(5),
    "sum twice": lambda t, n, f: t.ones(2, 3).sum((0, 0)),
    "mean of integers": lambda t, n, f: t.tensor([1]).mean(),
    "squeeze": lambda t, n, f: t.ones(2).squeeze(3),
    "index": lambda t, n, f: t.ones(2)[5],
    "mask": lambda t, n, f: t.ones(2, 2)[t.tensor([True, False, True])],
    "cat": lambda t, n, f: t.cat([t.ones(2, 3), t.ones(2)]),
    "cat nothing": lambda t, n, f: t.cat([]),
    "stack": lambda t, n, f: t.stack([t.ones(2), t.ones(3)]),
    "ragged": lambda t, n, f: t.tensor([[1], [2, 3]]),
    "item": lambda t, n, f: t.ones(2).item(),
    "bool": lambda t, n, f: bool(t.ones(2)),
    "len": lambda t, n, f: len(t.tensor(1)),
    "numpy": lambda t, n, f: t.ones(2, requires_grad=True).numpy(),
    "integer gradient": lambda t, n, f: t.tensor([1], requires_grad=True),
    "backward": lambda t, n, f: t.ones(2, requires_grad=True).backward(),
    "backward shape": lambda t, n, f: (t.ones(2, requires_grad=True) * 1).backward(t.ones(3)),
    "no grad": lambda t, n, f: t.ones(()).backward(),
    "leaf in place": lambda t, n, f: t.ones(2, requires_grad=True).add_(1),
    "in place shape": lambda t, n, f: t.ones(2).add_(t.ones(3, 2)),
    "in place dtype": lambda t, n, f: t.tensor([1]).add_(0.5),
    "in place expanded": lambda t, n, f: t.ones(3).expand(2, 3).add_(1),
    "setitem": lambda t, n, f: t.ones(3).__setitem__(slice(0, 2), t.ones(3)),
    "deepcopy": lambda t, n, f: __import__("copy").deepcopy(t.ones(2, requires_grad=True) * 1),
    "conv dims": lambda t, n, f: f.conv2d(t.ones(4, 4), t.ones(1, 1, 2, 2)),
    "conv channels": lambda t, n, f: f.conv2d(t.ones(1, 3, 4, 4), t.ones(2, 1, 2, 2)),
    "conv groups": lambda t, n, f: f.conv2d(t.ones(1, 3, 4, 4), t.ones(2, 1, 2, 2), groups=3),
    "conv kernel": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 7, 7)),
    "conv dtype": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2).double()),
    "conv stride": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), stride=0),
    "conv padding": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), padding=-1),
    "conv word": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), padding="sam"),
    "conv same stride": lambda t, n, f: f.conv2d(t.ones(1, 1, 4, 4), t.ones(1, 1, 2, 2), padding="same", stride=2),
    "Conv2d groups": lambda t, n, f: n.Conv2d(3, 4, 2, groups=3),
    "Conv2d padding": lambda t, n, f: n.Conv2d(3, 4, 2, padding="x"),
    "Conv2d same": lambda t, n, f: n.Conv2d(3, 4, 2, stride=2, padding="same"),
    "pool kernel": lambda t, n, f: f.max_pool2d(t.ones(1, 1, 2, 2), 3),
    "pool padding": lambda t, n, f: f.max_pool2d(t.ones(1, 1, 8, 8), 2, padding=2),
    "pool dims": lambda t, n, f: f.max_pool2d(t.ones(2, 2), 2),
    "pool stride": lambda t, n, f: f.max_pool2d(t.ones(1, 1, 4, 4), 2, stride=0),
    "avg kernel": lambda t, n, f: f.avg_pool2d(t.ones(1, 1, 2, 2), 3),
    "norm channels": lambda t, n, f: f.batch_norm(t.ones(2, 3), t.ones(4), t.ones(4)),
    "norm eval": lambda t, n, f: f.batch_norm(t.ones(2, 3), None, None),
    "norm one": lambda t, n, f: n.BatchNorm1d(3)(t.ones(1, 3)),
    "norm dims": lambda t, n, f: n.BatchNorm2d(3)(t.ones(2, 3, 5)),
    "norm layer": lambda t, n, f: n.BatchNorm2d(3)(t.ones(2, 4, 5, 5)),
    "norm dtype": lambda t, n, f: n.BatchNorm1d(3)(t.ones(2, 3).double()),
    "loss batch": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 2, 0])),
    "loss 0-d": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor(1)),
    "loss column": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([[1], [2]])),
    "loss label": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 3])),
    "loss negative": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, -1])),
    "loss dtype": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.ones(2)),
    "loss weight": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 1]), t.ones(2)),
    "loss weight dtype": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 1]), t.ones(3).double()),
    "loss list": lambda t, n, f: f.cross_entropy(t.ones(2, 3), [1, 2]),
    "loss reduction": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 1]), reduction="x"),
    "loss smoothing": lambda t, n, f: f.cross_entropy(t.ones(2, 3), t.tensor([1, 1]), label_smoothing=2.0),
    "state": lambda t, n, f: n.Linear(2, 2).load_state_dict({}),
    "attribute": lambda t, n, f: n.Linear(2, 2).nothing,
    "parameter": lambda t, n, f: setattr(n.Linear(2, 2), "weight", t.ones(2, 2)),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_have_pytorchs_type(name):
    theirs = error_of(lambda: BAD[name](torch, torch.nn, TF))
    ours = error_of(lambda: BAD[name](tg, nn, F))
    assert theirs is not None and ours is theirs


PRINTED = [3.5, [1.0, 2000.0], [1e-5, 1.0], [[1.0, float("nan")]], [[]], list(range(40)), [True, False], [-0.0, 0.25],
           np.zeros((3, 50, 60)), np.arange(12.0).reshape(2, 2, 3), draw((40, 50)).astype(np.float32)]  # fmt: skip


@pytest.mark.parametrize("row", range(len(PRINTED)))
def test_printing(row):
    data = PRINTED[row]
    data = data.astype(np.float32) if isinstance(data, np.ndarray) else data
    assert repr(tg.tensor(data)) == repr(torch.tensor(data))


DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]


@pytest.mark.parametrize("x, y", list(itertools.product(DTYPES, repeat=2)))
def test_promotion(x, y):
    for a, b in itertools.product(((2,), ()), repeat=2):
        ours = tg.tensor(np.ones(a, x)) * tg.tensor(np.ones(b, y))
        theirs = torch.ones(a, dtype=getattr(torch, x)) * torch.ones(b, dtype=getattr(torch, y))
        assert str(theirs.dtype) == f"torch.{ours.dtype}"
    for number in (True, 2, 2.5):
        theirs = torch.ones(2, dtype=getattr(torch, x)) * number
        assert str(theirs.dtype) == f"torch.{(tg.tensor(np.ones(2, x)) * number).dtype}"
