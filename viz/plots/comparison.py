"""The comparison sheet: two nets side by side, depth profiles between them, training and shares below, words."""

import textwrap
from typing import NamedTuple

from ..graph import labels, theme
from ..graph.boxes import boxes_of, drawn_width
from ..graph.draw import draw_pair, prepare
from ..graph.pen import SAMPLE, Pen
from . import style
from .heat import draw_heat, relative
from .profile import draw_activations, draw_gradients
from .shares import draw_shares
from .spectrum import draw_spectrum

WIDTH = 15.0  # inches of a sheet: at full size it is as wide as a laptop's screen
_GRAPHS, _ROW, _LOW = 9.4, 2.8, 1.7  # inches: of the graphs' height, of a row of plots below, of a lone wide one
_HEAD, _GAP = 1.45, 0.85  # inches above the graphs, and between rows
LEFT, MIDDLE, RIGHT = (0.005, 0.345), (0.41, 0.22), (0.65, 0.345)  # x and width of the three columns
LINE, LETTERS = 0.24, 145  # inches of a line of the caption, and letters in it
_LONGEST_REFERENCE, _LONGEST_TITLE = 24, 64
_MARKS = ("dashed", "dotted", "strip", "zero", "none", "bad", "clipped")  # rows of a graph's legend
_MARKS_ABOVE, _MARK_LINE, _MARK_LINES = 0.57, 12.5, 2  # inches above marks; points of a line; lines with room
_TERSE_FROM = 16  # nodes from which the graphs show names and values only


class Side(NamedTuple):
    """What a sheet shows of one net: the graph, gradient (relative to its reference) and activation RMS of each layer
    from the input, gradient RMS (steps, layers), the highway's share at each fork, the dead or saturated share of each
    activation function, the `PathSpectrum` or None."""

    flow: object
    gradients: list
    activations: list
    history: object
    highways: list
    lost: list
    spectrum: object = None


def comparison_sheet(left, right, *, theory=None, steps=None, caption="", title="Gradient flow"):
    """One sheet of two `Side`s, whose graphs have titles and one scale. Returns a matplotlib Figure.

    theory: as for `layer_profile`; steps: the numbers of the recorded steps; caption: the conclusion, in numbers.
    """
    sides = {side.flow.title: side for side in (left, right)}
    heat = {name: relative(name, side.history) for name, side in sides.items() if len(side.history) > 1}
    rows = _rows(sides, heat, left.flow.scale, steps)
    lines = textwrap.wrap(labels.plain(caption), LETTERS)
    foot = 0.25 + LINE * len(lines)
    terse = is_terse(left.flow, right.flow)
    marks = marks_of(left.flow, right.flow, terse)
    head = _HEAD + room_of_marks(marks)
    height = head + _GRAPHS + sum(_height(panels) + _GAP for panels in rows) + foot + 0.35
    figure = style.new_figure(WIDTH, height)
    figure.set_layout_engine("none")

    def place(column, above, inches, pad=(0.0, 0.0)):
        """Axes in a column, so many inches below the top; pad: inches left free at its left and right."""
        x, width = column
        edges = x + pad[0] / WIDTH, width - sum(pad) / WIDTH
        return figure.add_axes((edges[0], 1.0 - (above + inches) / height, edges[1], inches / height))

    write_title(figure, title)
    draw_legend(place(MIDDLE, 0.85, 0.16), left.flow, right.flow)
    draw_marks(figure, marks)
    for column, side in ((LEFT, left), (RIGHT, right)):
        write_heading(figure, column[0] + 0.005, 1.0 - (head - 0.2) / height, 0.2 / height, side.flow)
    graphs = [place(column, head + 0.2, _GRAPHS - 0.2) for column in (LEFT, RIGHT)]
    draw_pair(graphs, (left.flow, right.flow), terse=terse)
    _profiles(place, sides, theory, head)
    above = head + _GRAPHS + _GAP
    for panels in rows:
        columns = [LEFT, MIDDLE, RIGHT] if len(panels) == 3 else _evenly(len(panels))
        for column, draw in zip(columns, panels, strict=True):
            if draw is not None:
                pad = (0.0, 0.0) if column is MIDDLE else (0.75, 0.25)
                draw(place(column, above - 0.3, _height(panels), pad))
        above += _height(panels) + _GAP
    figure.text(0.015, 0.2 / height, style.words("\n".join(lines)), fontsize=12, va="bottom", color=style.INK)
    return figure


