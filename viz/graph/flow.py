"""`gradient_flow`: a recording, a loss or a function becomes a graph with relative gradients, ready to be drawn."""

import copy
from typing import NamedTuple

from tinygrad_course.modes import observe

from . import labels, levels, model, values, view
from .aside import gradients_aside
from .recorder import Recording
from .source import loss_from
from .spectrum import PathSpectrum, path_spectrum
from .theme import check as check_theme
from .theme import use as use_theme

_MOST_BLOCKS = 16  # of a net whose gradient is split without being asked for
_SOURCES = "a recording, a loss, or a function that returns a loss"
_LONGEST = 34  # characters of a name that is said
_SMALL = 20  # nodes up to which a notebook shows a picture, and beyond it the page


class Origin(NamedTuple):
    """The operation level that a graph was drawn from, and the steps of the recording."""

    vertices: list
    skips: set
    steps: tuple
    reference: int | None  # index of the vertex with value 0, None if the reference was given as a number


class GradientFlow:
    """The gradient's way back through a net, as a graph. Made by `viz.gradient_flow`.

    nodes: list of `Node` in topological order; edges: list of `Edge`, one per operand.
    scale: D, decades from white to full colour; reference: name of the node with value 0; reference_rms: its RMS.
    level: "op", "module", "block" or "folded"; has_gradients: False if only the structure is known.
    origin: what it was drawn from, where that is known: the other levels of a page come from there.
    explanation, spectrum: what `viz.explain` and `viz.path_spectrum` find of the same loss, for the page; None where
        the graph is too large or the loss was gone.
    """

    explanation = spectrum = None

    def __init__(
        self, nodes, edges, *, level, scale, reference, reference_rms, has_gradients, title=None, loss=None, origin=None
    ):  # fmt: skip
        self.nodes, self.edges = nodes, edges
        self.level, self.scale = level, scale
        self.reference, self.reference_rms = reference, reference_rms
        self.has_gradients = has_gradients
        self.title, self.loss = title, loss
        self.origin = origin
        self.theme = "light"

    def node(self, name):
        """The last node with this name (dotted path, or operation). Raises KeyError if there is none."""
        found = [node for node in self.nodes if name in (node.name, node.id)]
        if not found:
            raise KeyError(f"no node is named {name!r}")
        return found[-1]

    def with_scale(self, scale):
        """The same graph on another scale, in decades."""
        other = copy.copy(self)
        other.scale = values.choose_scale([], scale)
        return other

    def with_theme(self, name):
        """The same graph in another theme: "light", "dark", "paper" or "contrast". ValueError for another."""
        other = copy.copy(self)
        other.theme = check_theme(name)
        return other

    def to_dot(self):
        """The graph in the DOT language, byte for byte the same for the same model and seed."""
        from .dot import to_dot

        with use_theme(self.theme):
            return to_dot(self)

    def to_text(self):
        """The graph as plain text for a terminal: a line a node, highways as lines on the right."""
        from .text import to_text

        return to_text(self)

    def to_graphviz(self):
        """A `graphviz.Source`, for those who like the package's own `render` and `view`. Needs `graphviz`."""
        import graphviz

        return graphviz.Source(self.to_dot())

    def save(self, path, *, renderer="auto", time_limit=20.0, file_format=None, theme=None, wrap=True):
        """Write a picture; the format is the file's suffix: .svg, .png, .pdf, .dot, .html or .txt. Returns the path.

        file_format: one of these, for a file whose name does not tell. theme: another than the graph's own. wrap: break
        a long graph into columns, as a slide or a screen needs it; False leaves it one column.

        .html is a page in one file that walks through backward step by step: see `viz.page`.

        renderer: "auto" tries `dot` on the PATH, then the wheel pygraphviz, then the built-in layout, each for at
        most `time_limit` seconds; "dot", "pygraphviz" or "builtin" asks for one.
        Raises ValueError for another format, OSError for a folder that cannot be written to. The file is either
        written whole or not at all.
        """
        from .render import save

        flow = self if theme is None else self.with_theme(theme)
        return save(flow, path, renderer=renderer, time_limit=time_limit, file_format=file_format, wrap=wrap)

    def to_svg(self, *, renderer="auto", time_limit=20.0, theme=None, wrap=True):
        """The picture as SVG text; as for `save`."""
        from .render import to_bytes

        flow = self if theme is None else self.with_theme(theme)
        return to_bytes(flow, "svg", renderer=renderer, time_limit=time_limit, wrap=wrap).decode("utf-8")

    def to_html(self, *beside):
        """The page that walks through backward, as HTML text; with other graphs `beside` this one, on one scale."""
        from ..page import to_html

        return to_html(self, *beside)

    def _repr_svg_(self):
        if self._is_large():
            return None
        svg = self.to_svg(time_limit=10.0)
        return svg[svg.index("<svg") :]

    def _repr_html_(self):
        from ..page import in_frame

        return in_frame(self.to_html()) if self._is_large() else None

    def _is_large(self):
        return len(self.nodes) > _SMALL

    def __repr__(self):
        reference = labels.shorten(self.reference, _LONGEST)
        what = f"scale ±{self.scale:g} decades, reference {reference}" if self.has_gradients else "structure only"
        return f"<GradientFlow: {len(self.nodes)} nodes, {len(self.edges)} edges at level {self.level!r}, {what}>"


