"""What pictures of large graphs take: to write, to lay out, and to step through in a browser."""

import functools
import pathlib
import statistics
import sys
import tempfile
import time

import viz
from viz.graph.layout import layout

sys.path.append(str(pathlib.Path(__file__).parents[1] / "viz"))
import browser as chromium
import viz_nets as nets

STEPS = """(async () => {
    const times = [], frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    for (let i = 0; i < 60; i++) {
        const start = performance.now();
        document.getElementById("next").click();
        document.body.getBoundingClientRect();  // what has changed is laid out, and not later
        times.push(performance.now() - start);
        await frame();
    }
    return times;
})()"""


def _median(work, seconds):
    """Seconds that `work()` takes: the median of at least five, after one that warms up."""
    work()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _written(recording, path, **options):
    viz.gradient_flow(recording, **options).save(path)


def _of_python(folder, seconds):
    """Yield (what, figure, unit, target)."""
    loss, model = nets.resnet(110)
    yield "ResNet-110, two images: a step, no picture", _median(lambda: loss().backward(), seconds), "s", None
    recording = nets.recorded_loss(loss, model)
    page = functools.partial(_written, recording, folder / "op.html", level="op")
    yield "its page of 390 operations", _median(page, seconds), "s", 3
    yield "size of this page", (folder / "op.html").stat().st_size / 1e6, "MB", 1.5
    page = functools.partial(_written, recording, folder / "folded.html")
    yield "its page, folded", _median(page, seconds), "s", None
    svg = functools.partial(_written, recording, folder / "folded.svg")
    yield "its SVG, folded", _median(svg, seconds), "s", 2
    chain = viz.gradient_flow(nets.chain(5000), level="op")
    yield "DOT text of a chain of 5,000 operations", _median(chain.to_dot, seconds), "s", 1
    flow = viz.gradient_flow(nets.recurrent, level="op")
    sizes, edges = nets.as_laid_out(flow)
    yield "layout of a recurrent net's 50 steps", _median(lambda: layout(sizes, edges), seconds), "s", None


def _in_a_browser(path):
    with chromium.Browser() as browser:

        def opened():
            page = browser.open(path)
            page.wait("document.querySelectorAll('.nodes>.n').length === 390")
            return page

        yield "that page opened, in Chromium", _median(lambda: opened().call("Page.close"), 0), "s", None
        page = opened()
        page.key("Home")
        yield "a step in it", statistics.median(page.evaluate(STEPS)), "ms", 50


def table(seconds):
    """Measure, print and return {what: (figure, unit)}."""
    print("| picture | median | target |\n|---|---|---|")
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for measured in (_of_python(folder, seconds), _in_a_browser(folder / "op.html") if chromium.find() else ()):
            for what, figure, unit, target in measured:
                rows[what] = figure, unit
                print(f"| {what} | {figure:.2g} {unit} | {f'{target} {unit}' if target else '–'} |", flush=True)
    if not chromium.find():
        print("| the page opened, and a step in it | no Chromium | – |")
    return rows
