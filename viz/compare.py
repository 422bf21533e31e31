"""Two nets on one sheet: their graphs side by side at one scale, depth profiles between, training below, and words."""

import math
import os
from functools import cached_property

from . import page
from .files import PICTURES, format_of, save_figure
from .graph import compare_scale, gradient_flow
from .graph.claim import amount, first_layer, times
from .graph.flow import recording_of
from .graph.levels import block_scopes
from .graph.values import shares
from .plots.comparison import Side, comparison_sheet
from .theory import measured_ratio

_SAME = 0.005  # decades a block below which a gradient counts as keeping its size
_MOST = 40  # blocks that a sheet shows of a net; of more, those that repeat are folded
_EQUAL = 0.15  # decades between two nets below which their gradients count as equally large


class Comparison:
    """What `viz.compare` found: two graphs on one scale, with one rule for the reference.

    flows: the two `GradientFlow`s, left and right; names: theirs; scale: the decades that both share; references: the
    name of the node with value 0 in each; slopes: decades by which the gradient changes a block (or a layer, where
    the nets have no blocks: see `unit`) on its way to the input; caption: the conclusion, in numbers; figure: the
    sheet, a matplotlib Figure.
    """

    def __init__(self, flows, names, sides, *, unit, slopes, theory, steps, title):
        self.flows, self.names, self.unit, self.slopes = flows, names, unit, slopes
        self.title = title
        self._sides, self._theory, self._steps = sides, theory, steps
        self.caption = _caption(self)

    @property
    def scale(self):
        return self.flows[0].scale

    @property
    def references(self):
        return tuple(flow.reference for flow in self.flows)

    @cached_property
    def figure(self):
        return comparison_sheet(
            *self._sides, theory=self._theory, steps=self._steps, caption=self.caption, title=self.title
        )

    def save(self, path, *, dpi=144):
        """Write the sheet (.svg, .png, .pdf), or the page that steps through both nets (.html); returns the path.

        Raises ValueError for another suffix, OSError for a folder that cannot be written to.
        """
        path = os.fspath(path)
        if format_of(path, (*PICTURES, "html")) == "html":
            return page.save(path, *self.flows, title=self.title)
        format_of(path, (*PICTURES, "html"))  # or it says what a sheet can be written as
        return save_figure(self.figure, path, dpi=dpi)

    def to_html(self):
        """The page of both nets as text."""
        return page.to_html(*self.flows, title=self.title)

    def _repr_html_(self):
        return page.in_frame(self.to_html())

    def __repr__(self):
        return f"<Comparison of {' and '.join(self.names)}, scale ±{self.scale:g} decades: {self.caption}>"


def compare(
    plain, residual, *, names=("plain", "residual"), level="auto", reference=None, scale=None, theory=None,
    spectra=None, steps=None, title=None,
):  # fmt: skip
    """Two nets' gradients on one sheet, graphs rank-aligned by block and on one scale: a `Comparison`.

        sheet = viz.compare(plain, residual)      # what `viz.record` saw of each
        sheet.caption                             # "plain: the gradient falls 10^-0.24 a block …"
        sheet.save("sheet.svg"), sheet.save("page.html")

    plain, residual: the recordings, left and right, or what `gradient_flow` takes besides, a loss or a function that
    makes one; graphs and profiles show the last backward pass of each. Heat maps of all steps stand below where more
    than one was recorded, shares of dead and saturated units where they were
    recorded with details=True. names: what they are called. Swapping the nets (and names) mirrors the sheet.
    level: of the graphs; "auto" draws blocks, and folds them where that makes more than 40 nodes.
    reference, scale: as for `gradient_flow`, for both; by default the larger of the two scales.
    theory: {"plain": ratio of the squared gradient per layer towards the input}, dashed (see `viz.theory`).
    spectra: {"residual": `PathSpectrum`}, drawn as bars. steps: the numbers of the recorded steps.

    Raises TypeError for what is none of these, ValueError for equal names, names that `theory` or `spectra` do not
    know, or a recording without backward pass.
    """
    names = tuple(map(str, names))
    if len(names) != 2 or names[0] == names[1]:
        raise ValueError(f"compare needs two different names, got {names}")
    for word, given in (("theory", theory), ("spectra", spectra)):
        unknown = [name for name in given or {} if name not in names]
        if unknown:
            raise ValueError(f"{word} is given for {unknown[0]!r}, but the nets are {names[0]!r} and {names[1]!r}")
    recordings = tuple(recording_of(source, "compare") for source in (plain, residual))
    for name, recording in zip(names, recordings, strict=True):
        if not recording.layers():
            raise ValueError(f"nothing to compare: {name!r} has no layers with weights")
    flows = _flows(recordings, names, level, reference, scale)
    for flow in flows:
        flow.spectrum = (spectra or {}).get(flow.title)
    unit, slopes = _slopes(flows, recordings)
    sides = [
        _side(flow, recording, (spectra or {}).get(flow.title))
        for flow, recording in zip(flows, recordings, strict=True)
    ]
    title = title or f"Gradient flow: {names[0]} and {names[1]}"
    return Comparison(flows, names, sides, unit=unit, slopes=slopes, theory=theory, steps=steps, title=title)


