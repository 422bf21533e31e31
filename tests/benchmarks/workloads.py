"""What the benchmarks time: twelve training workloads, each in this library and, number for number, in PyTorch.

A workload gives its sides, {"ours": step, "eager": step, other variants of PyTorch}: functions without arguments
that do one step and return a number (the loss, mostly). The first numbers of all sides must agree.
"""

import copy

import numpy as np
import torch
from benchmarks import peers

import tinygrad_course as tg
from tinygrad_course import models, nn, optim

COMPILED = "ours, compiled"
WORKLOADS = {}  # name: function of (variants wanted) -> sides


def workload(name):
    def register(function):
        WORKLOADS[name] = function
        return function

    return register


def our_step(model, loss_of, optimizer, x, compiled=False):
    """One training step of ours; without an optimizer, forward and backward alone."""

    def forward(x):
        return loss_of(model(x))

    if compiled:
        forward = tg.compile(forward)

    def step():
        if optimizer is None:
            model.zero_grad()
        else:
            optimizer.zero_grad()
        x.grad = None
        loss = forward(x)
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        return loss.item()

    return step


def torch_sides(peer, loss_of, optimizer_of, x, variants):
    """Eager PyTorch, and with `variants` the ways that make it faster, each on a copy of the net."""
    def side(model, optimizer, x):
        def step():
            if optimizer is None:
                model.zero_grad()
            else:
                optimizer.zero_grad()
            x.grad = None
            loss = loss_of(model(x))
            loss.backward()
            if optimizer is not None:
                optimizer.step()
            return loss.item()

        return step

    def optimizer(model, **options):
        return None if optimizer_of is None else optimizer_of(model.parameters(), **options)

    def copied():
        again = copy.deepcopy(peer)
        return again, x.detach().clone().requires_grad_(x.requires_grad)

    sides = {"eager": side(peer, optimizer(peer), x)}
    if variants:
        fused = {} if optimizer_of is None else {"fused": True}
        model, x_own = copied()
        sides["compiled"] = side(torch.compile(model), optimizer(model, **fused), x_own)
        if x.ndim == 4:
            model, x_own = copied()
            model = model.to(memory_format=torch.channels_last)
            x_own = x_own.detach().to(memory_format=torch.channels_last).requires_grad_(x.requires_grad)
            sides["channels_last"] = side(model, optimizer(model, **fused), x_own)
        if optimizer_of is not None:
            model, x_own = copied()
            sides["fused"] = side(model, optimizer(model, **fused), x_own)
    return sides


def network(ours, theirs, shape, loss, optimizers, variants, input_grad=False, compiled=False):
    """The sides of a net: `loss` is (ours, PyTorch's) function of the output, `optimizers` likewise, or None.

    `compiled`: our `tg.compile` of net and loss too, where operations are so small that it matters.
    """
    tg.manual_seed(0)
    model = ours()
    x = tg.randn(*shape)
    x.requires_grad = input_grad
    peer = peers.take_weights(theirs(), model)
    x_peer = torch.from_numpy(x.data.copy()).requires_grad_(input_grad)
    our_optimizer, their_optimizer = optimizers or (None, None)
    sides = {}
    for name, run in {"ours": model, **({COMPILED: copy.deepcopy(model)} if compiled else {})}.items():
        optimizer = None if our_optimizer is None else our_optimizer(run.parameters())
        sides[name] = our_step(run, loss[0], optimizer, x, name == COMPILED)
    return {
        **sides,
        **torch_sides(peer, loss[1], their_optimizer, x_peer, variants),
    }


def cross_entropy(batch, classes=10):
    labels = np.random.default_rng(0).integers(classes, size=batch)
    ours, theirs = tg.tensor(labels), torch.from_numpy(labels)
    return (
        lambda output: nn.functional.cross_entropy(output, ours),
        lambda output: torch.nn.functional.cross_entropy(output, theirs),
    )


def mean_square():
    return (lambda output: (output * output).mean(),) * 2


def both(name, **options):
    """An optimizer of both sides."""
    return (
        lambda parameters: getattr(optim, name)(parameters, **options),
        lambda parameters, **more: getattr(torch.optim, name)(parameters, **options, **more),
    )


def layers(module, description):
    """The same list of layers from our `nn` or PyTorch's."""
    return lambda: module.Sequential(*[getattr(module, name)(*a, **k) for name, a, k in description])


def layer(name, *arguments, **keywords):
    return name, arguments, keywords


def stacked(description, *rest, **keywords):
    return network(layers(nn, description), layers(torch.nn, description), *rest, **keywords)


# ------------------------------------------------------------------------------------------------ W1 … W12


@workload("W1 MLP 2-16-16-1, batch 32, SGD")
def tiny_mlp(variants):
    net = [layer("Linear", 2, 16), layer("ReLU"), layer("Linear", 16, 16), layer("ReLU"), layer("Linear", 16, 1)]
    y = np.random.default_rng(0).normal(size=(32, 1)).astype(np.float32)
    ours, theirs = tg.tensor(y), torch.from_numpy(y)
    loss = (
        lambda output: nn.functional.mse_loss(output, ours),
        lambda output: torch.nn.functional.mse_loss(output, theirs),
    )
    return stacked(net, (32, 2), loss, both("SGD", lr=0.01), variants, compiled=True)


