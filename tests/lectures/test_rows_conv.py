"""The lectures' numbers about convolution and pooling, a test for each row of their inventory (A26 … E3)."""

import numpy as np
import pytest

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def image(rows):
    return tg.tensor([[rows]]).double()


def draw(*shape, seed=0):
    return tg.tensor(np.random.default_rng([seed, *shape]).normal(size=shape))


SOBEL = image([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
GAUSS = image([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
X_C10 = image([[1, 2, 2, -2], [1, 0, 2, 4], [2, -1, -1, 3], [0, 0, -3, -2]])
W_C10 = image([[1, 0, 3], [2, -1, -1], [0, 1, -3]])
X_C18 = image([[3, 3, 4, 4, 7, 0], [9, 7, 6, 5, 8, 2], [6, 5, 5, 6, 9, 2], [7, 1, 3, 2, 7, 8], [0, 3, 7, 1, 8, 3],
               [4, 0, 4, 3, 2, 2]])  # fmt: skip
W_C18 = image([[1, 0, -1]] * 3)


def test_a26_sobel_finds_a_vertical_step_and_gauss_keeps_a_constant():
    step = image([[0.0] * 4 + [1.0] * 4] * 6)
    response = F.conv2d(step, SOBEL).data[0, 0]
    np.testing.assert_array_equal(response, [[0, 0, 4, 4, 0, 0]] * 4)
    np.testing.assert_array_equal(F.conv2d(1 - step, SOBEL).data[0, 0], -response)
    np.testing.assert_array_equal(F.conv2d(step, SOBEL.transpose(2, 3)).data, 0)
    np.testing.assert_allclose(F.conv2d(tg.ones(1, 1, 5, 5).double(), GAUSS).data, 1)


def test_a27_conv2d_is_a_cross_correlation():
    assert F.conv2d(X_C10, W_C10).tolist() == [[[[9, -20], [22, 11]]]]
    assert F.conv2d(X_C10, W_C10.flip(2, 3)).tolist() == [[[[7, 2], [-9, 8]]]]  # the convolution of mathematics


def test_a28_gradient_of_a_convolution():
    x, w = draw(2, 3, 6, 5), draw(4, 3, 3, 2)
    x.requires_grad = w.requires_grad = True
    assert tg.gradcheck(F.conv2d, [x, w], eps=1e-3, atol=1e-8, rtol=1e-8)  # bilinear: no step is too long
    y = F.conv2d(x, w)
    dy = draw(*y.shape)
    y.backward(dy)
    full = F.conv2d(dy, w.detach().flip(2, 3).transpose(0, 1), padding=(2, 1))
    np.testing.assert_allclose(x.grad.data, full.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("keywords", "size"), [({}, 5), ({"padding": 1}, 7), ({"stride": 2}, 3), ({"dilation": 2}, 3)])
def test_a31_padding_stride_dilation(keywords, size):
    assert nn.Conv2d(1, 1, 3, **keywords)(tg.ones(1, 1, 7, 7)).shape == (1, 1, size, size)


def test_a32_transposed_convolution_is_the_adjoint():
    assert nn.ConvTranspose2d(1, 1, 3, stride=2)(tg.ones(1, 1, 2, 2)).shape == (1, 1, 5, 5)
    for how in ({}, {"stride": 2, "padding": 1}, {"stride": (2, 3), "dilation": 2}, {"groups": 2, "padding": (0, 2)}):
        x, w = draw(2, 4, 11, 14), draw(6, 4 // how.get("groups", 1), 3, 2)
        cx = F.conv2d(x, w, **how)
        y = draw(*cx.shape)
        back = F.conv_transpose2d(y, w, **how)
        extra = [a - b for a, b in zip(x.shape[2:], back.shape[2:])]  # what the stride left over
        back = F.conv_transpose2d(y, w, output_padding=extra, **how)
        a, b = (cx * y).sum().item(), (x * back).sum().item()
        assert a == pytest.approx(b, rel=1e-12, abs=1e-12 * float(np.abs((cx * y).data).sum()))


@pytest.mark.parametrize("k", [2, 3, 4])
def test_a33_max_pool_forgives_some_small_shifts_never_all(k):
    """After a shift by a pixel k(k-1) of a window's k(k+1) pixels are in both: the maximum stays in (k-1)/(k+1)."""
    size = 120 * k
    x = draw(1, 1, size, size + 1)
    before, after = F.max_pool2d(x[..., :-1], k), F.max_pool2d(x[..., 1:], k)
    unchanged = (before == after).float().mean().item()
    assert unchanged == pytest.approx((k - 1) / (k + 1), abs=0.02) and unchanged < 1


def test_a34_a_1x1_convolution_makes_gray():
    x = tg.rand(2, 3, 8, 8)
    gray = F.conv2d(x, tg.full((1, 3, 1, 1), 1 / 3))
    np.testing.assert_allclose(gray.data, x.data.mean(1, keepdims=True), atol=1e-7)


def test_a35_the_convolution_c5_of_lenet_is_a_linear_layer():
    conv, linear = nn.Conv2d(16, 120, 5).double(), nn.Linear(400, 120).double()
    assert sum(p.numel() for p in conv.parameters()) == sum(p.numel() for p in linear.parameters()) == 48_120
    linear.weight.data, linear.bias.data = conv.weight.data.reshape(120, 400), conv.bias.data
    x = draw(3, 16, 5, 5)
    y = conv(x)
    assert y.shape == (3, 120, 1, 1)
    np.testing.assert_allclose(y.flatten(1).data, linear(x.flatten(1)).data, rtol=1e-12, atol=1e-12)
    for layer, out in ((conv, y.flatten(1)), (linear, linear(x.flatten(1)))):
        (out**2).sum().backward()
        assert layer.weight.grad is not None
    np.testing.assert_allclose(conv.weight.grad.data.reshape(120, 400), linear.weight.grad.data, rtol=1e-11, atol=1e-11)


def test_b1_an_image_stretched_to_a_vector():
    assert nn.Flatten()(tg.ones(1, 3, 32, 32)).shape == (1, 3072)


def test_b2_six_filters_of_75_numbers():
    conv = nn.Conv2d(3, 6, 5)
    assert conv.weight[0].numel() == 75 and conv(tg.ones(1, 3, 32, 32)).shape == (1, 6, 28, 28)
    x = tg.randn(1, 3, 32, 32)
    by_hand = (conv.weight[2] * x[0, :, 7:12, 9:14]).sum() + conv.bias[2]
    assert conv(x)[0, 2, 7, 9].item() == pytest.approx(by_hand.item(), rel=1e-4, abs=1e-5)


def test_b3_two_filters_stride_2_padding_1():
    assert nn.Conv2d(3, 2, 3, stride=2, padding=1)(tg.ones(1, 3, 5, 5)).shape == (1, 2, 3, 3)


def test_b4_size_of_the_output():
    assert nn.Conv2d(3, 10, 5, stride=1, padding=2)(tg.ones(1, 3, 32, 32)).shape == (1, 10, 32, 32)


def test_b5_number_of_parameters():
    assert sum(p.numel() for p in nn.Conv2d(3, 10, 5).parameters()) == 76 * 10 == 760


LECTURE_POOL = [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]
ELTE_POOL = [[5, 2, -3, 0], [2, -1, 4, -1], [-4, -4, -3, 0], [3, 5, 0, -1]]


def test_b6_max_pool():
    assert nn.MaxPool2d(2, stride=2)(image(LECTURE_POOL)).tolist() == [[[[6, 8], [3, 4]]]]


def test_c6_convolution_moves_with_the_image_and_an_mlp_does_not():
    tg.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 4, 3, padding="same", padding_mode="circular"), nn.ReLU(),
                         nn.Conv2d(4, 1, 3, padding="same", padding_mode="circular")).double()  # fmt: skip
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8)))
    mlp.double()
    x = draw(2, 1, 8, 8)
    for net, moves_along in ((conv, True), (mlp, False)):
        shifted = net(x.roll((2, 3), (2, 3))) - net(x).roll((2, 3), (2, 3))
        relative = float(np.linalg.norm(shifted.data) / np.linalg.norm(net(x).data))
        assert (relative < 1e-14) if moves_along else (relative > 0.5)


