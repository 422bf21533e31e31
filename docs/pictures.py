"""Makes every picture of the documentation, and `docs/pictures.md`, which states what was measured in each.

    python docs/pictures.py               # into docs/, in less than a minute
    python docs/pictures.py --out DIR

The nets are those of `tests/viz/pictured_nets.py`. The picture of the page needs Chromium, and is left as it is
where there is none. The same machine and seed make the same pictures.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "viz")]

import pictured_nets as pictured  # noqa: E402
from browser import Browser, find  # noqa: E402

import tinygrad_course as tg  # noqa: E402
import viz  # noqa: E402
from tinygrad_course import data, optim  # noqa: E402
from tinygrad_course.nn import functional as F  # noqa: E402
from viz.graph.claim import claim  # noqa: E402
from viz.graph.draw import draw  # noqa: E402
from viz.theory import default_init_ratio  # noqa: E402

STEPS, BATCH_SIZE, RATE = 40, 64, 0.02
DOTS = 96  # an inch
SCREEN = 1440, 810  # of a laptop, without its bars


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs", metavar="DIR")
    out = parser.parse_args().out.resolve()
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    sheet = compare_in_training()
    scale = viz.compare_scale(*sheet.flows)
    for flow in sheet.flows:
        save(flow.with_scale(scale), images / f"flow_{flow.title}.png")
    sheet.save(images / "comparison.png", dpi=84)
    take_page(sheet, images / "page.png")
    rows = list(gallery(images))
    (out / "pictures.md").write_text(document(sheet, rows), encoding="utf-8")
    print(sheet.caption, *(f"{title}: {text}" for title, text in rows), sep="\n")


def compare_in_training():
    """The comparison of ten tanh layers, plain and residual, over some steps of training on handwritten digits."""
    digits = data.Digits(train=True)
    recordings, spectrum = [], None
    for residual in (False, True):
        model = pictured.tanh_mlp(residual)
        optimizer = optim.SGD(model.parameters(), lr=RATE)
        tg.manual_seed(0)
        batches = [batch for _ in range(3) for batch in data.DataLoader(digits, BATCH_SIZE, shuffle=True)][:STEPS]
        with viz.record(model, details=True) as recording:
            for x, y in batches:
                optimizer.zero_grad()
                F.cross_entropy(model(x.flatten(1)), y).backward()
                optimizer.step()
        recordings.append(recording)
        if residual:
            x, y = batches[-1]
            spectrum = viz.path_spectrum(lambda: F.cross_entropy(model(x.flatten(1)), y))  # noqa: B023 read at once
    title = f"Ten tanh layers after {STEPS} steps, plain and residual"
    law = {"plain": default_init_ratio("tanh")}
    return viz.compare(*recordings, theory=law, spectra={"residual": spectrum}, title=title)


def gallery(images):
    """Save a picture of each net; (name, what was measured in it)."""
    for name, level in (("resnet110", "auto"), ("rnn50", "folded"), ("dense_block", "block"), ("nan", "auto")):
        flow = pictured.flow(name, level)
        save(flow, images / f"{name}.png")
        yield name, claim(flow)


def save(flow, path):
    """At the size at which a browser shows the SVG."""
    viz.save_figure(draw(flow), path, dpi=DOTS)


def take_page(sheet, path):
    """A screenshot of the page, in the middle of backward."""
    if find() is None:
        print("no Chromium: the picture of the page is left as it is", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = viz.page.save(pathlib.Path(folder, "page.html"), *sheet.flows, title=sheet.title)
        code = f"import sys; sys.path[:0] = {sys.path[:2]!r}; import pictures; pictures.shoot(*sys.argv[1:])"
        command = [sys.executable, "-c", code, file, str(path)]  # a process of its own, as a test's browser has
        subprocess.run(command, check=True, cwd=pathlib.Path(__file__).parent)


def shoot(file, path):
    """A screenshot of a page, twelve steps into backward."""
    with Browser() as browser:
        page = browser.open(file, *SCREEN)
        page.key("Home")
        for _ in range(12):
            page.key("ArrowRight")
        page.wait("document.querySelector('.ring')")
        page.screenshot(path)


def document(sheet, rows):
    """The gallery as Markdown."""
    parts = ["# Pictures", "",
             "Made by `python docs/pictures.py`, which also writes this page: the sentences state what was measured.",
             "Except for the comparison, each net is as initialized, and its data are random numbers.", "",
             f"## {sheet.title}", "", "![The comparison sheet](images/comparison.png)", "", sheet.caption, "",
             "![The page, in the middle of backward](images/page.png)", "",
             "The page of both nets, in the middle of backward: a self-contained HTML file."]  # fmt: skip
    for name, text in rows:
        parts += ["", f"## {pictured.TITLES[name]}", "", f"![{pictured.TITLES[name]}](images/{name}.png)", "", text]
    return "\n".join([*parts, ""])


if __name__ == "__main__":
    main()
