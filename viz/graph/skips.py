"""Find the highways: edges into an addition or a concatenation that go around a longer path."""

import heapq

MERGES = frozenset({"add", "cat", "concat", "concatenate"})
_PER_MERGE, _ALTOGETHER = 4_000, 400_000  # vertices looked at; a graph that needs more has no blocks to speak of


def find_skips(names, sources, weights, data=frozenset()):
    """The operand slots that are skips, as a set of (vertex, slot), found from the graph's shape alone.

    names[v]: the operation of vertex v; sources[v]: the vertex each operand comes from (None: no gradient goes
    there), always smaller than v; weights[v]: its number of operations, 2 for one with parameters (multiply, add).
    data: vertices that are data, where a skip may begin but no fork with a longer and a shorter side.

    An operand of a merge is a skip if it comes straight from a vertex from which another path, of two or more
    operations, reaches the same merge. In an addition also the shorter side of a fork is one, if the other side
    is at least twice as long (the 1×1 convolution of a residual block that changes shape): all edges along it.
    """
    skips = set()
    budget = _ALTOGETHER
    for merge, name in enumerate(names):
        if name in MERGES and budget > 0 and len({s for s in sources[merge] if s is not None}) > 1:
            budget -= _around(merge, name, sources, weights, data, skips)
    return skips


def _around(merge, name, sources, weights, data, skips):
    """Walk back from one merge, youngest vertex first, with the longest way from each vertex to each operand."""
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
            skips.update((merge, slot) for slot in slots if sources[merge][slot] == vertex)
            if len(way) == len(slots):
                break
        elif len(way) == len(slots) and name == "add" and vertex not in data:  # from data all ways may begin
            _mark_shorter_side(merge, vertex, way, sources, skips)
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
                reached[slot] = max(reached.get(slot, 0), length + weights[vertex])
    return looked_at


def _mark_shorter_side(merge, fork, way, sources, skips):
    longest = max(way.values())
    for slot, length in way.items():
        if longest < 2 or 2 * length > longest:
            continue
        skips.add((merge, slot))
        leads = {fork: True}  # vertex -> whether the fork is behind it
        side = _between(sources[merge][slot], fork, sources)
        for vertex in sorted(side):
            leads[vertex] = any(leads.get(source, False) for source in sources[vertex])
            if leads[vertex]:
                skips.update((vertex, i) for i, source in enumerate(sources[vertex]) if leads.get(source, False))


def _between(vertex, fork, sources):
    """The vertices younger than the fork that lead to `vertex`, itself included."""
    seen, stack = {vertex}, [vertex]
    while stack:
        for source in sources[stack.pop()]:
            if source is not None and source > fork and source not in seen:
                seen.add(source)
                stack.append(source)
    return seen
