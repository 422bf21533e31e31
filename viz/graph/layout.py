"""A layered layout that needs no program: ranks from the longest path, few crossings, highways on one side.

Everything is iterative, and its work is bounded by the size of the graph, never by a clock, so that the same graph
always has the same layout: n log n in nodes and edges, at most `_MOST_BENDS` bends, `_MOST_WORK` for the order and
the places in the ranks, one column where a break would be crossed by too much. A graph too large for one sweep has
the nodes of a rank in the order in which they ran. Lengths are points (1/72 inch), y grows downward.
"""

import difflib
import itertools
import math
from dataclasses import dataclass

from .routes import NUMBERED, PRICES, TALLEST, Page, Ranked, columns

GAP, SIDE_GAP = 24.0, 22.0  # between ranks, between neighbours in one
_MOST_BENDS = 600  # long edges get a bend in each rank they cross up to this many in all, beyond it a lane outside
_NEAR = 2  # operations from an input, up to which a node stands where it is read
_TRUNK = 100  # what the place of a node on the trunk weighs against that of another beside it
_SWEEPS = 6
_MOST_WORK = 300_000  # nodes, bends and links that are swept over, in all sweeps; a larger graph gets fewer sweeps


@dataclass
class Layout:
    """Where things go: `centres[node]` = (x, y); `routes[edge]` = points from the source to the target."""

    width: float
    height: float
    centres: list
    routes: list
    columns: int = 1
    lefts: tuple = ()  # where each column begins, its lanes included
    crowded: bool = False  # so many lanes that there is no room for numbers between them


def layout(sizes, edges, *, wrap=True, aspect=1.3, room=None, gap=GAP, tallest=TALLEST, together=(), label=0.0):
    """Place nodes of `sizes` [(width, height)], numbered in topological order, and route `edges`.

    edges: [(source, target, is_skip)]. wrap: break a graph taller than `tallest` points into columns, for a picture
    about `aspect` times as wide as high. room: {node: (above, below)}, points to keep free over and under it.
    gap: points between ranks. together: lists of nodes that no break into columns may part. label: width of the
    numbers that stand beside lanes, 0 without any.
    """
    if not sizes:
        return Layout(0.0, 0.0, [], [])
    graph = _ranked(sizes, edges, room or {}, gap, label)
    return _placed(Page(graph, columns([graph], _free(graph, together), aspect, tallest)[0] if wrap else [0]))


def layout_in(window, sizes, edges, *, factors, tallest, room=None, gap=GAP, together=(), label=0.0,
              enough=1.0, prices=PRICES, scroll=False):  # fmt: skip
    """The layout that shows a graph largest in a window (width, height): of those wrapped for `factors` of its shape.

    prices: what breaks into columns are worth, see `columns`. More than `enough` is not better: then the first layout
    of this size is taken. scroll: of those no wider than the window that which is lowest, for one scrolls down, not
    aside; or the narrowest.
    """
    if not sizes:
        return Layout(0.0, 0.0, [], [])
    graph = _ranked(sizes, edges, room or {}, gap, label)
    free = _free(graph, together)
    aspects = [window[0] / window[1] * factor for factor in factors]
    prices = prices if len(factors) > 1 else prices[:1]
    tried = [columns([graph], free, aspect, tallest, price)[0] for price in prices for aspect in aspects]
    pages = ([_placed(Page(graph, starts))] for starts in _distinct(tried))
    return min(pages, key=lambda one: _scrolled(one[0], window[0]))[0] if scroll else _largest(pages, window, enough)[0]


def layout_pair(graphs, keys, *, window=(1.3, 1.0), factors=(1.0,), tallest=TALLEST, gap=GAP):
    """Two graphs, rank-aligned: nodes of one key stand at one height and in one column. Returns two `Layout`s.

    graphs: two of (sizes, edges, room, together, label), as for `layout`; keys: for each graph a key for each node.
    window: the room (width, height) of each; of the layouts for `factors` of its shape that which shows both largest.
    """
    both = [_ranked(sizes, edges, room, gap, label) for sizes, edges, room, _, label in graphs]
    aligned = _aligned(both, keys)
    for ranks in aligned:
        height = max(graph.tops[rank] for graph, rank in zip(both, ranks, strict=True))
        for graph, rank in zip(both, ranks, strict=True):
            down = height - graph.tops[rank]
            graph.tops[rank:] = [top + down for top in graph.tops[rank:]]
    unbroken = [_unbroken(graph, together) for graph, (*_, together, _) in zip(both, graphs, strict=True)]
    free = [ranks for ranks in aligned if not any(rank in no for rank, no in zip(ranks, unbroken, strict=True))]
    tried = [columns(both, free, window[0] / window[1] * factor, tallest) for factor in factors]

    def pages():
        for starts in _distinct(tried):
            head = max(Page(graph, own).head for graph, own in zip(both, starts, strict=True))
            yield [_placed(Page(graph, own, head)) for graph, own in zip(both, starts, strict=True)]

    return _largest(pages(), window, math.inf)


