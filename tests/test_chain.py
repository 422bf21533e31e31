"""Modules in a row: a ReLU that the layer before it does on the way changes no bit and hides nothing."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import kernels, models, nn
from tinygrad_course.modes import Observer, observe
from tinygrad_course.ops.norm import BatchNorm

F = nn.functional


def _block():
    return [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2), nn.ReLU()]


NETS = {
    "conv, norm": (lambda: nn.Sequential(*_block()), (4, 3, 32, 32)),
    "few numbers": (lambda: nn.Sequential(*_block()), (2, 3, 5, 5)),
    "few channels": (lambda: nn.Sequential(nn.Conv2d(3, 1, 3), nn.ReLU(inplace=True)), (4, 3, 32, 32)),
    "1 x 1": (lambda: nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ReLU()), (4, 3, 40, 40)),
    "depthwise": (lambda: nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.ReLU()), (2, 6, 20, 20)),
    "one image": (lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), (3, 20, 20)),
    "signals": (lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU()), (4, 3, 50)),
    "rows": (lambda: nn.Sequential(nn.Linear(9, 70), nn.BatchNorm1d(70), nn.ReLU()), (300, 9)),
    "without parameters": (lambda: nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.ReLU()), (4, 3, 9, 9)),
    "evaluation": (lambda: nn.Sequential(*_block()).eval(), (4, 3, 32, 32)),
    "relu twice": (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.ReLU()), (4, 3, 9, 9)),
    "residual": (lambda: models.CifarResNet(8, width=4), (4, 3, 32, 32)),
    "plain": (lambda: models.CifarResNet(8, width=4, residual=False), (4, 3, 32, 32)),
    "ImageNet": (lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], 5), (2, 3, 33, 33)),
}  # fmt: skip


def _steps(build, shape, **how):
    """The numbers after two steps: loss, gradients, parameters and buffers."""
    tg.manual_seed(1)
    net = build()
    x = tg.randn(*shape, requires_grad=True)
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1) if list(net.parameters()) else None
    for _ in range(2):
        loss = (net(x) * tg.linspace(-1, 2, 7)[3]).square().sum()
        loss.backward(**how)
        if optimizer:
            optimizer.step()
    return [loss, x.grad, *[p.grad for p in net.parameters()], *net.parameters(), *net.buffers()]


def _same(mine, others):
    for a, b in zip(mine, others, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("name", NETS)
def test_the_same_bits_as_one_by_one(name, monkeypatch):
    """An observer has each module run by itself; backward, then, no ReLU is left to the norm."""
    done = []
    backward = BatchNorm.backward
    monkeypatch.setattr(BatchNorm, "backward", lambda node, dy: (done.append(node.passed), backward(node, dy))[1])
    chained = _steps(*NETS[name])
    if name in ("conv, norm", "residual", "rows"):
        assert any(z is not None for z in done)
    done.clear()
    with observe(Observer()):
        _same(chained, _steps(*NETS[name]))
    assert not any(z is not None for z in done)


def test_nothing_is_computed_twice(monkeypatch):
    """One pass of the norm's kernel, and none of a ReLU's, in either direction."""
    called = []
    for family, names in ((kernels.activation, ("relu", "relu_backward")), (kernels.norm, ("batch_norm_forward",))):
        for name in names:
            function = getattr(family, name)
            monkeypatch.setitem(
                family.__dict__, name, lambda *a, name=name, function=function: (called.append(name), function(*a))[1]
            )
    _steps(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()), (2, 3, 9, 9))
    assert called == ["batch_norm_forward"] * 2


def _parts(x):
    """A batch norm and what a caller may want to see of it; written out, as most nets are."""
    tg.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    return norm, norm(x)


LOOKS = {
    "nobody": lambda h, seen: F.relu(h).sum(),
    "another operation": lambda h, seen: F.relu(h).sum() + (h * h).sum(),
    "another operation first": lambda h, seen: (h * h).sum() + F.relu(h).sum(),
    "two relus": lambda h, seen: F.relu(h).sum() + 2 * F.relu(h).sum(),
    "a hook": lambda h, seen: (h.register_hook(lambda g: seen.append(g.clone())), F.relu(h).sum())[1],
    "a hook that changes": lambda h, seen: (h.register_hook(lambda g: 3 * g), F.relu(h).sum())[1],
    "retain_grad": lambda h, seen: (h.retain_grad(), seen.append(h), F.relu(h).sum())[2],
    "a variable": lambda h, seen: (seen.append(h), F.relu(h).sum())[1],
    "a view": lambda h, seen: F.relu(h.reshape(-1)).sum() + F.relu(h).sum(),
}


@pytest.mark.parametrize("name", LOOKS)
def test_whoever_looks_sees_the_gradient(name):
    tg.manual_seed(5)
    numbers = tg.randn(4, 3, 9, 9)
    got = []
    for watched in (False, True):
        x, seen = numbers.clone().requires_grad_(), []
        norm, h = _parts(x)
        loss = LOOKS[name](h, seen)
        del h
        if watched:
            with observe(Observer()):
                loss.backward()
        else:
            loss.backward()
        found = [s.grad if s.grad is not None else s for s in seen]
        got.append([x.grad, norm.weight.grad, norm.bias.grad, *found])
    _same(*got)


def test_twice_through_the_graph_and_second_derivatives():
    tg.manual_seed(5)
    x = tg.randn(4, 3, 9, 9, dtype=tg.float64, requires_grad=True)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()).double()
    loss = (net(x) ** 3).sum()
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once.numpy())
    (first,) = tg.grad((net(x) ** 3).sum(), [x], create_graph=True)
    np.testing.assert_allclose(first.detach().numpy(), once.numpy(), rtol=1e-10, atol=1e-12)
    (second,) = tg.grad(first.square().sum(), [x])
    step = 1e-6 * tg.randn(4, 3, 9, 9, dtype=tg.float64)

    def slope(at):
        at = at.detach().requires_grad_()
        return tg.grad((net(at) ** 3).sum(), [at])[0].square().sum().item()

    assert (second * step).sum().item() == pytest.approx((slope(x + step) - slope(x - step)) / 2, rel=1e-5)


def test_the_tape_is_the_same():
    x = tg.randn(2, 3, 9, 9)
    y = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.ReLU())(x)
    labels, node = [], y.node
    while node is not None and hasattr(node, "edges"):
        labels.append(node.label())
        node = node.edges[0]
    assert labels == ["4 (relu)", "3 (conv2d)", "2 (relu)", "1 (batch_norm)", "0 (conv2d)"]


def test_hooks_see_what_each_module_makes():
    net, seen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), []
    for module in net:
        module.register_forward_hook(lambda module, inputs, output: seen.append(output.min().item()))
    y = net(tg.randn(2, 3, 9, 9))
    assert seen[0] < 0 and seen[1] < 0 and seen[2] == 0 == y.min().item()


def test_modules_of_ones_own_are_called_as_ever():
    class Scaled(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    conv = nn.Conv2d(3, 4, 3)
    conv.forward = lambda x: -x
    x = tg.randn(2, 3, 9, 9)
    np.testing.assert_array_equal(nn.chain(x, conv, nn.ReLU()).numpy(), np.maximum(-x.numpy(), 0))
    scaled = Scaled(3, 4, 3)
    np.testing.assert_array_equal(
        nn.chain(x, scaled, nn.ReLU()).detach().numpy(), np.maximum(scaled(x).detach().numpy(), 0)
    )
    assert nn.chain(x) is x


def test_nan_passes():
    x = tg.randn(2, 3, 9, 9)
    x[1, 2, 3, 4] = float("nan")
    for layer in (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval()):
        assert np.isnan(nn.chain(x, layer, nn.ReLU()).detach().numpy()).any()