@workload("W2 MLP 784-800-10, batch 64, momentum")
def mnist_mlp(variants):
    net = [layer("Linear", 784, 800), layer("ReLU"), layer("Linear", 800, 10)]
    return stacked(net, (64, 784), cross_entropy(64), both("SGD", lr=0.01, momentum=0.9), variants)


@workload("W3 ten 500x500 tanh layers, batch 128")
def tanh_layers(variants):
    net = [layer("Linear", 500, 500), layer("Tanh")] * 10
    return stacked(net, (128, 500), mean_square(), None, variants)


@workload("W4 six 4096x4096 tanh layers, batch 16")
def wide_tanh_layers(variants):
    net = [layer("Linear", 4096, 4096), layer("Tanh")] * 6
    return stacked(net, (16, 4096), mean_square(), None, variants)


@workload("W5 LeNet-5, 64x1x32x32, Adam")
def lenet(variants):
    return network(
        models.LeNet5, peers.LeNet5, (64, 1, 32, 32), cross_entropy(64), both("Adam", lr=1e-3), variants
    )


def _resnet(depth, residual, batch, variants):
    return network(
        lambda: models.CifarResNet(depth, residual=residual), lambda: peers.CifarResNet(depth, residual),
        (batch, 3, 32, 32), cross_entropy(batch), both("SGD", lr=0.1, momentum=0.9, weight_decay=1e-4), variants,
    )  # fmt: skip


@workload("W6 ResNet-20 CIFAR, batch 32, SGD")
def resnet20(variants):
    return _resnet(20, True, 32, variants)


@workload("W7a plain-56 CIFAR, batch 16, SGD")
def plain56(variants):
    return _resnet(56, False, 16, variants)


@workload("W7b ResNet-56 CIFAR, batch 16, SGD")
def resnet56(variants):
    return _resnet(56, True, 16, variants)


@workload("W8 conv 64-64 3x3 + BN + ReLU + max-pool, 16x64x32x32")
def conv_block(variants):
    net = [layer("Conv2d", 64, 64, 3, padding=1, bias=False), layer("BatchNorm2d", 64), layer("ReLU"),
           layer("MaxPool2d", 2)]  # fmt: skip
    return stacked(net, (16, 64, 32, 32), mean_square(), None, variants, input_grad=True)


@workload("W9 inverted residual 32-192-32, depthwise 3x3, 16x32x56x56")
def inverted_residual(variants):
    net = [
        layer("Conv2d", 32, 192, 1, bias=False), layer("BatchNorm2d", 192), layer("ReLU6"),
        layer("Conv2d", 192, 192, 3, padding=1, groups=192, bias=False), layer("BatchNorm2d", 192), layer("ReLU6"),
        layer("Conv2d", 192, 32, 1, bias=False), layer("BatchNorm2d", 32),
    ]  # fmt: skip
    ours, theirs = (lambda m=module: peers.residual_of(m, layers(m, net)()) for module in (nn, torch.nn))
    return network(ours, theirs, (16, 32, 56, 56), mean_square(), None, variants, input_grad=True)


@workload("W10 transposed conv 64-32 k4 s2 p1, 16x64x16x16")
def transposed(variants):
    net = [layer("ConvTranspose2d", 64, 32, 4, 2, 1)]
    return stacked(net, (16, 64, 16, 16), mean_square(), None, variants, input_grad=True)


@workload("W11 chain of 10,000 tiny operations")
def chain(variants):
    def side(module, compiled=False):
        x = module.ones(8).requires_grad_(True)
        scale, shift = module.full((8,), 0.999), module.full((8,), 0.001)

        def forward(y):
            for _ in range(5000):
                y = y * scale
                y = y + shift
            return y.sum()

        if compiled:
            forward = tg.compile(forward)

        def step():
            x.grad = None
            loss = forward(x)
            loss.backward()
            return loss.item()

        return step

    return {"ours": side(tg), COMPILED: side(tg, compiled=True), "eager": side(torch)}


@workload("W12 Adam on 50 tensors, 1 M numbers")
def adam(variants):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(200, 100)).astype(np.float32) for _ in range(50)]
    gradients = [rng.normal(size=(200, 100)).astype(np.float32) for _ in range(50)]

    def side(make, optimizer_of):
        tensors = [make(a.copy()) for a in arrays]
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.requires_grad, tensor.grad = True, make(gradient.copy())
        optimizer = optimizer_of(tensors)

        def step():
            optimizer.step()
            return tensors[-1].data[0, 0].item()

        return step

    ours, theirs = both("Adam", lr=1e-3)
    sides = {"ours": side(tg.from_numpy, ours), "eager": side(torch.from_numpy, theirs)}
    if variants:
        sides["fused"] = side(torch.from_numpy, lambda p: theirs(p, fused=True))
    return sides
