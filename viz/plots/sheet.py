"""The summary sheet: two nets, their gradient flow on one scale, and what came of it, on one page."""

import textwrap

from ..graph import labels
from ..graph.draw import draw_pair
from ..graph.flow import compare_scale
from . import style
from .comparison import (
    LEFT,
    LETTERS,
    LINE,
    MIDDLE,
    RIGHT,
    WIDTH,
    draw_legend,
    draw_marks,
    is_terse,
    marks_of,
    room_of_marks,
    write_heading,
    write_title,
)  # fmt: skip
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
    lines = textwrap.wrap(labels.plain(caption), LETTERS)
    terse = is_terse(left, right)
    marks = marks_of(left, right, terse)
    more = room_of_marks(marks)
    height = (13.4 if heat else 10.4) + more
    figure = style.new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    top, bottom, graphs_from = 1.0 - (1.15 + more) / height, (0.3 + LINE * len(lines)) / height, 0.32 if heat else 0.09
    write_title(figure, title)
    draw_legend(figure.add_axes((MIDDLE[0], 1.0 - 1.01 / height, MIDDLE[1], 0.16 / height)), left, right)
    draw_marks(figure, marks)
    graphs = []
    for (x, width), flow in ((LEFT, left), (RIGHT, right)):
        write_heading(figure, x + 0.01, top - 0.15 / height, 0.2 / height, flow)
        graphs.append(figure.add_axes((x, graphs_from, width, top - 0.4 / height - graphs_from)))
    draw_pair(graphs, (left, right), terse=terse)
    middle = graphs_from + (top - graphs_from) * 0.5
    low = graphs_from + 0.035
    from_y = middle + 0.03 if curves else low
    profile = figure.add_axes((MIDDLE[0], from_y, MIDDLE[1], top - 0.6 / height - from_y))
    draw_gradients(profile, gradients, theory)
    profile.legend(fontsize=8, frameon=False, handlelength=1.6)
    if curves:
        axes = figure.add_axes((MIDDLE[0], low, MIDDLE[1], middle - 0.06 - low))
        draw_curves(axes, curves, title="What came of it: training error")
    if heat:
        maps = {name: relative(name, array) for name, array in heat.items()}
        common = common_scale(maps.values())
        each = 0.88 / len(maps)
        for i, (name, values) in enumerate(maps.items()):
            axes = figure.add_axes((0.05 + i * each, bottom + 0.04, each - 0.05, 0.262 - bottom))
            image = draw_heat(axes, values, common, x=steps, title=f"Through training: {name}")
        colour_bar(figure, image, None, common, figure.add_axes((0.91, bottom + 0.05, 0.012, 0.242 - bottom)))
    figure.text(0.015, 0.2 / height, style.words("\n".join(lines)), fontsize=12, va="bottom", color=style.INK)
    return figure
