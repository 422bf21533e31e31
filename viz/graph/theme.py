"""Colours, widths and glyphs. Two channels for everything: what colour says, a glyph and a number say too."""

import contextlib
import contextvars
import math

# ColorBrewer RdBu, 11 classes, blue (vanishing) to red (exploding); safe for all common colour blindness.
RDBU = ("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b",
        "#67001f")  # fmt: skip
FONT = "Helvetica"
DARK = "#1b1f24"  # the ink on light fills, whatever the theme

# What surrounds the colour scale. Read as `theme.INK`, `theme.HIGHWAY`, …: the value is that of the theme in use.
_LIGHT = {
    "HIGHWAY": "#00857c",  # teal: skips, and the border of a merge
    "TRUNK": "#5f6670",
    "BORDER": "#8a9099",
    "INK": "#1b1f24",
    "FAINT": "#59616b",
    "PAPER": "#ffffff",
    "NEUTRAL": "#eceff1",  # data, a lone loss, structure without gradients
    "NO_GRADIENT": "#ffffff",
    "ZERO": "#d9d2e9",
    "BAD": "#ffd400",  # NaN and Inf: a colour that is not on the scale
    "ALARM": "#d00000",  # border of the node where NaN or Inf begins, and edges that carry it
    "REFERENCE": "#1b1f24",  # border of the node with value 0, which is filled near-white in every theme
}
THEMES = {
    "light": _LIGHT,
    "dark": {**_LIGHT, "HIGHWAY": "#2dd4bf", "TRUNK": "#a3abb5", "BORDER": "#7b838d", "INK": "#e8eaed",
             "FAINT": "#a9b1ba", "PAPER": "#16191d", "NEUTRAL": "#2f353c", "NO_GRADIENT": "#16191d",
             "ALARM": "#ff5c5c",
             "REFERENCE": "#b79bff"},
    "paper": {**_LIGHT, "TRUNK": "#000000", "BORDER": "#000000", "INK": "#000000", "FAINT": "#333333",
              "NEUTRAL": "#ffffff", "REFERENCE": "#000000"},
    "contrast": {**_LIGHT, "HIGHWAY": "#005f57", "TRUNK": "#000000", "BORDER": "#000000", "INK": "#000000",
                 "FAINT": "#000000", "NEUTRAL": "#ffffff", "ZERO": "#c9b3ff", "BAD": "#ffe600", "ALARM": "#b00000",
                 "REFERENCE": "#000000"},
}  # fmt: skip
_in_use = contextvars.ContextVar("theme", default=_LIGHT)


def __getattr__(name):
    palette = _in_use.get()
    if name in palette:
        return palette[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@contextlib.contextmanager
def use(name):
    """Draw in this theme: "light", "dark", "paper" (black ink) or "contrast" (black ink, strong marks)."""
    before = _in_use.set(THEMES[check(name)])
    try:
        yield
    finally:
        _in_use.reset(before)


def check(name):
    """The name of a theme. Raises ValueError if there is none of this name."""
    if name not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(THEMES)}, got {name!r}")
    return name


MARKS = {
    "zero": "0 exactly",
    "none": "∅ no gradient",
    "nan": "NaN",
    "inf": "Inf",
    "data": "",
    "": "",
}
THINNEST, THICKEST = 0.8, 6.5  # pen widths in points


def colour(value, scale):
    """Fill for a value in decades on the scale ±D: blue below 0, near-white at 0, red above."""
    position = (min(max(value / scale, -1.0), 1.0) + 1.0) / 2.0 * (len(RDBU) - 1)
    lower = min(int(position), len(RDBU) - 2)
    part = position - lower
    pairs = zip(_channels(RDBU[lower]), _channels(RDBU[lower + 1]), strict=True)
    return "#" + "".join(f"{round(low + part * (high - low)):02x}" for low, high in pairs)


def ink_on(fill):
    """Black or white, whichever is easier to read on this fill (WCAG relative luminance)."""
    return DARK if (_luminance(fill) + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"


def text_on(fill):
    """The ink for small letters on this fill: `ink_on`, but pure black where that is no 4.5 to 1 (WCAG, level AA)."""
    ink = ink_on(fill)
    return "#000000" if ink == DARK and contrast(ink, fill) < 4.5 else ink


def contrast(one, other):
    """How much lighter the lighter of two colours is, from 1 to 21 (WCAG contrast ratio)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(code):
    linear = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in _channels(code)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(code):
    return [int(code[i : i + 2], 16) for i in (1, 3, 5)]


def fill(value, mark, scale, neutral=False):
    """Fill of a node with this value or mark."""
    if mark in ("nan", "inf"):
        return _in_use.get()["BAD"]
    if mark == "zero":
        return _in_use.get()["ZERO"]
    if mark == "none":
        return _in_use.get()["NO_GRADIENT"]
    return _in_use.get()["NEUTRAL"] if neutral or value is None else colour(value, scale)


def power(value):
    """`10^-2.4`, the way a value is printed."""
    return f"10^{value:+.1f}" if abs(value) >= 0.05 else "10^0"


def glyph(value, scale):
    """▼ vanishing, ▲ exploding, ● like the reference; doubled where the value is beyond the scale."""
    if abs(value) < 0.05:
        return "●"
    arrow = "▼" if value < 0 else "▲"
    return arrow * 2 if abs(value) > scale else arrow


def width(rms, reference_rms, scale):
    """Pen width of an edge: logarithmic, thinnest at 10^-D of the reference and thickest at 10^D."""
    if rms == math.inf:
        return THICKEST
    if rms is None or not rms > 0.0:
        return THINNEST
    value = math.log10(rms) - math.log10(reference_rms)
    part = (min(max(value / scale, -1.0), 1.0) + 1.0) / 2.0
    return round(THINNEST + part * (THICKEST - THINNEST), 2)
