"""Find the highways: ways into an addition or a concatenation that go around a longer one."""

import heapq
import math
from collections import Counter
from typing import NamedTuple

MERGES = frozenset({"add", "cat", "concat", "concatenate"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div"})
_PRODUCTS = frozenset({"mul", "matmul", "einsum"})
_PER_MERGE, _ALTOGETHER = 4_000, 400_000  # vertices looked at; a graph that needs more has no blocks to speak of


class Highway(NamedTuple):
    """A way from the vertex `fork` into operand `slot` of the vertex `merge`; another, longer way joins both.

    edges: all (vertex, slot) along it, the operand of the merge included.
    """

    merge: int
    slot: int
    fork: int
    edges: frozenset


def find_highways(names, sources, weights, data=frozenset(), shapes=None):
    """The highways of a graph, a list of `Highway` by their merges, found from the graph's shape alone.

    names[v]: the operation of vertex v, "" for a leaf; sources[v]: the vertex each operand comes from (None: no
    gradient goes there), always smaller than v; weights[v]: its number of operations, 2 for one with parameters
    (multiply, add). data: vertices where a highway may begin but no fork with a longer and a shorter side, as data
    and parameters are. shapes[v]: of its output, where they are known.

    An operand of a merge is a highway if it comes straight from a vertex from which another path, of two or more
    operations, reaches the same merge. In an addition also the shorter side of a fork is one, if the other side
    is at least twice as long (the 1×1 convolution of a residual block that changes shape). It has to come from
    the fork alone, and to hand on what the fork has: neither as its square, nor as one number, which is a second loss.
    """
    graph = _Graph(names, sources, _lengths(names, sources, weights), data, shapes)
    highways, budget = [], _ALTOGETHER
    for merge, name in enumerate(names):
        if name in MERGES and budget > 0 and len({s for s in sources[merge] if s is not None}) > 1:
            budget -= _around(merge, graph, highways)
    # What all steps of a recurrent net read, each through its layer, begins no block.
    layers = Counter(highway.fork for highway in highways if _holds_a_layer(highway, graph))
    return [highway for highway in highways if layers[highway.fork] < 2 or not _holds_a_layer(highway, graph)]


class _Graph(NamedTuple):
    names: list
    sources: list
    lengths: list
    data: frozenset
    shapes: list | None

    def is_operation(self, vertex):
        return self.names[vertex] != "" and vertex not in self.data


def _lengths(names, sources, weights):
    """How much longer a vertex makes a path: by 1 if it adds a bias or scales by a parameter.

    The sum of two results adds nothing: twelve heads added up, one after the other, are no deeper than one.
    """
    lengths = [min(weight, 1) if name in _ARITHMETIC else weight for name, weight in zip(names, weights, strict=True)]
    for vertex, name in enumerate(names):
        if name == "add" and sum(s is not None and names[s] != "" for s in sources[vertex]) > 1:
            lengths[vertex] = 0
    return lengths


def _holds_a_layer(highway, graph):
    return sum(graph.lengths[vertex] for vertex in {v for v, _ in highway.edges} - {highway.merge}) > 1


def _around(merge, graph, highways):
    """Walk back from one merge, youngest vertex first, with the longest way from each vertex to each operand."""
    sources = graph.sources
    ways = {}  # vertex -> {operand slot: longest path from there to the merge}
    slots = [slot for slot, source in enumerate(sources[merge]) if source is not None]
    for slot in slots:
        ways.setdefault(sources[merge][slot], {})[slot] = 0
    direct = dict.fromkeys(ways)
    heap = [-vertex for vertex in ways]
    heapq.heapify(heap)
    oldest, looked_at = min(direct), 0
    while heap and looked_at < _PER_MERGE:
        vertex = -heapq.heappop(heap)
        looked_at += 1
        way = ways.pop(vertex)
        if vertex in direct and max(way.values()) >= 2:
            highways += [
                Highway(merge, slot, vertex, frozenset({(merge, slot)}))
                for slot in slots if sources[merge][slot] == vertex
            ]  # fmt: skip
            if len(way) == len(slots):
                break
        elif len(way) == len(slots) and graph.names[merge] == "add" and vertex not in graph.data:
            highways += _shorter_side(merge, vertex, way, graph)  # from data all ways may begin
            break
        if vertex <= oldest and len(slots) > 2:
            break
        for source in sources[vertex]:
            if source is None:
                continue
            if source not in ways:
                ways[source] = {}
                heapq.heappush(heap, -source)
            reached = ways[source]
            for slot, length in way.items():
                reached[slot] = max(reached.get(slot, 0), length + graph.lengths[vertex])
    return looked_at


def _shorter_side(merge, fork, way, graph):
    longest = max(way.values())
    if longest < 2 or not _alike(merge, fork, graph.shapes):
        return
    for slot, length in way.items():
        if 2 * length > longest:
            continue
        edges = _side(graph.sources[merge][slot], fork, graph)
        if edges is not None:
            yield Highway(merge, slot, fork, frozenset({(merge, slot), *edges}))


def _alike(merge, fork, shapes):
    """Whether both hold numbers of one kind: not an image and its class scores, not a batch and its loss."""
    if shapes is None:
        return True
    one = [math.prod(shapes[vertex]) == 1 for vertex in (merge, fork)]
    return len(shapes[merge]) == len(shapes[fork]) and one[0] == one[1]


def _side(end, fork, graph):
    """The edges along which the fork leads to `end`; None if it multiplies them, or if another operation enters."""
    leads, edges = {fork: True}, []  # vertex -> whether the fork is behind it
    for vertex in sorted(vertices_between(end, fork, graph.sources)):
        operands = graph.sources[vertex]
        if any(s is not None and s < fork and graph.is_operation(s) for s in operands):
            return None
        forked = [slot for slot, source in enumerate(operands) if leads.get(source, False)]
        if len(forked) > 1 and graph.names[vertex] in _PRODUCTS:
            return None
        leads[vertex] = bool(forked)
        edges += [(vertex, slot) for slot in forked]
    return edges


def vertices_between(vertex, fork, sources):
    """The vertices younger than the fork that lead to `vertex`, itself included."""
    seen, stack = {vertex}, [vertex]
    while stack:
        for source in sources[stack.pop()]:
            if source is not None and source > fork and source not in seen:
                seen.add(source)
                stack.append(source)
    return seen
