"""The ways of edges as curves, and where the numbers beside them stand: the same for every picture."""

import itertools
import math

RADIUS = 9.0  # of a rounded corner
LAST = 5.0  # points that a way goes on after its last corner, at least
_CELL = 64.0  # side of a square of the map in which things are looked up
_PARTS = (0.5, 0.38, 0.62, 0.28, 0.72, 0.18, 0.82, 0.1, 0.9)  # of a lane, where a number may stand
_AWAY = 3.0  # points between a line and its number
_WORDS = 8  # lines under a number that are no worse than words under it


def outline(points):
    """[(command, point, …)] of a way: M(ove), L(ine), Q (one control point) and C (two), as SVG has them.

    Level and upright pieces are straight and meet in rounded corners; a slanted one is an S-curve between uprights.
    """
    commands = [("M", points[0])]
    for i in range(1, len(points)):
        (x0, y0), (x1, y1) = points[i - 1], points[i]
        if _slants(points, i):
            middle = (y0 + y1) / 2
            commands.append(("C", (x0, middle), (x1, middle), (x1, y1)))
        elif i + 1 < len(points) and not _slants(points, i + 1):
            corner, after = points[i], points[i + 1]
            commands.append(("L", _towards(corner, points[i - 1])))
            commands.append(("Q", corner, _towards(corner, after)))
        else:
            commands.append(("L", points[i]))
    return commands


def _slants(points, i):
    """Whether the piece that ends at point i is neither level nor upright."""
    (x0, y0), (x1, y1) = points[i - 1], points[i]
    return abs(x1 - x0) > 0.5 and abs(y1 - y0) > 0.5


def _towards(corner, other):
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(1e-9, math.hypot(dx, dy))
    part = min(RADIUS, length / 2) / length
    return corner[0] + dx * part, corner[1] + dy * part


def arrival(points):
    """Unit vector in which a way arrives at its last point."""
    (x0, y0), (x1, y1) = points[-2:]
    if _slants(points, len(points) - 1):
        return 0.0, 1.0 if y1 > y0 else -1.0
    length = max(1e-9, math.hypot(x1 - x0, y1 - y0))
    return (x1 - x0) / length, (y1 - y0) / length


def shortened(points, by):
    """The way without its last stretch, on which the head of an arrow stands."""
    (x, y), (ux, uy) = points[-1], arrival(points)
    if len(points) > 2:  # a way that ended at its last corner would point along the other leg
        length = math.dist(points[-2], points[-1])
        by = min(by, length - min(LAST, length / 2))
    return [*points[:-1], (x - ux * by, y - uy * by)]


def polyline(points):
    """The way as straight pieces, curves in small steps."""
    line = [points[0]]
    for command, *at in outline(points):
        if command == "L":
            line.append(at[0])
        elif command in "QC":
            line += [_bezier([line[-1], *at], step / 6) for step in range(1, 6)] + [at[-1]]
    return line


