"""The page in a real Chromium: stepping, searching, opening, pinning, by mouse and by key; what a step changes."""

import base64
import itertools
import json
import time

import browser as chromium
import numpy as np
import pytest
from test_page import spoilt_at_the_end, trained
from viz_nets import loss_of, net, recorded, recorded_loss, resnet

import tinygrad_course as tg
import viz

pytestmark = pytest.mark.skipif(
    chromium.find() is None, reason="there is no Chromium: apt-get install chromium (or Chrome) to drive the page"
)
GO = "document.getElementById('slider').value"
MAX = "document.getElementById('slider').max"
COUNT = "document.getElementById('count').textContent"
PANEL = "document.getElementById('step').textContent"


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files by name, written once."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def page(name, make):
        if name not in made:
            flows = make()
            made[name] = viz.page.save(folder / f"{name}.html", *(flows if isinstance(flows, tuple) else (flows,)))
        return made[name]

    return page


def residual():
    return viz.gradient_flow(recorded(net(3, True)), level="op", title="residual")


def both():
    return residual(), viz.gradient_flow(recorded(net(3, False)), level="op", title="plain")


@pytest.fixture
def page(browser, pages):
    opened = browser.open(pages("residual", residual))
    yield opened
    assert opened.complaints() == []
    assert [url for url in opened.requests() if not url.startswith("file:")] == []
    assert len(opened.requests()) == 1
    opened.call("Page.close")


def count(page, selector):
    return page.evaluate(f"document.querySelectorAll({json.dumps(selector)}).length")


def of_node(name, more=""):
    """A selector for the node with this name."""
    return f".nodes>.n[aria-label^={json.dumps(name + ',')}]{more}"


