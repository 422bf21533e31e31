"""Modules: registration, names, state, printing, modes, copies, initialization, batch norm's running statistics."""

import copy
import math
import pickle

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, bias=False)
        self.bn = nn.BatchNorm2d(2)
        self.scale = nn.Parameter(tg.ones(1))
        self.layers = nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 2)])
        self.register_buffer("steps", tg.tensor(0))
        self.register_buffer("scratch", tg.zeros(1), persistent=False)
        self.plain = tg.ones(2)  # a tensor, not a parameter
        self.items = [nn.Linear(1, 1)]  # in a plain list: not found

    def forward(self, x):
        x = self.bn(self.conv(x)).mean((2, 3)) * self.scale
        for layer in self.layers:
            x = layer(x)
        return x


PARAMETERS = ["scale", "conv.weight", "bn.weight", "bn.bias", "layers.0.weight", "layers.0.bias", "layers.1.weight",
              "layers.1.bias"]  # fmt: skip
STATE = ["scale", "steps", "conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var",
         "bn.num_batches_tracked", *PARAMETERS[4:]]  # fmt: skip


def test_parts_and_their_order():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == PARAMETERS
    assert list(net.state_dict()) == STATE
    assert [n for n, _ in net.named_children()] == ["conv", "bn", "layers"]
    assert [n for n, _ in net.named_modules()] == ["", "conv", "bn", "layers", "layers.0", "layers.1"]
    assert [n for n, _ in net.named_buffers()] == ["steps", "scratch", *STATE[5:8]]
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert net.get_submodule("layers.1") is net.layers[1]
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in net.parameters())
    assert net.conv.bias is None and "bias" in dir(net.conv)
    assert type(net.scale * 2) is tg.Tensor and type(net.scale.detach()) is tg.Tensor


def test_shared_parts_are_counted_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net.add_module("again", net[0])
    net.tied = nn.Linear(2, 2)
    net.tied.weight = net[0].weight
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "tied.bias"]
    assert [n for n in net.state_dict() if "again" in n] == ["again.weight", "again.bias"]


def test_replacing_a_part_keeps_its_place():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))
    net[0] = nn.Linear(5, 3)
    net[-1] = nn.Linear(3, 1)
    assert net(tg.ones(1, 5)).shape == (1, 1)
    holder = Net()
    holder.conv = nn.Identity()
    holder.scale = nn.Parameter(tg.zeros(1))
    assert [n for n, _ in holder.named_children()] == ["conv", "bn", "layers"]
    holder.bn = None
    del holder.conv
    assert [n for n, _ in holder.named_children()] == ["layers"]
    with pytest.raises(AttributeError, match="conv"):
        holder.conv  # noqa: B018


def test_wrong_parts():
    class Late(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    net = Net()
    for wrong, kind in (
        (Late, AttributeError), (lambda: setattr(net, "scale", tg.ones(1)), TypeError),
        (lambda: setattr(net, "steps", 3), TypeError), (lambda: net.register_buffer("a.b", None), KeyError),
        (lambda: net.register_parameter("p", tg.ones(1)), TypeError), (lambda: net.add_module("m", 3), TypeError),
        (lambda: net.nothing, AttributeError), (lambda: nn.Module()(1), NotImplementedError),
        (lambda: net.get_submodule("layers.7"), AttributeError),
    ):  # fmt: skip
        with pytest.raises(kind):
            wrong()


def test_containers():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))
    assert len(net) == 3 and isinstance(net[1:], nn.Sequential) and len(net[1:]) == 2 and net[-1] is list(net)[2]
    assert [n for n, _ in net[1:].named_children()] == ["1", "2"]
    net.append(nn.Tanh())
    assert net(tg.ones(5, 2)).shape == (5, 4)
    named = nn.Sequential({"first": nn.Linear(2, 2), "second": nn.ReLU()})
    assert named.first is named[0]
    layers = nn.ModuleList([nn.ReLU()]).append(nn.Tanh()).extend([nn.Sigmoid()])
    assert len(layers) == 3 and isinstance(layers[1:], nn.ModuleList) and len(layers[:2]) == 2


