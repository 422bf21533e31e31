"""Heat maps: gradient RMS of every layer at every training step."""

from typing import NamedTuple

import numpy as np

from ..graph import labels, theme
from ..graph.values import SCALES
from . import style


class Mark(NamedTuple):
    """What is said of cells that have no colour on the scale, or one that says too little: words, fill, hatch.

    A fill of None leaves the colour of the cell. The hatch tells marks apart in grey, the words are those of nodes.
    """

    words: str
    fill: str | None
    hatch: str


_INCHES = 0.17  # of a line of the legend of marks
_IN_A_LINE = 3  # marks
_LEGEND_BELOW = 0.5  # inches below the axes, under their label
_SIGN_EVERY, _SIGN = (0.34, 0.2), 5.0  # inches between the signs ▼ and ▲, aside and down; their size in points
_SIGNED = 0.25  # of the scale: cells nearer to the reference have no sign


def gradient_heat(nets, *, scale=None, xlabel="training step", x=None, title=None):
    """log10 of gradient RMS, layers × steps, for several nets side by side on one scale.

    nets: {"plain": array (steps, layers) of RMS, …}, layers from the input to the loss; None, or a masked cell, is a
    gradient that did not arrive. Each row of a picture is a layer, the input on top; each step is relative to the last
    layer whose gradient has a size in it. Blue and ▼ are vanishing, red and ▲ exploding; exact zeros, no gradient, NaN,
    Inf and what is beyond the scale are hatched, each in its way. scale: decades from white to full colour, by default
    what covers 95 % of all values. x: the number of each recorded step.

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
    """log10(RMS / RMS of the last layer that has one in its step); a masked array (steps, layers), as what came in.

    -inf is an exact zero, inf is Inf, nan is NaN; masked is no gradient.
    """
    array = np.ma.array(array, dtype=np.float64, mask=_absent(array))
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name!r}: expected an array of steps × layers, got shape {array.shape}")
    with np.errstate(all="ignore"):
        logs = np.log10(array.data)
    usable = np.isfinite(logs) & ~array.mask
    last = logs.shape[1] - 1 - np.argmax(usable[:, ::-1], axis=1)
    reference = np.where(usable.any(axis=1), np.take_along_axis(logs, last[:, None], axis=1)[:, 0], 0.0)
    return np.ma.array(logs - reference[:, None], mask=array.mask)


def _absent(array):
    """Where no gradient arrived: None, or masked."""
    whole = np.asarray(array, dtype=object)
    return np.ma.getmaskarray(np.ma.asarray(array)) | np.equal(whole, None).astype(bool)


def common_scale(maps):
    """The smallest scale that covers 95 % of the values of all maps."""
    values = np.abs(np.concatenate([np.ma.compressed(m) for m in maps]))
    values = values[np.isfinite(values)]
    quantile = float(np.quantile(values, 0.95)) if values.size else 0.0
    return next((scale for scale in SCALES if quantile <= scale), SCALES[-1])


def marks_of(values, scale):
    """[(Mark, where it is)] of a map, those only that occur."""
    data, absent = np.ma.getdata(values), np.ma.getmaskarray(values)
    finite = np.isfinite(data)
    found = [
        (Mark(theme.MARKS["zero"], theme.ZERO, "ooo"), data == -np.inf),
        (Mark(theme.MARKS["none"], theme.NO_GRADIENT, "////"), np.broadcast_to(absent, data.shape)),
        (Mark(theme.MARKS["nan"], theme.BAD, "xxxx"), np.isnan(data)),
        (Mark(theme.MARKS["inf"], theme.BAD, "||||"), data == np.inf),
        (Mark("▼▼ beyond the scale", None, "----"), finite & (data < -scale)),
        (Mark("▲▲ beyond the scale", None, "...."), finite & (data > scale)),
    ]
    kept = [(mark, where if i == 1 else where & ~absent) for i, (mark, where) in enumerate(found)]
    return [(mark, where) for mark, where in kept if where.any()]


def draw_heat(axes, values, scale, *, x=None, xlabel="training step", title=None):
    """Draw one map into axes, and below it what its marks mean, if it has any; returns the image."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("rdbu", theme.RDBU)
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
    marks = marks_of(values, scale)
    samples = [_hatched(axes, mark, where, extent, scale) for mark, where in marks]
    _signs(axes, values, extent, scale)
    if marks:
        _explain(axes, samples)
    return image


