"""Initializers: bounds, means and standard deviations; structures; what whole networks become."""

import math

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import nn
from tinygrad_course.nn import init

OUT, IN = 200, 800  # fan_in 800, fan_out 200


def truncated(a, b):
    """Mean and standard deviation of a standard normal number in [a, b]."""
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (a, b)]
    share = (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2))) / 2
    mean = (density[0] - density[1]) / share
    return mean, math.sqrt(1 + (a * density[0] - b * density[1]) / share - mean**2)



# name -> initializer of a (200, 800) weight, mean, standard deviation, bounds
DISTRIBUTIONS = {
    "normal_": (lambda w: init.normal_(w, 0.5, 0.2), 0.5, 0.2, None),
    "uniform_": (lambda w: init.uniform_(w, -1, 3), 1.0, 4 / math.sqrt(12), (-1, 3)),
    "trunc_normal_": (init.trunc_normal_, *truncated(-2, 2), (-2, 2)),
    "trunc_normal_ far out": (lambda w: init.trunc_normal_(w, 0.0, 1.0, 1.5, 3.0), *truncated(1.5, 3), (1.5, 3)),
    "trunc_normal_ half": (lambda w: init.trunc_normal_(w, 1.0, 2.0, 1.0, 99.0), 1 + 2 * math.sqrt(2 / math.pi),
                           2 * math.sqrt(1 - 2 / math.pi), (1, 99)),
    "xavier_normal_": (init.xavier_normal_, 0.0, math.sqrt(2 / 1000), None),
    "xavier_normal_ gain": (lambda w: init.xavier_normal_(w, 5 / 3), 0.0, 5 / 3 * math.sqrt(2 / 1000), None),
    "xavier_uniform_": (init.xavier_uniform_, 0.0, math.sqrt(2 / 1000), (-math.sqrt(6 / 1000), math.sqrt(6 / 1000))),
    "Caffe": (lambda w: init.xavier_uniform_(w, mode="fan_in"), 0.0, math.sqrt(1 / IN),
              (-math.sqrt(3 / IN), math.sqrt(3 / IN))),
    "Caffe normal": (lambda w: init.xavier_normal_(w, mode="fan_in"), 0.0, math.sqrt(1 / IN), None),
    "xavier fan_out": (lambda w: init.xavier_normal_(w, mode="fan_out"), 0.0, math.sqrt(1 / OUT), None),
    "kaiming_normal_": (lambda w: init.kaiming_normal_(w, nonlinearity="relu"), 0.0, math.sqrt(2 / IN), None),
    "kaiming_normal_ fan_out": (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), 0.0,
                                math.sqrt(2 / OUT), None),
    "kaiming_normal_ fan_avg": (lambda w: init.kaiming_normal_(w, mode="fan_avg", nonlinearity="relu"), 0.0,
                                math.sqrt(2 / 500), None),
    "kaiming_normal_ slope": (lambda w: init.kaiming_normal_(w, 0.5), 0.0, math.sqrt(2 / 1.25 / IN), None),
    "kaiming_uniform_": (lambda w: init.kaiming_uniform_(w, nonlinearity="tanh"), 0.0, 5 / 3 / math.sqrt(IN),
                         (-5 / math.sqrt(3 * IN), 5 / math.sqrt(3 * IN))),
    "orthogonal_": (init.orthogonal_, 0.0, 1 / math.sqrt(IN), (-1, 1)),
    "sparse_": (lambda w: init.sparse_(w, 0.25, 0.1), 0.0, 0.1 * math.sqrt(0.75), None),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mean_deviation_and_bounds(name, dtype):
    initialize, mean, std, bounds = DISTRIBUTIONS[name]
    tg.manual_seed(1)
    w = nn.Parameter(np.zeros((OUT, IN), dtype))
    array = w.data
    assert initialize(w) is w and w.data is array and w.dtype == dtype and w.requires_grad
    assert w.data.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(OUT * IN))
    assert w.data.std() == pytest.approx(std, rel=0.01)
    if bounds is not None:
        assert bounds[0] <= w.data.min() and w.data.max() <= bounds[1]
        if "orthogonal" not in name and bounds[1] < 99:  # and the bounds are reached
            assert np.ptp(w.data) == pytest.approx(bounds[1] - bounds[0], rel=0.03)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_seed_decides(name):
    initialize = DISTRIBUTIONS[name][0]
    runs = []
    for _ in range(2):
        tg.manual_seed(3)
        runs.append(initialize(tg.zeros(5, 7)).data)
    np.testing.assert_array_equal(*runs)
    assert (initialize(tg.zeros(5, 7)).data != runs[0]).any()