def _height(panels):
    return _ROW if len(panels) > 1 else _LOW


def _profiles(place, sides, theory, head):
    """Between the graphs: gradients, depth downwards as in the graphs, and below them activations."""
    profile = place(MIDDLE, head + 0.35, 5.3)
    gradients = {name: side.gradients for name, side in sides.items()}
    draw_gradients(profile, gradients, theory, relative=False, upright=True)
    names = list(dict.fromkeys(labels.plain(side.flow.reference) for side in sides.values()))
    where = f"“{style.words(names[0])}”" if len(names) == 1 else "each net’s reference"
    profile.set_xlabel(f"RMS of ∂L/∂z, relative to {where}", fontsize=10, color=style.INK)
    profile.legend(fontsize=8, frameon=False, handlelength=1.6)
    draw_activations(place(MIDDLE, head + 6.75, 2.3), {name: side.activations for name, side in sides.items()})


def _rows(sides, heat, scale, steps):
    """What stands below the graphs, row by row: functions that draw into axes, or None for a place left free."""
    names, more = list(sides), []
    highways = {name: side.highways for name, side in sides.items()}
    lost = {name: side.lost for name, side in sides.items()}
    if any(highways.values()):
        words = "The highway’s share at each fork", "of what arrives there, %", "fork, from the input"
        more.append(lambda axes: draw_shares(axes, highways, *words))
    for i, side in enumerate(sides.values()):
        if side.spectrum is not None:
            more.append(_spectrum(side, style.COLOURS[i]))
    if any(lost.values()):  # where none is lost, that is worth seeing, too
        said = "Dead relu units, saturated outputs", "share, %", "activation function, from the input"
        more.append(lambda axes: draw_shares(axes, lost, *said))
    if not heat:
        return [more] if more else []
    ends = [_heat(name, heat[name], scale, steps) if name in heat else None for name in names]
    rows = [[ends[0], more[0] if more else None, ends[1]]]
    return rows + ([more[1:]] if more[1:] else [])


def _spectrum(side, colour):
    title = f"Paths through {labels.plain(side.flow.title)}"
    return lambda axes: draw_spectrum(axes, side.spectrum, side.spectrum.branch_ratio, title, colour)


def _heat(name, values, scale, steps):
    numbers = steps if steps is not None and len(steps) == len(values) else None
    title = f"Through training: {labels.plain(name)}"
    words = "training step" if numbers is not None else "recorded step"
    words += "   (colours as above, relative to the last layer)"
    return lambda axes: draw_heat(axes, values, scale, x=numbers, xlabel=words, title=title)


def _evenly(count):
    """(x, width) of so many columns."""
    return [(0.01 + i * 0.98 / count, 0.98 / count) for i in range(count)]


def write_title(figure, title):
    """The title of a sheet, left of the legend's words."""
    words = labels.shorten(title, _LONGEST_TITLE)
    y = 1.0 - 0.4 / figure.get_figheight()
    figure.text(0.015, y, style.words(words), fontsize=18, fontweight="bold", va="center", color=style.INK)


def write_heading(figure, x, y, below, flow):
    """A net's name, and in small its loss, at (x, y) of the figure."""
    loss = "" if flow.loss is None else f"loss {labels.number(flow.loss)} in this step"
    name = labels.plain(flow.title or "")
    figure.text(x, y, style.words(name), fontsize=14, fontweight="bold", color=style.INK)
    figure.text(x, y - below, loss, fontsize=10, color=theme.FAINT)