def test_a_browser_that_cannot_unpack_shows_the_picture_and_says_so(browser, tmp_path):
    path = tmp_path / "old.html"
    html = residual().to_html()
    path.write_text(html.replace("<script>(", "<script>delete globalThis.DecompressionStream;("), encoding="utf-8")
    target = browser.call("Target.createTarget", url=f"file://{path}")["targetId"]
    old = chromium.Page(browser, browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
    old.wait("document.getElementById('old') && !document.getElementById('old').hidden")
    assert count(old, ".n") == len(residual().nodes) and count(old, ".e") == len(residual().edges)
    old.call("Page.close")


# ------------------------------------------------------------------------------------ stepping


def test_it_opens_whole(page):
    assert page.evaluate(COUNT) == "backward done"
    assert count(page, ".nodes>.n") == len(residual().nodes)
    assert count(page, ".n.wait") == 0 and count(page, ".ring") == 0
    assert "gradient" in page.evaluate("document.getElementById('claim').textContent")
    assert count(page, "#legend .bar i") == 41


def test_first_next_previous_last_by_click(page):
    total = int(page.evaluate(MAX)) - 1
    page.click("#first")
    assert page.evaluate(COUNT) == "before backward" and "∂L/∂L = 1" in page.evaluate(PANEL)
    page.click("#next")
    page.click("#next")
    assert page.evaluate(COUNT) == f"step 2 of {total}" and count(page, ".ring") == 1
    page.click("#prev")
    assert page.evaluate(COUNT) == f"step 1 of {total}"
    assert "cross_entropy starts the way back" in page.evaluate(PANEL)
    page.click("#last")
    assert page.evaluate(COUNT) == "backward done" and count(page, ".n.wait, .n.part") == 0


def test_stepping_by_key(page):
    page.key("Home")
    for step in (1, 2, 3):
        page.key("ArrowRight")
        assert page.evaluate(COUNT).startswith(f"step {step} of")
    page.key("ArrowLeft")
    assert page.evaluate(COUNT).startswith("step 2 of")
    page.key("End")
    assert page.evaluate(COUNT) == "backward done"


def test_the_slider_goes_anywhere(page):
    page.evaluate("const s = document.getElementById('slider'); s.value = 7; s.dispatchEvent(new Event('input'))")
    assert page.evaluate(COUNT).startswith("step 7 of")
    x, y = page.centre("#slider")
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseReleased", x, y, button="left", clickCount=1)
    middle = int(page.evaluate(GO))
    assert abs(middle - int(page.evaluate(MAX)) / 2) <= 1
    page.key("ArrowRight")  # the slider has the focus: its own arrow keys, and only once
    assert int(page.evaluate(GO)) == middle + 1


def test_play_runs_to_the_end_and_space_pauses(page):
    page.key(" ")
    assert page.evaluate("document.getElementById('play').textContent") == "Pause"
    page.wait(f"{GO} >= 2")
    page.key(" ")
    here = page.evaluate(GO)
    time.sleep(0.9)
    assert page.evaluate(GO) == here
    page.evaluate(
        f"const t = document.getElementById('slider'); t.value = {MAX} - 2; t.dispatchEvent(new Event('input'))"
    )
    page.click("#play")
    page.wait(f"{COUNT} === 'backward done' && document.getElementById('play').textContent === 'Play'")


def test_a_fan_out_is_complete_only_when_all_contributions_have_arrived(page):
    total = int(page.evaluate(MAX)) - 1
    page.key("Home")
    seen, coloured = [], {}
    for step in range(1, total + 1):
        page.key("ArrowRight")
        seen += page.evaluate("[...document.querySelectorAll('.over .pill text')].map(t => t.textContent)")
        for index in page.evaluate(
            "[...document.querySelectorAll('.nodes>.n:not(.wait):not(.part)')].map(n => +n.dataset.i)"
        ):
            coloured.setdefault(index, step)
    assert "1 of 2 contributions arrived" in seen
    flow = residual()
    order = {node.id: i for i, node in enumerate(reversed([n for n in flow.nodes if n.gradient is not None]), 1)}
    for index, node in enumerate(flow.nodes):
        readers = [order[e.target] for e in flow.edges if e.source == node.id and e.rms is not None]
        if node.gradient is not None and readers and max(readers) > 1:
            assert coloured[index] == max(readers), node.name


def test_what_is_said_of_neighbours_that_wait_does_not_overlap(browser, tmp_path):
    """The variables of a circuit stand side by side, and each takes part twice."""
    a, b, c = (tg.tensor(value, requires_grad=True) for value in (3.0, -4.0, 2.0))
    flow = viz.gradient_flow(lambda: (a * b + tg.maximum(b, c)) * 2 + a * c, names={"a": a, "b": b, "c": c})
    page = browser.open(flow.save(tmp_path / "circuit.html"))
    page.key("Home")
    rects = """[...document.querySelectorAll('.over .pill rect')].map(r => r.getBoundingClientRect())
      .map(r => [r.left, r.top, r.right, r.bottom])"""
    most = 0
    for _ in range(int(page.evaluate(MAX)) - 1):
        page.key("ArrowRight")
        found = page.evaluate(rects)
        most = max(most, len(found))
        for one, other in itertools.combinations(found, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)
    assert most >= 4
    page.call("Page.close")


def test_each_parent_edge_carries_its_contribution(page):
    page.key("Home")
    page.key("ArrowRight")
    assert count(page, ".e.on") == 1
    pill = page.evaluate("document.querySelector('.pill text').textContent")
    assert pill in page.evaluate(PANEL)


def test_a_scalar_graph_shows_its_numbers(browser, tmp_path):
    a, b = tg.tensor(2.0, requires_grad=True), tg.tensor(-3.0, requires_grad=True)
    flow = viz.gradient_flow(lambda: (a * b).tanh() + a, names={"a": a, "b": b})
    page = browser.open(flow.save(tmp_path / "x.html"))
    page.key("Home")
    assert "gradient" not in page.evaluate(f"document.querySelector('{of_node('b')} .d:last-of-type').innerText || ''")
    texts = []
    for _ in range(3):
        page.key("ArrowRight")
        texts.append(page.evaluate(PANEL))
    assert "distributes" in texts[0] and "∂L/∂a = 1 · 1 = 1" in texts[0]
    assert "∂L/∂mul = 1 · (1 − (−1)²)" in texts[1] and "swaps" in texts[2]
    assert "∂L/∂a" in texts[2] and "−" in page.evaluate("document.querySelector('.pill text').textContent")
    page.call("Page.close")


# ------------------------------------------------------------------------------------ looking


def test_search_finds_and_walks_through_hits(page):
    page.key("/")
    page.type("BN1")
    assert count(page, ".n.hit") == 3
    assert page.evaluate("document.getElementById('found').textContent") == "1/3"
    page.key("Enter")
    assert page.evaluate("document.getElementById('found').textContent") == "2/3"
    page.key("Escape")
    assert count(page, ".n.hit") == 0 and page.evaluate("document.getElementById('search').value") == ""
    page.key("/")
    page.type("nothing of this name")
    assert page.evaluate("document.getElementById('found').textContent") == "none"


def test_levels_open_and_close(page):
    page.click("[data-level=block]")
    blocks = count(page, ".nodes>.n")
    assert blocks < len(residual().nodes)
    page.click(of_node("blocks.1", " .o"))
    assert count(page, ".frame") == 1 and count(page, ".nodes>.n") == blocks + 4
    whole = page.evaluate(MAX)
    page.key("Home")
    page.evaluate(
        f"const t = document.getElementById('slider'); t.value = {whole}; t.dispatchEvent(new Event('input'))"
    )
    assert count(page, ".n.wait, .n.part") == 0  # contributions find their way in and out of the open node
    page.click(".frame .o")
    assert count(page, ".frame") == 0 and count(page, ".nodes>.n") == blocks
    page.click("[data-level=folded]")
    assert "×3" in page.evaluate("document.querySelector('.foldt').textContent")
    page.click(".unfold")
    assert count(page, ".nodes>.n") == blocks


def test_open_nodes_keep_clear_of_the_others_and_of_their_edges(page):
    page.click("[data-level=block]")
    for name in ("blocks.0", "blocks.2"):
        page.evaluate(f"document.querySelector({json.dumps(of_node(name))}).focus()")
        page.key("o")
    overlaps = page.evaluate("""(() => {
        const boxes = [...document.querySelectorAll('.nodes>.n>.b')].map(b => b.getBoundingClientRect());
        let n = 0;
        boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
            n += a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
        }));
        return n;
    })()""")
    assert count(page, ".frame") == 2 and overlaps == 0


def test_edges_stay_at_their_nodes_when_some_open(browser, tmp_path):
    """The first point of each edge is on the border of a node or frame, its last an arrow's head away from one."""
    page = browser.open(viz.gradient_flow(recorded(net(6, True)), level="block").save(tmp_path / "x.html"))
    for name in ("blocks.1", "blocks.4"):
        page.evaluate(f"document.querySelector({json.dumps(of_node(name))}).focus()")
        page.key("o")
    away = page.evaluate("""(() => {
        const boxes = [...document.querySelectorAll('.n>.b')].map(b => {
          const {width, height} = b.getBBox(), m = b.parentNode.transform.baseVal[0].matrix;
          return [m.e, m.f, m.e + width, m.f + height];
        });
        const far = p => Math.min(...boxes.map(([l, t, r, b]) => {
          const x = Math.max(l - p.x, 0, p.x - r), y = Math.max(t - p.y, 0, p.y - b);
          return x || y ? Math.hypot(x, y) : Math.min(p.x - l, r - p.x, p.y - t, b - p.y);
        }));
        return [...document.querySelectorAll('.e')].filter(e => !e.parentNode.hasAttribute('transform')).map(e =>
          [far(e.getPointAtLength(0)), far(e.getPointAtLength(e.getTotalLength()))]);
    })()""")
    assert count(page, ".frame") == 2 and len(away) > 12
    assert max(start for start, _ in away) < 2 and max(end for _, end in away) < 12


def test_a_fold_opens_in_place(browser, tmp_path):
    flow = viz.gradient_flow(recorded(net(9)), level="folded")
    page = browser.open(flow.save(tmp_path / "x.html"))
    names = "[...document.querySelectorAll('.nodes>.n .t')].map(t => t.textContent)"
    folded = page.evaluate(names)
    page.evaluate("document.querySelector('.unfold').focus()")
    page.key("Enter")
    opened = page.evaluate(names)
    assert [name for name in opened if name.startswith("blocks.")] == [
        f"blocks.{i}{merge}" for i in range(9) for merge in ("", " ⊕")
    ]  # fmt: skip
    assert "stem" in opened and "head" in opened and count(page, ".frame") == 1 and count(page, ".unfold") == 0
    assert page.evaluate("document.querySelector('[data-level=folded]').getAttribute('aria-pressed')") == "true"
    overlaps = """(() => {
        const boxes = [...document.querySelectorAll('.nodes>.n .b')].map(b => b.getBoundingClientRect());
        return boxes.filter((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right
            && a.top < b.bottom && b.top < a.bottom)).length;
    })()"""
    assert page.evaluate(overlaps) == 0
    page.key("Home")
    for _ in range(int(page.evaluate(MAX)) - 1):
        page.key("ArrowRight")
        assert count(page, ".ring") == 1
    page.evaluate("document.querySelector('.frame .o').focus()")
    page.key("Enter")
    assert page.evaluate(names) == folded and count(page, ".frame") == 0
    time.sleep(0.4)  # the view glides to where it was closed
    page.click('.nodes>.n[aria-label*="blocks.8,"] .b', count=2)
    assert page.evaluate(names) == opened
    assert page.complaints() == []
    page.call("Page.close")


def test_the_chain_rule_and_the_path_spectrum_stand_beside_the_graph(browser, tmp_path):
    a = tg.tensor(0.5, requires_grad=True)
    flow = viz.gradient_flow(lambda: a * a + (a * 3.0).tanh(), names={"a": a})
    page = browser.open(flow.save(tmp_path / "chain.html"))
    assert "sum over the paths" in page.evaluate("document.getElementById('beside').innerText")
    ways = count(page, ".way")
    page.evaluate("document.querySelector('.way').focus()")
    lit = "[...document.querySelectorAll('.nodes>.n.rel .t')].map(t => t.textContent)"
    assert page.evaluate(lit) == ["a", "mul", "⊕ add"] or page.evaluate(lit) == ["a", "mul", "add"]
    page.evaluate("document.activeElement.blur()")
    assert ways >= 3 and count(page, ".rel") == 0 and count(page, ".focus") == 0
    model = net(3)
    flow = viz.gradient_flow(lambda: loss_of(model), model, level="op")
    page = browser.open(flow.save(tmp_path / "spectrum.html"))
    assert count(page, ".spectrum rect") == 4 and count(page, ".spectrum polyline") == 1
    assert "of 3 branches; the highway alone brings" in page.evaluate("document.getElementById('beside').innerText")
    page.move(".e.s")
    assert page.complaints() == []
    page.call("Page.close")


def test_an_edge_tells_what_it_brings(browser, pages):
    page = browser.open(pages("residual", residual))
    told = page.evaluate("""(() => {
        const edge = document.querySelector('.e.s');
        edge.dispatchEvent(new PointerEvent('pointerover', {bubbles: true, clientX: 300, clientY: 300}));
        return document.getElementById('tip').innerText;
    })()""")
    for words in ("blocks.0 → stem (highway)", "returns RMS", "% of what arrives", "2 contributions meet", "cosine"):
        assert words in told
    page.call("Page.close")


def test_hover_keeps_only_what_is_related(page):
    page.move(of_node("blocks.0.linear1", " .b"))
    page.wait("document.querySelector('.focus')")
    dim = set(page.evaluate(
        "[...document.querySelectorAll('.nodes>.n:not(.rel)')].map(n => n.getAttribute('aria-label').split(',')[0])"
    ))  # fmt: skip
    assert dim == set() or dim <= {"blocks.0"}
    page.move(of_node("blocks.2.bn1", " .b"))
    assert page.evaluate("document.getElementById('tip').hidden") is False
    assert "blocks.2.bn1" in page.evaluate("document.getElementById('tip').textContent")
    assert page.evaluate(f"getComputedStyle(document.querySelector({json.dumps(of_node('head'))})).opacity") == "1"
    page.mouse("mouseMoved", 1200, 400)
    page.wait("!document.querySelector('.focus')")


def two_branches(browser, tmp_path):
    """A page with exp(a) beside tanh(b), and the mouse on exp."""
    a, b = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    flow = viz.gradient_flow(lambda: a.exp() * b.tanh(), names={"a": a, "b": b})
    page = browser.open(flow.save(tmp_path / "x.html"))
    page.move(of_node("exp", " .b"))
    page.wait("document.querySelector('.focus')")
    return page


def test_hover_dims_the_parallel_branch(browser, tmp_path):
    page = two_branches(browser, tmp_path)
    dim = "[...document.querySelectorAll('.nodes>.n:not(.rel) .t')].map(t => t.textContent).sort()"
    assert page.evaluate(dim) == ["b", "tanh"]
    page.call("Page.close")


def opacities(page, selector):
    found = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return page.evaluate(f"{found}.map(e => getComputedStyle(e).opacity)")


def test_what_is_related_stays_lit_while_stepping_clicking_and_searching(page):
    page.move(of_node("blocks.1.linear1", " .b"))
    page.wait("document.querySelector('.focus')")
    lit = count(page, ".rel")
    page.click(of_node("blocks.1.linear1", " .b"))
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft", "End"):
        assert set(opacities(page, ".n.now, .e.on, .n.pin")) == {"1"}
        assert count(page, ".rel") == lit and set(opacities(page, ".n.rel, .e.rel, .l.rel")) == {"1"}
        page.key(key)
    page.mouse("mouseMoved", 1200, 400)
    page.wait("!document.querySelector('.focus')")
    assert count(page, ".rel") == 0


def test_the_current_node_is_lit_though_the_mouse_rests_beside_its_path(browser, tmp_path):
    page = two_branches(browser, tmp_path)
    for _ in range(3):  # backward takes tanh second
        page.key("ArrowLeft")
        assert opacities(page, ".n.now") == ["1"]
    page.call("Page.close")


def test_nothing_is_dimmed_by_what_is_no_longer_there(browser, pages):
    """The node under the mouse is opened, or the level is another: the new picture is whole."""
    page = browser.open(pages("residual", residual))
    page.move(of_node("blocks.0.linear1", " .b"))
    page.wait("document.querySelector('.focus')")
    page.evaluate("document.querySelector('[data-level=block]').click()")
    page.mouse("mouseMoved", 1200, 400)
    page.wait("!document.querySelector('.focus')")
    assert set(opacities(page, ".nodes>.n")) == {"1"}
    page.call("Page.close")


def test_a_click_pins_a_card(page):
    page.click(of_node("blocks.1.linear2", " .b"))
    text = page.evaluate("document.querySelector('.card').innerText")
    for words in (
        "blocks.1.linear2",
        "16×12 float32",
        "Gradient RMS",
        "Output RMS",
        "Multiply-adds",
        "Output mean ± std",
        "weight",
        "12×12",
    ):
        assert words in text
    page.click(of_node("stem", " .b"))
    assert count(page, ".card") == 2 and count(page, ".n.pin") == 2
    text = page.evaluate("document.querySelector('.card').innerText")
    assert "Kept for backward" in text and "2 contributions" not in text and "Cosine" in text
    page.click(".card .close")
    assert count(page, ".card") == 1
    page.key("Escape")
    assert count(page, ".card") == 0 and count(page, ".n.pin") == 0


def test_drag_pans_wheel_zooms_and_fit_goes_back(page):
    transform = "document.querySelector('.world').style.transform"
    before = page.evaluate(transform)
    page.drag((30, 640), (130, 560))
    after = page.evaluate(transform)
    assert after != before and after.split("scale")[1] == before.split("scale")[1]
    page.mouse("mouseWheel", 400, 300, deltaX=0, deltaY=-300)
    page.wait(f"{transform}.split('scale')[1] !== {json.dumps(after.split('scale')[1])}")
    page.key("0")
    whole = page.evaluate("""(() => {
        const r = document.querySelector('.root').getBoundingClientRect();
        const s = document.querySelector('.pane').getBoundingClientRect();
        return r.left >= s.left && r.right <= s.right && r.top >= s.top && r.bottom <= s.bottom;
    })()""")
    assert whole


# ------------------------------------------------------------------------------------ for everyone


def test_the_keyboard_reaches_every_control_and_walks_along_the_graph(page):
    reached = set()
    for _ in range(24):
        page.key("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('role')"))
    assert {
        "search",
        "out",
        "fit",
        "in",
        "theme",
        "first",
        "prev",
        "play",
        "next",
        "last",
        "slider",
        "button",
    } <= reached
    page.evaluate(f"document.querySelector({json.dumps(of_node('head'))}).focus()")
    page.key("ArrowUp")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("blocks.2.relu, relu")
    page.key("Enter")
    assert count(page, ".card") == 1


