"""The lectures' code, unchanged but for its import lines, gives the lectures' numbers."""

import math

import numpy
import pytest

import tinygrad_course as tg
import tinygrad_course.nn as nn
from tinygrad_course import optim

# ------------------------------------------------------------------ ELTE lecture 8, verbatim


class MyTwoLayerMLP(nn.Module):
    def __init__(self, input_dim, n_categories):
        super().__init__()
        self.fc1 = nn.Linear(input_dim, 20)
        self.fc2 = nn.Linear(20, n_categories)

    def forward(self, x):
        # Expecting x.shape == (batch_size, input_dim)
        out = self.fc1(x)
        out = nn.ReLU()(out)
        out = self.fc2(out)
        return out


class LeNet5(nn.Module):
    def __init__(self, n_categories):
        super().__init__()
        self.conv_block1 = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size = (5,5)),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size = (2,2))
        )
        self.conv_block2 = nn.Sequential(
            nn.Conv2d(6, 16, kernel_size = (5,5)),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size = (2,2))
        )
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, n_categories)

    def forward(self, x):
        # x.shape == (batch_size, 1, 32, 32)
        out = self.conv_block1(x)
        out = self.conv_block2(out)
        out = out.reshape(out.size(0), -1)
        out = self.fc1(out)
        out = nn.ReLU()(out)
        out = self.fc2(out)
        out = nn.ReLU()(out)
        out = self.fc3(out)
        return out


# ------------------------------------------------------------------


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_two_layer_mlp():
    model = MyTwoLayerMLP(784, 10)
    assert count(model) == 15_910
    x = tg.randn(7, 784)
    assert model.fc1(x).shape == (7, 20) and model(x).shape == (7, 10)


def test_lenet5():
    tg.manual_seed(0)
    model = LeNet5(10)
    blocks = [model.conv_block1, model.conv_block2, model.fc1, model.fc2, model.fc3]
    assert [count(block) for block in blocks] == [156, 2416, 48_120, 10_164, 850] and count(model) == 61_706
    shapes = []

    class Shapes(tg.Observer):
        def forward(self, node, inputs, output):
            if node.name != "relu":
                shapes.append((node.scope, *output.shape))

    x = tg.randn(64, 1, 32, 32)
    with tg.observe(Shapes()):
        out = model(x)
    assert shapes == [
        ("conv_block1.0", 64, 6, 28, 28), ("conv_block1.2", 64, 6, 14, 14), ("conv_block2.0", 64, 16, 10, 10),
        ("conv_block2.2", 64, 16, 5, 5), ("", 64, 400), ("fc1", 64, 120), ("fc2", 64, 84), ("fc3", 64, 10),
    ]  # fmt: skip
    loss = nn.CrossEntropyLoss()(out, tg.randint(0, 10, (64,)))
    assert loss.item() == pytest.approx(math.log(10), abs=0.05)  # a net that knows nothing
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


LENET5 = """LeNet5(
  (conv_block1): Sequential(
    (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    (1): ReLU()
    (2): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=1, ceil_mode=False)
  )
  (conv_block2): Sequential(
    (0): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
    (1): ReLU()
    (2): MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, dilation=1, ceil_mode=False)
  )
  (fc1): Linear(in_features=400, out_features=120, bias=True)
  (fc2): Linear(in_features=120, out_features=84, bias=True)
  (fc3): Linear(in_features=84, out_features=10, bias=True)
)"""


def test_lenet5_prints_as_in_pytorch():
    assert repr(LeNet5(10)) == LENET5


def test_the_freezing_loop():
    model = LeNet5(10)
    for param in model.parameters():
        param.requires_grad = False
    model.fc3 = nn.Linear(84, 2)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    optimizer = optim.Adam(model.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(tg.randn(4, 1, 32, 32)), tg.tensor([0, 1, 1, 0])).backward()
        optimizer.step()
    for name, p in model.named_parameters():
        if name.startswith("fc3"):
            assert p.grad is not None and (p.data != before[name]).any()
        else:
            assert p.grad is None
            numpy.testing.assert_array_equal(p.data, before[name])


def test_cross_entropy_of_the_shown_prediction():
    shown = tg.tensor([[0.01, 0.11, 0.04, 0.01, 0.02, 0.01, 0.01, 0.78, 1e-9, 0.01]])
    assert nn.CrossEntropyLoss()(shown.log(), tg.tensor([7])).item() == pytest.approx(0.248, abs=1e-3)


# ------------------------------------------------------------------ CS231n lecture 7, verbatim

STD_001 = """
dims = [4096] * 7
hs = []
x = np.random.randn(16, dims[0])
for Din, Dout in zip(dims[:-1], dims[1:]):
    W = 0.01 * np.random.randn(Din, Dout)
    x = np.tanh(x.dot(W))
    hs.append(x)
"""
STD_005 = STD_001.replace("0.01", "0.05")
XAVIER = """
dims = [4096] * 7
hs = []
x = np.random.randn(16, dims[0])
for Din, Dout in zip(dims[:-1], dims[1:]):
    W = np.random.randn(Din, Dout) / np.sqrt(Din)
    x = np.tanh(x.dot(W))
    hs.append(x)
"""
RELU_XAVIER = XAVIER.replace("np.tanh(x.dot(W))", "np.maximum(0, x.dot(W))")
RELU_KAIMING = RELU_XAVIER.replace("/ np.sqrt(Din)", "* np.sqrt(2/Din)")


