"""The path spectrum against `.grad`, against the law of theory, and lesions of blocks."""

import math

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
import viz
from tinygrad_course import nn
from tinygrad_course.models.cifar_resnet import CifarResNet
from tinygrad_course.models.mobilenet import InvertedResidual


class Chain(nn.Module):
    """h + a W relu(h), `blocks` times, in float64; He's weights, which make the branch's ratio a²."""

    def __init__(self, blocks, width=256, a=1.0, seed=0):
        super().__init__()
        tg.manual_seed(seed)
        self.a = a
        self.layers = nn.Sequential(*[nn.Linear(width, width, bias=False) for _ in range(blocks)])
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=math.sqrt(2.0 / width))
        nets.in_float64(self)

    def forward(self, h):
        for layer in self.layers:
            h = h + layer(h.relu()) * self.a
        return h


def _input(width=256, samples=8):
    return tg.tensor(np.random.default_rng(1).standard_normal((samples, width)), requires_grad=True)


def _weights(shape):
    return tg.tensor(np.random.default_rng(2).standard_normal(shape))


class Dilated(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.conv3, self.shortcut = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Conv2d(4, 8, 1, stride=2)

    def forward(self, x):
        h = self.conv1(x)
        h = h + self.conv2(h.relu()).tanh()
        return self.shortcut(h) + self.conv3(h.relu()).tanh()


def _mobile():
    return nets.in_float64(nn.Sequential(nn.Conv2d(3, 4, 1), InvertedResidual(4, 4, 1, 3)))


NETS = {
    "chain": lambda: (Chain(6, 12), (4, 12)),
    "batch norm": lambda: (nets.in_float64(nets.net(4)), (8, 9)),
    "convolutions": lambda: (nets.in_float64(Dilated()), (2, 2, 8, 8)),
    "resnet": lambda: (nets.in_float64(CifarResNet(14, width=4)), (3, 3, 8, 8)),
    "mobilenet": lambda: (_mobile(), (2, 3, 6, 6)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_parts_add_up_to_grad(name):
    tg.manual_seed(0)
    model, shape = NETS[name]()
    x = tg.tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=True)
    loss = (model(x) ** 2).sum()
    tensors = [x, *list(model.parameters())[:2]]
    spectra = [viz.path_spectrum(loss, at=tensor) for tensor in tensors]
    assert all(tensor.grad is None for tensor in tensors)
    loss.backward()
    for tensor, spectrum in zip(tensors, spectra, strict=True):
        total = sum(part for part in spectrum.parts if part is not None)
        assert np.abs(total - tensor.grad.numpy()).max() <= 1e-10 * np.abs(tensor.grad.numpy()).max()
        assert spectrum.error <= 1e-10


def test_the_highway_alone_brings_the_loss_side_gradient_exactly():
    model, x, v = Chain(7, 16), _input(16), _weights((8, 16))
    spectrum = viz.path_spectrum((model(x) * v).sum(), at=x)
    assert len(spectrum.blocks) == 7
    assert np.array_equal(spectrum.parts[0], v.numpy())


@pytest.mark.parametrize(("a", "mean"), [(1.0, 25.0), (50**-0.5, 50 / 51)])
def test_energy_follows_the_binomial_law(a, mean):
    """THEORY: L = 50 blocks; mean length 25 for a = 1 and 0.98 for a = 1/√L; shares within 0.01."""
    model, x, v = Chain(50, a=a), _input(samples=64), _weights((64, 256))
    spectrum = viz.path_spectrum((model(x) * v).sum(), at=x)
    law = viz.theory.path_length_law(50, a * a)
    assert np.dot(np.arange(51), law) == pytest.approx(mean)
    assert spectrum.mean_length == pytest.approx(mean, rel=0.03)
    assert np.abs(spectrum.energy - law).max() < 0.012


def test_counts_of_paths():
    """Veit's counts for 54 blocks: more than 95 % of all paths go through 19 to 35 of them."""
    law = viz.theory.path_length_law(54, 1.0)
    assert law[19:36].sum() == pytest.approx(0.9802, abs=1e-4)
    assert law[5:18].sum() == pytest.approx(0.00454, abs=1e-5)
    assert viz.theory.path_length_law(3, 0.0).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_highway_shares_of_blocks():
    model, x, v = Chain(4, 64, a=0.1), _input(64), _weights((8, 64))
    blocks = viz.path_spectrum((model(x) * v).sum()).blocks
    assert len(blocks) == 4
    assert all(block.share == pytest.approx(block.highway / (block.highway + block.branch)) for block in blocks)
    assert all(0.85 < block.share < 0.95 for block in blocks)  # the branch is a tenth of it


def _branch(h, w):
    return F.conv2d(F.conv2d(h, w["3x3"], padding=1).tanh(), w["3x3"], padding=1)


ON_THE_HIGHWAY = {  # name: (what the highway makes of the fork, what the branch does)
    "nothing": lambda h, w: (h, _branch(h, w)),
    "a strided convolution": lambda h, w: (
        F.conv2d(h, w["1x1"], stride=2), F.conv2d(_branch(h, w), w["up"], stride=2, padding=1)
    ),
    "a convolution and its normalization": lambda h, w: (
        F.batch_norm(F.conv2d(h, w["1x1"]), None, None, training=True), F.conv2d(_branch(h, w), w["up"], padding=1)
    ),
    "a sum with its bias": lambda h, w: (
        F.conv2d(h, w["1x1"]) + w["bias"], F.conv2d(_branch(h, w), w["up"], padding=1)
    ),
    "a factor": lambda h, w: (0.5 * h, 0.5 * _branch(h, w)),
    "a copy": lambda h, w: (h.clone(), _branch(h, w)),
    "dropout": lambda h, w: (F.dropout(h, 0.3), _branch(h, w)),
    "sum([x, f])": lambda h, w: (0 + h, _branch(h, w)),
    "one layer with two readers beside it": lambda h, w: (h, F.conv2d(h, w["3x3"], padding=1) * h.sigmoid()),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_THE_HIGHWAY)
def test_what_stands_on_a_highway_belongs_to_it(name):
    """By hand: the gradient at the fork with the branch cut off is the highway's, and the other way round."""
    generator = np.random.default_rng(0)
    shapes = {"stem": (4, 3, 3, 3), "1x1": (6, 4, 1, 1), "3x3": (4, 4, 3, 3), "up": (6, 4, 3, 3), "bias": (6, 1, 1)}
    w = {key: nn.Parameter(tg.tensor(generator.standard_normal(shape) / 4)) for key, shape in shapes.items()}
    x = tg.tensor(generator.standard_normal((2, 3, 8, 8)))

    def ways(h):
        tg.manual_seed(1)  # of the dropout
        return ON_THE_HIGHWAY[name](h, w)

    def stem():
        return F.conv2d(x, w["stem"], padding=1)

    def cut(kept):
        h = stem().detach()
        h.requires_grad = True
        highway, branch = ways(h)
        total = highway + branch.detach() if kept == "highway" else highway.detach() + branch
        return tg.grad((total**2).sum(), h)[0].numpy()

    def loss():
        highway, branch = ways(stem())
        return ((highway + branch) ** 2).sum()

    spectrum, (highway, branch) = viz.path_spectrum(loss), map(cut, ("highway", "branch"))
    assert spectrum.at == "conv2d"
    assert len(spectrum.parts) == 2
    for part, expected in zip(spectrum.parts, (highway, branch), strict=True):
        assert np.abs(part - expected).max() <= 1e-10 * np.abs(expected).max()
    (block,) = spectrum.blocks
    sizes = [math.sqrt(np.mean(gradient**2)) for gradient in (highway, branch)]
    assert (block.highway, block.branch) == pytest.approx(sizes, rel=1e-10)
    assert block.share == pytest.approx(sizes[0] / sum(sizes), rel=1e-10)
    assert spectrum.error <= 1e-10


def test_every_block_of_a_resnet_has_a_branch():
    tg.manual_seed(0)
    model = nets.in_float64(CifarResNet(20, width=4))
    x = tg.tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)))
    spectrum = viz.path_spectrum(lambda: (model(x) ** 2).sum())
    assert [block.name for block in spectrum.blocks] == [f"blocks.{i}" for i in range(9)]
    assert all(0.1 < block.share < 0.9 for block in spectrum.blocks)
    assert len(spectrum.parts) == 10
    assert spectrum.at == "relu (relu)"  # of the stem, not of what stands on the first highway
    assert spectrum.error <= 1e-10