GAINS = [("linear", None, 1), ("conv2d", None, 1), ("conv_transpose1d", None, 1), ("sigmoid", None, 1),
         ("tanh", None, 5 / 3), ("relu", None, math.sqrt(2)), ("leaky_relu", None, math.sqrt(2 / 1.0001)),
         ("leaky_relu", 0.2, math.sqrt(2 / 1.04)), ("selu", None, 0.75)]  # fmt: skip


@pytest.mark.parametrize("nonlinearity, slope, gain", GAINS)
def test_gains(nonlinearity, slope, gain):
    assert init.calculate_gain(nonlinearity, slope) == pytest.approx(gain, rel=1e-15)


def test_constants():
    w = tg.zeros(2, 3)
    assert init.ones_(w).data.all() and init.constant_(w, 0.25).tolist() == [[0.25] * 3] * 2
    assert not init.zeros_(w).data.any()


def test_fans_of_convolutions():
    assert init.fans(tg.zeros(6, 3, 5, 5)) == (75, 150)
    assert init._calculate_fan_in_and_fan_out(tg.zeros(4, 7)) == (7, 4)


def test_eye_and_dirac_are_identities():
    assert init.eye_(tg.ones(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = tg.randn(2, 4, 6, 7)
    conv = nn.Conv2d(4, 4, (3, 5), padding=(1, 2), bias=False)
    init.dirac_(conv.weight)
    np.testing.assert_array_equal(conv(x).data, x.data)
    grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
    init.dirac_(grouped.weight, groups=2)
    np.testing.assert_array_equal(grouped(x).data, x.data)
    assert init.dirac_(tg.ones(3, 2, 3)).data.sum() == 2  # as many channels as there are


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (6, 2, 3, 1), (1, 4), (4, 1)])
def test_orthogonal_rows_or_columns(shape):
    w = init.orthogonal_(tg.zeros(*shape).double(), gain=2.0).data.reshape(shape[0], -1)
    w = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(w @ w.T, 4 * np.eye(w.shape[0]), atol=1e-12)


def test_sparse_columns():
    w = init.sparse_(tg.zeros(10, 6), sparsity=0.25).data
    assert (w == 0).sum(0).tolist() == [3] * 6


def test_empty_tensors_warn_or_stay():
    with pytest.warns(UserWarning, match=r"\(0, 3\)"):
        init.kaiming_normal_(tg.zeros(0, 3))
    with pytest.warns(UserWarning, match=r"\(0, 3\)"):
        init.kaiming_uniform_(tg.zeros(0, 3))
    init.orthogonal_(tg.zeros(0, 3))
    with pytest.warns(UserWarning, match="more than two std"):
        init.trunc_normal_(tg.zeros(3), 5.0)


WRONG = [
    lambda: init.xavier_normal_(tg.zeros(3)), lambda: init.kaiming_uniform_(tg.zeros(3)),
    lambda: init.calculate_gain("nothing"), lambda: init.calculate_gain("leaky_relu", "x"),
    lambda: init.kaiming_normal_(tg.zeros(2, 2), mode="fan"), lambda: init.xavier_uniform_(tg.zeros(2, 2), mode="x"),
    lambda: init.eye_(tg.zeros(2, 2, 2)), lambda: init.dirac_(tg.zeros(2, 2)),
    lambda: init.dirac_(tg.zeros(3, 2, 3), groups=2), lambda: init.orthogonal_(tg.zeros(3)),
    lambda: init.sparse_(tg.zeros(3), 0.5), lambda: init.trunc_normal_(tg.zeros(3), a=1.0, b=0.0),
    lambda: init.fixup_(nn.Linear(2, 2)),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_wrong_arguments(row):
    with pytest.raises(ValueError):
        WRONG[row]()


# --------------------------------------------------------------------------------- whole networks


def test_lsuv_needs_one_division_per_layer():
    """T33: 20 tanh layers, a batch of 256."""
    tg.manual_seed(0)
    net = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(100, 100), nn.Tanh())])
    x = tg.randn(256, 100)
    rescalings = init.lsuv_(net, x, tolerance=0.01)
    assert list(rescalings) == [str(i) for i in range(0, 40, 2)] and max(rescalings.values()) <= 1
    h = x
    for layer in net:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            assert h.data.var() == pytest.approx(1, abs=0.01)
            gram = layer.weight.data @ layer.weight.data.T  # still orthogonal, up to its scale
            np.testing.assert_allclose(gram / gram[0, 0], np.eye(100), atol=1e-4)