def _bezier(points, t):
    while len(points) > 1:
        points = [(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for (x0, y0), (x1, y1) in itertools.pairwise(points)]
    return points[0]


# ------------------------------------------------------------------------------------ numbers beside edges


class Taken:
    """What stands on a picture already: boxes and lines, looked up by place."""

    def __init__(self):
        self.cells = {}

    def box(self, left, top, right, bottom):
        self._add((left, top, right, bottom), None)

    def line(self, points, half):
        """A way with half its width."""
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            box = min(x0, x1) - half, min(y0, y1) - half, max(x0, x1) + half, max(y0, y1) + half
            self._add(box, (x0, y0, x1, y1, half))

    def _add(self, box, line):
        for cell in _cells(box):
            self.cells.setdefault(cell, []).append((box, line))

    def hits(self, box):
        """How many things a box touches."""
        return len(self._touched(box))

    def harm(self, box):
        """The same, where what hides words counts as several lines."""
        return sum(_WORDS if line is None else 1 for line in self._touched(box))

    def _touched(self, box):
        found = {thing for cell in _cells(box) for thing in self.cells.get(cell, ())}
        return [line for other, line in found if _meet(box, other) and (line is None or crosses(box, line))]


def _cells(box):
    left, top, right, bottom = (math.floor(v / _CELL) for v in box)
    return itertools.product(range(left, right + 1), range(top, bottom + 1))


def _meet(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def crosses(box, line):
    """Whether a straight line (x0, y0, x1, y1, half its width) passes through a box (Liang and Barsky)."""
    x0, y0, x1, y1, half = line
    first, last = 0.0, 1.0
    for start, by, low, high in ((x0, x1 - x0, box[0] - half, box[2] + half), (y0, y1 - y0, box[1] - half,
                                                                             box[3] + half)):  # fmt: skip
        if abs(by) < 1e-9:
            if not low < start < high:
                return False
            continue
        near, far = sorted(((low - start) / by, (high - start) / by))
        first, last = max(first, near), min(last, far)
    return first < last


def share_places(routes, sizes, widths, boxes):
    """[(x, y) of the left end and the middle height of each edge's number, None without one].

    routes: points of each edge; sizes: (width, height) of its number, None without one; widths: of its line;
    boxes: [(left, top, right, bottom)] of all that no number may cover. Of the places along its edge a number takes
    the first that touches nothing, or that which touches least.
    """
    taken = Taken()
    for box in boxes:
        taken.box(*box)
    for points, width in zip(routes, widths, strict=True):
        taken.line(polyline(points), width / 2 + 0.5)
    places, own = [None] * len(routes), _own_pieces(routes)
    for number, (points, size, width) in enumerate(zip(routes, sizes, widths, strict=True)):
        if size is None:
            continue
        best = None
        for x, y in itertools.chain(_beside(own.get(number), size, width), _candidates(points, size, width)):
            box = x, y - size[1] / 2, x + size[0], y + size[1] / 2
            harm = taken.harm(box)
            if best is None or harm < best[0]:
                best = harm, (x, y), box
            if not harm:
                break
        _, places[number], box = best
        taken.box(*box)
    return places


def _own_pieces(routes):
    """{edge: (x, y0, y1)}, for those that share a lane with others: the upright piece that is an edge's alone.

    It begins where the one before it leaves the lane, or where it comes down in a column that no other reaches.
    """
    lanes, bundles = {}, {}
    for number, points in enumerate(routes):
        pieces = [pair for pair in itertools.pairwise(points[:-1]) if pair[0][0] == pair[1][0]]
        if len(points) > 3 and pieces:
            (x, begin), (_, end) = pieces[-1]
            lanes.setdefault((points[0], x), []).append((end, begin, number))
            if points[0][1] == points[1][1]:  # it leaves its node at the side, as ways in a lane do
                bundles[points[0]] = bundles.get(points[0], 0) + 1
    own = {}
    for (_, x), found in lanes.items():
        for (before, *_), (end, begin, number) in itertools.pairwise([(-math.inf, 0.0, 0), *sorted(found)]):
            own[number] = x, max(begin, before), end
    return {number: own[number] for (start, _), found in lanes.items()
            if len(found) > 1 or bundles.get(start, 0) > 1 for *_, number in found}  # fmt: skip


def _beside(piece, size, width):
    """Places beside an upright piece."""
    if piece is not None:
        x, y0, y1 = piece
        away = width / 2 + _AWAY
        for left in (x + away, x - away - size[0]):
            for part in (0.5, 0.65, 0.35, 0.8, 0.2):
                yield left, y0 + part * (y1 - y0)


def _candidates(points, size, width):
    """Places beside an edge, the best first: along the lane of a highway, at the source of another edge."""
    away = width / 2 + _AWAY
    line = polyline(points)
    pieces = [pair for pair in itertools.pairwise(points) if pair[0][0] == pair[1][0]]
    if points[0][1] == points[1][1]:  # in a lane: the longest piece downwards first
        pieces.sort(key=lambda pair: pair[0][1] - pair[1][1])
    if len(points) == 2 or not pieces:  # a curve is level in its middle: beside its upright ends, outside
        (x0, y0), (x1, y1) = points[0], points[-1]
        down = y1 - y0
        right = x1 + away if x1 > x0 else x1 - away - size[0]
        if abs(x1 - x0) > 30.0:
            yield right, y1 - min(16.0, 0.3 * down)
            yield right, y1 - min(16.0, 0.3 * down) - 4.0
            left = x0 - away - size[0] if x1 > x0 else x0 + away  # where another arrives there, too, at the source
            yield left, y0 + min(16.0, 0.3 * down)
            yield left, y0 + min(16.0, 0.3 * down) + 4.0
        for part in (0.38, 0.3, 0.46, 0.54, 0.22, 0.62):
            x = _at_height(line, y0 + part * down)
            yield x + away, y0 + part * down
            yield x - away - size[0], y0 + part * down
        return
    end = points[1] if points[0][1] == points[1][1] else points[-1]  # outside a lane; of a fork, where its branch is
    sides = (1, -1) if end[0] >= points[0][0] else (-1, 1)
    for (x, y0), (_, y1) in pieces:
        for side in sides:
            for part in _PARTS if abs(y1 - y0) > 60.0 else (0.4, 0.5, 0.6):
                yield (x + away if side > 0 else x - away - size[0]), y0 + part * (y1 - y0)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):  # and over a level piece
        if abs(x1 - x0) > size[0] + 2 * RADIUS:
            yield (x0 + x1 - size[0]) / 2, min(y0, y1) - away - size[1] / 2


def _at_height(line, y):
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        if y0 <= y <= y1 and y1 > y0:
            return x0 + (x1 - x0) * (y - y0) / (y1 - y0)
    return line[0][0]