def _distinct(tried):
    return [one for i, one in enumerate(tried) if one not in tried[:i]]


def _largest(tried, window, enough):
    """Of lists of layouts that which shows all of its layouts largest, up to `enough`."""
    best, most = None, 0.0
    for placed in tried:
        fit = min(min(window[0] / max(1.0, one.width), window[1] / max(1.0, one.height)) for one in placed)
        if best is None or min(fit, enough) > most * 1.02:
            best, most = placed, min(fit, enough)
    return best


def _scrolled(placed, width):
    """What is less is better to scroll through in a window of this width."""
    return max(width, placed.width), placed.height


def _free(graph, together):
    """The ranks above which there may be a break into columns."""
    unbroken = _unbroken(graph, together)
    return [(rank,) for rank in range(len(graph.tops)) if rank not in unbroken]


def _aligned(both, keys):
    """[(rank in the first graph, rank in the second), …]: where the same key begins, downwards in both."""
    first = []
    for graph, own in zip(both, keys, strict=True):
        begin = {}
        for rank, key in sorted(zip(graph.ranks, own, strict=True), key=lambda pair: pair[0]):
            begin.setdefault(key, rank)
        first.append(begin)
    swapped = list(first[1]) < list(first[0])  # the match must not depend on which graph comes first
    left, right = first[::-1] if swapped else first
    matcher = difflib.SequenceMatcher(None, list(left), list(right), autojunk=False)
    same = [key for begin, _, size in matcher.get_matching_blocks() for key in list(left)[begin : begin + size]]
    aligned = []
    for key in same:  # keys may begin at one rank; then the first of them counts
        ranks = first[0][key], first[1][key]
        if not aligned or all(now > before for now, before in zip(ranks, aligned[-1], strict=True)):
            aligned.append(ranks)
    return aligned


def _ranked(sizes, edges, room, gap, label):
    """The graph with ranks and x, not yet broken into columns."""
    ranks, away = _ranks(len(sizes), edges)
    chains, extra = _bends(len(sizes), edges, ranks)
    widths = [width for width, _ in sizes] + [6.0] * len(extra)
    all_ranks = ranks + extra
    links = [pair for chain in chains for pair in itertools.pairwise(chain)]
    rows = _ordered_rows(all_ranks, links)
    x = _horizontal(rows, widths, links, _trunk(links, [*away, *[-1] * len(extra)]))
    kept = [tuple(max((room[node][i] for node in row if node in room), default=0.0) for i in (0, 1)) for row in rows]
    vertical = _vertical(rows, sizes, kept, gap)
    return Ranked(sizes, edges, ranks, all_ranks, chains, rows, x, widths, *vertical, kept, label)


def _placed(page):
    crowded = page.graph.lane_counts[1] > NUMBERED
    return Layout(page.width, page.height, page.centres, page.routes, len(page.starts), tuple(page.lefts), crowded)


def _unbroken(graph, together):
    """The ranks above which there must be no break into columns."""
    return {rank for nodes in together for rank in _inner_ranks([graph.ranks[node] for node in nodes])}


def _inner_ranks(ranks):
    return range(min(ranks) + 1, max(ranks) + 1)


def _ranks(count, edges):
    """(rank of each node, operations from the inputs). Rank = longest path; an input stands just above its reader.

    So does what needs inputs only and is read late, as the step of a sequence that a recurrent net reads.
    """
    ranks, away = [0] * count, [0] * count
    outgoing = [[] for _ in range(count)]
    for source, target, _ in edges:
        outgoing[source].append(target)
    for node in range(count):
        for target in outgoing[node]:
            ranks[target] = max(ranks[target], ranks[node] + 1)
            away[target] = max(away[target], away[node] + 1)
    for node in reversed(range(count)):
        if away[node] <= _NEAR and outgoing[node]:
            ranks[node] = min(ranks[target] for target in outgoing[node]) - 1
    return ranks, away


