"""Heat maps: gradient RMS of every layer at every training step."""

import numpy as np

from ..graph import labels, theme
from ..graph.values import SCALES
from . import style


def gradient_heat(nets, *, scale=None, xlabel="training step", x=None, title=None):
    """log10 of gradient RMS, layers × steps, for several nets side by side on one scale.

    nets: {"plain": array (steps, layers) of RMS, …}, layers from the input to the loss. Each row of a picture is a
    layer, the input on top; each step is relative to its last layer. Blue is vanishing, red exploding; yellow is
    zero or not finite. scale: decades from white to full colour, by default what covers 95 % of all values.
    x: the number of each recorded step.

    Returns a matplotlib Figure. Raises ValueError for empty or misshapen arrays.
    """
    style.check_some(nets, "no net was given")
    maps = {name: relative(name, array) for name, array in nets.items()}
    scale = common_scale(maps.values()) if scale is None else scale
    figure = style.new_figure(1.6 + 4.6 * len(maps), 4.2)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for one, (name, values) in zip(axes, maps.items(), strict=True):
        image = draw_heat(one, values, scale, x=x, xlabel=xlabel, title=name)
    colour_bar(figure, image, list(axes), scale)
    if title:
        figure.suptitle(style.words(title), fontsize=13, fontweight="bold", x=0.01, ha="left")
    return figure


def relative(name, array):
    """log10(RMS / RMS of the last layer), nan where there is none; (steps, layers) in and out."""
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name!r}: expected an array of steps × layers, got shape {array.shape}")
    with np.errstate(all="ignore"):
        logs = np.log10(np.where((array > 0.0) & np.isfinite(array), array, np.nan))
    return logs - logs[:, -1:]


def common_scale(maps):
    """The smallest scale that covers 95 % of the values of all maps."""
    values = np.abs(np.concatenate([m.ravel() for m in maps]))
    values = values[np.isfinite(values)]
    quantile = float(np.quantile(values, 0.95)) if values.size else 0.0
    return next((scale for scale in SCALES if quantile <= scale), SCALES[-1])


def draw_heat(axes, values, scale, *, x=None, xlabel="training step", title=None):
    """Draw one map into axes; returns the image."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("rdbu", theme.RDBU).with_extremes(bad=theme.BAD)
    steps, layers = values.shape
    first, last = (0, steps) if x is None else (float(x[0]), float(x[-1]))
    half = 0.5 if x is None or steps < 2 else (last - first) / (steps - 1) / 2
    extent = (first - (0 if x is None else half), last + (0 if x is None else half), layers + 0.5, 0.5)
    image = axes.imshow(
        np.ma.masked_invalid(values.T), cmap=colours, vmin=-scale, vmax=scale, aspect="auto", extent=extent,
        interpolation="nearest",
    )  # fmt: skip
    style.tidy(axes, title, xlabel, "layer, from the input")
    axes.grid(False)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    return image


def colour_bar(figure, image, axes, scale, own=None):
    """The colour bar in decades, with the words; beside `axes`, or in axes of its own."""
    bar = figure.colorbar(image, cax=own) if own is not None else figure.colorbar(image, ax=axes, shrink=0.9)
    ticks = [tick for tick, _ in labels.ticks(scale)]
    bar.set_ticks(ticks, labels=[style.power(tick) for tick in ticks])
    bar.set_label("gradient RMS, relative to the last layer\n◀ vanishing      exploding ▶", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    return bar
