"""Modules, containers, hooks, nn.utils and model files against PyTorch's."""

import copy
import math
import warnings

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import models, nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def both(function):
    """What `function(tensor library, its nn)` gives on either side; exceptions by the name of their type."""
    results = []
    for library, modules in ((tg, nn), (torch, torch.nn)):
        try:
            results.append(function(library, modules))
        except Exception as error:
            results.append(type(error).__name__)
    return results


class Mixed:
    """A network with a bit of everything, on either side."""

    def __new__(cls, t, n):
        class Mixed(n.Module):
            def __init__(self):
                super().__init__()
                self.layers = n.ModuleList([n.Linear(3, 3), n.Linear(3, 3), n.ReLU(), n.Linear(3, 3)])
                convolution = n.Sequential(n.Conv2d(1, 2, 3, bias=False), n.BatchNorm2d(2))
                self.table = n.ModuleDict({"a": convolution, "b": n.Tanh()})
                self.scale = n.Parameter(t.ones(2))
                self.register_buffer("steps", t.zeros(1))
                self.register_buffer("scratch", t.zeros(1), persistent=False)
                self.shared = self.layers[0]
                self.nothing = None

            def extra_repr(self):
                return "one\ntwo"

        return Mixed()


def without_bias(text):
    """A printed net, without the batch norm's bias that PyTorch 2.13 prints and the lectures' PyTorch does not."""
    return text.replace("affine=True, bias=True", "affine=True")


PROGRAMS = {  # what both sides must answer alike
    "repr": lambda t, n: without_bias(repr(Mixed(t, n))),
    "repr of repeated blocks": lambda t, n: repr(n.ModuleList([n.Sequential(n.Linear(1, 1), n.ReLU()), n.ReLU()] * 2)),
    "repr of nested": lambda t, n: repr(n.Sequential(n.ModuleDict({"a": n.ModuleList()}), n.Identity(3))),
    "repr of keys": lambda t, n: repr(n.Linear(1, 1).load_state_dict({}, strict=False)),
    "names": lambda t, n: [x for x, _ in Mixed(t, n).named_modules()],
    "all names": lambda t, n: [x for x, _ in Mixed(t, n).named_modules(remove_duplicate=False)],
    "parameters": lambda t, n: [x for x, _ in Mixed(t, n).named_parameters("p")],
    "all parameters": lambda t, n: [x for x, _ in Mixed(t, n).named_parameters(remove_duplicate=False)],
    "buffers": lambda t, n: [x for x, _ in Mixed(t, n).named_buffers()],
    "state": lambda t, n: list(Mixed(t, n).state_dict(prefix="x.")),
    "children": lambda t, n: [x for x, _ in Mixed(t, n).named_children()],
    "slices": lambda t, n: [x for x, _ in n.Sequential(*[n.ReLU() for _ in range(5)])[1::2].named_children()],
    "deletion": lambda t, n: _delete(n),
    "insertion": lambda t, n: [repr(m) for m in n.Sequential(n.ReLU(), n.Tanh()).insert(-1, n.Sigmoid())],
    "product": lambda t, n: repr(n.Sequential(n.ReLU(), n.Tanh()) * 2),
    "apply": lambda t, n: _applied(Mixed(t, n)),
    "plain tensor as parameter": lambda t, n: setattr(n.Linear(1, 1), "weight", t.ones(1, 1)),
    "plain tensor as module": lambda t, n: setattr(Mixed(t, n), "layers", t.ones(1)),
    "module as parameter": lambda t, n: setattr(n.Linear(1, 1), "weight", n.ReLU()),
    "number as buffer": lambda t, n: setattr(Mixed(t, n), "steps", 3),
    "existing name": lambda t, n: Mixed(t, n).register_buffer("layers", None),
    "method's name": lambda t, n: n.ReLU().add_module("train", n.ReLU()),
    "dot": lambda t, n: n.ReLU().register_parameter("a.b", None),
    "empty": lambda t, n: n.ReLU().add_module("", n.ReLU()),
    "no module": lambda t, n: n.Sequential(n.ReLU()).append(3),
    "no mode": lambda t, n: n.ReLU().train("yes"),
    "no forward": lambda t, n: n.Module()(t.ones(1)),
    "no dict": lambda t, n: n.ReLU().load_state_dict(3),
    "integers": lambda t, n: n.ReLU().to(t.int64),
    "missing parameter": lambda t, n: n.ReLU().get_parameter("weight"),
    "missing submodule": lambda t, n: n.ReLU().get_submodule("a.b"),
    "missing attribute": lambda t, n: n.ReLU().weight,
    "out of range": lambda t, n: n.ModuleList([n.ReLU()])[1],
    "unknown key": lambda t, n: n.ModuleDict()["a"],
    "flat sizes": lambda t, n: n.Unflatten(1, 3),
    "list called": lambda t, n: n.ParameterList()(1),
}