def test_a_screen_reader_hears_names_states_and_steps(page):
    nameless = (
        "[...document.querySelectorAll('button, input, .n[data-i], svg.graph')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"
    )
    assert page.evaluate(nameless) == 0
    assert page.evaluate("document.documentElement.lang") == "en"
    page.key("Home")
    page.key("ArrowRight")
    live = page.evaluate("document.getElementById('live').textContent")
    assert live.startswith("step 1 of") and "cross_entropy" in live
    assert page.evaluate("document.getElementById('slider').getAttribute('aria-valuetext')").startswith("step 1 of")
    label = page.evaluate("document.querySelector('.nodes>.n:last-child').getAttribute('aria-label')")
    assert "cross_entropy" in label


def choose(page, theme):
    page.evaluate(
        "(() => { const s = document.getElementById('theme');"
        f" s.value = '{theme}'; s.dispatchEvent(new Event('change')) }})()"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_follows_the_system_and_the_choice(browser, pages, dark):
    page = browser.open(pages("residual", residual), dark=dark)
    chosen, background = "document.getElementById('theme').value", "getComputedStyle(document.body).backgroundColor"

    def brightness():
        return sum(map(int, page.evaluate(background)[4:-1].split(",")[:3])) / 3

    assert (brightness() < 80) == dark and page.evaluate(chosen) == ("dark" if dark else "light")
    borders = set()
    for theme in ("light", "dark", "paper", "contrast"):
        choose(page, theme)
        assert (brightness() < 80) == (theme == "dark")
        node = "document.querySelector('.nodes>.n:not(.merge):not(.ref) .b')"
        borders.add(page.evaluate(f"[getComputedStyle({node}).stroke, getComputedStyle({node}).strokeWidth].join()"))
    assert len(borders) == 4
    page.call("Page.close")


def test_a_page_opens_in_the_theme_of_its_graph(browser, tmp_path):
    page = browser.open(residual().with_theme("paper").save(tmp_path / "x.html"), dark=True)
    assert page.evaluate("document.documentElement.dataset.theme") == "paper"
    page.call("Page.close")


def test_it_prints_white_and_without_controls(browser, pages):
    page = browser.open(pages("residual", residual), dark=True)
    page.call("Emulation.setEmulatedMedia", media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.querySelector('footer')).display") == "none"
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    pdf = page.call("Page.printToPDF", landscape=True, printBackground=True)["data"]
    assert base64.b64decode(pdf).count(b"/Type /Page\n") == 1, "the graph, the claim and the legend on one sheet"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    # A busy browser sends its own events of printing late.
    page.wait("document.documentElement.dataset.theme === 'dark'")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.call("Page.close")


def test_names_are_text_whatever_they_hold(browser, tmp_path):
    names = ["<img src=x onerror=alert(1)>", "</script><b>", "a\"b'c&lt;", "two\nlines", "🧠"]
    leaves = {name: tg.tensor(float(i + 1), requires_grad=True) for i, name in enumerate(names)}

    def loss():
        total = 0.0
        for leaf in leaves.values():
            total = total + leaf.tanh()
        return total

    page = browser.open(viz.gradient_flow(loss, names=leaves, title=names[0]).save(tmp_path / "x.html"))
    shown = page.evaluate("[...document.querySelectorAll('.nodes .t')].map(t => t.textContent)")
    for name in names:
        assert name.replace("\n", " ") in shown
    assert count(page, "img") == 0 and page.evaluate("document.title") == names[0]
    for _ in range(12):
        page.key("ArrowLeft")
    page.click(".nodes>.n .b")
    assert page.complaints() == [] and count(page, "img, aside b:not(.words b, #beside b)") == 0
    page.call("Page.close")


def test_without_script_the_picture_is_there(browser, pages):
    page = browser.open(pages("residual", residual))
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.call("Page.reload")
    time.sleep(0.5)
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    drawn = page.call("DOM.querySelectorAll", nodeId=root, selector=".root>.n")["nodeIds"]
    assert len(drawn) == len(residual().nodes)
    page.call("Page.close")


def test_a_narrow_frame_as_in_a_notebook(browser, pages):
    page = browser.open(pages("residual", residual), width=640, height=680)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    page.click("#next")
    box = page.evaluate(
        "(() => { const r = document.querySelector('.pane').getBoundingClientRect(); return [r.width, r.height] })()"
    )
    assert box[0] > 600 and box[1] > 180
    page.call("Page.close")


def test_it_is_unpacked_in_a_sandboxed_frame_too(browser, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text("<!DOCTYPE html><body>" + viz.page.in_frame(residual().to_html()), encoding="utf-8")
    page = browser.open(path, width=1000)
    targets = browser.call("Target.getTargets")["targetInfos"]
    (target,) = [one["targetId"] for one in targets if one["url"] == "about:srcdoc"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    frame = chromium.Page(browser, session)
    frame.wait("document.querySelector('.nodes>.n')")
    assert frame.evaluate(COUNT) == "backward done" and count(frame, ".nodes>.n") == len(residual().nodes)
    page.call("Page.close")


# ------------------------------------------------------------------------------------ two nets, many steps, many nodes


def test_side_by_side_on_one_scale(browser, pages):
    page = browser.open(pages("both", both))
    assert count(page, ".pane") == 2 and count(page, ".strip") == 2 and count(page, "#legend .bar") == 1
    page.click("[data-level=op]")
    page.key("Home")
    page.key("ArrowRight")
    assert count(page, ".ring") == 2
    page.key("End")
    assert count(page, ".ring") == 0
    plain, other = (flow.with_scale(viz.compare_scale(*both())) for flow in both())
    for index, flow in enumerate((plain, other)):
        classes = page.evaluate(
            f"[...document.querySelectorAll('#g{index} .nodes>.n')].map(n => n.getAttribute('class').split(' ')[1])"
        )
        assert classes == [viz.page.svg.look(node, flow).split()[0] for node in flow.nodes]
    page.call("Page.close")


@pytest.mark.parametrize(
    ("width", "height", "parts"), [(1366, 768, ".words"), (1440, 900, ".words, .formula, .numbers tr:first-child")]
)
def test_a_laptop_shows_the_step_of_both_nets_at_once(width, height, parts, browser, tmp_path):
    """With the slider of a training run, too: the rule of the first net and of the second."""
    flows = [viz.gradient_flow(trained(residual), title=f"residual: {residual}") for residual in (False, True)]
    page = browser.open(viz.page.save(tmp_path / "two.html", *flows), width, height)
    below = f"""(() => {{ const room = document.getElementById('middle').getBoundingClientRect().bottom;
      return [...document.querySelectorAll('#step .now')].map(card => [...card.querySelectorAll('{parts}')]
        .filter(part => part.getBoundingClientRect().bottom > room + 0.5).length); }})()"""
    page.click("#first")
    for _ in range(9):
        page.click("#next")
        assert page.evaluate(below) == [0, 0]
    page.call("Page.close")


def test_a_training_run_recolours(browser, pages):
    page = browser.open(pages("trained", lambda: viz.gradient_flow(trained(False), level="op")))
    colours = "[...document.querySelectorAll('.nodes>.n')].map(n => n.getAttribute('class')).join()"
    values = "[...document.querySelectorAll('.nodes .v')].map(n => n.textContent).join()"
    last, words = page.evaluate(colours), page.evaluate(values)
    page.evaluate("const t = document.getElementById('train'); t.value = 0; t.dispatchEvent(new Event('input'))")
    assert page.evaluate(colours) != last
    assert "step 1, loss" in page.evaluate("document.getElementById('trained').textContent")
    page.evaluate("const u = document.getElementById('train'); u.value = 3; u.dispatchEvent(new Event('input'))")
    assert page.evaluate(colours) == last and page.evaluate(values) == words
    assert page.complaints() == []
    page.call("Page.close")


def test_nothing_of_the_last_training_step_stands_under_an_earlier_one(browser, pages):
    """Loss in the header and on its node, claim, and what a screen reader hears."""
    flow = viz.gradient_flow(trained(False), level="op")
    page = browser.open(pages("trained", lambda: flow))
    loss = f"{flow.loss:.4g}"
    heard = "[...document.querySelectorAll('.nodes>.n')].map(n => n.getAttribute('aria-label')).join()"
    seen, labels = page.evaluate("document.body.innerText"), page.evaluate(heard)
    assert f"loss {loss}" in page.evaluate("document.querySelector('h1').innerText")
    assert f"value {loss}" in seen
    move = "const t{0} = document.getElementById('train'); t{0}.value = {0}; t{0}.dispatchEvent(new Event('input'))"
    page.evaluate(move.format(0))
    assert loss not in page.evaluate("document.querySelector('h1').innerText")
    assert f"value {loss}" not in page.evaluate("document.body.innerText")
    said = "getComputedStyle(document.getElementById('claim'), '::before').content"
    assert "At the last step" in page.evaluate(said)
    assert "those of the last one" in page.evaluate("document.body.innerText")
    assert page.evaluate(heard) != labels
    page.evaluate(move.format(3))
    assert page.evaluate("document.body.innerText") == seen and page.evaluate(heard) == labels
    assert page.evaluate(said) == "none" and "those of the last one" not in seen
    assert page.complaints() == []
    page.call("Page.close")


def test_the_words_of_every_training_step_fit_their_nodes(browser, tmp_path):
    """Also where the last step is NaN everywhere; what the last step warns of is not said of earlier ones."""
    flow = viz.gradient_flow(spoilt_at_the_end(), level="op")
    page = browser.open(flow.save(tmp_path / "spoilt.html"))
    gaps = """[...document.querySelectorAll('.nodes>.n')].filter(n => n.querySelector('.v')).map(n =>
      n.querySelector('.v').getBoundingClientRect().left - n.querySelector('.t').getBoundingClientRect().right)"""
    said = "[...document.querySelectorAll('.nodes .v')].map(v => v.textContent.replace(/^[▼▲●].*/, 'size'))"
    warning = "getComputedStyle([...document.querySelectorAll('.n .a')].find(a => a.textContent.includes('⚠'))).display"
    for step, words in enumerate([{"size"}, {"size"}, {"NaN"}]):
        page.evaluate(f"(() => {{ const t = document.getElementById('train'); t.value = {step};"
                      " t.dispatchEvent(new Event('input')); })()")  # fmt: skip
        assert min(page.evaluate(gaps)) > 3.0, step
        assert set(page.evaluate(said)) - {"loss"} <= words, step
        assert (page.evaluate(warning) == "none") == (step < 2)
    page.call("Page.close")


TOLD = [  # values of a training step in hundredths of a decade -> value, mark and words of their node, on a scale of 1
    ([-50], -0.5, "", "▼ 10^−0.5"),
    ([9000], None, "zero", "0 exactly"),
    ([9001], None, "nan", "NaN"),
    ([9002], None, "inf", "Inf"),
    ([], None, "", ""),
    ([-300, -200, -100], -2.0, "", "▼▼ 10^−3.0 … 10^−1.0"),
    ([-300, -100], -2.0, "", "▼▼ 10^−3.0 … 10^−1.0"),
    ([9000, -200, -100], -2.0, "", "▼▼ 0 … 10^−1.0"),
    ([9000, 9000, -100], None, "zero", "0 … 10^−1.0"),
    ([9001, -200, -100], -1.5, "nan", "NaN … 10^−1.0"),
    ([9002, -200, -100], -1.5, "inf", "Inf … 10^−1.0"),
]


def test_a_fold_says_of_an_earlier_step_what_it_says_of_the_last(browser, pages):
    """As in test_marks_inside_a_fold: marks go before sizes, and 0 is the smallest of them."""
    program = viz.page.document.script()
    parts = [("const ZERO", "const LEVELS"), ("const signed", "const raised"), ("const arrow", "function times"),
             ("function told", "/* One graph")]  # fmt: skip
    helpers = "".join(program[program.index(begin) : program.index(end)] for begin, end in parts)
    page = browser.open(pages("residual", residual))
    for values, value, mark, words in TOLD:
        found = page.evaluate(f"(() => {{ const D = {{scale: 1}}; {helpers} return told({values}); }})()")
        assert found == {"v": value, "m": mark, "words": words}
    page.call("Page.close")


def test_structure_only_has_no_transport(browser, tmp_path):
    with viz.record(net(2)) as recording:
        net(2)(tg.tensor(np.zeros((2, 9), np.float32)))
    page = browser.open(viz.gradient_flow(recording).save(tmp_path / "x.html"))
    assert page.evaluate("getComputedStyle(document.getElementById('transport')).display") == "none"
    page.key("ArrowRight")
    assert page.complaints() == [] and count(page, ".n.wait") == 0
    page.call("Page.close")


CHANGES = """(async () => {
    const found = [], frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    let changes = 0;
    const size = element => 1 + (element.children ? element.getElementsByTagName("*").length : 0);
    const count = records => records.forEach(r => { changes += [...r.addedNodes].reduce((n, e) => n + size(e), 1); });
    const observer = new MutationObserver(count);
    observer.observe(document, {attributes: true, characterData: true, childList: true, subtree: true});
    for (let i = 0; i < 60; i++) {
        changes = 0;
        document.getElementById("next").click();
        await frame();
        count(observer.takeRecords());
        found.push(changes);
    }
    observer.disconnect();
    return found;
})()"""  # of each of 60 steps: attributes and texts that change, and elements that come


@pytest.mark.slow
def test_a_step_of_resnet_110_changes_little(browser, tmp_path):
    """What it takes does not grow with the 390 nodes: at most 84 changes when this is written."""
    page = browser.open(viz.gradient_flow(recorded_loss(*resnet(110)), level="op").save(tmp_path / "resnet110.html"))
    page.wait("document.querySelectorAll('.nodes>.n').length === 390")
    page.key("Home")
    changes = page.evaluate(CHANGES)
    assert page.evaluate(GO) == "60"
    assert min(changes) >= 10 and max(changes) <= 130
    assert page.complaints() == []
    page.call("Page.close")