def _hatched(axes, mark, where, extent, scale):
    """Hatch the cells of one mark; returns a sample for the legend. Neighbours in a layer are one rectangle."""
    from matplotlib.patches import Patch, PathPatch
    from matplotlib.path import Path

    steps, layers = where.shape
    left, step, height = extent[0], (extent[1] - extent[0]) / steps, (extent[2] - extent[3]) / layers
    corners = []
    for layer in range(layers):
        ends = np.flatnonzero(np.diff(np.concatenate(([0], where[:, layer].astype(np.int8), [0]))))
        top, bottom = extent[3] + layer * height, extent[3] + (layer + 1) * height
        for begin, end in ends.reshape(-1, 2):
            x0, x1 = left + begin * step, left + end * step
            corners += [(x0, top), (x1, top), (x1, bottom), (x0, bottom), (x0, top)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(corners) // 5)
    fill = mark.fill or "none"
    colour = mark.fill or theme.colour(-scale if mark.words.startswith("▼") else scale, scale)
    style_of = {"hatch": mark.hatch, "edgecolor": theme.ink_on(colour), "linewidth": 0.0}
    axes.add_patch(PathPatch(Path(corners, codes), facecolor=fill, label=mark.words, zorder=2, **style_of))
    return Patch(facecolor=colour, label=mark.words, **style_of)


def _signs(axes, values, extent, scale):
    """▼ and ▲ here and there on what vanishes and what explodes: colour tells them apart, and grey does not."""
    box, figure = axes.get_position(), axes.get_figure()
    room = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    picked = [_evenly(count, int(inches / every))
              for count, inches, every in zip(values.shape, room, _SIGN_EVERY, strict=True)]  # fmt: skip
    cell = [(extent[1] - extent[0]) / values.shape[0], (extent[2] - extent[3]) / values.shape[1]]
    steps, layers = (grid.ravel() for grid in np.meshgrid(*picked, indexing="ij"))
    here = np.ma.filled(np.ma.masked_invalid(values), 0.0)[steps, layers] / scale
    for marker, kept in (("v", (here >= -1.0) & (here < -_SIGNED)), ("^", (here > _SIGNED) & (here <= 1.0))):
        inks = [theme.ink_on(theme.colour(value, 1.0)) for value in here[kept]]
        centres = extent[0] + (steps[kept] + 0.5) * cell[0], extent[3] + (layers[kept] + 0.5) * cell[1]
        axes.scatter(*centres, s=_SIGN**2, marker=marker, c=inks, linewidths=0.0, alpha=0.75, zorder=3)


def _evenly(count, most):
    """At most `most` numbers below `count`, at even distances, in the middle: a row left out would look different."""
    step = max(1, -(-count // max(1, most)))
    return np.arange((count - 1) % step // 2, count, step)


def _explain(axes, samples):
    """The legend of marks below the axes; where no layout makes room for it, the axes give theirs."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    lines = -(-len(samples) // _IN_A_LINE)
    if not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        box, needed = axes.get_position(), (lines * _INCHES + 0.06) / figure.get_figheight()
        axes.set_position((box.x0, box.y0 + needed, box.width, box.height - needed))
    below = axes.transAxes + ScaledTranslation(0.0, -_LEGEND_BELOW, figure.dpi_scale_trans)
    axes.legend(
        handles=samples, loc="upper left", bbox_to_anchor=(0.0, 0.0), bbox_transform=below, ncols=_IN_A_LINE,
        fontsize=8, frameon=False, borderaxespad=0.0, borderpad=0.0, labelspacing=0.3, columnspacing=1.2,
        handlelength=2.2, handleheight=1.1, labelcolor=style.INK,
    )  # fmt: skip


def colour_bar(figure, image, axes, scale, own=None):
    """The colour bar in decades, with the words; beside `axes`, or in axes of its own."""
    bar = figure.colorbar(image, cax=own) if own is not None else figure.colorbar(image, ax=axes, shrink=0.9)
    ticks = [tick for tick, _ in labels.ticks(scale)]
    bar.set_ticks(ticks, labels=[style.power(tick) for tick in ticks])
    bar.set_label("gradient RMS, relative to the last layer\n▼ vanishing      exploding ▲", fontsize=9)
    bar.ax.tick_params(labelsize=9)
    return bar