def _delete(n):
    net = n.Sequential(*[n.Linear(i + 1, 1) for i in range(5)])
    del net[1::2]
    net.pop(-1)
    return [(name, m.in_features) for name, m in net.named_children()]


def _applied(net):
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    return seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_modules_behave_alike(name):
    ours, theirs = both(PROGRAMS[name])
    assert ours == theirs


def test_errors_of_loading_read_alike():
    def load(t, n):
        with pytest.raises(RuntimeError) as caught:
            n.Linear(2, 3).load_state_dict({"weight": t.ones(2, 2), "more": t.ones(1)})
        return str(caught.value).replace("torch.Size([2, 2])", "(2, 2)").replace("torch.Size([3, 2])", "(3, 2)")

    ours, theirs = both(load)
    assert ours == theirs


# ------------------------------------------------------------------------------------- hooks


def _hooked(t, n, used, change):
    class Two(n.Module):
        def forward(self, a, b, c, note):
            return a * b, b * b * c, note

    log = []

    def numbers(gradients):
        return [None if g is None else np.asarray(g.detach().tolist()).round(12).tolist() for g in gradients]

    def after(module, grad_input, grad_output):
        log.append((numbers(grad_input), numbers(grad_output)))
        return tuple(None if g is None else g * 3 for g in grad_input) if change else None

    net = Two()
    net.register_full_backward_pre_hook(
        lambda m, go: tuple(None if g is None else g + 1 for g in go) if change else log.append(numbers(go))
    )
    net.register_full_backward_hook(after)
    a = t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)
    b = t.tensor([3.0, -1.0], dtype=t.float64, requires_grad=True)
    c = t.tensor([2.0, 5.0], dtype=t.float64)
    outputs = net(a, b, c, "note")
    total = sum((outputs[i] * (i + 2)).sum() for i in used) + (a * 10).sum()
    total.backward()
    return log, a.grad.tolist(), b.grad.tolist()


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("used", [(0, 1), (0,), (1,)])
def test_full_backward_hooks(used, change):
    ours, theirs = both(lambda t, n: _hooked(t, n, used, change))
    assert ours == theirs and not isinstance(ours, str)


def test_hooks_of_every_layer_of_a_network():
    def run(t, n):
        net = n.Sequential(n.Linear(2, 2), n.Tanh(), n.Sequential(n.Linear(2, 1))).to(t.float64)
        log = []
        for value, p in enumerate(net.parameters()):
            p.data = t.full(p.shape, 0.1 * (value + 1), dtype=t.float64)
        for name, module in net.named_modules():
            module.register_forward_pre_hook(lambda m, args, name=name: log.append((name, "pre")))
            module.register_forward_hook(lambda m, args, y, name=name: log.append((name, "post", tuple(y.shape))))
            module.register_full_backward_pre_hook(lambda m, go, name=name: log.append((name, "in")))
            module.register_full_backward_hook(
                lambda m, gi, go, name=name: log.append((name, "out", [round(float(g.sum()), 10) for g in gi]))
            )
        x = t.ones(3, 2, dtype=t.float64)
        x.requires_grad = True
        net(x).sum().backward()
        return log, [round(float(p.grad.sum()), 10) for p in (x, *net.parameters())]

    ours, theirs = both(run)
    assert ours == theirs and not isinstance(ours, str)


# ------------------------------------------------------------------------------------- nn.utils

GRADIENTS = [np.random.default_rng(i).standard_normal(s) * 3 for i, s in enumerate([(3, 4), (5,), (), (2, 1, 2)])]