def test_blocks_within_blocks():
    """A fork of two highways: what goes into the inner branch belongs to the outer one's branch."""
    model, x, v = Chain(2, 16), _input(16), _weights((8, 16))

    def loss():
        h = x.tanh()
        return ((h + model(h).tanh()) * v).sum()

    outer, first = [viz.path_spectrum(loss).blocks[i] for i in (2, 0)]
    h = x.tanh().detach()
    h.requires_grad = True
    (branch,) = tg.grad((model(h).tanh() * v).sum(), h)
    assert outer.branch == pytest.approx(math.sqrt(np.mean(branch.numpy() ** 2)), rel=1e-10)
    assert outer.highway == pytest.approx(math.sqrt(np.mean(v.numpy() ** 2)), rel=1e-10)
    assert 0.0 < first.share < 1.0


def test_hooks_are_refused():
    model, x, v = Chain(3, 8), _input(8), _weights((8, 8))
    h = x.tanh()
    loss = (model(h) * v).sum()
    handle = h.register_hook(lambda gradient: gradient * 10.0)
    with pytest.raises(ValueError, match=r"path_spectrum .* hook on the gradient of tanh .* remove the hook"):
        viz.path_spectrum(loss)
    assert viz.gradient_flow(loss, level="op").spectrum is None
    handle.remove()
    of_a_leaf = x.register_hook(lambda gradient: -gradient)
    assert viz.path_spectrum(loss).error <= 1e-10  # it is not on the way
    with pytest.raises(ValueError, match=r"hook on the gradient of a leaf of shape \(8, 8\)"):
        viz.path_spectrum(loss, at=x)
    of_a_leaf.remove()
    h.retain_grad()
    h.grad = kept = tg.ones(8, 8, dtype=tg.float64)
    viz.path_spectrum(loss, at=x)
    assert h.grad is kept and (kept.numpy() == 1.0).all()


