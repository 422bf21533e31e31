"""Plots of plain numbers, and predictions against published and measured ones."""

import itertools
import math
import os

import numpy as np
import pytest
import viz_nets as nets
from matplotlib.colors import to_hex

import viz
from viz import plots, theory
from viz.graph import theme
from viz.plots.heat import relative

RATIOS = [0.5**i for i in range(12, 0, -1)]


# ------------------------------------------------------------------------------------------- plots


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_profile(tmp_path, suffix):
    figure = plots.layer_profile(
        {"plain": RATIOS, "residual": [1.0, math.nan, 0.0, 1.5]}, {"plain": RATIOS}, theory={"plain": 0.25}, title="x"
    )
    path = viz.save_figure(figure, tmp_path / f"profile.{suffix}")
    assert os.path.getsize(path) > 3000
    assert len(figure.axes) == 2


def test_profile_is_relative_to_the_last_layer_and_the_theory_has_its_slope():
    figure = plots.layer_profile({"plain": RATIOS}, theory={"plain": 0.25})
    measured, predicted = figure.axes[0].get_lines()
    assert measured.get_ydata()[-1] == 0.0
    assert np.allclose(np.diff(measured.get_ydata()), np.log10(2.0))
    assert np.allclose(predicted.get_ydata(), measured.get_ydata())
    assert predicted.get_linestyle() == "--"


def test_profile_of_recordings():
    nets_ = {name: nets.recorded(nets.net(4, residual)) for name, residual in (("plain", False), ("residual", True))}
    figure = viz.layer_profile(nets_, theory={"plain": theory.batch_norm_relu_ratio(16)})
    assert [line.get_label() for line in figure.axes[0].get_lines()][:2] == ["plain", "residual"]
    assert viz.layer_profile(nets_["plain"]).axes


def test_curves():
    runs = {"plain": [[0.9, 0.8, 0.7], [0.9, 0.9]], "residual": [[0.5, 0.2, 0.1]]}
    axes = plots.training_curves(runs, title="x").axes[0]
    plain, residual = axes.get_lines()
    assert np.allclose(plain.get_ydata(), [0.9, 0.85, 0.7])
    assert np.allclose(residual.get_ydata(), [0.5, 0.2, 0.1])
    assert len(axes.collections) == 1  # a band where there are several seeds
    assert plain.get_label() == "plain (2 seeds)"


def test_heat():
    steps = np.outer(np.ones(5), 10.0 ** np.arange(-3, 1))
    steps[0, 0] = np.nan
    figure = plots.gradient_heat({"plain": steps, "residual": np.ones((5, 4))})
    assert figure.axes[0].images[0].get_clim() == (-3, 3)
    assert np.allclose(figure.axes[0].images[0].get_array()[:, 1], [-3, -2, -1, 0])
    assert figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim()


def _with_marks():
    """RMS of 6 layers at 40 steps, on a scale of 3 decades; where each mark is: {words: (steps, layers)}."""
    rms = np.ones((40, 6)).astype(object)
    rms[:, 1] = 0.01
    places = {"0 exactly": (slice(0, 12), 0), "∅ no gradient": (slice(20, 32), 0), "NaN": (slice(0, 12), 2),
              "Inf": (slice(20, 32), 2), "▼▼ beyond the scale": (slice(0, 12), 4),
              "▲▲ beyond the scale": (slice(20, 32), 4)}  # fmt: skip
    for value, place in zip((0.0, None, math.nan, math.inf, 1e-9, 1e9), places.values(), strict=True):
        rms[place] = value
    return rms, places


