"""Convolutions of one and two dimensions and their transposes: oracle, gradients, gradients of gradients, errors."""

import numpy as np
import oracles
import pytest
from checks import raises_clearly

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def leaves(*shapes):
    return [None if s is None else tg.tensor(draw(*s, seed=i), requires_grad=True) for i, s in enumerate(shapes)]


def plain_conv(x, w, b=None, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    return oracles.conv2d(x, w, b, stride, padding, dilation, groups)


def plain_transpose(x, w, b=None, stride=(1, 1), padding=(0, 0), extra=(0, 0), groups=1, dilation=(1, 1)):
    """Each pixel of x adds its multiple of the filter, one after the other."""
    (N, C, H, W), (_, O, KH, KW) = x.shape, w.shape
    size = [(n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in zip((H, W), stride, dilation, (KH, KW), extra)]
    y = np.zeros((N, O * groups, *size))
    for n, c, i, j, o, u, v in np.ndindex(N, C, H, W, O, KH, KW):
        at = c // (C // groups) * O + o
        y[n, at, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]] += w[c, o, u, v] * x[n, c, i, j]
    y = y[:, :, padding[0] : size[0] - padding[0], padding[1] : size[1] - padding[1]]
    return y if b is None else y + b[:, None, None]


def row(x):
    return x[:, :, None]


ROWS = {  # name: (operation, oracle, shapes)
    "conv2d": (F.conv2d, plain_conv, [(2, 2, 5, 4), (3, 2, 3, 2), (3,)]),
    "conv2d all": (
        lambda x, w: F.conv2d(x, w, None, (2, 1), (1, 2), (1, 2), 2),
        lambda x, w: plain_conv(x, w, None, (2, 1), ((1, 1), (2, 2)), (1, 2), 2), [(2, 4, 6, 5), (6, 2, 3, 2)],
    ),
    "conv2d same": (
        lambda x, w: F.conv2d(x, w, padding="same"),
        lambda x, w: plain_conv(x, w, padding=((1, 2), (0, 1))), [(1, 2, 5, 5), (2, 2, 4, 2)],
    ),
    "conv2d one image": (F.conv2d, lambda x, w, b: plain_conv(x[None], w, b)[0], [(2, 4, 4), (3, 2, 2, 2), (3,)]),
    "conv2d depthwise": (
        lambda x, w: F.conv2d(x, w, groups=3), lambda x, w: plain_conv(x, w, groups=3), [(1, 3, 4, 4), (3, 1, 2, 2)],
    ),
    "conv1d": (F.conv1d, lambda x, w, b: plain_conv(row(x), row(w), b)[:, :, 0], [(2, 2, 7), (3, 2, 3), (3,)]),
    "conv1d one signal": (F.conv1d, lambda x, w: plain_conv(row(x[None]), row(w))[0, :, 0], [(2, 7), (3, 2, 3)]),
    "conv1d all": (
        lambda x, w: F.conv1d(x, w, None, 2, 1, 2, 2),
        lambda x, w: plain_conv(row(x), row(w), None, (1, 2), ((0, 0), (1, 1)), (1, 2), 2)[:, :, 0],
        [(1, 4, 9), (2, 2, 3)],
    ),
    "conv_transpose2d": (F.conv_transpose2d, plain_transpose, [(2, 3, 3, 2), (3, 2, 3, 2), (2,)]),
    "conv_transpose2d all": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 3), (1, 0), (1, 2), 2, (2, 1)),
        lambda x, w, b: plain_transpose(x, w, b, (2, 3), (1, 0), (1, 2), 2, (2, 1)), [(1, 4, 3, 2), (4, 3, 2, 2), (6,)],
    ),
    "conv_transpose2d dilation beyond stride": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 1, 1, (1, 2), 1, 3),
        lambda x, w, b: plain_transpose(x, w, b, (1, 1), (1, 1), (1, 2), 1, (3, 3)), [(1, 2, 3, 2), (2, 2, 2, 2), (2,)],
    ),
    "conv_transpose2d one image": (
        F.conv_transpose2d, lambda x, w: plain_transpose(x[None], w)[0], [(2, 3, 3), (2, 3, 2, 2)],
    ),
    "conv_transpose1d": (
        lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1),
        lambda x, w, b: plain_transpose(row(x), row(w), b, (1, 2), (0, 1), (0, 1))[:, :, 0],
        [(2, 3, 4), (3, 2, 3), (2,)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_oracle(name):
    operation, plain, shapes = ROWS[name]
    tensors = leaves(*shapes)
    np.testing.assert_allclose(operation(*tensors).data, plain(*[t.data for t in tensors]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_gradients_and_their_gradients(name):
    operation, _, shapes = ROWS[name]
    assert tg.gradcheck(operation, leaves(*shapes))
    small = [tuple(min(n, 4) if len(s) > 1 and i > 1 else n for i, n in enumerate(s)) for s in shapes]
    assert tg.gradgradcheck(operation, leaves(*(small if "all" not in name else shapes)))


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
def test_whatever_lies_in_memory_as_it_likes(name):
    operation, dims = getattr(F, name), int(name[-2])
    x, w = draw(2, 3, *(6,) * dims), draw(3, 3, *(3,) * dims)
    expected = operation(tg.tensor(x), tg.tensor(w)).data
    turned = tg.from_numpy(np.ascontiguousarray(x[::-1].swapaxes(0, 1))).transpose(0, 1)[::-1]
    frozen = w.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(operation(turned, tg.from_numpy(frozen)).data, expected)
    np.testing.assert_allclose(
        operation(tg.tensor(x).float(), tg.tensor(w).float()).data, expected, rtol=1e-4, atol=1e-4
    )
    assert operation(tg.tensor(x).float(), tg.tensor(w).float()).dtype == tg.float32


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
def test_an_empty_batch(name):
    dims = int(name[-2])
    x = tg.zeros(0, 3, *(6,) * dims, requires_grad=True)
    w, b = tg.ones(3, 3, *(3,) * dims, requires_grad=True), tg.ones(3, requires_grad=True)
    y = getattr(F, name)(x, w, b)
    assert y.shape == (0, 3, *((4 if "transpose" not in name else 8),) * dims)
    y.sum().backward()
    assert x.grad.shape == x.shape and not w.grad.data.any() and not b.grad.data.any()


def test_integers_are_summed_exactly():
    x, w = tg.arange(50).reshape(1, 2, 5, 5), tg.arange(36).reshape(2, 2, 3, 3)
    y = F.conv2d(x, w)
    assert y.dtype == tg.int64
    np.testing.assert_array_equal(y.data, plain_conv(x.data, w.data))
    assert F.conv_transpose1d(tg.tensor([[1, 2]]), tg.tensor([[[1, 10]]])).tolist() == [[1, 12, 20]]


def test_hessian_vector_product_of_a_network():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.ConvTranspose2d(2, 1, 2)).double()
    x, parameters = tg.tensor(draw(2, 1, 4, 4)), list(net.parameters())
    direction = [tg.tensor(draw(*p.shape, seed=7)) for p in parameters]

    def gradient():
        return tg.grad((net(x) ** 2).sum(), parameters, create_graph=True)

    product = tg.grad(sum((g * d).sum() for g, d in zip(gradient(), direction)), parameters)
    numeric = []
    for sign in (1, -1):
        for p, d in zip(parameters, direction):
            p.data += sign * 1e-5 * d.data
        numeric.append([g.detach().data.copy() for g in gradient()])
        for p, d in zip(parameters, direction):
            p.data -= sign * 1e-5 * d.data
    for found, above, below in zip(product, *numeric):
        np.testing.assert_allclose(found.data, (above - below) / 2e-5, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_are_a_pad_and_a_convolution(mode):
    tg.manual_seed(0)
    conv = nn.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode=mode)
    x = tg.randn(2, 2, 6, 7)
    plain = F.conv2d(F.pad(x, (2, 2, 1, 1), mode), conv.weight, conv.bias)
    np.testing.assert_array_equal(conv(x).data, plain.data)
    same = nn.Conv1d(2, 3, 4, padding="same", padding_mode=mode, bias=False)
    assert same(tg.randn(2, 9)).shape == (3, 9)
    assert repr(same) == (
        f"Conv1d(2, 3, kernel_size=(4,), stride=(1,), padding=same, bias=False, padding_mode={mode})"
    )


def test_output_size_chooses_among_the_sizes_that_a_convolution_takes_to_one():
    up, down = nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1), nn.Conv2d(2, 4, 3, stride=2, padding=1)
    x = tg.randn(1, 4, 5, 5)
    for size in ((9, 9), (10, 9), (10, 10), (1, 2, 9, 10)):
        y = up(x, output_size=size)
        assert y.shape == (1, 2, *size[-2:]) and down(y).shape == x.shape
    assert up(x).shape == (1, 2, 9, 9)
    with pytest.raises(ValueError, match=r"\(11, 9\).*\(9, 9\) to \(10, 10\).*stride \(2, 2\).*\(1, 4, 5, 5\)"):
        up(x, output_size=(11, 9))
    with pytest.raises(ValueError, match="2 or 4 numbers"):
        up(x, output_size=(9,))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 2, 3)

    def forward(self, x):
        return self.up(x)


