"""The built-in layout: ranks, lanes, columns, and its limits."""

import itertools

import numpy as np
import pytest
from checks import counted

from viz.graph.layout import layout, layout_in


def _chain_with_skips(blocks):
    edges = []
    for block in range(blocks):
        first = 3 * block
        edges += [(first, first + 1, False), (first + 1, first + 2, False), (first + 2, first + 3, False)]
        edges.append((first, first + 3, True))
    return [(60.0 + 10 * (i % 3), 30.0) for i in range(3 * blocks + 1)], edges


GRAPHS = {
    "one": ([(50.0, 20.0)], []),
    "chain": ([(50.0, 20.0)] * 5, [(i, i + 1, False) for i in range(4)]),
    "residual": _chain_with_skips(4),
    "long residual": _chain_with_skips(30),
    "diamond": ([(50.0, 20.0)] * 4, [(0, 1, False), (0, 2, False), (1, 3, False), (2, 3, False)]),
    "two inputs": ([(50.0, 20.0)] * 3, [(0, 2, False), (1, 2, False)]),
    "double edge": ([(50.0, 20.0)] * 2, [(0, 1, False), (0, 1, False)]),
    "apart": ([(50.0, 20.0)] * 3, [(0, 1, False)]),
    "fan": ([(50.0, 20.0)] * 12, [(0, i, False) for i in range(1, 11)] + [(i, 11, False) for i in range(1, 11)]),
    "dense": ([(70.0, 25.0)] * 9, [(a, b, b - a > 1) for a in range(9) for b in range(a + 1, 9)]),
    "long edges": ([(70.0, 25.0)] * 9, [(a, b, False) for a in range(9) for b in range(a + 1, 9)]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_no_boxes_overlap_and_all_is_on_the_page(name):
    sizes, edges = GRAPHS[name]
    placed = layout(sizes, edges)
    boxes = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(placed.centres, sizes, strict=True)]
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    points = [(b[0], b[1]) for b in boxes] + [(b[2], b[3]) for b in boxes] + list(itertools.chain(*placed.routes))
    assert all(-1e-6 <= x <= placed.width + 1e-6 and -1e-6 <= y <= placed.height + 1e-6 for x, y in points)


@pytest.mark.parametrize("name", GRAPHS)
def test_edges_begin_and_end_at_their_nodes(name):
    sizes, edges = GRAPHS[name]
    placed = layout(sizes, edges)
    for (source, target, _), points in zip(edges, placed.routes, strict=True):
        for node, (x, y) in ((source, points[0]), (target, points[-1])):
            (cx, cy), (w, h) = placed.centres[node], sizes[node]
            assert abs(x - cx) <= w / 2 + 1e-6 and abs(y - cy) <= h / 2 + 1e-6


def test_highways_run_on_the_right():
    sizes, edges = GRAPHS["residual"]
    placed = layout(sizes, edges)
    right = max(x + w / 2 for (x, _), (w, _) in zip(placed.centres, sizes, strict=True))
    for (_, _, is_skip), points in zip(edges, placed.routes, strict=True):
        assert (max(x for x, _ in points) > right) == is_skip


def test_ways_into_the_next_column_do_not_cross():
    sizes, edges = GRAPHS["long residual"]
    placed = layout(sizes, edges)
    pieces = [(number, pair) for number, route in enumerate(placed.routes) if len(route) > 5
              for pair in itertools.pairwise(route)]  # fmt: skip
    level = [(n, y, *sorted((x0, x1))) for n, ((x0, y), (x1, y1)) in pieces if y == y1 and x0 != x1]
    upright = [(n, x, *sorted((y0, y1))) for n, ((x, y0), (x1, y1)) in pieces if x == x1 and y0 != y1]
    assert len({n for n, *_ in level}) >= 2  # trunk and highway
    for (one, y, x0, x1), (other, x, y0, y1) in itertools.product(level, upright):
        assert one == other or not (x0 < x < x1 and y0 < y < y1)


def _dense(layers):
    """Each layer is a node and a merge, which reads all layers before it."""
    edges = [(0, 1, False)]
    for merge in range(2, 2 * layers + 1, 2):
        edges += [(source, merge, source < merge - 1) for source in range(1, merge, 2)]
        edges.append((merge, merge + 1, False))
    return [(60.0, 30.0)] * (2 * layers + 2), edges


def test_highways_from_one_node_share_a_lane():
    sizes, edges = _dense(6)
    placed = layout(sizes, edges, wrap=False)
    lanes = {}
    for (source, _, is_skip), points in zip(edges, placed.routes, strict=True):
        if is_skip:
            lanes.setdefault(source, set()).add(max(x for x, _ in points))
    assert len(lanes) == 5 and all(len(found) == 1 for found in lanes.values())
    assert len(set.union(*lanes.values())) == 5


def test_a_dense_graph_is_wrapped_too():
    sizes, edges = _dense(10)
    placed = layout_in((800.0, 400.0), sizes, edges, factors=(0.5, 1.0, 2.0), tallest=200.0)
    assert placed.columns > 1 and placed.height < 0.6 * layout(sizes, edges, wrap=False).height


def test_columns_are_about_equally_high_and_break_between_blocks():
    sizes, edges = GRAPHS["long residual"]
    placed = layout(sizes, edges)
    columns = [sum(left <= x for left in placed.lefts) for x, _ in placed.centres]
    counts = [columns.count(column) for column in sorted(set(columns))]
    assert max(counts) - min(counts[:-1]) <= 3 and counts[-1] <= max(counts)
    for node in range(1, len(sizes)):
        assert columns[node] == columns[node - 1] or node % 3 == 1  # a block is 3 nodes behind the merge before it


def test_the_trunk_of_a_recurrent_net_is_upright():
    """h ← step(x_t, h): what reads x_t stands beside the step, and the steps below each other."""
    edges, sizes = [], [(50.0, 20.0)]
    h = 0
    for _ in range(20):  # x_t, a layer that reads it, the step
        first = len(sizes)
        sizes += [(50.0, 20.0)] * 3
        edges += [(first, first + 1, False), (first + 1, first + 2, False), (h, first + 2, False)]
        h = first + 2
    placed = layout(sizes, edges, wrap=False)
    steps = [placed.centres[node] for node in range(3, len(sizes), 3)]
    assert placed.width < 400.0  # three nodes in a rank
    assert all(abs(a[0] - b[0]) < 20.0 for a, b in itertools.pairwise(steps))
    for node in range(3, len(sizes), 3):  # no long edges from the head of the page
        assert placed.centres[node][1] - placed.centres[node - 1][1] < 60.0


def _random_graph(count, most_readers):
    """Each node reads one of the 30 before it, and some nodes are read by up to `most_readers` others."""
    draws = np.random.default_rng(0)
    edges = [(int(draws.integers(max(0, node - 30), node)), node, False) for node in range(1, count)]
    for _ in range(count // 100):
        source = int(draws.integers(count - 1))
        readers = draws.integers(source + 1, count, int(draws.integers(1, most_readers + 1)))
        edges += [(source, int(reader), bool(reader % 5 == 0)) for reader in readers]
    return [(90.0, 40.0)] * count, sorted(edges, key=lambda edge: (edge[1], edge[0]))


HARD = {
    "chain": lambda: ([(90.0, 40.0)] * 5000, [(i, i + 1, False) for i in range(4999)]),
    "random": lambda: _random_graph(2000, 200),
    "every pair": lambda: ([(90.0, 40.0)] * 250, [(a, b, False) for b in range(250) for a in range(b)]),
    "every pair, skips": lambda: ([(90.0, 40.0)] * 250, [(a, b, b - a > 1) for b in range(250) for a in range(b)]),
    "star": lambda: ([(90.0, 40.0)] * 2000, [(0, i, False) for i in range(1, 2000)]),
    "two full ranks": lambda: ([(90.0, 40.0)] * 200, [(a, 100 + b, False) for b in range(100) for a in range(100)]),
    "dense": lambda: _dense(64),
}


@pytest.mark.parametrize("name", HARD)
def test_every_layout_returns_inside_its_limit(name):
    """Of as many as 30,000 edges; 79 to 251 lines run for each when this is written. The same again, bit by bit."""
    sizes, edges = HARD[name]()
    how = {"factors": (1.0,), "tallest": 250.0, "label": 25.0}
    placed, lines = counted(lambda: layout_in((1050.0, 600.0), sizes, edges, **how))
    assert lines <= 400 * (len(sizes) + len(edges))
    again = layout_in((1050.0, 600.0), sizes, edges, **how)
    assert (again.centres, again.routes) == (placed.centres, placed.routes)
    if name.startswith("every pair"):  # lanes are squeezed
        assert placed.width < 1500.0


def test_a_long_graph_is_wrapped():
    sizes, edges = GRAPHS["long residual"]
    assert layout(sizes, edges).columns > 1
    assert layout(sizes, edges, wrap=False).columns == 1
    assert layout(sizes, edges).height < 0.6 * layout(sizes, edges, wrap=False).height


def test_what_does_not_fit_is_scrolled_down_and_not_aside():
    sizes, edges = GRAPHS["long residual"]
    how = {"factors": (0.06, 0.25, 1.0, 2.5, 4.0), "tallest": 250.0}
    for width in (420.0, 600.0, 900.0):
        placed = layout_in((width, 300.0), sizes, edges, scroll=True, **how)
        others = [layout_in((width, height), sizes, edges, **how) for height in (300.0, 1000.0, 3000.0)]
        assert placed.width <= width
        assert placed.height <= min(other.height for other in others if other.width <= width)
