"""Interpolation, windows as columns, channels as pixels: oracle, gradients, gradients of gradients, errors."""

import numpy as np
import pytest
from checks import raises_clearly

import tinygrad_course as tg
import tinygrad_course.nn.functional as F
from tinygrad_course import nn


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def matrix(before, after, mode, align_corners=False, scale=None):
    """M (after, before) with y = M x along one axis: a column for each pixel, found by its definition."""
    M = np.zeros((after, before))
    for i in range(after):
        ratio = before / after if scale is None else 1 / scale
        if mode == "area":
            b, e = i * before // after, -(-(i + 1) * before // after)
            M[i, b:e] = 1 / (e - b)
        elif mode == "nearest":
            M[i, min(int(i * ratio), before - 1)] = 1
        elif mode == "nearest-exact":
            M[i, min(int((i + 0.5) * ratio), before - 1)] = 1
        else:
            at = i * (before - 1) / max(after - 1, 1) if align_corners else (i + 0.5) * ratio - 0.5
            at = at if mode == "bicubic" else max(at, 0)
            for j in range(-2, before + 3):  # pixels beyond the edge are the one at the edge
                distance = abs(at - j)
                M[i, min(max(j, 0), before - 1)] += weight(distance, -0.75 if mode == "bicubic" else None)
    return M


def weight(d, a):
    if a is None:
        return max(0, 1 - d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0


def plain(x, size, mode, align_corners=False, scales=(None, None)):
    rows, columns = (
        matrix(n, m, mode, align_corners, s) for n, m, s in zip(x.shape[2:], size, scales, strict=True)
    )
    return rows @ x @ columns.T


CASES = [(mode, corners) for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic")
         for corners in ([None] if mode in ("nearest", "nearest-exact", "area") else [False, True])]  # fmt: skip


@pytest.mark.parametrize(("mode", "align_corners"), CASES)
def test_interpolate(mode, align_corners):
    x = draw(2, 3, 5, 4)
    for size in ((10, 8), (7, 3), (2, 4), (1, 9)):
        y = F.interpolate(tg.tensor(x), size, mode=mode, align_corners=align_corners)
        np.testing.assert_allclose(y.data, plain(x, size, mode, align_corners), rtol=1e-10, atol=1e-12)
    y = F.interpolate(tg.tensor(x), scale_factor=(1.5, 2.3), mode=mode, align_corners=align_corners)
    expected = plain(x, (7, 9), mode, align_corners, (None, None) if mode == "area" else (1.5, 2.3))
    np.testing.assert_allclose(y.data, expected, rtol=1e-6, atol=1e-6)
    y = F.interpolate(
        tg.tensor(x), scale_factor=1.5, mode=mode, align_corners=align_corners, recompute_scale_factor=True
    )
    np.testing.assert_allclose(y.data, plain(x, (7, 6), mode, align_corners), rtol=1e-10, atol=1e-12)
    assert F.interpolate(tg.tensor(x).float(), 7, mode=mode).dtype == tg.float32


ROWS = {  # name: (operation, shape)
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), (1, 2, 3, 2)),
    "nearest down": (lambda x: F.interpolate(x, (2, 3)), (1, 2, 5, 4)),
    "bilinear": (lambda x: F.interpolate(x, (5, 3), mode="bilinear"), (1, 2, 3, 4)),
    "bilinear corners": (lambda x: F.interpolate(x, (5, 3), mode="bilinear", align_corners=True), (1, 2, 3, 4)),
    "bicubic": (lambda x: F.interpolate(x, (5, 3), mode="bicubic"), (1, 1, 3, 4)),
    "linear": (lambda x: F.interpolate(x, 7, mode="linear"), (2, 2, 4)),
    "trilinear": (lambda x: F.interpolate(x, (3, 2, 3), mode="trilinear"), (1, 1, 2, 3, 2)),
    "area": (lambda x: F.interpolate(x, (2, 3), mode="area"), (1, 2, 5, 4)),
    "unfold": (lambda x: F.unfold(x, (3, 2), (1, 2), (1, 0), 2), (1, 2, 5, 5)),
    "unfold one image": (lambda x: F.unfold(x, 2), (2, 3, 3)),
    "fold": (lambda x: F.fold(x, (5, 5), (3, 2), (1, 2), (1, 0), 2), (1, 12, 6)),
    "fold one image": (lambda x: F.fold(x, 3, 2), (8, 4)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (2, 8, 2, 3)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (4, 4, 2)),
}


