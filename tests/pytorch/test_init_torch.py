"""Initializers against PyTorch: the same structures, and the same distributions as far as a sample can tell."""

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course.nn import init

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
theirs = torch.nn.init
SHAPE = (120, 40, 3, 3)

DISTRIBUTIONS = [
    ("uniform_", dict(a=-1.0, b=2.0)), ("normal_", dict(mean=0.5, std=0.1)), ("trunc_normal_", {}),
    ("trunc_normal_", dict(mean=1.0, std=0.5, a=0.9, b=3.0)), ("trunc_normal_", dict(std=0.02)),
    ("xavier_uniform_", {}), ("xavier_uniform_", dict(gain=2.0)), ("xavier_normal_", dict(gain=0.5)),
    *[(f"kaiming_{kind}_", dict(mode=mode, nonlinearity=nonlinearity, a=a)) for kind in ("normal", "uniform")
      for mode in ("fan_in", "fan_out")
      for nonlinearity, a in (("relu", 0), ("leaky_relu", 0.3), ("tanh", 0), ("selu", 0), ("linear", 0))],
    ("orthogonal_", {}), ("orthogonal_", dict(gain=3.0)),
]  # fmt: skip


@pytest.mark.parametrize("name, options", DISTRIBUTIONS)
def test_the_same_distribution(name, options):
    tg.manual_seed(0), torch.manual_seed(0)
    own = getattr(init, name)(tg.zeros(*SHAPE), **options).data.ravel()
    other = getattr(theirs, name)(torch.zeros(SHAPE), **options).numpy().ravel()
    spread = other.std()
    assert own.mean() == pytest.approx(other.mean(), abs=7 * spread / np.sqrt(own.size))
    assert own.std() == pytest.approx(spread, rel=0.02)
    if name != "orthogonal_":
        grid = np.linspace(0.01, 0.99, 25)
        np.testing.assert_allclose(np.quantile(own, grid), np.quantile(other, grid), atol=0.04 * spread)


STRUCTURES = [
    ("zeros_", (2, 3), {}), ("ones_", (2, 3), {}), ("constant_", (2, 3), dict(val=0.3)), ("eye_", (3, 5), {}),
    ("eye_", (5, 3), {}), ("dirac_", (4, 3, 5), {}), ("dirac_", (4, 6, 3, 2), {}), ("dirac_", (2, 2, 3, 3, 3), {}),
    ("dirac_", (6, 2, 3, 3), dict(groups=3)),
]  # fmt: skip


@pytest.mark.parametrize("name, shape, options", STRUCTURES)
def test_the_same_numbers(name, shape, options):
    own = getattr(init, name)(tg.ones(*shape) * 7, **options)
    np.testing.assert_array_equal(own.data, getattr(theirs, name)(torch.ones(shape) * 7, **options).numpy())


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 1.0])
def test_sparse_columns(sparsity):
    own, other = init.sparse_(tg.zeros(17, 5), sparsity), theirs.sparse_(torch.zeros(17, 5), sparsity)
    assert (own.data == 0).sum(0).tolist() == (other == 0).sum(0).tolist()


def test_gains_and_fans():
    for name in ("linear", "conv1d", "conv3d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == pytest.approx(theirs.calculate_gain(name), rel=1e-15)
    assert init.calculate_gain("leaky_relu", 0.2) == theirs.calculate_gain("leaky_relu", 0.2)
    for shape in ((3, 4), (3, 4, 5), (3, 4, 5, 2)):
        expected = theirs._calculate_fan_in_and_fan_out(torch.zeros(shape))
        assert init._calculate_fan_in_and_fan_out(tg.zeros(*shape)) == expected
