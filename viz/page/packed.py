"""The page's program and data, packed: deflated, and written in the 64 signs that may stand in any element of HTML.

The browser's own `DecompressionStream` makes the text of it again (`assets/unpack.js`): the program that runs is the
hand-written one, comments and all, and a name may hold anything without closing an element.
"""

import base64
import itertools
import json
import zlib

_HARDEST = 9  # of deflate's levels: a large page takes some 50 ms


def packed(text):
    """The text in a third to a sixth of its bytes."""
    return base64.b64encode(zlib.compress(text.encode("utf-8"), _HARDEST)).decode("ascii")


def as_json(data):
    """Data as JSON, without spaces. ValueError for NaN and Inf, which JSON does not know."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def by_column(panes):
    """The panes with their cards and edges by column: what is alike stands together then, and deflates to less.

    The places of an edge are counted from those of the edge before it. `words.js` makes rows of all that again.
    """
    return [{**pane, "cards": _columns(pane["cards"]), **_scenes(pane)} for pane in panes]


def _scenes(pane):
    return {key: [{**scene, "edges": _steps(scene["edges"])} for scene in pane[key]] for key in ("scenes", "insides")}


PLACES = (0, 1, 2, 3, 8, 9)  # columns of the edges: which nodes, which vertices, and where the number stands


def _steps(edges):
    columns = enumerate(zip(*edges, strict=True))
    return [[b - a for a, b in itertools.pairwise([0, *c])] if i in PLACES else list(c) for i, c in columns]


def _columns(entries):
    keys = dict.fromkeys(key for entry in entries for key in entry)
    return {key: [entry.get(key) for entry in entries] for key in keys}


def rounded(number):
    """Three digits, as JSON can hold them: NaN and Inf are words."""
    if number is None:
        return None
    text = f"{number:.3g}"
    if text in ("nan", "inf", "-inf"):
        return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}[text]
    value = float(text)
    return int(value) if value.is_integer() else value
