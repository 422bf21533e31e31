"""From ranks to a page: columns for a long graph, lanes for long edges, and the points of every edge."""

import functools
import heapq
import itertools
import math
from dataclasses import dataclass

LANE, GUTTER = 13.0, 8.0  # points between parallel long edges, and between edges that change column
_DEAREST = 24  # what a break into columns may cost: see `_costs`
PRICES = 0.12, 0.04  # of a column's height, what a break that costs 1 more must save: clean breaks, or low columns
TALLEST = 1000.0  # points; a taller graph is wrapped into columns
_LEAVE = 9.6  # points below a node at which an edge turns aside
_DROP = 18.0  # points over a column's first node from which an edge comes down on it: a corner and a head of an arrow
_BESIDE = 8.0  # points around a number beside a lane
NUMBERED = 40  # lanes between which there is room for numbers; more lie as near as other lanes
_WIDEST = 60 * LANE  # of all lanes on one side: more than 60 are squeezed


@dataclass
class Ranked:
    """A graph whose nodes have ranks and x. Nodes beyond `len(sizes)` are bends of long edges."""

    sizes: list  # (width, height) of the nodes
    edges: list  # (source, target, is_skip)
    ranks: list  # of the nodes
    all_ranks: list  # of nodes and bends
    chains: list  # for each edge its nodes and bends; [] if it takes a lane
    rows: list  # the nodes and bends of each rank
    x: list
    widths: list
    tops: list  # y of each rank
    heights: list
    room: list  # (above, below) of each rank: points kept free there beside the gap, for what stands there
    label: float = 0.0  # width of the numbers beside lanes, 0 without any

    @functools.cached_property
    def lanes(self):
        """See `lanes_of`."""
        return lanes_of(self.edges, self.ranks, self.chains)

    @functools.cached_property
    def lane_counts(self):
        """{side: how many lanes lie there at most}."""
        return {side: max((k + 1 for s, k in self.lanes.values() if s == side), default=0) for side in (1, -1)}

    @functools.cached_property
    def costs(self):
        """See `_costs`."""
        return _costs(self)

    def way(self, number):
        """What an edge shares with those that lie in its lane from the same node: a key."""
        return (self.edges[number][0], self.lanes[number]) if number in self.lanes else number

    def passing(self, start):
        """{edges that pass the break above this rank: their way}."""
        return {i: self.way(i) for i, (source, target, _) in enumerate(self.edges)
                if self.ranks[source] < start <= self.ranks[target]}  # fmt: skip


