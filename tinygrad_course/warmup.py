"""Compile all kernels now, by training a step of small nets that together use every one of them."""

import time

from . import kernels, models, nn, optim
from .creation import linspace, randint, randn
from .nn import functional as F

BATCHES = 2, 300  # for the loops of one thread, and for those of all


def _dense():
    layers = [nn.Linear(20, 400), nn.BatchNorm1d(400), nn.Tanh(), nn.Linear(400, 400), nn.Sigmoid(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(400, 40))


def _smooth():
    """The other activations, and normalization within a sample."""
    layers = [
        nn.Linear(20, 400), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.ELU(), nn.Softplus(),
        nn.LayerNorm(400), nn.LeakyReLU(), nn.Hardtanh(), nn.Softmax(1), nn.LogSoftmax(1),
        nn.Unflatten(1, (4, 10, 10)), nn.GroupNorm(2, 4),
    ]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(400, 40))


def _pools():
    pools = [nn.Conv2d(4, 8, 3), nn.AvgPool2d(3, stride=1), nn.MaxPool2d(3, stride=1, padding=1), nn.AvgPool2d(2)]
    return nn.Sequential(*pools, nn.Flatten(), nn.Linear(8 * 6 * 6, 10))


class _LookUp(nn.Module):
    """Rows of a table, looked up by numbers, as images that change their size."""

    def __init__(self):
        super().__init__()
        self.table, self.shrink, self.read = nn.Embedding(10, 64), nn.AdaptiveAvgPool2d(5), nn.Linear(25, 10)

    def forward(self, x):
        images = self.table(x.abs().long().clamp(max=9)).reshape(len(x), -1, 8, 8)
        images = images.maximum(0.5).clamp(max=2)
        return self.read(self.shrink(images).exp().erf().flatten(2).logsumexp(1))


class _Formulas(nn.Module):
    """Arithmetic with broadcasting, sums, maxima, masks, transposes, windows and losses of many numbers."""

    def forward(self, x):
        wide = x[:, :, None] * (linspace(1, 2, 300, dtype=x.dtype) + x[:, :, None])
        wide = (wide - x[:, :, None]) / linspace(1, 2, 300, dtype=x.dtype)
        other = wide.detach() * 0.5
        losses = F.mse_loss(wide, other) + F.smooth_l1_loss(wide, other) + F.huber_loss(wide, other)
        wide = wide.masked_fill(other > 3, 0.5)
        losses = losses + (wide @ other.transpose(1, 2)).mean() + wide.amax((1, 2)).mean()
        across = wide.transpose(1, 2).contiguous()
        return F.adaptive_max_pool1d(across.cumsum(1).transpose(1, 2), 7).sum(2)[:, :10] + losses


def _channelwise():
    """Depthwise, pointwise, strided, dilated and transposed convolution."""
    layers = [
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 16, 1), nn.ReLU(),
        nn.Conv2d(16, 8, 3, stride=2), nn.Conv2d(8, 8, 2, dilation=2), nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
    ]  # fmt: skip
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 10 * 10, 10))


# name: (net, shape of a sample, optimizer)
NETS = {
    "dense layers": (_dense, (20,), optim.Adam),
    "dense layers, SGD": (_dense, (20,), lambda p: optim.SGD(p, lr=0.01)),
    "smooth layers": (_smooth, (20,), optim.Adam),
    "LeNet-5": (models.LeNet5, (1, 32, 32), optim.Adam),
    "residual net": (lambda: models.CifarResNet(8), (3, 32, 32), lambda p: optim.SGD(p, lr=0.01, momentum=0.9)),
    "pooling": (_pools, (4, 16, 16), optim.AdamW),
    "lookups": (_LookUp, (20,), optim.Adam),
    "formulas": (_Formulas, (20,), None),
    "convolutions": (_channelwise, (8, 16, 16), optim.Adam),
}


def warmup(float64=False):
    """Compile all kernels for float32, or load them from the cache, and with `float64` for it too; the seconds taken.

    Shows a progress bar. `TINYGRAD_COURSE_CACHE` says where compiled kernels are kept.
    """
    from tqdm import tqdm

    begin = time.perf_counter()
    kernels.quiet()
    rounds = [
        (name, dtype, batch)
        for dtype in ("float32", "float64")[: 2 if float64 else 1]
        for name in NETS
        for batch in BATCHES
    ]
    progress = tqdm(rounds, desc="compiling kernels", unit="step")
    for name, dtype, batch in progress:
        progress.set_postfix_str(f"{name}, {dtype}")
        _steps(*NETS[name], dtype, batch)
    return time.perf_counter() - begin


def _steps(make, shape, optimizer_of, dtype, batch):
    """A step as in training, and one with the running statistics of batch norm."""
    model = make()
    x, y = randn(batch, *shape, requires_grad=True), randint(10, (batch,))
    if dtype == "float64":
        model, x = model.double(), x.detach().double().requires_grad_(True)
    optimizer = None if optimizer_of is None else optimizer_of(model.parameters())
    for mode in (True, False):
        model.train(mode)
        F.cross_entropy(model(x), y).backward()
        if optimizer is not None:
            optimizer.step()
