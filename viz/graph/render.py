"""From DOT to pictures: `dot` on the PATH, else the wheel pygraphviz, else the layout of this library.

Each renderer has a time limit, and the next one takes over when it is missing, fails, or takes too long. A long
chain goes to our own layout at once, for it alone wraps.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile

from ..files import check_folder, check_format, format_of, write_atomically
from . import theme
from .dot import ranks

FORMATS = ("svg", "png", "pdf", "dot", "txt", "html")
RENDERERS = ("auto", "dot", "pygraphviz", "builtin")
LONGEST_PATH = 12  # nodes that fit below each other on a laptop's screen
MOST_PIXELS = 25_000_000
_DOTS_PER_INCH = 144
_LEAST = 0.75  # of its size, to which a browser may shrink an SVG: what is larger then is scrolled

# Runs in a process of its own: Graphviz may hang or crash, and a plugin that lacks a format kills what draws next.
_PYGRAPHVIZ = """
import sys, warnings
warnings.simplefilter("ignore")
import pygraphviz
source, target, file_format, dots, most = sys.argv[1:]
graph = pygraphviz.AGraph(string=open(source, encoding="utf-8").read())
graph.layout("dot")
if file_format == "png":
    left, bottom, right, top = map(float, graph.graph_attr["bb"].split(","))
    inches = max(1.0, (right - left + 24) * (top - bottom + 24) / 72 ** 2)
    graph.graph_attr["dpi"] = str(max(20.0, min(float(dots), (float(most) / inches) ** 0.5)))
with open(target, "wb") as file:  # not draw(target): that needs a newer fileinput than Python 3.11.2's
    file.write(graph.draw(format=file_format))
"""


class RendererError(RuntimeError):
    """A renderer that was asked for by name cannot draw."""


def save(flow, path, *, renderer="auto", time_limit=20.0, file_format=None, wrap=True):
    """Write `flow` to `path` in the format of its suffix; returns the path. See `GradientFlow.save`."""
    path = os.fspath(path)
    file_format = file_format or format_of(path, FORMATS)
    check_format(file_format, FORMATS)
    check_folder(path)
    write_atomically(path, to_bytes(flow, file_format, renderer=renderer, time_limit=time_limit, wrap=wrap))
    return path


def to_bytes(flow, file_format, *, renderer="auto", time_limit=20.0, wrap=True):
    """The picture as bytes, by the first renderer that can."""
    check_format(file_format, FORMATS)
    if renderer not in RENDERERS:
        raise ValueError(f"renderer must be one of {', '.join(RENDERERS)}, got {renderer!r}")
    if file_format == "dot":
        return flow.to_dot().encode("utf-8")
    if file_format == "txt":
        return (flow.to_text() + "\n").encode("utf-8")
    if file_format == "html":
        return flow.to_html().encode("utf-8")
    chain = (("dot", _by_dot), ("pygraphviz", _by_pygraphviz))
    if renderer == "auto" and wrap and is_long(flow):
        chain = ()  # dot would draw a ribbon several screens long; the built-in layout wraps it into columns
    for name, draw in chain:
        if renderer in ("auto", name):
            picture, reason = draw(flow.to_dot(), file_format, time_limit)
            if picture is not None:
                return _fitting(picture) if file_format == "svg" else picture
            if renderer == name:
                raise RendererError(f"{reason}; renderer='auto' falls back to the built-in layout")
    from .draw import draw_bytes

    with theme.use(flow.theme):
        picture = draw_bytes(flow, file_format, wrap=wrap)
    return _fitting(picture) if file_format == "svg" else picture


def _fitting(svg):
    """The picture with a rule for browsers: as wide as the window, from its full size down to `_LEAST` of it."""
    root = re.search(rb'<svg\b[^>]*?\swidth="([\d.]+)pt"[^>]*>', svg)
    if root is None:
        return svg
    width = f"max-width:max(100%,{_LEAST * float(root[1]):.0f}pt)"
    rule = f"<style>@media screen{{svg:root{{{width};height:auto}}}}</style>"
    return svg[: root.end()] + rule.encode() + svg[root.end() :]


def is_long(flow):
    """Whether the longest path has more than `LONGEST_PATH` nodes."""
    return max(ranks(flow).values(), default=0) >= LONGEST_PATH


def _by_dot(text, file_format, time_limit):
    program = shutil.which("dot")
    if program is None:
        return None, "there is no program `dot` on the PATH: install Graphviz (graphviz.org)"
    with tempfile.TemporaryDirectory(prefix="viz-") as folder:
        source, target = os.path.join(folder, "graph.dot"), os.path.join(folder, f"picture.{file_format}")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        command = [program, f"-T{file_format}", "-o", target, source]
        if file_format == "png":
            command.insert(1, f"-Gdpi={_dots(program, source, time_limit):.0f}")
        return _run(command, target, time_limit, "dot")


def _dots(program, source, time_limit):
    """Dots per inch at which a PNG keeps under the pixel cap."""
    try:
        done = subprocess.run([program, "-Tplain", source], capture_output=True, timeout=time_limit, check=True)
        _, _, width, height = done.stdout.decode("utf-8", "replace").split("\n", 1)[0].split()[:4]
        inches = max(1.0, (float(width) + 0.4) * (float(height) + 0.4))
    except (OSError, subprocess.SubprocessError, ValueError):
        return 96
    return max(20, min(_DOTS_PER_INCH, (MOST_PIXELS / inches) ** 0.5))


def _by_pygraphviz(text, file_format, time_limit):
    try:
        found = importlib.util.find_spec("pygraphviz") is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        return None, "pygraphviz is not installed: pip install 'tinygrad-course[render]'"
    with tempfile.TemporaryDirectory(prefix="viz-") as folder:
        source, target = os.path.join(folder, "graph.dot"), os.path.join(folder, f"picture.{file_format}")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        command = [
            sys.executable,
            "-c",
            _PYGRAPHVIZ,
            source,
            target,
            file_format,
            str(_DOTS_PER_INCH),
            str(MOST_PIXELS),
        ]
        return _run(command, target, time_limit, "pygraphviz")


def _run(command, target, time_limit, name):
    try:
        done = subprocess.run(command, capture_output=True, timeout=time_limit)
    except subprocess.TimeoutExpired:
        return None, f"{name} took longer than {time_limit:g} s"
    except OSError as error:
        return None, f"{name} could not be started ({error})"
    if done.returncode or not os.path.exists(target) or not os.path.getsize(target):
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return None, f"{name} failed ({lines[-1] if lines else f'status {done.returncode}'})"
    with open(target, "rb") as file:
        return file.read(), ""