@pytest.mark.parametrize("name", ROWS)
def test_gradients_and_their_gradients(name):
    operation, shape = ROWS[name]
    x = tg.tensor(draw(*shape), requires_grad=True)
    assert tg.gradcheck(operation, [x])
    assert tg.gradgradcheck(lambda x: operation(x) ** 2, [x])


@pytest.mark.parametrize("name", ROWS)
def test_whatever_lies_in_memory_as_it_likes(name):
    operation, shape = ROWS[name]
    x = draw(*shape)
    turned = tg.tensor(np.ascontiguousarray(x[..., ::-1]).swapaxes(-1, -2)).transpose(-1, -2)[..., ::-1]
    np.testing.assert_array_equal(operation(turned).data, operation(tg.tensor(x)).data)
    empty = tg.zeros(0, *shape[1:], requires_grad=True)
    if len(shape) >= 4 or name in ("linear", "fold"):
        y = operation(empty)
        assert y.shape[0] == 0
        y.sum().backward()
        assert empty.grad.shape == empty.shape


def test_a_convolution_is_a_matrix_product_with_the_columns():
    x, w = tg.tensor(draw(2, 3, 6, 5)), tg.tensor(draw(4, 3, 3, 2))
    y = (w.reshape(4, -1) @ F.unfold(x, (3, 2), padding=1, stride=2)).reshape(2, 4, 3, 3)
    np.testing.assert_allclose(y.data, F.conv2d(x, w, stride=2, padding=1).data, rtol=1e-12)


def test_fold_is_the_adjoint_of_unfold_and_counts_overlaps():
    how = {"kernel_size": (2, 3), "padding": 1, "stride": (1, 2), "dilation": (2, 1)}
    x = tg.tensor(draw(2, 3, 5, 6))
    columns = F.unfold(x, **how)
    y = tg.tensor(draw(*columns.shape))
    assert (columns * y).sum().item() == pytest.approx((x * F.fold(y, (5, 6), **how)).sum().item(), rel=1e-12)
    counts = F.fold(F.unfold(tg.ones(1, 1, 3, 3), 2), 3, 2)
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


def test_pixels_and_channels():
    x = tg.arange(8).reshape(1, 8, 1, 1)
    assert F.pixel_shuffle(x, 2).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
    assert F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).tolist() == x.tolist()
    assert nn.PixelShuffle(3)(tg.ones(9, 2, 4)).shape == (1, 6, 12)


def test_bytes_keep_their_type():
    x = tg.arange(4).to(tg.uint8).reshape(1, 1, 2, 2)
    y = F.interpolate(x, scale_factor=2)
    assert y.dtype == tg.uint8 and y.tolist()[0][0][1] == [0, 0, 1, 1]


REPR = {
    "Upsample(scale_factor=2)": "Upsample(scale_factor=2.0, mode='nearest')",
    "Upsample(size=3, mode='bilinear', align_corners=True)": "Upsample(size=3, mode='bilinear')",
    "UpsamplingNearest2d(scale_factor=(2, 3))": "UpsamplingNearest2d(scale_factor=(2.0, 3.0), mode='nearest')",
    "UpsamplingBilinear2d(size=(3, 4))": "UpsamplingBilinear2d(size=(3, 4), mode='bilinear')",
    "PixelShuffle(2)": "PixelShuffle(upscale_factor=2)",
    "PixelUnshuffle(2)": "PixelUnshuffle(downscale_factor=2)",
    "Unfold(3)": "Unfold(kernel_size=3, dilation=1, padding=0, stride=1)",
    "Fold((4, 4), 2)": "Fold(output_size=(4, 4), kernel_size=2, dilation=1, padding=0, stride=1)",
}