def test_c9_indices_from_zero():
    x, w = draw(5, 6), draw(3, 2)
    y = F.conv2d(x[None, None], w[None, None]).data[0, 0]
    for i, j in np.ndindex(3, 5):
        assert y[i, j] == pytest.approx(sum(w.data[u, v] * x.data[i + u, j + v] for u in range(3) for v in range(2)))


def test_c10_the_worked_example():
    x, w = X_C10.data[0, 0], W_C10.data[0, 0]
    assert F.conv2d(X_C10, W_C10).tolist() == [[[[9, -20], [22, 11]]]]
    assert (w * x[1:, 1:]).sum() == 11


def test_c11_the_response_is_greatest_where_the_pattern_is():
    template = draw(1, 1, 5, 5, seed=1)
    template = (template - template.mean()) / template.std()
    picture = draw(1, 1, 30, 40) * 0.5
    picture.data[0, 0, 11:16, 22:27] += template.data[0, 0]
    response = F.conv2d(picture, template).data[0, 0]
    assert np.unravel_index(response.argmax(), response.shape) == (11, 22)


def test_c12_pools():
    assert nn.MaxPool2d(2)(image(ELTE_POOL)).tolist() == [[[[5, 4], [5, 0]]]]
    assert nn.AvgPool2d(2)(image(ELTE_POOL)).tolist() == [[[[2, 0], [0, -1]]]]