def test_residual():
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32), requires_grad=True)
    branch = nn.Linear(3, 3)
    np.testing.assert_allclose(nn.Residual(branch)(x).data, x.data + branch(x).data, rtol=1e-6)
    shortcut = nn.Linear(3, 2, bias=False)
    wide = nn.Residual(nn.Linear(3, 2), shortcut)
    np.testing.assert_allclose(wide(x).data, wide.branch(x).data + shortcut(x).data, rtol=1e-6)
    zero = nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh()))
    for p in zero.parameters():
        nn.init.zeros_(p)
    y = zero(x)
    y.backward(tg.tensor(np.full((4, 3), 0.7, np.float32)))
    assert y.data.tobytes() == x.data.tobytes()  # identity at zero weights, bit for bit, both ways
    assert (x.grad.data == np.float32(0.7)).all()


# ------------------------------------------------------------------------------------- state


def test_state_dict_round_trip():
    tg.manual_seed(0)
    net, other = Net(), Net()
    net(tg.randn(4, 1, 5, 5))
    saved = pickle.loads(pickle.dumps(net.state_dict()))
    assert repr(other.load_state_dict(saved)) == "<All keys matched successfully>"
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    assert np.shares_memory(net.state_dict()["scale"].data, net.scale.data)
    x = tg.randn(4, 1, 5, 5)
    np.testing.assert_array_equal(net.eval()(x).data, other.eval()(x).data)


def test_a_state_dict_that_does_not_fit_copies_nothing():
    net = Net()
    before = {n: t.data.copy() for n, t in net.state_dict().items()}
    good = {n: tg.tensor(t + 1) for n, t in before.items()}
    for change, message in (
        (lambda s: s.pop("layers.1.bias"), r'Missing key\(s\) in state_dict: "layers.1.bias"'),
        (lambda s: s.update(more=tg.ones(1)), r'Unexpected key\(s\) in state_dict: "more"'),
        (lambda s: s.update({"layers.1.bias": tg.ones(7)}), r"size mismatch for layers.1.bias: .* \(7,\) .* \(2,\)"),
    ):
        bad = dict(good)
        change(bad)
        with pytest.raises(RuntimeError, match=message):
            net.load_state_dict(bad)
        for name, tensor in net.state_dict().items():
            np.testing.assert_array_equal(tensor.data, before[name])
    partial = {"scale": tg.tensor([9.0]), "more": tg.ones(1)}
    keys = net.load_state_dict(partial, strict=False)
    assert keys.unexpected_keys == ["more"] and "conv.weight" in keys.missing_keys and net.scale.item() == 9


def test_modes_freezing_and_zero_grad():
    net = Net()
    assert net.training and net.eval() is net and not net.layers[0].training and net.train().bn.training
    for param in net.layers[0].parameters():
        param.requires_grad = False
    frozen = [p.data.copy() for p in net.layers[0].parameters()]
    optimizer = optim.SGD(net.parameters(), 0.1)
    net(tg.randn(4, 1, 5, 5)).sum().backward()
    optimizer.step()
    for p, before in zip(net.layers[0].parameters(), frozen, strict=True):
        assert p.grad is None
        np.testing.assert_array_equal(p.data, before)
    assert net.layers[1].weight.grad is not None
    net.zero_grad(set_to_none=False)
    assert not net.layers[1].weight.grad.data.any()
    net.zero_grad()
    assert net.layers[1].weight.grad is None
    net.requires_grad_(False)
    assert not net(tg.randn(4, 1, 5, 5)).requires_grad


