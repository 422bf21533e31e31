"""The summary sheet: two nets, their gradient flow on one scale, and what came of it, on one page."""

import textwrap

from ..graph import labels
from ..graph.draw import draw_pair
from ..graph.flow import compare_scale
from . import style
from .comparison import LETTERS, WIDTH, draw_legend, write_heading
from .curves import draw_curves
from .heat import colour_bar, common_scale, draw_heat, relative
from .profile import draw_gradients


def summary_sheet(
    left, right, gradients, *, theory=None, curves=None, heat=None, steps=None, caption="", title="Gradient flow"
):
    """One sheet: the graphs of two nets on the sides, depth profile and training curves between them, words below.

    left, right: `GradientFlow`s with titles; both are drawn on the larger of their scales.
    gradients, theory: as for `layer_profile`; curves: as `runs` of `training_curves`; heat: as for `gradient_heat`,
    with `steps` the number of each recorded step.
    caption: the conclusion, in numbers.

    Returns a matplotlib Figure.
    """
    scale = compare_scale(left, right)
    left, right = left.with_scale(scale), right.with_scale(scale)
    figure = style.new_figure(WIDTH, 13.0 if heat else 10.0)
    figure.set_layout_engine("none")
    top, bottom, graphs_from = 0.93, 0.06, 0.33 if heat else 0.09
    figure.text(0.02, 0.975, labels.plain(title), fontsize=20, fontweight="bold", va="center", color=style.INK)
    draw_legend(figure.add_axes((0.385, 0.962, 0.26, 0.014)), left, right)
    graphs = []
    for x, flow in ((0.01, left), (0.665, right)):
        write_heading(figure, x + 0.005, top - 0.02, 0.015, flow)
        graphs.append(figure.add_axes((x, graphs_from, 0.325, top - 0.045 - graphs_from)))
    draw_pair(graphs, (left, right), terse=max(len(left.nodes), len(right.nodes)) > 16)
    middle = graphs_from + (top - graphs_from) * 0.5
    low = graphs_from + 0.035
    profile = figure.add_axes(
        (0.385, middle + 0.03 if curves else low, 0.26, top - 0.03 - (middle + 0.03 if curves else low))
    )
    draw_gradients(profile, gradients, theory)
    profile.legend(fontsize=9, frameon=False)
    if curves:
        axes = figure.add_axes((0.385, low, 0.26, middle - 0.06 - low))
        draw_curves(axes, curves, title="What came of it: training error")
    if heat:
        maps = {name: relative(name, array) for name, array in heat.items()}
        common = common_scale(maps.values())
        drawn = []
        for i, (name, values) in enumerate(maps.items()):
            axes = figure.add_axes((0.06 + i * 0.88 / len(maps), bottom + 0.045, 0.74 / len(maps), 0.175))
            image = draw_heat(axes, values, common, x=steps, title=f"Through training: {name}")
            drawn.append(axes)
        colour_bar(figure, image, drawn, common)
    words = textwrap.fill(labels.plain(caption), LETTERS)
    figure.text(0.02, 0.02, words, fontsize=12, va="bottom", color=style.INK)
    return figure
