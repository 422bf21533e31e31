"""Containers, the module tree, state, conversion, printing, meta-models, nn.utils."""

import math
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import models, nn

LINEAR = "Linear(in_features=2, out_features=2, bias=True)"


def names(module):
    return [name for name, _ in module.named_children()]


def test_sequential_as_a_list():
    a, b, c, d = nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Linear(2, 2)
    net = nn.Sequential(a, b)
    assert net.append(c) is net and net.extend([d]) is net and list(net) == [a, b, c, d]
    assert net.insert(1, d) is net and list(net) == [a, d, b, c, d] and list(net._modules) == list("01234")
    del net[1]
    del net[-1]
    assert list(net) == [a, b, c] and net.pop(0) is a and list(net) == [b, c]
    del net[:1]
    assert list(net) == [c] and list(net._modules) == ["0"]
    both = nn.Sequential(a) + nn.Sequential(b, c)
    both += nn.Sequential(d)
    assert list(both) == [a, b, c, d] and list(both * 2) == list(both) * 2 and len(2 * nn.Sequential(a)) == 2
    assert both[1:3](tg.zeros(1)).item() == 0.5 and isinstance(both[:0], nn.Sequential) and both[-1] is d
    assert not any(name.isdigit() for name in dir(both))
    named = nn.Sequential(OrderedDict(first=a, second=b))
    assert named.first is a and names(named[1:]) == ["second"]
    for wrong, kind in (
        (lambda: both[4], IndexError), (lambda: both + nn.ModuleList([a]), ValueError),
        (lambda: both.insert(9, a), IndexError), (lambda: both * 0, ValueError), (lambda: nn.Sequential(3), TypeError),
        (lambda: both.append(3), TypeError),
    ):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_module_list():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Linear(2, 2)
    modules = nn.ModuleList([a, b])
    modules += [c]
    modules.insert(0, c)
    assert list(modules) == [c, a, b, c] and list(modules._modules) == list("0123")
    assert modules.pop(1) is a and modules.pop() is c and list(modules) == [c, b]
    assert list(modules + nn.ModuleList([a])) == [c, b, a] and list(modules) == [c, b] and list(modules[::-1]) == [b, c]
    modules[-1] = a
    del modules[0]
    assert list(modules) == [a] and a in modules and len(list(nn.ModuleList([*modules, c]).parameters())) == 2
    for wrong, kind in ((lambda: modules[1], IndexError), (lambda: nn.ModuleList([1]), TypeError),
                        (lambda: modules.extend(1), TypeError), (lambda: modules(1), NotImplementedError)):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_module_dict():
    a, b = nn.ReLU(), nn.Linear(2, 2)
    modules = nn.ModuleDict({"a": a})
    modules["b"] = b
    modules.update([("c", nn.Tanh())])
    assert list(modules) == ["a", "b", "c"] == list(modules.keys()) and "b" in modules and len(modules) == 3
    assert list(modules.values())[:2] == [a, b] and dict(modules.items())["b"] is b and modules.pop("c")
    assert [n for n, _ in modules.named_parameters()] == ["b.weight", "b.bias"]
    del modules["a"]
    modules.clear()
    assert not len(modules)
    for wrong, kind in ((lambda: modules["a"], KeyError), (lambda: modules.update(3), TypeError),
                        (lambda: modules.update([("a",)]), ValueError), (lambda: modules.update({"x.y": a}), KeyError),
                        (lambda: modules.update({"pop": a}), KeyError)):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_parameter_containers():
    values = nn.ParameterList([tg.ones(2), nn.Parameter(tg.zeros(1))]).append(tg.ones(3, 4))
    assert len(values) == 3 and [n for n, _ in values.named_parameters()] == ["0", "1", "2"]
    assert all(isinstance(v, nn.Parameter) for v in values) and values[-1].shape == (3, 4) and len(values[1:]) == 2
    values[0] = tg.zeros(5)
    values += ["text"]
    assert values[0].shape == (5,) and values[3] == "text" and len(list(values.parameters())) == 3
    table = nn.ParameterDict({"w": tg.ones(2), "n": 3})
    table["b"] = tg.zeros(1)
    assert list(table) == ["w", "n", "b"] and [n for n, _ in table.named_parameters()] == ["w", "b"]
    assert table.pop("n") == 3 and table.get("n") is None and table.setdefault("c", tg.ones(1)).shape == (1,)
    assert (table | {"d": tg.ones(1)}).keys() == {"w", "b", "c", "d"} and table.popitem()[0] == "c"
    assert table["w"] is table.w and len(table.state_dict()) == 2
    assert table.copy()["w"] is table["w"]
    for wrong, kind in ((lambda: values(1), RuntimeError), (lambda: table["q"], KeyError),
                        (lambda: values[9], IndexError), (lambda: values.extend(tg.ones(2)), TypeError)):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_unflatten():
    x = tg.tensor(np.arange(12.0).reshape(2, 6))
    assert nn.Unflatten(1, (2, 3))(x).shape == (2, 2, 3) and nn.Unflatten(-1, (-1, 2))(x).shape == (2, 3, 2)
    with pytest.raises(TypeError, match="tuple of ints"):
        nn.Unflatten(1, 3)
    with pytest.raises(RuntimeError):
        nn.Unflatten(1, (4, 2))(x)


