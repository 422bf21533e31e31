"""Plots of plain numbers, and predictions against published and measured ones."""

import math
import os

import numpy as np
import pytest
import viz_nets as nets

import viz
from viz import plots, theory

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