def run(listing):
    """A listing with its import line changed to `import tinygrad_course as np`."""
    tg.manual_seed(0)
    names = {"np": tg}
    exec(listing, names)
    assert all(type(h) is tg.Tensor for h in names["hs"])
    return [h.data for h in names["hs"]]


def test_small_weights_make_activations_vanish():
    stds = [h.std() for h in run(STD_001)]
    numpy.testing.assert_allclose(stds, [0.4915, 0.2889, 0.1792, 0.1132, 0.0718, 0.0456], rtol=0.025)


def test_large_weights_saturate_a_third_of_the_units():
    hs = run(STD_005)
    for h in hs[2:]:
        assert h.std() == pytest.approx(0.849, rel=0.025)
        assert (numpy.abs(h) > 0.99).mean() == pytest.approx(0.33, abs=0.01)
    assert (1 - hs[-1] ** 2).mean() == pytest.approx(0.279, rel=0.025)  # the local gradients are not zero


def test_xavier_lets_tanh_activations_fall_slowly():
    stds = [h.std() for h in run(XAVIER)]
    assert stds[0] == pytest.approx(0.6275, rel=0.025) and stds[-1] == pytest.approx(0.2921, rel=0.025)
    assert stds == sorted(stds, reverse=True)


def test_relu_wants_kaiming():
    stds = [h.std() for h in run(RELU_XAVIER)]
    assert stds[0] == pytest.approx(0.5837, rel=0.025) and stds[-1] == pytest.approx(0.1013, rel=0.05)
    stds = [h.std() for h in run(RELU_KAIMING)]
    numpy.testing.assert_allclose(stds, 0.82, rtol=0.05)


# ------------------------------------------------------------------ worked examples

PADDED = [[3, 3, 4, 4, 7, 0], [9, 7, 6, 5, 8, 2], [6, 5, 5, 6, 9, 2], [7, 1, 3, 2, 7, 8], [0, 3, 7, 1, 8, 3],
          [4, 0, 4, 3, 2, 2]]  # fmt: skip
EDGE = tg.tensor([[[[1.0, 0.0, -1.0]] * 3]])


def image(rows):
    return tg.tensor([[rows]]).float()


def test_convolution():
    x = image([[1, 2, 2, -2], [1, 0, 2, 4], [2, -1, -1, 3], [0, 0, -3, -2]])
    w = image([[1, 0, 3], [2, -1, -1], [0, 1, -3]])
    assert nn.functional.conv2d(x, w).tolist() == [[[[9, -20], [22, 11]]]]
    flipped = w[:, :, ::-1, ::-1]  # what mathematics calls a convolution
    assert nn.functional.conv2d(x, flipped).tolist() == [[[[7, 2], [-9, 8]]]]


ELTE_POOL = [[5, 2, -3, 0], [2, -1, 4, -1], [-4, -4, -3, 0], [3, 5, 0, -1]]


def test_pooling():
    for rows, pool, expected in (
        (ELTE_POOL, nn.MaxPool2d(2), [[5, 4], [5, 0]]),
        (ELTE_POOL, nn.AvgPool2d(2), [[2, 0], [0, -1]]),
        ([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], nn.MaxPool2d(2, 2), [[6, 8], [3, 4]]),
        ([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], nn.AvgPool2d(2, 2), [[3.25, 5.25], [2, 2]]),
    ):
        assert pool(image(rows)).tolist() == [[[list(map(float, r)) for r in expected]]]


@pytest.mark.parametrize("padding", [1, "same"])
def test_padding_keeps_the_size(padding):
    conv = nn.Conv2d(1, 1, 3, padding=padding, bias=False)
    conv.weight.data = EDGE
    y = conv(image(PADDED))
    assert y.shape == (1, 1, 6, 6)
    assert y.tolist()[0][0][:2] == [[-10, 2, 1, -5, 7, 15], [-15, 3, 0, -9, 11, 24]]


def test_stride():
    x = tg.randn(1, 1, 7, 7)
    assert nn.Conv2d(1, 1, 3, stride=2)(x).shape == (1, 1, 3, 3)
    assert nn.MaxPool2d(3, stride=(4, 3))(x).shape == (1, 1, 2, 2)
    assert nn.AvgPool2d(3, stride=2)(tg.randn(1, 1, 55, 55)).shape == (1, 1, 27, 27)  # AlexNet
    assert nn.Conv2d(1, 1, 3)(x).shape[-1] == 5 and nn.Conv2d(1, 1, 3, padding=1)(x).shape[-1] == 7
    assert nn.Conv2d(1, 1, 3, dilation=2)(x).shape[-1] == 3


def test_shapes_and_parameters_of_a_convolution():
    conv = nn.Conv2d(3, 10, 5, stride=1, padding=2)
    assert conv(tg.randn(1, 3, 32, 32)).shape == (1, 10, 32, 32) and count(conv) == 760
    macs = conv.weight.numel() * 32 * 32
    assert macs == 768_000
    assert nn.Conv2d(3, 6, 5)(tg.randn(2, 3, 32, 32)).shape == (2, 6, 28, 28)
