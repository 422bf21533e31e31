"""The exact path spectrum: the gradient of a residual net, split by the number of branches it has gone through.

Backward is linear. A net of L blocks h + F(h) has 2^L ways back, and all that go through k branches are summed in one
array v_k: at a merge the highway hands v_k on, the branch turns v_k into v_(k+1). Σ_k v_k is the gradient itself, v_0
what the highway alone brings. (Veit, Wilber, Belongie 2016, "Residual networks behave like ensembles of relatively
shallow networks".)
"""

import heapq
import math
import statistics
from typing import NamedTuple

import numpy as np

import tinygrad_course
from tinygrad_course.base import TensorBase
from tinygrad_course.function import Function, sum_to_shape

from .skips import find_skips
from .source import loss_from
from .stats import root_mean_square


class Block(NamedTuple):
    """One merge: the name of what is added there, RMS of what the fork gets along the highway and along the branch,
    and the highway's share of the two."""

    name: str
    highway: float
    branch: float
    share: float


class PathSpectrum:
    """The gradient at one place, by the number of branches on its way. Made by `viz.path_spectrum`.

    parts: v_0, v_1, …, v_L, arrays of the gradient's shape, None where no path has that many branches;
    rms: their RMS; gradient: the gradient from an ordinary walk, beside it; error: max |Σ v_k - gradient| over
    max |gradient|; at: where it was taken; blocks: list of `Block`, from the input to the loss.
    """

    def __init__(self, parts, gradient, at, blocks):
        self.parts, self.gradient, self.at, self.blocks = parts, gradient, at, blocks
        self.rms = np.array([0.0 if part is None else root_mean_square(part) for part in parts])
        total = sum((part.astype(np.float64) for part in parts if part is not None), np.zeros(gradient.shape))
        largest = float(np.abs(gradient).max(initial=0.0))
        self.error = float(np.abs(total - gradient).max(initial=0.0)) / largest if largest else 0.0

    @property
    def energy(self):
        """Share of each number of branches in Σ RMS_k²."""
        largest = self.rms.max(initial=0.0)
        squares = (self.rms / largest) ** 2 if largest > 0.0 else self.rms
        return squares / squares.sum() if largest > 0.0 else squares

    @property
    def mean_length(self):
        """The mean number of branches, weighed by energy."""
        return float(np.dot(np.arange(len(self.rms)), self.energy))

    @property
    def branch_ratio(self):
        """(branch / highway)², the middle over the blocks, which the binomial law asks for; None without one."""
        ratios = [(block.branch / block.highway) ** 2 for block in self.blocks if block.highway > 0.0]
        ratio = statistics.median(ratios) if ratios else 0.0
        return ratio if 0.0 < ratio < np.inf else None

    def __repr__(self):
        return f"<PathSpectrum at {self.at}: {len(self.blocks)} blocks, mean length {self.mean_length:.2f} branches>"


def path_spectrum(loss, *, at=None, names=None):
    """Split the gradient by the number of residual branches it has gone through: a `PathSpectrum`.

        spectrum = viz.path_spectrum(lambda: criterion(net(x), y))
        spectrum.rms[0]                       # what the highway alone brings
        viz.plots.spectrum_bars({"residual": spectrum})

    loss: a loss whose graph is alive, or a function that makes one; no `.grad` changes, and the graph stays alive.
    at: where: a tensor behind the loss (a parameter, an input), or the dotted path of a layer, whose output is meant;
        by default the output that the first block reads.
    names: names for the blocks, by default the layers' paths.

    Only additions count. A concatenation sums nothing: it cuts the gradient into its operands' pieces, each of which
    has come through one way only, and where a layer reads all earlier ones at once (DenseNet) a piece is branch to one
    layer and highway to the next, so that "how many branches" has no answer there.

    Raises TypeError or RuntimeError for a loss without a graph, ValueError if the net has no additive skip or `at` is
    not behind the loss.
    """
    loss = loss_from(loss, "path_spectrum")
    vertices = vertices_behind(loss.node)
    place = {vertex: index for index, vertex in enumerate(vertices)}
    skips = _additive_skips(vertices, place)
    if not skips:
        raise ValueError(
            "this net has no additive skip connection: all its gradient takes one kind of path (concatenations do not "
            "count, for they add nothing up)"
        )
    target = _find(at, vertices, place, skips)
    with tinygrad_course.no_grad():
        parts, gradient, sent = _walk(vertices, place, skips, np.ones_like(loss._data), target)
    blocks = _blocks(vertices, place, skips, sent, names)
    most = max(parts)
    return PathSpectrum([parts.get(k) for k in range(most + 1)], gradient, _label(vertices[target]), blocks)


def vertices_behind(root):
    """The nodes and leaves behind a root, each behind what it reads."""
    heap, seen, leaves, nodes = [-root.order], {root.order: root}, {}, []
    while heap:
        node = seen[-heapq.heappop(heap)]
        nodes.append(node)
        for edge in node.edges:
            if isinstance(edge, Function):
                if edge.order not in seen:
                    seen[edge.order] = edge
                    heapq.heappush(heap, -edge.order)
            elif edge is not None:
                leaves[id(edge)] = edge
    return [*leaves.values(), *nodes[::-1]]