class Page:
    """Places everything: `centres`, `routes`, `width`, `height`; `lefts`: x where columns begin.

    starts: rank where each column begins; head: room above the columns, if not just what is needed.
    """

    def __init__(self, graph, starts, head=None):
        self.graph, self.starts = graph, starts
        self.lanes = graph.lanes
        self.passing = [graph.passing(start) for start in starts]
        self.crossings = [len(set(ways.values())) for ways in self.passing]
        needed = max(self.crossings[1:], default=0) * GUTTER + (_DROP if len(starts) > 1 else 0.0)
        needed += max(graph.room[start][0] for start in starts)
        self.head = needed if head is None else max(head, needed)
        self.ends = [*self.starts[1:], len(graph.tops)]
        self.column_of = [0] * len(graph.tops)
        for column, start in enumerate(self.starts):
            for rank in range(start, self.ends[column]):
                self.column_of[rank] = column
        self._place_columns()
        self.gutters = [self._gutters(column) for column in range(len(self.starts))]
        self.routes = [self._route(number) for number in range(len(graph.edges))]
        points = [point for route in self.routes for point in route]
        left = min([0.0, *(x for x, _ in points)])
        self.width = max([self.width, *(x for x, _ in points)]) - left
        self.height = max([self.height, *(y for _, y in points)])
        self.centres = [(x - left, y) for x, y in map(self.place, range(len(graph.sizes)))]
        self.routes = [[(x - left, y) for x, y in route] for route in self.routes]
        self.lefts = [x - left for x in self.first_x]

    def _place_columns(self):
        graph = self.graph
        self.left_lane, self.right_lane, self.shift, self.first_x = [], [], [], []
        self.width = self.height = 0.0
        for column, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            inside = [node for row in graph.rows[start:end] for node in row]
            left = min(graph.x[node] - graph.widths[node] / 2 for node in inside)
            right = max(graph.x[node] + graph.widths[node] / 2 for node in inside)
            count = {1: 0, -1: 0}  # lanes beside this column
            for number, (side, lane) in self.lanes.items():
                source, target, _ = graph.edges[number]
                if graph.ranks[source] < end and graph.ranks[target] >= start:
                    count[side] = max(count[side], lane + 1)
            begin = self.width + (self.crossings[column] * GUTTER + 14.0 if column else 0.0)
            begin += _pitch(graph, -1) * count[-1] + LANE * bool(count[-1])
            self.shift.append(begin - left)
            self.first_x.append(begin - _pitch(graph, -1) * count[-1])
            self.left_lane.append(begin - LANE)
            self.right_lane.append(begin + right - left + LANE)
            self.width = begin + right - left + _lanes_width(graph, count[1])
            foot = graph.tops[end - 1] + graph.heights[end - 1] + graph.room[end - 1][1]
            self.height = max(self.height, foot - graph.tops[start] + self.head)

    def place(self, node):
        """Centre of a node or bend."""
        rank = self.graph.all_ranks[node]
        column = self.column_of[rank]
        y = self.graph.tops[rank] - self.graph.tops[self.starts[column]] + self.graph.heights[rank] / 2 + self.head
        return self.graph.x[node] + self.shift[column], y

    def _route(self, number):
        graph = self.graph
        source, target, _ = graph.edges[number]
        last = self.column_of[graph.ranks[target]]
        if number in self.lanes:
            side, lane = self.lanes[number]
            lane_x = [x + side * lane * _pitch(graph, side) for x in (self.right_lane if side > 0 else self.left_lane)]
            first = self.column_of[graph.ranks[source]]
            points = self._to_lane(source, side, lane_x[first], 1.0)
            for column in range(first, last):
                points += self._gutter(number, points[-1][0], column, lane_x[column + 1])
            return points + self._to_lane(target, side, lane_x[last], -1.0)[::-1]
        (source_x, source_y), (target_x, target_y) = self.place(source), self.place(target)
        points = [(source_x, source_y + graph.sizes[source][1] / 2)]
        if graph.room[graph.ranks[source]][1]:  # straight through what stands there
            points.append((source_x, source_y + graph.heights[graph.ranks[source]] / 2
                           + graph.room[graph.ranks[source]][1]))  # fmt: skip
        for bend in graph.chains[number][1:-1]:
            rank, (x, y) = graph.all_ranks[bend], self.place(bend)
            if self.column_of[rank - 1] != self.column_of[rank]:
                points += self._gutter(number, points[-1][0], self.column_of[rank - 1], x)
            half = graph.heights[rank] / 2  # straight through the rank: it slants only in the gaps
            points += [(x, y - half), (x, y + half)]
        if self.column_of[graph.ranks[target] - 1] != last:
            points += self._gutter(number, points[-1][0], last - 1, target_x)
        elif graph.room[graph.ranks[target]][0]:
            points.append((target_x, target_y - graph.heights[graph.ranks[target]] / 2
                           - graph.room[graph.ranks[target]][0]))  # fmt: skip
        return [*points, (target_x, target_y - graph.sizes[target][1] / 2)]

    def _to_lane(self, node, side, lane_x, down):
        """From a node to its lane (down = 1) or, reversed, back (-1); around neighbours that stand in the way."""
        graph, (x, y), (width, height) = self.graph, self.place(node), self.graph.sizes[node]
        if all((graph.x[other] - graph.x[node]) * side <= 0 for other in graph.rows[graph.ranks[node]]):
            return [(x + side * width / 2, y + down * 4.0), (lane_x, y + down * 4.0)]
        x, edge = x + side * width / 4, y + down * height / 2
        return [(x, edge), (x, edge + down * _LEAVE), (lane_x, edge + down * _LEAVE)]

    def _gutters(self, column):
        """{edge: its gutter, 0 next to the column} of the edges that come over into this column.

        From left to right as they leave the column before: then they lie in each other and none crosses another.
        """
        graph, places = self.graph, {}
        for number, way in self.passing[column].items():
            side, lane = graph.lanes.get(number, (0, 0))
            chain, rank = graph.chains[number], graph.ranks[graph.edges[number][0]]
            x = side * lane if side else graph.x[chain[self.starts[column] - 1 - rank]]
            places.setdefault(way, (side, x, number))
        order = {way: i for i, way in enumerate(sorted(places, key=places.get))}
        return {number: order[way] for number, way in self.passing[column].items()}

    def _gutter(self, edge, x, column, arrive_x):
        """The points from the foot of a column to the head of the next."""
        gutters = self.gutters[column + 1]
        number = gutters[edge]
        last = self.ends[column] - 1
        foot = self.graph.tops[last] + self.graph.heights[last] - self.graph.tops[self.starts[column]] + self.head
        foot += 17.0 + self.graph.room[last][1] + GUTTER * (self.crossings[column + 1] - 1 - number)
        gutter = self.first_x[column + 1] - 14.0 - GUTTER * number
        top = self.head - self.graph.room[self.ends[column]][0] - _DROP - GUTTER * number
        return [(x, foot), (gutter, foot), (gutter, top), (arrive_x, top)]