def test_lsuv_follows_the_order_of_execution():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(8, 3)
            self.unused = nn.Linear(2, 2)
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x):
            return self.last(self.conv(x).relu().mean((2, 3)).flatten(1).T.reshape(-1, 8))

    net = Backwards()
    before = net.unused.weight.data.copy()
    x = 5 * tg.randn(16, 1, 6, 6)
    assert list(init.lsuv_(net, x)) == ["conv", "last"]
    assert net.conv(x).data.var() == pytest.approx(1, abs=0.01) and net(x).data.var() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(net.unused.weight.data, before)
    with pytest.raises(RuntimeError, match="conv has variance 0"):
        init.lsuv_(net, tg.zeros(16, 1, 6, 6))


class Branches(nn.Module):
    """x + W₂ relu(W₁ x), L times, then the sum of all."""

    def __init__(self, depth, width):
        super().__init__()
        self.blocks = nn.Sequential(*[
            nn.Residual(nn.Sequential(nn.Linear(width, width, bias=False), nn.ReLU(), nn.Linear(width, width)))
            for _ in range(depth)
        ])  # fmt: skip
        self.head = nn.Linear(width, 1, bias=False)

    def forward(self, x):
        return self.head(self.blocks(x))


@pytest.mark.parametrize("depth, n", [(8, 512), (32, 256), (128, 128)])
def test_fixup_keeps_the_step_of_the_output_independent_of_depth(depth, n):
    """T30: Δf/(ηn) = Σ‖∂f/∂W₂‖²/n is 1 with Fixup, L without the factor L^(-1/2)."""
    tg.manual_seed(0)
    net = Branches(depth, n)
    x = tg.randn(1, n)
    x = x * (math.sqrt(n) / np.linalg.norm(x.data))
    change = {}
    for scale in ("Fixup", "unscaled"):
        assert init.fixup_(net) is net
        init.constant_(net.head.weight, n**-0.5)
        if scale == "unscaled":
            for block in net.blocks:
                block.branch[0].weight.data *= math.sqrt(depth)
        np.testing.assert_array_equal(net.blocks(x).data, x.data)  # every block is the identity
        net.zero_grad()
        net(x).backward()
        change[scale] = sum((block.branch[2].weight.grad.data ** 2).sum() for block in net.blocks) / n
    assert change["Fixup"] == pytest.approx(1, abs=0.08)
    assert change["unscaled"] == pytest.approx(depth, rel=0.08)


def test_fixup_zeroes_the_head_and_takes_a_list():
    net = Branches(3, 4)
    init.fixup_([block.branch for block in net.blocks], head=net.head)
    assert not net.head.weight.data.any() and not net.blocks[0].branch[2].weight.data.any()
    std = net.blocks[0].branch[0].weight.data.std()
    assert 0.3 < std / math.sqrt(2 / 4 / 3) < 2
    three = nn.Residual(nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 300), nn.Linear(300, 300)))
    init.fixup_(nn.Sequential(*[three]))
    assert three.branch[1].weight.data.std() == pytest.approx(math.sqrt(2 / 300), rel=0.03)  # L = 1
    several = [nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 300), nn.Linear(300, 300)) for _ in range(16)]
    init.fixup_(several)  # m = 3: 16^(-1/4) = 1/2
    assert several[3][1].weight.data.std() == pytest.approx(math.sqrt(2 / 300) / 2, rel=0.03)
