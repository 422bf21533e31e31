"""Scenes: the graph at one level, and the inside of each node that can be opened, laid out and drawn."""

import math
from dataclasses import dataclass, field

from ..graph import labels, levels, values, view
from ..graph.boxes import members_of_folds, text_width
from ..graph.draw import widest_share
from ..graph.layout import layout_in
from ..graph.model import Edge
from ..graph.outline import share_places
from . import svg
from .packed import rounded
from .run import Widest, training

MOST = 3000  # nodes up to which a level is put on a page besides the graph's own
COMPACT_FROM = 20  # nodes of a picture from which each gets one line of detail
CAPTION, CLOSED = 10.0, " ⊞"  # font size of a fold's caption, and the sign behind it that unfolds
_GAP = 23.0  # pixels between ranks: room for a number on an edge
_TALLEST = 250.0  # pixels; a taller graph may be wrapped into columns
READABLE = 0.73  # zoom from which a label can be read
_FAR = 5.0  # windows that one scrolls down at most
_LARGEST = 1.25  # zoom beyond which nothing is gained: the page opens no nearer
_TRIED = (1.0, 0.06, 0.12, 0.25, 0.5, 0.75, 1.4, 2.0)  # on the window's shape: the layout that fits best is taken
_TRY_UP_TO = 150  # nodes up to which several layouts are tried


@dataclass(eq=False)
class Level:
    """A picture of the graph: its nodes and edges, and which node stands for each vertex."""

    name: str
    nodes: list
    edges: list
    node_of: dict = field(init=False)

    def __post_init__(self):
        self.node_of = {vertex: i for i, node in enumerate(self.nodes) for vertex in node.members}


def levels_of(flow):
    """The levels that a page can show, finest first; of two that look alike, the first."""
    own = Level(flow.level, flow.nodes, flow.edges)
    if flow.origin is None:
        return [own]
    vertices, skips = flow.origin.vertices, flow.origin.skips
    shares = values.shares(vertices)
    found, seen = [], set()
    for name in levels.LEVELS:
        if name == flow.level:
            level = own
        else:
            _, groups, folds = levels.at_level(vertices, skips, name)
            if name == "folded" and not folds:
                continue
            level = Level(name, *view.compose(vertices, skips, shares, groups, folds))
        if len(level.nodes) > MOST and level is not own:
            continue
        look = tuple((node.name, node.members) for node in level.nodes)
        if look in seen and level is own:  # keep the name that the caller knows
            found = [other for other in found if tuple((n.name, n.members) for n in other.nodes) != look]
        if look not in seen or level is own:
            found.append(level)
        seen.add(look)
    return found


