"""The summary sheet: two nets, their gradient flow on one scale, and what came of it, on one page."""

import textwrap

from ..graph import labels, theme
from ..graph.draw import draw_on
from ..graph.flow import compare_scale
from . import style
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
    figure = style.new_figure(19.0, 14.0 if heat else 11.0)
    figure.set_layout_engine("none")
    top, bottom, graphs_from = 0.93, 0.06, 0.33 if heat else 0.09
    figure.text(0.02, 0.975, labels.plain(title), fontsize=20, fontweight="bold", va="center", color=style.INK)
    _legend(figure, left, right, scale)
    for x, flow in ((0.01, left), (0.665, right)):
        name = labels.plain(flow.title or "")
        loss = "" if flow.loss is None else f"   loss {flow.loss:.4g} in this step"
        figure.text(x + 0.005, top - 0.02, name, fontsize=14, fontweight="bold", color=style.INK)
        figure.text(x + 0.005, top - 0.035, loss.strip(), fontsize=10, color=theme.FAINT)
        axes = figure.add_axes((x, graphs_from, 0.325, top - 0.045 - graphs_from))
        draw_on(axes, flow, terse=len(flow.nodes) > 16)
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
    words = textwrap.fill(labels.plain(caption), 190)
    figure.text(0.02, 0.02, words, fontsize=12, va="bottom", color=style.INK)
    return figure


def _legend(figure, left, right, scale):
    """The colour bar that both graphs share, and the words."""
    axes = figure.add_axes((0.385, 0.962, 0.26, 0.014))
    cells = 60
    for i in range(cells):
        colour = theme.colour((2 * i + 1 - cells) / cells * scale, scale)
        axes.axvspan(i / cells, (i + 1) / cells, color=colour, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_yticks([])
    ticks = labels.ticks(scale)
    axes.set_xticks([(value / scale + 1) / 2 for value, _ in ticks], [text for _, text in ticks])
    axes.tick_params(labelsize=9, length=2)
    axes.set_title("▼ vanishing      gradient RMS of each node, relative to the reference      exploding ▲", fontsize=9)
    same = left.reference == right.reference
    names = f"“{left.reference}”" if same else f"“{left.reference}” (left), “{right.reference}” (right)"
    note = f"reference (thick border): {labels.plain(names)}"
    note += "\nedge width: the gradient that returns along it;  %: its share"
    figure.text(0.675, 0.975, note, fontsize=9, va="center", color=style.INK, linespacing=1.5)
    figure.text(0.885, 0.975, "━━ highway (skip)", fontsize=10, fontweight="bold", va="center", color=theme.HIGHWAY)