def _parameters(library, modules, gradients):
    parameters = []
    for gradient in gradients:
        parameters.append(modules.Parameter(library.zeros(gradient.shape, dtype=library.float64)))
        parameters[-1].grad = library.tensor(gradient)
    return parameters


@pytest.mark.parametrize("kind", [2.0, 1.0, 3, 0.5, 0.0, "inf", math.inf, -math.inf])
@pytest.mark.parametrize("bound", [0.3, 1e3])
def test_clip_grad_norm(kind, bound):
    def run(t, n):
        parameters = _parameters(t, n, GRADIENTS)
        total = n.utils.clip_grad_norm_(parameters, bound, kind)
        return [float(total), *[p.grad.tolist() for p in parameters]]

    ours, theirs = both(run)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_clipping_of_what_is_not_finite(bad):
    gradients = [*GRADIENTS, np.array([bad, 1.0])]
    for how in ({"error_if_nonfinite": True}, {}):
        def run(t, n, how=how):
            parameters = _parameters(t, n, gradients)
            return [float(n.utils.clip_grad_norm_(parameters, 1.0, **how)), [p.grad.tolist() for p in parameters][-1]]

        ours, theirs = both(run)
        if isinstance(theirs, str):
            assert ours == theirs
        else:
            np.testing.assert_array_equal(ours[1], theirs[1])

    def clip(t, n):
        parameters = _parameters(t, n, gradients)
        n.utils.clip_grad_value_(parameters, 0.5)
        return parameters[-1].grad.tolist(), parameters[0].grad.tolist()

    for a, b in zip(*both(clip), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bias", [True, False])
def test_fusion(bias):
    draw = np.random.default_rng(0)

    def numbers(net, t, state):
        net.load_state_dict({k: t.tensor(v) for k, v in state.items()})
        return net.eval()

    for make, fuse in (
        (lambda n: n.Sequential(n.Conv2d(2, 4, 3, bias=bias), n.BatchNorm2d(4)), "fuse_conv_bn_eval"),
        (lambda n: n.Sequential(n.Linear(2, 4, bias=bias), n.BatchNorm1d(4)), "fuse_linear_bn_eval"),
    ):
        state = {k: np.asarray(draw.uniform(0.5, 2, v.shape)) for k, v in make(nn).state_dict().items()}
        ours = numbers(make(nn).double(), tg, state)
        theirs = numbers(make(torch.nn).double(), torch, state)
        a = getattr(nn.utils.fusion, fuse)(*ours)
        b = getattr(torch.nn.utils.fusion, fuse)(*theirs)
        for name in ("weight", "bias"):
            np.testing.assert_allclose(getattr(a, name).data, getattr(b, name).detach().numpy(), rtol=1e-14, atol=1e-14)


# ------------------------------------------------------------------------------------- whole models


def test_vgg_of_torchvisions_layout_in_pytorch():
    """The same layers in PyTorch have the same parameters under the same names."""
    with nn.meta():
        ours = models.vgg11_bn(num_classes=10)
    layers, inputs = [], 3
    for outputs in models.vgg.LAYERS[11]:
        if outputs == "M":
            layers.append(torch.nn.MaxPool2d(2, 2))
        else:
            layers += [torch.nn.Conv2d(inputs, outputs, 3, padding=1, device="meta"),
                       torch.nn.BatchNorm2d(outputs, device="meta"), torch.nn.ReLU(True)]  # fmt: skip
            inputs = outputs
    theirs = torch.nn.Sequential(*layers).state_dict(prefix="features.")
    mine = {k: tuple(v.shape) for k, v in ours.state_dict().items() if k.startswith("features")}
    assert mine == {k: tuple(v.shape) for k, v in theirs.items()}
    assert repr(ours.features) == without_bias(repr(torch.nn.Sequential(*layers)))


def test_copies_and_conversions():
    def run(t, n):
        net = Mixed(t, n)
        twin = copy.deepcopy(net).to(t.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kinds = {k: str(v.dtype).replace("torch.", "") for k, v in twin.state_dict().items()}
        return kinds, str(net.scale.dtype).replace("torch.", ""), twin.shared is twin.layers[0]

    ours, theirs = both(run)
    assert ours == theirs and not isinstance(ours, str)
