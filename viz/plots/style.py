"""What all plots share: a canvas without global state, colours everyone can tell apart, axes in decades."""

import math

# Okabe and Ito's palette, with a marker and a dash each: a second channel for print and for colour blindness.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, GRID = "#1b1f24", "#dfe3e8"


def words(text):
    """Text as it is: a name may hold a $, which matplotlib takes for the begin of a formula."""
    return str(text).replace("$", r"\$")


def new_figure(width, height):
    """An empty Figure of this size in inches on an Agg canvas; pyplot and its global state are not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="#ffffff", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes, title=None, x=None, y=None):
    """Title, axis labels with units, a faint grid, no box."""
    if title:
        axes.set_title(words(title), fontsize=11, loc="left", color=INK, fontweight="bold")
    axes.set_xlabel(words(x or ""), fontsize=10, color=INK)
    axes.set_ylabel(words(y or ""), fontsize=10, color=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def decades(axis, low, high):
    """Let an axis of log10 values show powers of ten, at most about eight; 1, 2, 5 if it spans few decades."""
    if high - low < 2.0:
        steps = [(digit, power_of) for power_of in range(math.floor(low), math.ceil(high) + 1) for digit in (1, 2, 5)]
        ticks = [math.log10(digit) + power_of for digit, power_of in steps]
        names = [f"{digit * 10.0**power_of:g}" for digit, power_of in steps]
        inside = [(tick, name) for tick, name in zip(ticks, names, strict=True) if low <= tick <= high]
        axis.set_ticks([tick for tick, _ in inside], [name for _, name in inside])
        return
    step = max(1, math.ceil((high - low) / 8))
    ticks = range(math.ceil(low / step) * step, math.floor(high) + 1, step)
    axis.set_ticks(list(ticks), [power(tick) for tick in ticks])


def power(exponent):
    """`10⁻²` for -2, as text."""
    digits = str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·")
    return "10" + f"{exponent:g}".translate(digits)


def log10(values):
    """log10 of each value, nan where there is none (zero, negative, not finite)."""
    return [math.log10(v) if v is not None and 0.0 < v < math.inf else math.nan for v in map(_number, values)]


def _number(value):
    return None if value is None else float(value)


def check_some(things, what):
    """Raise ValueError if there is nothing to draw."""
    if not things:
        raise ValueError(f"nothing to draw: {what}")