# ------------------------------------------------------------------------------------- printing

REPRS = [
    (lambda: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()]),
     f"ModuleList(\n  (0-1): 2 x {LINEAR}\n  (2): ReLU()\n)"),
    (lambda: nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(3)),
     f"ModuleList(\n  (0-2): 3 x Sequential(\n    (0): {LINEAR}\n  )\n)"),
    (lambda: nn.ModuleList(), "ModuleList()"),
    (lambda: nn.ModuleDict({"a": nn.ReLU()}), "ModuleDict(\n  (a): ReLU()\n)"),
    (lambda: nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (lambda: nn.ParameterList([tg.ones(2, 3)]), "ParameterList(  (0): Parameter containing: [float32 of size 2x3])"),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(REPRS)))
def test_printing(row):
    make, expected = REPRS[row]
    assert repr(make()) == expected


# ------------------------------------------------------------------------------------- the tree


def test_the_tree():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(OrderedDict(a=shared, b=nn.Sequential(shared, nn.BatchNorm1d(2))))
    assert [n for n, _ in net.named_modules()] == ["", "a", "b", "b.1"]
    assert [n for n, _ in net.named_modules(remove_duplicate=False)] == ["", "a", "b", "b.0", "b.1"]
    assert [n for n, _ in net.named_modules(prefix="net")][:2] == ["net", "net.a"]
    everything = [n for n, _ in net.named_parameters("p", remove_duplicate=False)]
    assert everything == ["p.a.weight", "p.a.bias", "p.b.0.weight", "p.b.0.bias", "p.b.1.weight", "p.b.1.bias"]
    assert net.get_parameter("b.1.weight") is net.b[1].weight and net.get_buffer("b.1.running_var").shape == (2,)
    assert net.get_submodule("") is net
    net.set_submodule("b.1", nn.ReLU())
    assert isinstance(net.b[1], nn.ReLU)
    for wrong, kind in (
        (lambda: net.get_parameter("b.1.weight"), AttributeError), (lambda: net.get_buffer("a.weight"), AttributeError),
        (lambda: net.set_submodule("", nn.ReLU()), ValueError), (lambda: net.set_submodule("a", 3), ValueError),
        (lambda: net.set_submodule("c.d", nn.ReLU()), AttributeError),
        (lambda: net.set_submodule("b.5", nn.ReLU(), strict=True), AttributeError),
        (lambda: net.set_submodule("a.weight", nn.ReLU()), AttributeError),
        (lambda: net.add_module("forward", nn.ReLU()), KeyError), (lambda: net.train(3), ValueError),
        (lambda: setattr(net, "a", tg.ones(1)), TypeError), (lambda: setattr(shared, "weight", nn.ReLU()), TypeError),
        (lambda: shared.register_buffer("weight", tg.ones(1)), KeyError),
        (lambda: shared.register_parameter("w", nn.Parameter(tg.ones(1)) * 2), TypeError),
    ):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_plain_attributes_can_be_deleted():
    net = nn.ReLU()
    net.note = 3
    del net.note
    with pytest.raises(AttributeError):
        del net.note