def gradient_flow(
    source, model=None, *, level="auto", reference=None, scale=None, names=None, title=None, optimizer=None,
    spectrum="auto", theme="light",
):  # fmt: skip
    """The graph of a training step with the gradient that reached each node: v = log10(RMS / RMS of the reference).

        viz.gradient_flow(loss, model).save("flow.svg")                      # a loss, before loss.backward()
        viz.gradient_flow(lambda: criterion(net(x), y), net).save("f.png")   # with activations, too
        viz.gradient_flow(recording)                                         # what viz.record saw

    source: a recording; a loss whose graph is alive; or a function that makes one. In the last two cases a
        backward pass runs that leaves every `.grad` as it is, and the graph alive.
    model: names the parameters; names: {"a": a, …} names other tensors (`names=locals()` will do). A recording has
        those it was made with.
    level: "op", "module", "block", "folded" (repeated blocks drawn once, "×18"), or "auto": the finest with at
        most about 60 nodes.
    reference: name of the node that v = 0 stands for, or an RMS; by default the last tensor before the loss.
    scale: decades from white to full colour; by default the smallest of 1, 2, 3, 4, 6, 8, 12 that covers 95 % of
        the nodes. Pass one net's `scale` to another to compare them (see `compare_scale`).
    optimizer: its learning rates, for the update ratios of the parameters; a recording has those of its own.
    spectrum: a `PathSpectrum` to stand on the page; or True, to split the gradient now, which takes half as many
        backward passes as there are blocks, and a loss or a function; "auto" does so for 1 to 16 blocks; or False.

    Raises TypeError for another source, ValueError for an unknown level or reference, RuntimeError if the loss's
    graph has been freed or there is nothing to draw.
    """
    check_theme(theme)
    loss = explanation = None
    if isinstance(source, Recording):
        if names is not None:
            raise ValueError("a recording has its names from viz.record(model, names=…): give them there")
        recording = source
    else:
        recording, loss, explanation = _record_now(source, model, names, optimizer)
    vertices, skips = graph_of(recording)
    index, reference_rms = values.find_reference(vertices, reference)
    values.set_values(vertices, reference_rms)
    name = f"RMS {reference_rms:.3g}"
    if index is not None:
        vertices[index].node.is_reference = True
        name = vertices[index].node.name
    if explanation is not None:
        explanation.put_on(vertices)
    used, groups, folds = levels.at_level(vertices, skips, level)
    nodes, edges = view.compose(vertices, skips, values.shares(vertices), groups, folds)
    chosen = values.choose_scale([v.node.value for v in vertices if not v.node.is_neutral], scale)
    has_gradients = any(vertex.node.gradient is not None for vertex in vertices)
    flow = GradientFlow(
        nodes, edges, level=used, scale=chosen, reference=name, reference_rms=reference_rms,
        has_gradients=has_gradients, title=title,
        loss=recording.steps[-1].loss if recording.steps else None,
        origin=Origin(vertices, skips, tuple(recording.steps), index),
    )  # fmt: skip
    flow.explanation, flow.spectrum = explanation, _spectrum(spectrum, loss, vertices)
    flow.theme = theme
    return flow


def _spectrum(asked, loss, vertices):
    """The `PathSpectrum` that was given or asked for."""
    if isinstance(asked, PathSpectrum):
        return asked
    if asked not in (True, False, "auto"):
        raise ValueError(f'spectrum must be a PathSpectrum, True, False or "auto", got {asked!r}')
    blocks = sum(vertex.node.is_merge and vertex.node.op == "add" for vertex in vertices)
    if asked is True and loss is None:
        raise ValueError("a recording's graph is gone: pass spectrum=viz.path_spectrum(…), or the loss itself")
    if asked is False or loss is None or (asked == "auto" and not 1 <= blocks <= _MOST_BLOCKS):
        return None
    try:
        return path_spectrum(loss)
    except ValueError:
        if asked == "auto":
            return None
        raise


def graph_of(recording):
    """The operation level of a recording. Raises RuntimeError if nothing was recorded."""
    if not recording.trace.operations:
        raise RuntimeError("nothing to draw: no operation ran while recording (run the model inside `with viz.record`)")
    return model.build(recording.trace)


def compare_scale(*flows):
    """One scale for several graphs: the largest of theirs. `[f.with_scale(compare_scale(*flows)) for f in flows]`."""
    return max(flow.scale for flow in flows)


def recording_of(source, caller):
    """What was recorded: `source` itself, or a backward pass of the loss that it is or makes."""
    if isinstance(source, Recording):
        return source
    with Recording(details=True) as recording:
        _backward_aside(loss_from(source, caller, _SOURCES))
    return recording


def _record_now(source, model, names, optimizer):
    """(recording, loss, explanation) of a loss: a backward pass, looked at closely, that touches no `.grad`."""
    from ..explain import explanation_of  # stands on this package
    from ..explain_graph import Values

    seen = Values()
    with Recording(model, names, details=True, optimizer=optimizer) as recording, observe(seen):
        loss = loss_from(source, "gradient_flow", _SOURCES, model)
        _backward_aside(loss)
    try:
        explanation = explanation_of(loss, seen, model, names)
    except ValueError:  # too large to be read
        explanation = None
    return recording, loss, explanation


def _backward_aside(loss):
    try:
        gradients_aside(loss, loss)
    except RuntimeError as error:
        if "freed" not in str(error):
            raise
        raise RuntimeError(
            "the graph of this loss has been freed by loss.backward(): call gradient_flow before it, or record the "
            "step: `with viz.record(model) as recording:` and then gradient_flow(recording)"
        ) from None