def _is_operation(vertex):
    return isinstance(vertex, Function)


def _additive_skips(vertices, place):
    """{(merge, slot)} of the operands that arrive at an addition by its highway."""
    sources, weights, names = [], [], []
    for vertex in vertices:
        edges = vertex.edges if _is_operation(vertex) else ()
        sources.append([None if edge is None else place[edge] for edge in edges])
        weights.append(2 if any(edge is not None and not _is_operation(edge) for edge in edges) else 1)
        names.append(vertex.name if _is_operation(vertex) else "")
    found = find_skips(names, sources, weights)
    return {(index, slot) for index, slot in found if names[index] == "add"}


def _merges(vertices, skips):
    """The additions at which a highway and a branch meet."""
    merges = {}
    for index, slot in sorted(skips):
        merges.setdefault(index, []).append(slot)
    return {m: slots for m, slots in merges.items() if any(s not in slots for s in range(len(vertices[m].edges)))}


def _find(at, vertices, place, skips):
    """Index of the vertex that `at` means."""
    if at is None:
        return min(place[vertices[index].edges[slot]] for index, slot in skips)
    if isinstance(at, TensorBase):
        found = place.get(at if at.node is None else at.node)
        if found is None:
            raise ValueError("the tensor `at` is not behind this loss, or requires no gradient")
        return found
    found = [index for index, v in enumerate(vertices) if _is_operation(v) and at in (v.scope, v.name, v.label())]
    if not found:
        known = list(dict.fromkeys(v.scope or v.name for v in vertices if _is_operation(v)))
        raise ValueError(f"no layer is named {at!r}; there are: {', '.join(known[:12])}{' …' * (len(known) > 12)}")
    return found[-1]


def _label(vertex):
    return vertex.label() if _is_operation(vertex) else f"a leaf of shape {vertex._data.shape}"


_WHOLE = -1  # the key of the gradient that is not split


def _walk(vertices, place, skips, seed, target):
    """({k: v_k} at the target, the whole gradient there, {(vertex, slot): RMS of the whole contribution})."""
    merges = _merges(vertices, skips)
    arrived = {len(vertices) - 1: {_WHOLE: seed, 0: seed}}
    sent = {}
    for index in range(len(vertices) - 1, -1, -1):
        node, split = vertices[index], arrived.get(index)
        if index != target:
            arrived.pop(index, None)
        if split is None or not _is_operation(node):
            continue
        for length, gradient in split.items():
            for slot, contribution in enumerate(_backward(node, gradient)):
                edge = node.edges[slot]
                if edge is None or contribution is None:
                    continue
                contribution = sum_to_shape(np.asarray(contribution), edge.shape)
                key = length
                if length == _WHOLE:
                    sent[index, slot] = root_mean_square(contribution)
                elif index in merges and slot not in merges[index]:
                    key = length + 1
                there = arrived.setdefault(place[edge], {})
                there[key] = contribution if key not in there else there[key] + contribution
    split = arrived.get(target)
    if split is None:
        raise ValueError(f"no gradient reaches {_label(vertices[target])}")
    return split, split.pop(_WHOLE), sent


def _backward(node, gradient):
    """The tape's own backward of a node, without taking what it has saved."""
    try:
        contributions = node.backward(gradient)
    except RuntimeError as error:
        if "freed" not in str(error):
            raise
        raise RuntimeError(
            "the graph of this loss has been freed by loss.backward(): call path_spectrum before it, keep the graph "
            "with backward(retain_graph=True), or pass a function that makes the loss"
        ) from None
    return contributions if type(contributions) is tuple else (contributions,)


def _blocks(vertices, place, skips, sent, names):
    """For each merge what its fork gets along the highway and along the other ways, in forward order."""
    outgoing = {}  # fork -> [(vertex, slot) that reads it]
    for index, vertex in enumerate(vertices):
        for slot, edge in enumerate(vertex.edges if _is_operation(vertex) else ()):
            if edge is not None and (index, slot) in sent:
                outgoing.setdefault(place[edge], []).append((index, slot))
    blocks = []
    for merge, slots in _merges(vertices, skips).items():
        fork = _fork(merge, slots[0], vertices, place, skips)
        highway = math.sqrt(sum(sent[end] ** 2 for end in outgoing.get(fork, ()) if end in skips))
        branch = math.sqrt(sum(sent[end] ** 2 for end in outgoing.get(fork, ()) if end not in skips))
        share = highway / (highway + branch) if highway + branch > 0.0 else math.nan
        blocks.append((vertices[merge].scope or f"block {len(blocks) + 1}", highway, branch, share))
    if names is not None and len(names) != len(blocks):
        raise ValueError(f"{len(names)} names were given for {len(blocks)} blocks")
    return [Block(names[i] if names else block[0], *block[1:]) for i, block in enumerate(blocks)]


def _fork(merge, slot, vertices, place, skips):
    """Where the highway that arrives at this operand begins."""
    vertex = place[vertices[merge].edges[slot]]
    while True:
        ways = [slot for slot in range(len(getattr(vertices[vertex], "edges", ()))) if (vertex, slot) in skips]
        if not ways or vertices[vertex].name == "add":
            return vertex
        vertex = place[vertices[vertex].edges[ways[0]]]
