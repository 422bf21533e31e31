"""The page's data in short: a letter stands for each phrase that comes often. The script writes them out again."""

import json
from collections import Counter

from . import svg

_SHAPES = (
    '<rect class="b" width="', '" rx="7"/>', svg.TOGGLE_SIGN, '<text class="t" x="10" y="19">',
    '<text class="t" x="28" y="19">', '<text class="v" x="', '</text><text class="d" x="10" y="',
    '<tspan class="x" dy="-4">', '</tspan><tspan dy="4">&#8203;</tspan>', '<path class="e" d="M',
    '<path class="e s" d="M', '<path class="e z" d="M', '<path class="e', '" stroke-width="0.8"/>', '" stroke-width="',
    '"/><rect class="c', '<rect class="f" x="10" y="', '<g class="s"><rect class="', '" height="8"/>', '" height="',
    '" y="19">', '</text>',
)  # fmt: skip
_KEYS = (
    '","svg":"', '"},{"n":"', '","y":"float32","c":"', ',"src":"', '],"shares":["', '],"columns":[],"ports":[',
    ',"edges":[[', '],"paths":["', ',"nodes":[[', ',"mem":[', ',"ms":[', ',"a":[', ',"p":[["', ',"m":"zero","g":[',
    ',"g":[', ',"pc":', ',"x":1', ',"ma":', ',"sb":', ',null,0,', ',"hd":["', ',"w":', ',"t":', '","h":"', '","o":"',
    '","s":"', '"","","","","","","","",', '","',
)  # fmt: skip
_LETTERS = "".join(map(chr, range(0x100, 0x180)))  # two bytes each, those that the page has itself are left to it
_MOST = 60  # lines of the program


def as_json(data):
    """JSON that may stand in a script element: nothing in it can close the element or open a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("</", "<\\/").replace("<!", "\\u003c!").replace("<s", "\\u003cs").replace("<S", "\\u003cS")


def in_short(data):
    """(data as JSON in which letters stand for phrases, [[letter, phrase], …] as JSON)."""
    text = as_json(data)
    letters = [letter for letter in _LETTERS if letter not in text]
    often = [*_lines(data), *(as_json(shape)[1:-1] for shape in _SHAPES), *_KEYS]
    phrases = {}
    for phrase, letter in zip(often, letters, strict=False):
        text, phrases[letter] = text.replace(phrase, letter), phrase
    return text, as_json(list(phrases.items()))


def _lines(data):
    """The lines of the program that made several nodes."""
    lines = Counter(card["src"] for pane in data["panes"] for card in pane["cards"] if "src" in card)
    return [as_json(line)[1:-1] for line, count in lines.most_common(_MOST) if count > 2]