def test_marks_of_a_heat_map_differ_in_colour_and_in_grey():
    rms, places = _with_marks()
    figure = plots.gradient_heat({"net": rms}, scale=3)
    axes = figure.axes[0]
    samples = {text.get_text(): patch for text, patch in
               zip(axes.get_legend().get_texts(), axes.get_legend().get_patches(), strict=True)}  # fmt: skip
    assert set(samples) == set(places)
    assert len({patch.get_hatch() for patch in samples.values()}) == len(places)
    expected = {"0 exactly": theme.ZERO, "∅ no gradient": theme.NO_GRADIENT, "NaN": theme.BAD, "Inf": theme.BAD,
                "▼▼ beyond the scale": theme.colour(-3, 3), "▲▲ beyond the scale": theme.colour(3, 3)}  # fmt: skip
    assert {words: to_hex(patch.get_facecolor()) for words, patch in samples.items()} == expected
    figure.set_dpi(100)
    figure.canvas.draw()
    grey = np.asarray(figure.canvas.buffer_rgba())[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    crops = {}
    for words, (steps, layer) in places.items():
        corners = axes.transData.transform([(steps.start + 0.5, layer + 1.4), (steps.stop - 0.5, layer + 0.6)])
        (x0, y0), (x1, y1) = corners.round().astype(int)
        crop = grey[grey.shape[0] - y1 : grey.shape[0] - y0, x0:x1]
        crops[words] = crop
        assert crop.std() > 20.0, f"{words} is no pattern"
    for (one, a), (other, b) in itertools.combinations(crops.items(), 2):
        rows, columns = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
        assert np.abs(a[:rows, :columns] - b[:rows, :columns]).mean() > 20.0, (one, other)


def test_the_legend_of_a_heat_map_names_only_marks_that_occur():
    rms, places = _with_marks()
    for words, place in places.items():
        one = np.ones((40, 6)).astype(object)
        one[place] = rms[place]
        legend = plots.gradient_heat({"net": one}, scale=3).axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == [words]
    assert plots.gradient_heat({"net": np.ones((40, 6))}).axes[0].get_legend() is None


def test_a_heat_map_is_relative_to_the_last_layer_that_has_a_gradient():
    values = relative("net", [[0.01, 1.0, 0.0], [1.0, 10.0, math.nan], [0.0, 0.0, 0.0], [None, 1.0, 1.0]])
    assert values.mask.tolist() == [[False] * 3] * 3 + [[True, False, False]]
    assert values.data[0].tolist() == [-2.0, 0.0, -math.inf] and values.data[1][:2].tolist() == [-1.0, 0.0]
    assert values.data[2].tolist() == [-math.inf] * 3
    masked = np.ma.array([[1.0, 1.0]], mask=[[True, False]])
    assert relative("net", masked).mask.tolist() == [[True, False]]


def test_signs_tell_vanishing_from_exploding_in_grey():
    figure = plots.gradient_heat({"falls": 10.0 ** np.tile(np.arange(-5, 1), (30, 1)),
                                  "grows": 10.0 ** -np.tile(np.arange(-5, 1), (30, 1))})  # fmt: skip
    down, up = ([len(marks.get_offsets()) for marks in axes.collections] for axes in figure.axes[:2])
    assert down[0] > 10 and down[1] == 0 and up[0] == 0 and up[1] > 10


@pytest.mark.parametrize("layers", [1, 4, 11, 14, 60])
def test_signs_of_a_heat_map_stand_at_even_distances(layers):
    """Every layer has them, or every second, …: one that was left out would look as if it did not vanish."""
    rms = 10.0 ** np.append(np.linspace(-3.0, -2.0, layers), 0.0)
    figure = plots.gradient_heat({"falls": np.tile(rms, (31, 1))}, scale=3)
    offsets = np.concatenate([np.asarray(marks.get_offsets()) for marks in figure.axes[0].collections])
    below = offsets[offsets[:, 1] < layers + 1]
    for places in (np.unique(below[:, 0]), np.unique(below[:, 1])):
        assert np.unique(np.diff(places).round(6)).size <= 1
    assert layers > 14 or np.unique(below[:, 1]).tolist() == list(range(1, layers + 1))


def test_profile_marks_what_has_no_logarithm():
    figure = plots.layer_profile({"net": [0.0, 0.0, math.nan, 1.0]})
    lines = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert (lines["net: exactly 0"], lines["net: NaN or Inf"]) == ([1, 2], [3])


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: plots.layer_profile({name: RATIOS}, {name: RATIOS}, theory={name: 0.25}, title=name),
        lambda name: plots.training_curves({name: [[0.9, 0.8]]}, title=name, ylabel=name, xlabel=name),
        lambda name: plots.gradient_heat({name: np.ones((5, 4))}, title=name, xlabel=name),
        lambda name: plots.spectrum_bars({name: _spectrum()}, title=name),
        lambda name: plots.lesion_curves({name: _lesions()}, title=name, ylabel=name),
    ],
)
def test_names_with_a_dollar_are_no_formulas(draw, tmp_path):
    for name in ("$\\frac$", "$y$", "cost $5"):
        viz.save_figure(draw(name), tmp_path / "plot.svg")
        assert name in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def _spectrum():
    model = nets.net(2)
    return viz.path_spectrum(lambda: nets.loss_of(model))


def _lesions():
    return viz.Lesions(1.0, {"a": 2.0, "b": 3.0}, {2: [4.0, 5.0]})