class Stage:
    """Draws the levels of one graph for a window (width, height): `scenes`, `insides`, and `boxes`, each once."""

    def __init__(self, flow, window, compact=False):
        self.flow, self.window, self.compact = flow, window, compact
        self.training = training(flow)
        self._widest = Widest(self.training)
        self.levels = levels_of(flow)
        self.boxes, self._box_index = [], {}
        self.insides, self._inside_index = [], {}
        self.widths = set()  # of edges, in tenths of a pixel
        self.scenes = [self._scene(level) for level in self.levels]

    def _scene(self, level):
        compact = self.compact or len(level.nodes) > COMPACT_FROM
        insides = [self._inside(level, node) for node in level.nodes]
        folds = members_of_folds(level)
        captions = [labels.fold([level.nodes[i] for i in members]) for members in folds]
        least = {  # so wide that the caption stands beside what enters the fold
            members[0]: 2 * (12.0 + text_width(caption + CLOSED, CAPTION)) - 20.0
            for members, caption in zip(folds, captions, strict=True)
        }
        indices = [
            self._box(node, compact, insides[i] >= 0, least.get(i, 0.0)) for i, node in enumerate(level.nodes)
        ]
        boxes = [self.boxes[index] for index in indices]
        number = {node.id: i for i, node in enumerate(level.nodes)}
        pairs = [(number[edge.source], number[edge.target]) for edge in level.edges]
        scene, centres = self._lay_out(boxes, indices, insides, pairs, level.edges, folds=folds, captions=captions)
        scene["name"] = level.name
        scene["folds"] = [
            [*map(round, _frame(members, boxes, centres)), svg.escape(caption), self._inside_fold(level, members),
             members]
            for members, caption in zip(folds, captions, strict=True)
        ]  # fmt: skip
        return scene

    def _lay_out(self, boxes, indices, insides, pairs, edges, wrap=True, folds=(), captions=(), ports=()):
        """Place boxes (and ports, which are points after them), and draw the edges between."""
        sizes = [(box.width, box.height) for box in boxes] + [(2.0, 2.0)] * len(ports)
        order = sorted(range(len(sizes)), key=lambda i: (-1 if i == len(boxes) and ports else i))
        place = {node: position for position, node in enumerate(order)}
        links = [(place[s], place[t], edge.is_skip) for (s, t), edge in zip(pairs, edges, strict=True)]
        label = widest_share(edges, svg.DETAIL, bold=True)
        placed = self._best([sizes[node] for node in order], links, wrap, folds, label)
        centres = [placed.centres[place[node]] for node in range(len(sizes))]
        nodes = [
            [index, round(x - box.width / 2), round(y - box.height / 2), inside]
            for index, box, (x, y), inside in zip(indices, boxes, centres[: len(boxes)], insides, strict=True)
        ]
        taken = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(centres, sizes, strict=True)]
        for members, caption in zip(folds, captions, strict=True):
            x, y, _, _ = _frame(members, boxes, centres)
            taken.append((x + 10.0, y - 8.0, x + 12.0 + text_width(caption + CLOSED, CAPTION), y + 8.0))
        widths = [svg.edge_width(edge, self.flow) for edge in edges]
        self.widths.update(map(svg.tenths, widths))
        places = share_places(placed.routes, [svg.share_size(edge) for edge in edges], widths, taken)
        rows = [
            [s, t, edge.maker, edge.reader, edge.slot, rounded(edge.rms), rounded(edge.share), int(edge.is_skip),
             *map(round, place or placed.routes[i][0])]
            for i, ((s, t), edge, place) in enumerate(zip(pairs, edges, places, strict=True))
        ]  # fmt: skip
        scene = {
            "w": round(placed.width), "h": round(placed.height), "nodes": nodes, "edges": rows,
            "paths": [svg.edge(edge, points, self.flow) for edge, points in zip(edges, placed.routes, strict=True)],
            "shares": [labels.share(edge) for edge in edges],
            "columns": [round(x) - 1 for x in placed.lefts[1:]],
        }  # fmt: skip
        return scene, centres

    def _best(self, sizes, links, wrap, folds, label):
        """The layout that shows the graph largest in the window; of a large graph the first that is tried."""
        room = {}
        for members in folds:
            room[members[0]] = (16.0, 0.0)
            room[members[-1]] = (room.get(members[-1], (0.0, 0.0))[0], 12.0)
        factors = _TRIED if wrap and len(sizes) <= _TRY_UP_TO else _TRIED[:1]
        how = {"factors": factors, "room": room, "gap": _GAP, "tallest": _TALLEST if wrap else math.inf,
               "together": folds, "label": label}  # fmt: skip
        placed = layout_in(self.window, sizes, links, enough=_LARGEST, **how)
        if self._zoom(placed.width, placed.height) < READABLE:  # then one scrolls, rather down than aside
            placed = layout_in((self.window[0], _FAR * self.window[1]), sizes, links, enough=READABLE, **how)
        return placed

    def _zoom(self, width, height):
        return min(self.window[0] / max(1.0, width), self.window[1] / max(1.0, height))

    def fit(self, name):
        """The zoom at which a level fills the window."""
        scene = self.scenes[[level.name for level in self.levels].index(name)]
        return self._zoom(scene["w"], scene["h"])

    def _box(self, node, compact, can_open, least=0.0):
        box = svg.Box(node, self.flow, compact, can_open, least, self._widest.words(node, self.flow.scale))
        key = (box.markup, node.members, svg.look(node, self.flow), node.scope)
        if key not in self._box_index:
            self._box_index[key] = len(self.boxes)
            self.boxes.append(box)
        return self._box_index[key]

    # ------------------------------------------------------------------------------------ inside a node

    def _inside(self, level, node):
        """The number of the scene inside a node: the same vertices on the next finer level, or -1."""
        if len(node.members) < 2 or node.repeats > 1:
            return -1
        own = set(node.members)
        for finer in reversed(self.levels[: self.levels.index(level)]):
            parts = sorted({finer.node_of.get(vertex, -1) for vertex in node.members})
            fits = parts[0] >= 0 and all(own.issuperset(finer.nodes[i].members) for i in parts)
            if fits and len(parts) > 1 and all(finer.nodes[i].repeats == 1 for i in parts):
                key = (finer.name, tuple(parts))
                if key not in self._inside_index:
                    scene = self._inside_scene(finer, parts)
                    self._inside_index[key] = len(self.insides)
                    self.insides.append(scene)
                return self._inside_index[key]
        return -1

    def _inside_fold(self, level, members):
        """The number of the scene with all repeats of a fold, or -1: its vertices on the level of blocks."""
        own = {vertex for i in members for vertex in level.nodes[i].members}
        finer = next((other for other in self.levels if other.name == "block"), None)
        if finer is None or len(own) > MOST:
            return -1
        parts = sorted({finer.node_of.get(vertex, -1) for vertex in own})
        if parts[0] < 0 or not all(own.issuperset(finer.nodes[i].members) for i in parts):
            return -1
        self.insides.append(self._inside_scene(finer, parts, compact=len(parts) > COMPACT_FROM))
        return len(self.insides) - 1

    def _inside_scene(self, level, parts, compact=False):
        """The nodes `parts` of a level, between a port where gradients leave and one where they enter."""
        nodes = [level.nodes[i] for i in parts]
        number = {node.id: i for i, node in enumerate(nodes)}
        insides = [self._inside(level, node) for node in nodes]
        indices = [self._box(node, compact, inside >= 0) for node, inside in zip(nodes, insides, strict=True)]
        top, bottom = len(nodes), len(nodes) + 1
        pairs, edges, left = [], [], set()
        for edge in level.edges:
            source, target = number.get(edge.source, top), number.get(edge.target, bottom)
            if (source, target) == (top, bottom) or (target == bottom and edge.maker in left):
                continue
            if target == bottom:  # one way out, however many read it
                left.add(edge.maker)
                edge = Edge("", "", -1, level.nodes[level.node_of[edge.maker]].grad_rms, None, False, edge.maker, -1)
            pairs.append((source, target))
            edges.append(edge)
        boxes = [self.boxes[index] for index in indices]
        wrap = compact or len(nodes) > 2 * COMPACT_FROM
        scene, centres = self._lay_out(boxes, indices, insides, pairs, edges, wrap, ports=(top, bottom))
        scene["ports"] = [round(centres[top][0]), round(centres[bottom][0])]
        return scene


def _frame(members, boxes, centres):
    """(x, y, width, height) of the frame of a fold."""
    left = min(centres[i][0] - boxes[i].width / 2 for i in members) - 10.0
    right = max(centres[i][0] + boxes[i].width / 2 for i in members) + 10.0
    top = min(centres[i][1] - boxes[i].height / 2 for i in members) - 14.0
    bottom = max(centres[i][1] + boxes[i].height / 2 for i in members) + 10.0
    return left, top, right - left, bottom - top