ones = tg.ones
ERRORS = {  # name: (what, error, what the message must say)
    "conv1d of images": (lambda: F.conv1d(ones(1, 3, 4, 4), ones(2, 3, 2)), RuntimeError, ["(N, C, L)", "3, 4, 4)"]),
    "conv1d weight": (lambda: F.conv1d(ones(1, 3, 4), ones(2, 3, 2, 2)), RuntimeError, ["length", "(2, 3, 2, 2)"]),
    "conv1d fits": (lambda: F.conv1d(ones(1, 3, 4), ones(2, 3, 5)), RuntimeError, ["conv1d", "(5, dil", "(4)"]),
    "stride float": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), stride=1.5), TypeError, ["stride", "1.5"]),
    "dilation": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), dilation=0), RuntimeError, ["dilation", "1"]),
    "groups": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 2, 2), groups=0), RuntimeError, ["groups", "least 1"]),
    "no kernel": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(1, 1, 0, 2)), RuntimeError, ["kernel size", "(0, 2)"]),
    "no filter": (lambda: F.conv2d(ones(1, 1, 4, 4), ones(0, 1, 2, 2)), RuntimeError, ["no filters"]),
    "no pixels": (lambda: F.conv2d(ones(1, 1, 0, 4), ones(1, 1, 1, 1)), RuntimeError, ["(1, 1, 0, 4)"]),
    "weight list": (lambda: F.conv2d(ones(1, 1, 4, 4), [[1.0]]), TypeError, ["weight", "list"]),
    "bytes": (
        lambda: F.conv2d(ones(1, 1, 4, 4).to(tg.uint8), ones(1, 1, 2, 2).to(tg.uint8)), RuntimeError,
        ["uint8", ".float()"],
    ),
    "image of integers": (
        lambda: F.conv2d(ones(1, 1, 4, 4).long(), ones(1, 1, 2, 2)), RuntimeError, ["int64", "float32", ".to("],
    ),
    "padding mode": (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ValueError, ["'mirror'", "reflect"]),
    "layer groups": (lambda: nn.Conv1d(4, 4, 3, groups=0), ValueError, ["Conv1d", "groups=0"]),
    "layer stride": (lambda: nn.Conv1d(4, 4, 3, stride=(1, 2)), RuntimeError, ["Conv1d: stride", "(1, 2)"]),
    "transposed channels": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(2, 3, 2, 2)), RuntimeError, ["3 channels", "(2, 3, 2, 2)"],
    ),
    "transposed groups": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 3, 2, 2), groups=2), RuntimeError, ["3 input", "groups=2"],
    ),
    "output padding": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 3, 2, 2), output_padding=1), RuntimeError,
        ["output_padding (1, 1)", "stride (1, 1)", "dilation"],
    ),
    "output padding negative": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 3, 2, 2), output_padding=-1), RuntimeError, ["at least 0"],
    ),
    "transposed padding": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 3, 3, 3), padding=5), RuntimeError, ["(5, 5)", "(-4, -4)"],
    ),
    "transposed padding word": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 3, 3, 3), padding="same"), TypeError, ["'same'"],
    ),
    "transposed bias": (
        lambda: F.conv_transpose2d(ones(1, 3, 4, 4), ones(3, 2, 3, 3), ones(3)), RuntimeError, ["(3,)", "2 output"],
    ),
    "transposed padding mode": (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), ValueError, ["'zeros'"]),
    "which layer": (lambda: Decoder()(ones(1, 3, 4, 4)), RuntimeError, ["up: conv_transpose2d: ", "(1, 3, 4, 4)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    raises_clearly(*ERRORS[name])
