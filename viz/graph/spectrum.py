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
from tinygrad_course.base import TensorBase, array_of
from tinygrad_course.function import Function, sum_to_shape
from tinygrad_course.modes import Observer, observe

from .aside import gradients_aside, label_of, refuse_hooks
from .skips import find_highways, vertices_between
from .source import loss_from
from .stats import root_mean_square


class Block(NamedTuple):
    """One merge: the name of what is added there, RMS of what the fork gets along the highway and along the branch
    (all other ways to this merge together), and the highway's share of the two."""

    name: str
    highway: float
    branch: float
    share: float


class PathSpectrum:
    """The gradient at one place, by the number of branches on its way. Made by `viz.path_spectrum`.

    parts: v_0, v_1, …, v_L, arrays of the gradient's shape, None where no path has that many branches;
    rms: their RMS; gradient: what `backward` itself gives there; error: max |Σ v_k - gradient| over max |gradient|;
    at: where it was taken; blocks: list of `Block`, from the input to the loss.
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
        by default the output that the first block reads: the fork of its highway and its branch.
    names: names for the blocks, by default the layers' paths.

    Whatever stands on a highway (the 1×1 convolution of a block that changes shape, a factor, dropout) belongs to it.
    Only additions count. A concatenation sums nothing: it cuts the gradient into its operands' pieces, each of which
    has come through one way only, and where a layer reads all earlier ones at once (DenseNet) a piece is branch to one
    layer and highway to the next, so that "how many branches" has no answer there.

    Raises TypeError or RuntimeError for a loss without a graph, ValueError if the net has no additive skip, if `at` is
    not behind the loss, or if a tensor has a gradient hook, for what that does is not linear.
    """
    loss = loss_from(loss, "path_spectrum")
    vertices = vertices_behind(loss.node)
    place = {vertex: index for index, vertex in enumerate(vertices)}
    sources = _sources(vertices, place)
    highways = _additive_highways(vertices, sources)
    if not highways:
        raise ValueError(
            "this net has no additive skip connection: all its gradient takes one kind of path (concatenations do not "
            "count, for they add nothing up)"
        )
    if names is not None and len(names) != len(highways):
        raise ValueError(f"{len(names)} names were given for {len(highways)} blocks")
    target = _find(at, vertices, place, highways)
    refuse_hooks([vertices[target], *filter(_is_operation, vertices)], "path_spectrum")
    with tinygrad_course.no_grad():
        parts = _walk(vertices, place, highways, np.ones_like(loss._data), target)
    whole = _Whole(vertices, sources, highways, target)
    with observe(whole):
        gradients_aside(loss, loss)
    most = max(parts)
    blocks = whole.blocks([vertices[highway.merge].scope for highway in highways] if names is None else names)
    return PathSpectrum([parts.get(k) for k in range(most + 1)], whole.gradient, label_of(vertices[target]), blocks)


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


def _sources(vertices, place):
    return [
        [None if edge is None else place[edge] for edge in vertex.edges] if _is_operation(vertex) else []
        for vertex in vertices
    ]


def _additive_highways(vertices, sources):
    """The highways that arrive at additions, in forward order: one for each block."""
    names = [vertex.name if _is_operation(vertex) else "" for vertex in vertices]
    weights = [2 if any(s is not None and names[s] == "" for s in operands) else 1 for operands in sources]
    learned = {index for index, vertex in enumerate(vertices) if type(vertex).__name__ == "Parameter"}
    found = find_highways(names, sources, weights, learned, [vertex.shape for vertex in vertices])
    return [highway for highway in found if names[highway.merge] == "add"]


def _find(at, vertices, place, highways):
    """Index of the vertex that `at` means."""
    if at is None:
        return min(highway.fork for highway in highways)
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


def _walk(vertices, place, highways, seed, target):
    """{k: v_k} at the target."""
    highway_of = {highway.merge: highway.slot for highway in highways}
    arrived = {len(vertices) - 1: {0: seed}}
    for index in range(len(vertices) - 1, target, -1):
        node, split = vertices[index], arrived.pop(index, None)
        if split is None or not _is_operation(node):
            continue
        for length, gradient in split.items():
            for slot, contribution in enumerate(_backward(node, gradient)):
                edge = node.edges[slot]
                if edge is None or contribution is None or place[edge] < target:
                    continue
                contribution = sum_to_shape(np.asarray(contribution), edge.shape)
                key = length + (highway_of.get(index, slot) != slot)
                there = arrived.setdefault(place[edge], {})
                there[key] = contribution if key not in there else there[key] + contribution
    if target not in arrived:
        raise ValueError(f"no gradient reaches {label_of(vertices[target])}")
    return arrived[target]


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


class _Whole(Observer):
    """Sees what the tape itself sends back: the gradient at the target, and what each fork gets along which way."""

    def __init__(self, vertices, sources, highways, target):
        self._target, self.gradient = vertices[target], None
        readers = {highway.fork: [] for highway in highways}  # fork -> [(vertex, slot) that reads it]
        for index, operands in enumerate(sources):
            for slot, source in enumerate(operands):
                if source in readers:
                    readers[source].append((index, slot))
        self._ways = {}  # (node, slot) -> [(block, 0 for its highway or 1 for its branch)]
        for block, highway in enumerate(highways):
            inside = vertices_between(highway.merge, highway.fork, sources)
            for index, slot in readers[highway.fork]:
                if index in inside:
                    way = int((index, slot) not in highway.edges)
                    self._ways.setdefault((vertices[index], slot), []).append((block, way))
        self._forks = {}
        for block, highway in enumerate(highways):
            self._forks.setdefault(vertices[highway.fork], []).append(block)
        self._sums = [[None, None] for _ in highways]  # contributions, as long as there are more to come; then RMS

    def backward(self, node, gradient, contributions):
        if node is self._target:
            self.gradient = np.array(gradient)
        self._settle(node)
        for slot, contribution in enumerate(contributions):
            for block, way in self._ways.get((node, slot), ()) if contribution is not None else ():
                total = self._sums[block][way]
                self._sums[block][way] = contribution if total is None else total + contribution

    def leaves(self, arrived):
        if self._target in arrived:
            self.gradient = np.array(array_of(arrived[self._target][0]))
        for leaf in arrived:
            self._settle(leaf)

    def _settle(self, fork):
        for block in self._forks.get(fork, ()):
            self._sums[block] = [0.0 if s is None else root_mean_square(s) for s in self._sums[block]]

    def blocks(self, names):
        found = []
        for name, (highway, branch) in zip(names, self._sums, strict=True):
            highway, branch = highway or 0.0, branch or 0.0  # None: nothing came that way
            share = highway / (highway + branch) if highway + branch > 0.0 else math.nan
            found.append(Block(name or f"block {len(found) + 1}", highway, branch, share))
        return found