@pytest.mark.parametrize("padding", [1, "same"])
def test_c18_and_c19_padding_keeps_the_size(padding):
    """The slide prints -13 for the 2 of the first row, and -9 for the -15 of the second."""
    y = F.conv2d(X_C18, W_C18, padding=padding)
    assert y.shape == (1, 1, 6, 6)
    assert y.tolist()[0][0][:2] == [[-10, 2, 1, -5, 7, 15], [-15, 3, 0, -9, 11, 24]]


def test_c20_stride():
    x = tg.ones(1, 1, 7, 7)
    assert nn.Conv2d(1, 1, 3, stride=2)(x).shape == (1, 1, 3, 3)
    assert nn.MaxPool2d(3, stride=(4, 3))(x).shape == (1, 1, 2, 2)


def test_c52_the_first_block_of_mobilenet():
    depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
    block = nn.Sequential(depthwise, nn.BatchNorm2d(32, eps=1e-5, momentum=0.1), nn.ReLU6(),
                          nn.Conv2d(32, 16, 1, bias=False), nn.BatchNorm2d(16))  # fmt: skip
    assert [sum(p.numel() for p in layer.parameters()) for layer in block] == [288, 64, 0, 512, 32]
    x = tg.randn(2, 32, 6, 6)
    assert block(x).shape == (2, 16, 6, 6)  # 32 channels become 16: no skip could be added to it
    y = depthwise(x)
    for c in (0, 13, 31):
        alone = F.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], padding=1)
        np.testing.assert_allclose(y.data[:, c : c + 1], alone.data, rtol=1e-5, atol=1e-6)


def test_d23_fan_in_of_a_convolution_and_what_zero_padding_loses():
    """Var w = 2/fan_in gives z the mean square 2 E[x²], and 2 E[relu(z)²] = E[z²]; zeros at the edge are 2/(3·12) of an
    axis of 12 pixels' taps."""
    tg.manual_seed(0)
    channels, size = 192, 12
    x = tg.randn(4, channels, size, size)
    square = {}
    for mode in ("circular", "zeros"):
        convs = [nn.Conv2d(channels, channels, 3, padding=1, padding_mode=mode, bias=False) for _ in range(2)]
        for conv in convs:
            assert nn.init.fans(conv.weight) == (9 * channels, 9 * channels)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        z = convs[0](x)
        square[mode] = [float((t.data**2).mean()) for t in (z, convs[1](z.relu()))]
    assert square["circular"][1] / square["circular"][0] == pytest.approx(1.01, abs=0.05)
    assert square["zeros"][0] == pytest.approx(2 * (1 - 2 / (3 * size)) ** 2, rel=0.02)  # 1.784


def test_e2_pools():
    assert nn.MaxPool2d(2, 2)(image(LECTURE_POOL)).tolist() == [[[[6, 8], [3, 4]]]]
    assert nn.AvgPool2d(2, 2)(image(LECTURE_POOL)).tolist() == [[[[3.25, 5.25], [2, 2]]]]


def test_e3_size_after_a_pool():
    pool = nn.MaxPool2d(3, stride=2)  # AlexNet's
    assert pool(tg.ones(1, 2, 55, 55)).shape == (1, 2, 27, 27) and (55 - 3) // 2 + 1 == 27
    assert not list(pool.parameters())
