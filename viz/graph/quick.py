"""A pen for large graphs. As artists, their boxes, lines and words take matplotlib a millisecond each."""

import functools
import math
from collections import Counter
from operator import itemgetter

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from .pen import Pen

_font = functools.cache(lambda size, weight: FontProperties(size=size, weight=weight))
_rgba = functools.cache(to_rgba)
_MOST_STAMPS = 4000  # words that are kept as pixels


class QuickPen(Pen):
    """Draws what a `Pen` draws, all of it as one artist."""

    def __init__(self, axes, size):
        super().__init__(axes, size)
        self._marks = _Marks()
        axes.add_artist(self._marks)

    def text(self, x, y, text, size, *, color, ha="left", fontweight="normal", zorder=3.0, bbox=None):
        font = _font(size * self.size, fontweight)
        self._marks.add(zorder, _Marks.word, (x, y), text, font, _rgba(color), ha, bbox)

    def rectangle(self, x, y, width, height, **options):
        options["linewidth"] = options.get("linewidth", 0.0) * self.size
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        self.line(Path(corners, closed=True), **options)

    def rounded(self, x, y, width, height, radius, **options):
        self.line(BoxStyle.Round(pad=0, rounding_size=radius)(x, y, width, height, 1.0), **options)

    def polygon(self, corners, colour, **options):
        self.line(Path([*corners, corners[0]], closed=True), facecolor=colour, **options)

    def line(self, path, *, facecolor="none", edgecolor="none", linewidth=0.0, linestyle="-", zorder=1.0, gid=None):
        width = linewidth if edgecolor != "none" else 0.0
        face = None if facecolor == "none" else _rgba(facecolor)
        self._marks.add(zorder, _Marks.shape, path, face, _rgba(edgecolor), width, linestyle, gid)


class _Marks(Artist):
    """Shapes and words, drawn by the renderer itself in the order of their heights."""

    def __init__(self):
        super().__init__()
        self._marks, self._measured, self._stamps = [], {}, {}
        self._anchor = Text(transform=IdentityTransform())  # where a word is, for an SVG's text-anchor

    def add(self, height, way, *what):
        self._marks.append((height, way, what))

    def draw(self, renderer):
        self._measured = {}
        words = Counter(what[1:4] for _, way, what in self._marks if way is _Marks.word)
        several = [word for word, count in words.items() if count > 1]
        self._stamps = dict.fromkeys(several[:_MOST_STAMPS]) if isinstance(renderer, RendererAgg) else {}
        to_pixels = self.axes.transData.frozen()
        for _, way, what in sorted(self._marks, key=itemgetter(0)):
            way(self, renderer, to_pixels, *what)
        self.stale = False

    def shape(self, renderer, to_pixels, path, face, edge, width, style, gid):
        pen = renderer.new_gc()
        pen.set_foreground(edge, isRGBA=True)
        pen.set_linewidth(width)
        pen.set_joinstyle("miter")
        if style != "-":
            dashes = matplotlib.rcParams["lines.dashed_pattern" if style == "--" else "lines.dotted_pattern"]
            pen.set_dashes(0.0, [length * width for length in dashes])
        if gid:
            renderer.open_group("patch", gid)
        renderer.draw_path(pen, path, to_pixels, face)
        if gid:
            renderer.close_group("patch")
        pen.restore()

    def _measures(self, renderer, text, font):
        """Width, height and descent in pixels. The same words stand in many boxes."""
        found = self._measured.get((text, font))
        if found is None:
            found = self._measured[text, font] = renderer.get_text_width_height_descent(text, font, False)
        return found

    def word(self, renderer, to_pixels, place, text, font, colour, side, halo):
        x, y = to_pixels.transform(place)
        _, height, below = self._measures(renderer, "lp", font)  # as high as a line
        needed = halo or side != "left"
        width = self._measures(renderer, text, font)[0] if needed else 0.0
        left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[side] * width
        bottom = y - height / 2
        if halo:
            pad = renderer.points_to_pixels(halo["pad"])
            corners = [(left - pad, bottom - pad), (left + width + pad, bottom - pad),
                       (left + width + pad, bottom + height + pad), (left - pad, bottom + height + pad)]  # fmt: skip
            face = (*_rgba(halo["facecolor"])[:3], halo["alpha"])
            path = Path([*corners, corners[0]], closed=True)
            self.shape(renderer, IdentityTransform(), path, face, _rgba("none"), 0.0, "-", None)
        baseline = bottom + below
        if (text, font, colour) in self._stamps:
            self._stamp(renderer, left, baseline, text, font, colour)
            return
        pen = renderer.new_gc()
        pen.set_foreground(colour, isRGBA=True)
        self._anchor.set_position((x, y))
        self._anchor.set_horizontalalignment(side)
        if renderer.flipy():
            baseline = renderer.get_canvas_width_height()[1] - baseline
        renderer.draw_text(pen, left, baseline, text, font, 0.0, ismath=False, mtext=self._anchor)
        pen.restore()

    def _stamp(self, renderer, left, baseline, text, font, colour):
        """Draw a word that stands in several places: its letters are laid out and drawn once, then copied."""
        pad = 3  # pixels: letters may reach beyond what is measured
        _, height, below = self._measures(renderer, text, font)
        under = math.ceil(below) + pad
        if self._stamps[text, font, colour] is None:
            size = math.ceil(self._measures(renderer, text, font)[0]) + 2 * pad, math.ceil(height - below) + under + pad
            aside = RendererAgg(*size, renderer.dpi)
            pen = aside.new_gc()
            pen.set_foreground(colour, isRGBA=True)
            aside.draw_text(pen, pad, size[1] - under, text, font, 0.0)
            pen.restore()
            self._stamps[text, font, colour] = np.array(aside.buffer_rgba())[::-1]  # `draw_image` begins at the foot
        pen = renderer.new_gc()
        renderer.draw_image(pen, round(left) - pad, round(baseline) - under, self._stamps[text, font, colour])
        pen.restore()