def test_train_asks_every_module():
    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(Frozen(2), nn.ReLU()).train()
    assert not net[0].training and net[1].training


# ------------------------------------------------------------------------------------- state


def test_state_of_parts_and_its_own_dict():
    net = nn.Sequential(nn.Linear(2, 1))
    state = net.state_dict(prefix="p.", keep_vars=True)
    assert state["p.0.weight"] is net[0].weight and type(net.state_dict()["0.weight"]) is tg.Tensor
    assert net[0].state_dict(destination=OrderedDict(x=1), prefix="q.").keys() == {"x", "q.weight", "q.bias"}


def test_everything_that_does_not_fit_is_listed_at_once():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {"0.weight": tg.ones(2, 3), "1.weight": tg.ones(1, 3), "extra": tg.ones(1), "more": tg.ones(1)}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        'Error(s) in loading state_dict for Sequential:\n\tMissing key(s) in state_dict: "0.bias", "1.bias". \n\t'
        'Unexpected key(s) in state_dict: "extra", "more". \n\tsize mismatch for 0.weight: copying a param with shape '
        "(2, 3) from checkpoint, the shape in current model is (3, 2)."
    )
    assert net[1].weight.tolist() != [[1, 1, 1]]
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict(state, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])


def test_assign_takes_the_tensors_themselves():
    net = nn.Linear(2, 1)
    net.weight.requires_grad = False
    state = {"weight": tg.ones(1, 2, dtype=np.float64), "bias": nn.Parameter(tg.zeros(1))}
    net.load_state_dict(state, assign=True)
    assert np.shares_memory(net.weight.data, state["weight"].data) and net.bias is state["bias"]
    assert isinstance(net.weight, nn.Parameter) and not net.weight.requires_grad and net.weight.dtype == np.float64


def test_conversions():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert net.to(np.float64) is net and net[0].weight.dtype == np.float64
    assert net[1].running_var.dtype == np.float64 and net[1].num_batches_tracked.dtype == np.int64
    assert net.to(tg.ones(1))[0].weight.dtype == np.float32 and net.to("cpu") is net is net.cpu()
    assert net.to("cpu", tg.float64)[1].running_mean.dtype == np.float64
    assert net.type(np.float32)[1].num_batches_tracked.dtype == np.float32
    with pytest.raises(TypeError, match="floating point"):
        net.to(np.int64)
    with pytest.raises(RuntimeError, match="CPU"):
        net.to("cuda")


# ------------------------------------------------------------------------------------- meta


def test_meta_models_take_no_memory_until_numbers_are_assigned():
    with nn.meta():
        net = models.LeNet5()
    assert all(p.data.strides == (0,) * p.ndim for p in net.parameters())
    assert not nn.init.ones_(net.features[0].bias).data.any()
    real = models.LeNet5()
    with pytest.raises(RuntimeError, match="assign=True"):
        net.load_state_dict(real.state_dict())
    assert net.double().features[0].weight.dtype == np.float64
    net.load_state_dict(real.state_dict(), assign=True)
    x = tg.ones(1, 1, 32, 32)
    assert net(x).tolist() == real(x).tolist()
    assert nn.Linear(2, 2).weight.data.strides != (0, 0)  # outside again


# ------------------------------------------------------------------------------------- nn.utils


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        parameters.append(nn.Parameter(np.zeros(np.shape(gradient))))
        parameters[-1].grad = None if gradient is None else tg.tensor(np.array(gradient, np.float64))
    return parameters


@pytest.mark.parametrize("p", [2, 1, 3, 0.5, math.inf, "inf", -math.inf])
def test_clip_grad_norm(p):
    parameters = [*with_gradients([1.0, -2.0], [[2.0], [4.0]]), nn.Parameter(np.zeros(3))]
    everything = np.array([1.0, 2, 2, 4])
    expected = np.linalg.norm(everything, float(p))
    total = nn.utils.clip_grad_norm_(parameters, 0.5, p)
    assert total.shape == () and total.item() == pytest.approx(expected, rel=1e-12)
    scale = min(1, 0.5 / (expected + 1e-6))
    np.testing.assert_allclose(parameters[1].grad.data, np.array([[2.0], [4.0]]) * scale, rtol=1e-12)
    before = parameters[0].grad.tolist()
    nn.utils.clip_grad_norm_(iter(parameters), 1e9, p)
    assert parameters[0].grad.tolist() == before and parameters[2].grad is None
    assert nn.utils.get_total_norm([], p).item() == 0