def lanes_of(edges, ranks, chains):
    """{edge: (+1 right for skips | -1 left, number of its lane)}: what overlaps gets different lanes.

    Edges from one node share a lane, and leave it one after the other: what a DenseNet reads again and again is one
    line. edges: (source, target, is_skip); chains: [] for each edge that takes a lane.
    """
    lanes = {}
    for side in (1, -1):
        bundles = {}
        for i, (source, _, is_skip) in enumerate(edges):
            if not chains[i] and is_skip == (side == 1):
                bundles.setdefault(source, []).append(i)
        spans = {source: (ranks[source], max(ranks[edges[i][1]] for i in mine)) for source, mine in bundles.items()}
        free, taken = [], []  # heaps: lanes that are free again; (rank at which it will be, lane)
        for source in sorted(bundles, key=lambda source: (spans[source], source)):  # short ones inside
            begin, end = spans[source]
            while taken and taken[0][0] <= begin:
                heapq.heappush(free, heapq.heappop(taken)[1])
            lane = heapq.heappop(free) if free else len(taken)
            heapq.heappush(taken, (end, lane))
            lanes.update(dict.fromkeys(bundles[source], (side, lane)))
    return lanes


def _pitch(graph, side):
    """From one lane to the next: on the right there is room for a number between them, unless they are too many."""
    count = graph.lane_counts[side]
    if side > 0 and graph.label and count <= NUMBERED:
        return max(LANE, graph.label + _BESIDE)
    return min(LANE, _WIDEST / max(1, count))


def _lanes_width(graph, count):
    """What so many lanes on the right of a column take."""
    if not count:
        return 0.0
    return LANE + (count - 1) * _pitch(graph, 1) + max(1.5 * LANE, graph.label + _BESIDE)


def _width(graph):
    """About how wide one column is."""
    left = min(x - width / 2 for x, width in zip(graph.x, graph.widths, strict=True))
    right = max(x + width / 2 for x, width in zip(graph.x, graph.widths, strict=True))
    counts = graph.lane_counts
    return right - left + _lanes_width(graph, counts[1]) + _pitch(graph, -1) * counts[-1] + 44.0


def columns(graphs, boundaries, aspect, tallest=TALLEST, worth=PRICES[0]):
    """First rank of each column, in each of `graphs`: [[rank, …] of the first graph, …].

    Columns are about equally high, and broken where few edges cross. boundaries: [(rank in each graph), …], where a
    break may come, at one height in all graphs. worth: one of `PRICES`.
    """
    total = max(graph.tops[-1] + graph.heights[-1] for graph in graphs)
    count = max(1, round((aspect * total / max(map(_width, graphs))) ** 0.5))
    if total <= tallest or max(len(graph.tops) for graph in graphs) < 8:
        count = 1
    starts = _even(graphs, boundaries, total, count, worth) if count > 1 else []
    return [list(ranks) for ranks in zip((0,) * len(graphs), *starts, strict=True)]


def _even(graphs, boundaries, total, count, worth):
    """The breaks into at most `count` columns of which the highest is as low as can be; dear breaks count as height."""
    costs = [graph.costs for graph in graphs]
    priced = [(max(cost[rank] for cost, rank in zip(costs, ranks, strict=True)), ranks) for ranks in boundaries]
    best, lowest = [], math.inf
    for price in sorted({price for price, _ in priced if price <= _DEAREST}):
        usable = [ranks for own, ranks in priced if own <= price]
        low, high = total / count, total
        starts = []
        for _ in range(12):  # halving: to less than a thousandth of the height
            middle = (low + high) / 2
            found = _filled(graphs, usable, total, count, middle)
            low, high, starts = (middle, high, starts) if found is None else (low, middle, found)
        if high * (1.0 + worth * price) < lowest:
            best, lowest = starts, high * (1.0 + worth * price)
    return best


def _filled(graphs, boundaries, total, count, height):
    """Breaks into at most `count` columns of at most this height, each column as full as it can be; or None."""
    tops = graphs[0].tops
    starts, last, begin = [], None, (0,) * len(graphs)
    for ranks in [*boundaries, None]:
        here = total if ranks is None else tops[ranks[0]]
        if here - tops[begin[0]] > height:
            if last is None or here - tops[last[0]] > height or len(starts) + 2 > count:
                return None
            starts.append(last)
            begin, last = last, None
        if ranks is not None and all(rank >= first + 2 for rank, first in zip(ranks, begin, strict=True)):
            last = ranks
    return starts


def _costs(graph):
    """What a break above each rank costs: lines that pass it, a skip twice, and nodes they come from but the first.

    So a break rather comes where all that passes leaves from one node: between blocks, not inside one.
    """
    passing, sources = [[0] * (len(graph.tops) + 1) for _ in range(2)]
    last, ends = {}, {}
    for number, (source, target, is_skip) in enumerate(graph.edges):
        last[source] = max(last.get(source, 0), graph.ranks[target])
        way = graph.ranks[source], 2 if is_skip else 1, graph.way(number)
        ends[way] = max(ends.get(way, 0), graph.ranks[target])
    for (begin, price, _), end in ends.items():
        passing[begin + 1] += price
        passing[end + 1] -= price
    for source, rank in last.items():
        sources[graph.ranks[source] + 1] += 1
        sources[rank + 1] -= 1
    return [p + 2 * max(0, s - 1) for p, s in zip(itertools.accumulate(passing), itertools.accumulate(sources))]