def draw_legend(axes, left, right):
    """The colour bar that both graphs share, and the words."""
    scale, cells = left.scale, 60
    for i in range(cells):
        colour = theme.colour((2 * i + 1 - cells) / cells * scale, scale)
        axes.axvspan(i / cells, (i + 1) / cells, color=colour, linewidth=0)
    axes.set_xlim(0, 1)
    axes.set_yticks([])
    ticks = labels.ticks(scale)
    axes.set_xticks([(value / scale + 1) / 2 for value, _ in ticks], [text for _, text in ticks])
    axes.tick_params(labelsize=9, length=2)
    axes.set_title("▼ vanishing     gradient RMS of each node     exploding ▲", fontsize=9, color=style.INK)
    names = list(dict.fromkeys(labels.shorten(flow.reference, _LONGEST_REFERENCE) for flow in (left, right)))
    names = [f"“{names[0]}”"] if len(names) == 1 else [f"“{names[0]}” (left),", f"“{names[1]}” (right)"]
    notes = [f"relative to {names[0]} (thick border)", *names[1:]] if len(names) == 1 else ["relative to", *names]
    lines = [" ".join(notes), "edge width: the gradient that returns along it; %: its share"]
    place, figure = axes.get_position(), axes.get_figure()
    x, y, down = RIGHT[0] + 0.03, place.y1 + 0.35 / figure.get_figheight(), 0.19 / figure.get_figheight()
    for i, line in enumerate(lines):
        figure.text(x, y - i * down, style.words(line), fontsize=9, va="center", color=style.INK)
    if any(edge.is_skip for flow in (left, right) for edge in flow.edges):
        words = {"fontsize": 9, "fontweight": "bold", "va": "center", "color": theme.HIGHWAY}
        figure.text(x, y - len(lines) * down, "━━ highway: skips the branch beside it", **words)


def is_terse(*flows):
    """Whether graphs are so large that in a sheet they show names and values only."""
    return max(len(flow.nodes) for flow in flows) > _TERSE_FROM


def marks_of(left, right, terse):
    """The marks that occur in one of two graphs, as below a graph on its own: lines of (sample, words, x), in points.

    The same for both orders.
    """
    rows = dict(row for flow in (left, right) for row in labels.legend(flow)[2] if row[0] in _MARKS)
    if not any(box.strip for flow in (left, right) for box in boxes_of(flow, terse)):
        rows.pop("strip", None)
    begin, end = 0.015 * WIDTH * 72.0, MIDDLE[0] * WIDTH * 72.0
    lines, x = [], end
    for key, text in sorted(rows.items(), key=lambda row: _MARKS.index(row[0])):
        needed = SAMPLE + drawn_width(text, 8.5)
        if not lines or x + needed > end:
            lines.append([])
            x = begin
        lines[-1].append((key, text, x))
        x += needed + 14.0
    return lines


def room_of_marks(lines):
    """Inches that the head of a sheet needs for lines of marks, beyond what is free there."""
    return max(0, len(lines) - _MARK_LINES) * _MARK_LINE / 72.0


def draw_marks(figure, lines):
    """The lines of `marks_of` below the title, each mark with a sample."""
    inches, height = figure.get_figheight(), max(1, len(lines)) * _MARK_LINE
    below = (_MARKS_ABOVE + height / 72.0) / inches
    axes = figure.add_axes((0.0, 1.0 - below, MIDDLE[0], height / 72.0 / inches))
    prepare(axes, MIDDLE[0] * WIDTH * 72.0, height)
    pen = Pen(axes, 1.0)
    for number, line in enumerate(lines):
        y = (number + 0.5) * _MARK_LINE
        for key, text, x in line:
            pen.sample(key, x, y)
            pen.text(x + SAMPLE, y, text, 8.5, color=style.INK)