def test_clipping_of_values_and_of_what_is_not_finite():
    (p,) = with_gradients([1.0, -5.0, math.nan])
    nn.utils.clip_grad_value_(p, 2)
    np.testing.assert_array_equal(p.grad.data, [1, -2, math.nan])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist()[0] == 1
    assert math.isnan(nn.utils.clip_grad_norm_(p, 1.0).item()) and all(map(math.isnan, p.grad.tolist()))


def test_parameters_as_a_vector():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(vector.detach() * 2, net.parameters())
    np.testing.assert_array_equal(net.bias.data, vector.data[6:] * 2)
    with pytest.raises(TypeError, match="Tensor"):
        nn.utils.vector_to_parameters([1.0], net.parameters())
    with pytest.raises(RuntimeError, match="9 numbers"):
        nn.utils.vector_to_parameters(tg.ones(3), net.parameters())


def trained(net, x):
    """The net in float64 with batch norms that have seen something, in eval mode."""
    draw = np.random.default_rng(0)
    net.double()
    for module in net.modules():
        if hasattr(module, "running_mean"):
            module.running_mean._data[...] = draw.standard_normal(module.running_mean.shape)
            module.running_var._data[...] = draw.uniform(0.5, 2, module.running_var.shape)
            module.weight._data[...] = draw.uniform(0.5, 2, module.weight.shape)
            module.bias._data[...] = draw.standard_normal(module.bias.shape)
    return net.eval(), tg.tensor(draw.standard_normal(x))


def norms(net):
    return sum(hasattr(m, "running_mean") for m in net.modules())


@pytest.mark.parametrize("bias", [True, False])
def test_fusion_of_two_layers(bias):
    conv, x = trained(nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2, bias=bias), nn.BatchNorm2d(6)), (2, 4, 7, 7))
    for fused in (nn.utils.fuse_conv_bn_eval(*conv), nn.utils.fuse_conv_bn(conv)[0], nn.utils.fuse_conv_bn(*conv)):
        assert np.abs(fused(x).data - conv(x).data).max() <= 7e-15
    linear, x = trained(nn.Sequential(nn.Linear(4, 6, bias=bias), nn.BatchNorm1d(6)), (5, 4))
    by_pair, by_model = nn.utils.fuse_linear_bn(*linear), nn.utils.fuse_linear_bn(linear)
    for fused in (nn.utils.fuse_linear_bn_eval(*linear), by_pair, by_model):
        assert np.abs(fused(x).data - linear(x).data).max() <= 7e-15
    for wrong in (conv.train, lambda: None):
        wrong()
        with pytest.raises(AssertionError):
            nn.utils.fuse_conv_bn_eval(*conv)


def test_fusion_of_models():
    net, x = trained(models.CifarResNet(8), (2, 3, 8, 8))
    y = net(x)
    assert norms(nn.utils.fuse_conv_bn(net)) == norms(net) - 2  # the shortcuts alone are Sequentials
    fused = nn.utils.fuse_conv_bn(net, x)
    assert norms(fused) == 0 and norms(net) == 9
    np.testing.assert_allclose(fused(x).data, y.data, rtol=1e-12, atol=1e-12)

    class PreActivation(nn.Module):  # registered in an order that is not the one of the computation
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.used = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)
            self.bn2 = nn.BatchNorm2d(2)

        def forward(self, x):
            x = self.used(self.conv(self.bn(x)))
            return x + self.bn2(x)

    net, x = trained(PreActivation(), (1, 2, 3, 3))
    for fused in (nn.utils.fuse_conv_bn(net), nn.utils.fuse_conv_bn(net, x)):
        assert norms(fused) == 2
        np.testing.assert_array_equal(fused(x).data, net(x).data)
    with pytest.raises(TypeError, match="Module"):
        nn.utils.fuse_conv_bn(3)