def test_conversion_and_apply():
    net = Net().double()
    assert net.scale.dtype == np.float64 and net.steps.dtype == np.int64 and net.bn.running_var.dtype == np.float64
    net(tg.randn(4, 1, 5, 5, dtype=np.float64)).sum().backward()
    assert net.float().scale.grad.dtype == np.float32
    seen = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Conv2d", "BatchNorm2d", "Linear", "Linear", "ModuleList", "Net"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent_and_know_their_scopes(duplicate):
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    net(tg.randn(3, 2)).sum().backward()
    twin = duplicate(net)
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in net.named_parameters()]
    for a, b in zip(net.state_dict().values(), twin.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert not np.shares_memory(a.data, b.data)
    twin[1][0] = nn.Linear(3, 2)
    for model, scope in ((twin, "1.0"), (duplicate(twin), "1.0"), (duplicate(twin)[1], "0")):
        with pytest.raises(RuntimeError, match=f"^{scope}: linear"):
            model(tg.ones(1, 2))
    assert net(tg.randn(3, 2)).shape == (3, 2)


# ------------------------------------------------------------------------------------- printing

REPRS = [
    (lambda: nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
    (lambda: nn.Conv2d(1, 6, kernel_size=(5, 5)), "Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))"),
    (lambda: nn.Conv2d(2, 4, 3, 2, 1, 2, 2, False), "Conv2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
     "dilation=(2, 2), groups=2, bias=False)"),
    (lambda: nn.Conv2d(1, 1, 3, padding="same"), "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=same)"),
    (lambda: nn.MaxPool2d((2, 2)), "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=1, "
     "ceil_mode=False)"),
    (lambda: nn.AvgPool2d(2), "AvgPool2d(kernel_size=2, stride=2, padding=0)"),
    (lambda: nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=1)"),
    (lambda: nn.BatchNorm1d(3), "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
    (lambda: nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (lambda: nn.ReLU(inplace=True), "ReLU(inplace=True)"),
    (lambda: nn.Sigmoid(), "Sigmoid()"),
    (lambda: nn.Softmax(dim=1), "Softmax(dim=1)"),
    (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (lambda: nn.Sequential(), "Sequential()"),
    (lambda: nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU())),
     "Sequential(\n  (0): Tanh()\n  (1): Sequential(\n    (0): ReLU()\n  )\n)"),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(REPRS)))
def test_printing(row):
    make, expected = REPRS[row]
    assert repr(make()) == expected


def test_printing_of_a_module_with_parts_and_a_note():
    class Noted(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)

        def extra_repr(self):
            return "a note"

    expected = "Noted(\n  a note\n  (fc): Linear(in_features=1, out_features=1, bias=True)\n)"
    assert repr(Noted()) == expected


# ------------------------------------------------------------------------------------- batch norm


def test_running_statistics():
    tg.manual_seed(0)
    bn = nn.BatchNorm1d(3)
    mean, var = np.zeros(3), np.ones(3)
    for step in range(1, 4):
        x = np.random.default_rng(step).standard_normal((5, 3)).astype(np.float32) * 3 + 1
        bn(tg.tensor(x))
        mean, var = 0.9 * mean + 0.1 * x.mean(0), 0.9 * var + 0.1 * x.var(0, ddof=1)
        assert bn.num_batches_tracked.item() == step
    np.testing.assert_allclose(bn.running_mean.data, mean, rtol=1e-5)
    np.testing.assert_allclose(bn.running_var.data, var, rtol=1e-5)
    bn.eval()
    y = bn(tg.tensor(x))
    np.testing.assert_allclose(y.data, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    assert bn.num_batches_tracked.item() == 3
    bn.reset_running_stats()
    assert bn.running_var.tolist() == [1, 1, 1] and bn.num_batches_tracked.item() == 0


def test_cumulative_and_absent_statistics():
    bn = nn.BatchNorm1d(2, momentum=None)
    xs = [np.random.default_rng(i).standard_normal((4, 2)).astype(np.float32) for i in range(3)]
    for x in xs:
        bn(tg.tensor(x))
    np.testing.assert_allclose(bn.running_mean.data, np.mean([x.mean(0) for x in xs], 0), rtol=1e-5, atol=1e-7)
    free = nn.BatchNorm1d(2, affine=False, track_running_stats=False)
    assert not list(free.parameters()) and not free.state_dict()
    np.testing.assert_array_equal(free(tg.tensor(xs[0])).data, free.eval()(tg.tensor(xs[0])).data)


def test_batch_norm_gradient_identities():
    """Σ dx = 0 and Σ dx x̂ = 0 per channel; the bias of a layer before batch norm gets no gradient."""
    tg.manual_seed(0)
    x = tg.randn(16, 4, 3, 3, dtype=np.float64)
    x.requires_grad = True
    y = nn.BatchNorm2d(4, eps=0.0, dtype=np.float64)(x)
    y.backward(tg.randn(16, 4, 3, 3, dtype=np.float64))
    assert np.abs(x.grad.data.sum((0, 2, 3))).max() < 1e-13
    assert np.abs((x.grad.data * y.data).sum((0, 2, 3))).max() < 1e-13
    fc, bn = nn.Linear(3, 4, dtype=np.float64), nn.BatchNorm1d(4, dtype=np.float64)
    bn(fc(tg.randn(8, 3, dtype=np.float64))).tanh().sum().backward()
    assert np.abs(fc.bias.grad.data).max() < 1e-14


# ------------------------------------------------------------------------------------- initialization
# 160,000 numbers: the standard deviation is known to 1/√(2n) = 0.18 %, so 1 % is more than 5 sigma.

N_IN, N_OUT = 200, 800
STDS = {
    "normal": (lambda w: nn.init.normal_(w, 0.5, 0.02), 0.02, 0.5, None),
    "uniform": (lambda w: nn.init.uniform_(w, -1, 3), 4 / math.sqrt(12), 1.0, (-1, 3)),
    "xavier normal": (lambda w: nn.init.xavier_normal_(w), math.sqrt(2 / 1000), 0, None),
    "xavier uniform": (lambda w: nn.init.xavier_uniform_(w, 2.0), 2 * math.sqrt(2 / 1000), 0, 2 * math.sqrt(6 / 1000)),
    "he fan_in": (lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), math.sqrt(2 / N_IN), 0, None),
    "he fan_out": (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / N_OUT), 0,
                   None),
    "he uniform": (lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / N_IN), 0,
                   math.sqrt(6 / N_IN)),
    "leaky": (lambda w: nn.init.kaiming_normal_(w, 0.2), math.sqrt(2 / 1.04 / N_IN), 0, None),
    "tanh gain": (lambda w: nn.init.xavier_normal_(w, nn.init.calculate_gain("tanh")), 5 / 3 * math.sqrt(2 / 1000), 0,
                  None),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", STDS)
def test_initializers(name, dtype):
    function, std, mean, bounds = STDS[name]
    tg.manual_seed(0)
    w = nn.Parameter(np.empty((N_OUT, N_IN), dtype))
    assert function(w) is w and w.dtype == dtype
    assert w.data.std() == pytest.approx(std, rel=0.01)
    assert abs(w.data.mean() - mean) < 5 * std / 400
    if bounds is not None:
        low, high = bounds if isinstance(bounds, tuple) else (-bounds, bounds)
        assert low <= w.data.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < w.data.max() <= high


@pytest.mark.parametrize("make", [lambda: nn.Linear(400, 900), lambda: nn.Conv2d(16, 900, 5)])
def test_layers_start_uniform_within_one_over_root_fan_in(make):
    tg.manual_seed(0)
    layer = make()
    fan_in = math.prod(layer.weight.shape[1:])
    for p in (layer.weight, layer.bias):
        assert p.dtype == np.float32
        assert 0.98 / math.sqrt(fan_in) < np.abs(p.data).max() <= 1 / math.sqrt(fan_in) * (1 + 1e-6)
    assert layer.weight.data.std() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.01)


def test_fans_gains_and_constants():
    assert nn.init.fans(tg.zeros(6, 3, 5, 5)) == (75, 150)
    assert nn.init.calculate_gain("relu") == math.sqrt(2) and nn.init.calculate_gain("selu") == 0.75
    assert nn.init.calculate_gain("leaky_relu", 1) == 1 and nn.init.calculate_gain("linear") == 1
    w = tg.zeros(2, 2)
    assert nn.init.constant_(w, 3).tolist() == [[3, 3]] * 2 and nn.init.ones_(w).data.all()
    for wrong in (lambda: nn.init.xavier_normal_(tg.zeros(3)), lambda: nn.init.calculate_gain("nothing"),
                  lambda: nn.init.kaiming_normal_(w, mode="fan")):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


def test_equal_weights_stay_equal():
    """A layer of equal weights learns as one neuron: after 100 steps its rows are still the same."""
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    for p in net.parameters():
        nn.init.constant_(p, 0.3)
    x, y = tg.randn(20, 5), tg.randn(20, 1)
    optimizer = optim.SGD(net.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        nn.MSELoss()(net(x), y).backward()
        optimizer.step()
    w = net[0].weight.data
    assert (w == w[0]).all() and np.abs(w[0] - 0.3).max() > 0.01