def _flows(recordings, names, level, reference, scale):
    """Both graphs at one level and on one scale."""

    def both(level):
        pairs = zip(recordings, names, strict=True)
        return [gradient_flow(r, level=level, reference=reference, scale=scale, title=n) for r, n in pairs]

    flows = both("block" if level == "auto" else level)
    if level == "auto" and any(len(flow.nodes) > _MOST for flow in flows):
        flows = both("folded")
    common = compare_scale(*flows)
    return tuple(flow.with_scale(common) for flow in flows)


def _side(flow, recording, spectrum):
    layers = recording.layers()
    vertices = flow.origin.vertices
    known = shares(vertices)
    highways = [known[end] for end in sorted(flow.origin.skips) if known.get(end) is not None]
    details = [operation.details for _, operation in sorted(recording.trace.operations.items())]
    lost = [found.saturated if found.dead is None else found.dead for found in details]
    return Side(
        flow, [_over(layer.gradient_rms, flow.reference_rms) for layer in layers],
        [layer.activation_rms for layer in layers], recording.gradient_history(), highways,
        [share for share in lost if share is not None], spectrum,
    )  # fmt: skip


def _over(rms, reference):
    return rms / reference if reference else math.nan


# ------------------------------------------------------------------------------------ the words


def _slopes(flows, recordings):
    """("block" | "layer", decades by which the gradient changes a block on its way to the input, of each net)."""
    blocks = [_block_values(flow.origin.vertices) for flow in flows]
    unit = "block" if all(len(values) >= 3 for values in blocks) else "layer"
    if unit == "layer":
        blocks = [[layer.gradient_rms for layer in recording.layers()] for recording in recordings]
    return unit, tuple(math.log10(measured_ratio(values)) / 2.0 for values in blocks)


def _block_values(vertices):
    """Relative gradient at the output of each block, from the input to the loss."""
    operations = [index for index, vertex in enumerate(vertices) if vertex.is_operation]
    last = {}
    for index, block in block_scopes(vertices, operations).items():
        last[block] = vertices[index].node
    return [math.nan if node.value is None else 10.0**node.value for node in last.values()]


def _change(decades, unit, gradients):
    """`the gradient falls 10^-0.24 a block`; said of those layers only whose gradient has a size."""
    if math.isnan(decades):
        return f"the gradient has no size to compare from {unit} to {unit}"
    if abs(decades) < _SAME:
        return f"the gradient keeps its size from {unit} to {unit}"
    whole = all(0.0 < gradient < math.inf for gradient in gradients)
    far = "" if whole else " as far as it has a size"
    return f"the gradient {'falls' if decades < 0 else 'grows'} 10^{decades:+.2f} a {unit}{far}"


def _caption(sheet):
    """The conclusion in numbers, the same for both orders: it begins with the net whose gradient changes more."""
    bad = [
        f"In {name} backward meets NaN or Inf first at {node.name}."
        for name, flow in sorted(zip(sheet.names, sheet.flows, strict=True), key=lambda pair: pair[0])
        for node in flow.nodes
        if node.is_first_bad
    ]
    order = sorted((0, 1), key=lambda i: (-abs(sheet.slopes[i]) if sheet.slopes[i] == sheet.slopes[i] else 1.0,
                                          sheet.names[i]))  # fmt: skip
    text = "; ".join(
        f"{sheet.names[i]}: {_change(sheet.slopes[i], sheet.unit, sheet._sides[i].gradients)}" for i in order
    )
    first = [first_layer(flow) for flow in sheet.flows]
    if all(first):
        text += f"; at the input {_at_the_input([(sheet.names[i], first[i][1]) for i in order])}"
    sentences = [text + ".", *bad]
    for i in order:
        side = sheet._sides[i]
        zeros = side.gradients.count(0.0)
        if zeros:
            sentences.append(f"In {sheet.names[i]} it is exactly 0 at {zeros} of {len(side.gradients)} layers.")
        if side.highways:
            mean = sum(side.highways) / len(side.highways)
            sentences.append(f"In {sheet.names[i]} the highway brings {mean:.0%} of what arrives at a fork.")
        if side.spectrum is not None:
            length, most = side.spectrum.mean_length, len(side.spectrum.blocks)
            sentences.append(f"Its gradient has gone through {length:.2g} of {most} branches, weighed by energy.")
    return " ".join(sentences)


def _at_the_input(pair):
    """`plain’s gradient is 575× less than in residual`, from the (name, value) of two nets."""
    (name, value), (other, second) = pair
    if not (math.isfinite(value) and math.isfinite(second)):
        words, others = (amount(one, " of the reference") for one in (value, second))
        if words == others:
            return f"the gradient of both is {words}"
        return f"{name}’s gradient is {words}, {other}’s {others}"
    gap = value - second
    size = times(abs(gap)).removesuffix("-fold")
    word = f"{size}× {'more' if gap > 0 else 'less'} than in"
    compared = "about as large as in" if abs(gap) < _EQUAL else word
    return f"{name}’s gradient is {compared} {other} (10^{value:+.1f} against 10^{second:+.1f} of the reference)"
