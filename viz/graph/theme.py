"""Colours, widths and glyphs. Two channels for everything: what colour says, a glyph and a number say too."""

import math

# ColorBrewer RdBu, 11 classes, blue (vanishing) to red (exploding); safe for all common colour blindness.
RDBU = ("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b",
        "#67001f")  # fmt: skip
HIGHWAY = "#00857c"  # teal: skips, and the border of a merge
TRUNK = "#5f6670"
BORDER = "#8a9099"
INK, FAINT, PAPER = "#1b1f24", "#59616b", "#ffffff"
NEUTRAL = "#eceff1"  # data, a lone loss, structure without gradients
NO_GRADIENT = "#ffffff"
ZERO = "#d9d2e9"
BAD = "#ffd400"  # NaN and Inf: a colour that is not on the scale
ALARM = "#d00000"  # border of the node where NaN or Inf begins
FONT = "Helvetica"

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
    linear = [(c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in _channels(fill)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else PAPER


def _channels(code):
    return [int(code[i : i + 2], 16) for i in (1, 3, 5)]


def fill(value, mark, scale, neutral=False):
    """Fill of a node with this value or mark."""
    if mark in ("nan", "inf"):
        return BAD
    if mark == "zero":
        return ZERO
    if mark == "none":
        return NO_GRADIENT
    return NEUTRAL if neutral or value is None else colour(value, scale)


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
    if rms is None or not rms > 0.0 or not math.isfinite(rms):
        return THINNEST
    value = math.log10(rms) - math.log10(reference_rms)
    part = (min(max(value / scale, -1.0), 1.0) + 1.0) / 2.0
    return round(THINNEST + part * (THICKEST - THINNEST), 2)