@pytest.mark.parametrize("made", REPR)
def test_repr(made):
    assert repr(eval(f"nn.{made}")) == REPR[made]


ones = tg.ones
ERRORS = {  # name: (what, error, what the message must say)
    "nothing": (lambda: F.interpolate(ones(1, 1, 4, 4)), ValueError, ["size or scale_factor", "neither"]),
    "both": (lambda: F.interpolate(ones(1, 1, 4, 4), 2, 2), ValueError, ["both"]),
    "sizes": (lambda: F.interpolate(ones(1, 1, 4, 4), (2, 3, 4)), ValueError, ["(2, 3, 4)", "(4, 4)"]),
    "mode": (lambda: F.interpolate(ones(1, 1, 4, 4), 2, mode="cubic"), NotImplementedError, ["'cubic'", "bicubic"]),
    "mode dimensions": (
        lambda: F.interpolate(ones(1, 4, 4), 2, mode="bilinear"), NotImplementedError, ["4 dimensions", "(1, 4, 4)"],
    ),
    "dimensions": (lambda: F.interpolate(ones(4, 4), 2), NotImplementedError, ["(4, 4)", "3, 4 or 5"]),
    "corners": (lambda: F.interpolate(ones(1, 1, 4, 4), 2, align_corners=True), ValueError, ["align_corners"]),
    "size 0": (lambda: F.interpolate(ones(1, 1, 4, 4), scale_factor=0.1), RuntimeError, ["(1, 1, 4, 4)", "(0, 0)"]),
    "recompute": (
        lambda: F.interpolate(ones(1, 1, 4, 4), 2, recompute_scale_factor=True), ValueError, ["scale_factor, not"],
    ),
    "antialias": (lambda: F.interpolate(ones(1, 1, 4, 4), 2, antialias=True), ValueError, ["antialias"]),
    "integers": (lambda: F.interpolate(ones(1, 1, 4, 4).long(), 2), NotImplementedError, ["int64", ".float()"]),
    "unfold kernel": (lambda: F.unfold(ones(1, 1, 4, 4), 5), RuntimeError, ["unfold", "5 x 5", "4 x 4"]),
    "unfold dimensions": (lambda: F.unfold(ones(4, 4), 2), IndexError, ["(C, H, W)", "(4, 4)"]),
    "unfold stride": (lambda: F.unfold(ones(1, 1, 4, 4), 2, stride=0), RuntimeError, ["stride"]),
    "fold columns": (lambda: F.fold(ones(1, 4, 5), 4, 2), RuntimeError, ["(1, 4, 5)", "3 x 3 = 9"]),
    "fold rows": (lambda: F.fold(ones(1, 5, 9), 4, 2), RuntimeError, ["5 rows", "by 4"]),
    "fold dimensions": (lambda: F.fold(ones(9), 4, 2), RuntimeError, ["(9,)"]),
    "shuffle channels": (lambda: F.pixel_shuffle(ones(1, 5, 4, 4), 2), RuntimeError, ["5 channels", "= 4"]),
    "shuffle dimensions": (lambda: F.pixel_shuffle(ones(4, 4), 2), RuntimeError, ["(4, 4)"]),
    "shuffle factor": (lambda: F.pixel_shuffle(ones(1, 4, 4, 4), 0), RuntimeError, ["at least 1"]),
    "unshuffle size": (lambda: F.pixel_unshuffle(ones(1, 4, 5, 4), 2), RuntimeError, ["(1, 4, 5, 4)", "= 2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    raises_clearly(*ERRORS[name])
