"""What stands in each node of the built-in picture and around each fold, and how much room that needs, in points."""

import functools
from typing import NamedTuple

from . import labels

PADDING = 5.0
TITLE, DETAIL, CAPTION = 10.0, 8.0, 9.0  # font sizes: of names and values, of what stands below them, of a fold
TITLE_LINE, DETAIL_LINE, STRIP_LINE = 15.0, 11.5, 12.0
_MEASURED_AT, _UNKNOWN = 100.0, 1.3  # size at which fonts are measured; ems of a letter that a font lacks
_HINTED = 1.06  # by which small letters are wider on a screen than on paper: they begin at whole dots
_FRAME = (8.0, 9.0, 22.0)  # of a fold: from its nodes to its frame at the sides, above, and below, its caption included


def text_width(text, size, bold=False):
    """Width of a text in points, on the safe side: of a page no font can be measured."""
    ems = sum(
        0.35 if c in "iljI.,:;|!' ()[]" else 0.95 if c in "mwMW⊕▼▲●…∅⚠%@×" else 1.3 if ord(c) > 0x2E80 else 0.64
        for c in text
    )
    return ems * size * (1.1 if bold else 1.0)


def drawn_width(text, size, bold=False):
    """Width in points of a text that matplotlib draws, in the font that it takes; letters next to each other."""
    import matplotlib

    letters = _letters(bold, tuple(matplotlib.rcParams["font.family"]))
    return _HINTED * size * sum(map(letters.__getitem__, text))


class _Letters(dict):
    """{letter: its width in ems}, measured when it is first asked for."""

    def __init__(self, font):
        super().__init__()
        self.font = font
        font.set_size(_MEASURED_AT, 72.0)

    def __missing__(self, letter):
        known = self.font.get_char_index(ord(letter))  # an emoji is not: a box takes its place
        self[letter] = self.font.load_char(ord(letter)).linearHoriAdvance / 65536 / _MEASURED_AT if known else _UNKNOWN
        return self[letter]


@functools.cache
def _letters(bold, family):
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return _Letters(FT2Font(findfont(FontProperties(family=list(family), weight="bold" if bold else "normal"))))


class Box:
    """What stands in a node, and how much room it needs.

    terse: name and value only. brief: of neighbours joined into one node the operations are left out, of which the
    name says the first and the last.
    """

    def __init__(self, node, flow, terse=False, brief=False):
        self.title, self.value = labels.title(node), labels.value(node, flow.scale, flow.has_gradients)
        self.details = labels.narrow(labels.details(node, compact=labels.is_compact(flow)))
        strip = labels.strip(node, compact=labels.is_compact(flow) or terse) if flow.has_gradients else []
        self.strip = [cell for cell in strip if cell[1] != "data"]  # near-white, it would pass for the reference
        if terse:
            self.details = []
        elif brief and len(self.details) > 1 and node.repeats == 1 and " … " in node.name:
            self.details = self.details[1:]
        heading = drawn_width(self.title, TITLE, True) + (
            12.0 + drawn_width(self.value, TITLE, True) if self.value else 0.0
        )
        self.width = 2 * PADDING + max([heading, 40.0, *(drawn_width(line, DETAIL) for line in self.details)])
        self.height = 2 * PADDING - 2.0 + TITLE_LINE + DETAIL_LINE * len(self.details) + STRIP_LINE * bool(self.strip)


class Frame(NamedTuple):
    """The frame of a fold, its caption, and where that stands: left, top, right, bottom of both."""

    box: tuple
    caption: str
    caption_box: tuple


def boxes_of(flow, terse=False, brief=False):
    """A `Box` for each node; a fold is wide enough for its caption beside what leaves it."""
    boxes = [Box(node, flow, terse, brief) for node in flow.nodes]
    for members in members_of_folds(flow):
        needed = 2 * (drawn_width(_caption(flow, members), CAPTION) + 12.0) - 2 * _FRAME[0]
        boxes[members[-1]].width = max(boxes[members[-1]].width, needed)
    return boxes


def members_of_folds(flow):
    """The numbers of the nodes of each fold."""
    folds = {}
    for number, node in enumerate(flow.nodes):
        if node.fold is not None:
            folds.setdefault(node.fold, []).append(number)
    return list(folds.values())


def room_of_folds(together):
    """{node: points to keep free (above, below) it}, for the frames."""
    room = {}
    for members in together:
        room[members[0]] = (6.0, 0.0)
        room[members[-1]] = (room.get(members[-1], (0.0, 0.0))[0], _FRAME[2] + 6.0)
    return room


def frames(flow, boxes, centres):
    """The `Frame` of each fold, where its nodes have these centres."""
    found = []
    for members in members_of_folds(flow):
        inside = [(*centres[i], boxes[i].width / 2, boxes[i].height / 2) for i in members]
        left = min(x - w for x, _, w, _ in inside) - _FRAME[0]
        right = max(x + w for x, _, w, _ in inside) + _FRAME[0]
        top = min(y - h for _, y, _, h in inside) - _FRAME[1]
        bottom = max(y + h for _, y, _, h in inside) + _FRAME[2]
        caption = _caption(flow, members)
        box = right - 6.0 - drawn_width(caption, CAPTION), bottom - 15.0, right - 6.0, bottom - 3.0
        found.append(Frame((left, top, right, bottom), caption, box))
    return found


def _caption(flow, members):
    return labels.fold([flow.nodes[i] for i in members])