@pytest.mark.parametrize(
    "call",
    [
        lambda: plots.layer_profile({}),
        lambda: plots.layer_profile({"plain": []}),
        lambda: plots.layer_profile({"plain": RATIOS}, theory={"plane": 1.0}),
        lambda: plots.training_curves({}),
        lambda: plots.training_curves({"plain": []}),
        lambda: plots.gradient_heat({}),
        lambda: plots.gradient_heat({"plain": np.ones(3)}),
        lambda: viz.save_figure(plots.layer_profile({"plain": RATIOS}), "profile.gif"),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match=r"."):
        call()


def test_summary_sheet(tmp_path):
    flows, layers, heat = [], {}, {}
    for name, residual in (("plain", False), ("residual", True)):
        recording = nets.recorded(nets.net(8, residual))
        flows.append(viz.gradient_flow(recording, level="block", title=name))
        layers[name] = [layer.gradient_rms for layer in recording.layers()]
        heat[name] = [layers[name], layers[name]]
    curves = {"plain": [[0.9, 0.8]], "residual": [[0.5, 0.1]]}
    figure = viz.summary_sheet(*flows, layers, curves=curves, heat=heat, caption="The gradient …", title="A < B & C")
    viz.save_figure(figure, tmp_path / "sheet.svg", dpi=50)
    text = (tmp_path / "sheet.svg").read_text(encoding="utf-8")
    assert "The gradient …" in text and "A &lt; B &amp; C" in text
    assert text.count("blocks.3") >= 2
    mirrored = viz.summary_sheet(*flows[::-1], layers, caption="")
    assert mirrored.axes


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for i in (1, 2):
        viz.save_figure(plots.layer_profile({"plain": RATIOS}), tmp_path / f"{i}.svg")
    assert (tmp_path / "1.svg").read_bytes() == (tmp_path / "2.svg").read_bytes()


# ------------------------------------------------------------------------------------------- theory


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (theory.relu_ratio(2.0), 1.0),
        (theory.relu_ratio(1.0), 0.5),
        (theory.linear_ratio(0.9), 0.9),
        (theory.default_init_ratio(), 1 / 6),
        (theory.default_init_ratio("linear"), 1 / 3),
        (theory.batch_norm_relu_ratio(), 1.46694),
        (math.sqrt(theory.batch_norm_relu_ratio()), 1.2112),
        (theory.batch_norm_linear_ratio(8), 1.2),
        (theory.batch_norm_linear_ratio(32), 1.0345),
        (theory.residual_ratio(theory.relu_ratio(2.0)), 2.0),
        (theory.scaled_residual_ratio(50**-0.5) ** 50, 2.692),
        (theory.gain("tanh")[0], 2.536),
        (theory.gain("tanh")[1], 1.178),
        (theory.gain("sigmoid")[0], 3.409),
        (theory.gain("sigmoid")[1], 0.1528),
        (theory.gain("relu")[0], 2.0),
    ],
)
def test_closed_forms(found, expected):
    assert found == pytest.approx(expected, rel=4e-4)


@pytest.mark.parametrize(
    ("sigma_w2", "sigma_b2", "chi"),
    [(0.5, 0, 0.5), (2.25, 0, 1.1393), (4, 0, 1.3627), (1, 0.05, 0.7590), (1.76, 0.05, 0.9998), (2.5, 0.05, 1.1335),
     (4, 0.05, 1.3424), (2.25, 0.1, 1.0538)],
)  # fmt: skip
def test_tanh_mean_field(sigma_w2, sigma_b2, chi):
    assert theory.mean_field(sigma_w2, sigma_b2).chi == pytest.approx(chi, abs=6e-5)


@pytest.mark.parametrize(("sigma_w2", "chi"), [(1, 0.0557), (4, 0.1716), (16, 0.3989)])
def test_sigmoid_mean_field(sigma_w2, chi):
    field = theory.mean_field(sigma_w2, activation="sigmoid")
    assert field.chi == pytest.approx(chi, abs=6e-5)
    assert field.chi < sigma_w2 / 16


def test_fixed_point_and_edge_of_chaos():
    assert theory.mean_field(4).q_star == pytest.approx(2.1215, abs=1e-4)
    assert theory.critical_weight_variance(0.05) == pytest.approx(1.76, abs=0.01)
    assert theory.critical_weight_variance(0.0) == 1.0


@pytest.mark.parametrize(
    ("batch", "measured", "tolerance"), [(512, 1.4553, 0.012), (128, 1.4759, 0.01), (32, 1.518, 0.01), (8, 1.789, 0.02)]
)
def test_batch_norm_factor_against_measurements(batch, measured, tolerance):
    assert theory.batch_norm_relu_ratio(batch) == pytest.approx(measured, rel=tolerance)


def test_measured_ratio():
    assert theory.measured_ratio([math.sqrt(1.5) ** -layer for layer in range(10)]) == pytest.approx(1.5)
    assert theory.measured_ratio([8.0, math.nan, 2.0, 0.0]) == pytest.approx(4.0)
    assert math.isnan(theory.measured_ratio([1.0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.batch_norm_relu_ratio(3),
        lambda: theory.mean_field(-1.0),
        lambda: theory.mean_field(1.0, activation="relu6"),
        lambda: theory.default_init_ratio("gelu"),
    ],
)
def test_bad_theory(call):
    with pytest.raises(ValueError, match=r"."):
        call()


def test_batch_norm_net_meets_theory():
    """A plain batch-norm net of this library: the squared gradient grows by π/(π-1) a layer, to 6 % at this size."""
    import tinygrad_course as tg

    tg.manual_seed(1)
    model = nets.Net(12, False, width=128, inputs=64)
    x, y = nets.data(samples=128, inputs=64)
    with viz.record(model) as recording:
        nets.loss_of(model, x, y).backward()
    inner = [layer.gradient_rms for layer in recording.layers()][2:-2]
    assert theory.measured_ratio(inner) == pytest.approx(theory.batch_norm_relu_ratio(128), rel=0.06)