def test_bad_losses():
    model, x = nets.net(2, residual=False), nets.data()[0]
    with pytest.raises(ValueError, match="no additive skip"):
        viz.path_spectrum(lambda: model(x).sum())
    with pytest.raises(TypeError, match="a loss or a function"):
        viz.path_spectrum(3)
    with pytest.raises(RuntimeError, match="no graph"):
        viz.path_spectrum(tg.ones(1))
    model = nets.net(2)
    with pytest.raises(RuntimeError, match="one number"):
        viz.path_spectrum(model(x))
    loss = model(x).sum()
    with pytest.raises(ValueError, match=r"no layer is named 'haed'; there are: .*stem"):
        viz.path_spectrum(loss, at="haed")
    with pytest.raises(ValueError, match="not behind this loss"):
        viz.path_spectrum(loss, at=tg.ones(2, requires_grad=True))
    loss.backward()
    with pytest.raises(RuntimeError, match="freed"):
        viz.path_spectrum(loss)


def test_pictures(tmp_path):
    model, x, v = Chain(6, 16), _input(16), _weights((8, 16))
    spectrum = viz.path_spectrum((model(x) * v).sum())
    figure = viz.plots.spectrum_bars({"residual": spectrum}, branch_ratio={"residual": 1.0})
    viz.save_figure(figure, tmp_path / "spectrum.svg")
    study = viz.lesion_study(nets.net(4), nets.loss_of, counts=[2], draws=3)
    viz.save_figure(viz.plots.lesion_curves({"net": study}), tmp_path / "lesions.svg")
    text = (tmp_path / "spectrum.svg").read_text(encoding="utf-8")
    assert "binomial law" in text and "highway alone" in text
    ratios = sorted((block.branch / block.highway) ** 2 for block in spectrum.blocks)
    assert spectrum.branch_ratio == pytest.approx((ratios[2] + ratios[3]) / 2, rel=1e-12)
    figure = viz.plots.spectrum_bars({"residual": spectrum})
    assert f"binomial law, branch ratio {spectrum.branch_ratio:.3g}" in figure.axes[0].get_legend_handles_labels()[1]


# ------------------------------------------------------------------------------------ lesions


def test_deleting_a_block_leaves_its_highway():
    model, (x, _) = nets.net(3), nets.data()
    model.eval()
    before = model(x).detach().numpy()
    names = [name for name, _ in model.named_modules()]
    with viz.delete_blocks(model, ["blocks.0", "blocks.1", "blocks.2"]):
        expected = model.head(model.stem(x))
        assert np.array_equal(model(x).detach().numpy(), expected.detach().numpy())
    assert np.array_equal(model(x).detach().numpy(), before)
    assert [name for name, _ in model.named_modules()] == names


def test_a_block_that_changes_shape_keeps_the_layer_on_its_highway():
    tg.manual_seed(0)
    model = CifarResNet(8, width=4).eval()
    x = tg.randn(2, 3, 8, 8)
    h = model.blocks[0](model.relu(model.bn1(model.conv1(x))))
    expected = model.fc(model.pool(model.blocks[2](model.blocks[1].shortcut(h))).flatten(1))
    with viz.delete_blocks(model, "blocks.1"):
        assert np.allclose(model(x).detach().numpy(), expected.detach().numpy())
    plain = CifarResNet(8, width=4, residual=False).eval()
    with pytest.raises(ValueError, match=r"cannot delete blocks.1: it changes the shape"), viz.delete_blocks(
        plain, "blocks.1"
    ):
        plain(x)
    assert type(plain.blocks[1]).__name__ == "BasicBlock"


def test_lesion_study():
    model = nets.net(5)
    study = viz.lesion_study(model, nets.loss_of, counts=[2, 5], draws=4, seed=1)
    assert list(study.single) == [f"blocks.{i}" for i in range(5)]
    assert [len(draws) for draws in study.several.values()] == [4, 4]
    assert len(set(study.several[5])) == 1  # all of them: one way to do it
    assert model.training and study == viz.lesion_study(model, nets.loss_of, counts=[2, 5], draws=4, seed=1)
    model.eval()
    assert study.baseline == float(nets.loss_of(model))


def test_lesions_that_cannot_be():
    model = nets.net(2)
    with pytest.raises(ValueError, match=r"no block is named 'blocks.9'; there are: blocks.0, blocks.1"):
        viz.delete_blocks(model, "blocks.9").__enter__()
    with pytest.raises(ValueError, match="inside another"), viz.delete_blocks(model, ["blocks.0", "blocks.0.bn1"]):
        pass
    with pytest.raises(ValueError, match="cannot delete 3 of 2"):
        viz.lesion_study(model, nets.loss_of, counts=[3])
    with pytest.raises(ValueError, match="no blocks that repeat"):
        viz.lesion_study(nn.Sequential(nn.Linear(9, 4)), nets.loss_of)