def _bends(count, edges, ranks):
    """For each edge the nodes and bends it passes; [] if it takes a lane. And the ranks of the bends."""
    chains, extra = [], []
    total = sum(max(0, ranks[t] - ranks[s] - 1) for s, t, skip in edges if not skip)
    for source, target, is_skip in edges:
        span = ranks[target] - ranks[source]
        if span > 1 and (is_skip or total > _MOST_BENDS):
            chains.append([])
            continue
        bends = list(range(count + len(extra), count + len(extra) + span - 1))
        extra += range(ranks[source] + 1, ranks[target])
        chains.append([source, *bends, target])
    return chains, extra


def _ordered_rows(ranks, links):
    """The nodes of each rank from left to right: barycentres of neighbours, swept down and up."""
    rows = [[] for _ in range(max(ranks) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    if all(len(row) == 1 for row in rows):
        return rows
    above, below = _neighbours(len(ranks), links)
    place = {node: i for row in rows for i, node in enumerate(row)}
    for sweep in range(_sweeps(ranks, links)):
        neighbours = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            if len(row) > 1:
                wanted = {n: _mean([place[m] for m in neighbours[n]], place[n]) for n in row}
                row.sort(key=lambda n: (wanted[n], place[n]))
                for position, node in enumerate(row):
                    place[node] = position
    return rows


def _sweeps(nodes, links):
    """How often a graph is swept over: less often if it is large."""
    return min(_SWEEPS, _MOST_WORK // (len(nodes) + len(links)))


def _neighbours(count, links):
    above, below = [[] for _ in range(count)], [[] for _ in range(count)]
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _mean(values, default):
    return sum(values) / len(values) if values else default


def _trunk(links, away):
    """The links that ought to be upright: of those into a node that from the farthest, if there is only one."""
    into = {}
    for link in links:
        into.setdefault(link[1], []).append(link)
    trunk = set()
    for found in into.values():
        farthest = max(away[source] for source, _ in found)
        deepest = [link for link in found if away[link[0]] == farthest]
        if len(deepest) == 1 < len(found):
            trunk.add(deepest[0])
    return trunk


def _horizontal(rows, widths, links, trunk):
    """x of each node: as near to its neighbours' mean as the order and the widths in its rank allow."""
    x = [0.0] * len(widths)
    above, below = _neighbours(len(widths), links)
    for source, target in trunk:
        above[target] = [source]
    heavy = {source for source, _ in trunk}
    for source in heavy:
        below[source] = [target for target in below[source] if (source, target) in trunk]
    for row in rows:
        _spread(row, [0.0] * len(row), widths, x, heavy)
    for sweep in range(_sweeps(widths, links) + 1):
        neighbours = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _spread(row, [_mean([x[m] for m in neighbours[n]], x[n]) for n in row], widths, x, heavy)
    return x


def _spread(row, wanted, widths, x, heavy):
    """Least squares towards `wanted` under minimal distances: isotonic regression, by pooling violators."""
    offsets, total = [0.0], 0.0
    for left, right in itertools.pairwise(row):
        total += (widths[left] + widths[right]) / 2.0 + SIDE_GAP
        offsets.append(total)
    pools = []  # [mean, weight, count]
    for node, want, offset in zip(row, wanted, offsets, strict=True):
        pools.append([want - offset, _TRUNK if node in heavy else 1, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight, count = pools.pop()
            before, other, others = pools[-1]
            pools[-1] = [(before * other + mean * weight) / (other + weight), other + weight, others + count]
    position = 0
    for mean, _, count in pools:
        for _ in range(count):
            x[row[position]] = mean + offsets[position]
            position += 1


def _vertical(rows, sizes, kept, gap):
    tops, heights, y = [], [], 0.0
    for row, (above, below) in zip(rows, kept, strict=True):
        height = max((sizes[node][1] for node in row if node < len(sizes)), default=0.0)
        tops.append(y + above)
        heights.append(height)
        y += above + height + gap + below
    return tops, heights
