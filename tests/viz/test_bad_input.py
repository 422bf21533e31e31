"""What is refused: one sentence that says what to do, the right type of error, and no half-written file."""

import os
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
import viz
from tinygrad_course import nn


def _freed():
    loss = (tg.tensor(2.0, requires_grad=True) ** 2.0) * 3.0
    loss.backward()
    return loss


def _recording(run=lambda: None):
    with viz.record() as recording:
        run()
    return recording


def _silent():
    return _recording(lambda: nets.loss_of(nets.net(1)))


def _without_parameters():
    return _recording(lambda: (tg.tensor([1.0, 2.0], requires_grad=True) * 2.0).sum().backward())


SOURCES = {
    "gradient_flow": viz.gradient_flow, "path_spectrum": viz.path_spectrum, "explain": viz.explain,
    "compare": lambda source: viz.compare(source, source),
}  # fmt: skip
# what is handed in, error, message
NO_LOSS = [
    (lambda: None, TypeError, "takes a .*loss.* function that returns .*, not NoneType"),
    (lambda: 3, TypeError, "not int"),
    (lambda: lambda: None, TypeError, "not NoneType"),
    (lambda: lambda: [tg.ones(1)], TypeError, "not list"),
    (lambda: nn.Linear(2, 2), TypeError, r"not a model: .*lambda: criterion\(model\(x\), y\)"),
    (lambda: tg.ones(1), RuntimeError, "this loss has no graph"),
    (lambda: tg.ones(1, requires_grad=True), RuntimeError, "this loss is a tensor that no operation made"),
    (lambda: lambda: tg.ones(3).sum(), RuntimeError, "this loss has no graph"),
    (lambda: tg.ones(2, requires_grad=True) * 2.0, RuntimeError, r"one number; this tensor has shape \(2,\)"),
    (_freed, RuntimeError, r"graph of this loss has been freed by loss\.backward\(\)"),
]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(("make", "error", "message"), NO_LOSS)
def test_no_loss(name, make, error, message):
    source = make()
    if name == "path_spectrum" and "freed" in message:
        source = nets.loss_of(nets.net(1))  # this one looks for skips first
        source.backward()
    with pytest.raises(error, match=message) as raised:
        SOURCES[name](source)
    assert "\n" not in str(raised.value) and raised.value.__cause__ is None


# what is done to a recording, error, message
RECORDINGS = [
    (_recording, viz.gradient_flow, RuntimeError, "nothing to draw: no operation ran .* inside `with viz.record`"),
    (_recording, lambda r: r.layers(), ValueError, r"no backward pass was recorded \(call loss\.backward\(\) inside"),
    (_recording, viz.layer_profile, ValueError, "no backward pass was recorded"),
    (_recording, lambda r: viz.compare(r, r), ValueError, "no backward pass was recorded"),
    (_silent, lambda r: r.gradient_history(), ValueError, "no backward pass was recorded"),
    (_without_parameters, viz.layer_profile, ValueError, "has no layers"),
    (_recording, lambda r: viz.record(3), TypeError, r"named_parameters\(\).*not be int"),
    (_recording, lambda r: viz.record(names=["a"]), TypeError, "names must be a dict .*, not list"),
    (_recording, lambda r: viz.record(every=0), ValueError, "every must be a whole number .*, got 0"),
    (_recording, lambda r: viz.record(every="2"), TypeError, "every must be a whole number of steps, not str"),
    (_recording, lambda r: viz.record(every=None), TypeError, "every must be a whole number of steps, not NoneType"),
    (_recording, lambda r: viz.record(every=np.inf), ValueError, "every must be a whole number .*, got inf"),
    (_recording, lambda r: viz.record(every=np.nan), ValueError, "every must be a whole number .*, got nan"),
    (_recording, lambda r: viz.record(every=1.5), ValueError, "every must be a whole number .*, got 1.5"),
    (_recording, lambda r: viz.explain(lambda: 1, names=[]), TypeError, "names must be a dict"),
    (_without_parameters, lambda r: viz.gradient_flow(r, names={}), ValueError, r"viz\.record\(model, names"),
    (_without_parameters, lambda r: viz.gradient_flow(r, theme="pink"), ValueError, "theme must be .*pink"),
    (_without_parameters, lambda r: viz.gradient_flow(r).to_svg(theme="pink"), ValueError, "theme must be one of"),
    (_recording, lambda r: viz.layer_profile(5), TypeError, "layer_profile takes a recording or a dict .*, not int"),
    (_recording, lambda r: viz.layer_profile({"a": 5}), TypeError, "layer_profile takes .*; 'a' is int"),
    (_recording, viz.page.to_html, TypeError, r"a page shows graphs, as viz\.gradient_flow makes them, not Recording"),
    (_recording, lambda r: viz.page.save("p.html", r), TypeError, "a page shows graphs"),
]


@pytest.mark.parametrize(("make", "act", "error", "message"), RECORDINGS)
def test_recordings_with_nothing_in_them(make, act, error, message):
    recording = make()
    with pytest.raises(error, match=message) as raised:
        act(recording)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("write", ["to_dot", "to_text", "to_svg", "to_html"])
def test_what_has_no_parameters_or_no_numbers_is_drawn_all_the_same(write):
    for flow in (
        viz.gradient_flow(_without_parameters()),
        viz.gradient_flow(_recording(lambda: (tg.ones(3) * 2.0).sum())),  # nothing wants a gradient
        viz.gradient_flow(lambda: (tg.zeros(0, 3, requires_grad=True) * 2.0).sum()),
    ):
        assert "mul" in getattr(flow, write)()


# ------------------------------------------------------------------------------------ names

NAMES = ["<b>&amp;</b>", "a \"quoted\" 'name'", "two\nlines\tand a tab", "emoji 🙂 ∂", "</script><!-- -->",
         "back\\slash\\n", "{{title}} $1", "\x00\x1b[31m", "x" * 200]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", ["to_dot", "to_text", "to_svg", "to_html"])
def test_names_of_modules_and_tensors(name, write):
    """As a layer's name, a tensor's and a title: one line of text, nothing that its format would take for its own."""
    model = nn.Sequential()
    model.add_module(name.replace(".", ""), nn.Linear(2, 2))
    x = tg.tensor(np.ones((3, 2), np.float32), requires_grad=True)
    flow = viz.gradient_flow(lambda: model(x).sum(), model, names={name: x}, title=name)
    assert repr(flow).isprintable() and len(repr(flow)) < 150
    text = getattr(flow, write)()
    assert "\x00" not in text and "\x1b" not in text
    if write == "to_html":
        assert text.count("<script") == text.count("</script>") == 3
    if write == "to_text":
        assert len(text.splitlines()) == len(viz.gradient_flow(lambda: model(x).sum()).to_text().splitlines())
    if write == "to_svg":
        ElementTree.fromstring(text)
        assert "<b>" not in text


# ------------------------------------------------------------------------------------ paths


def _flow():
    a = tg.tensor(2.0, requires_grad=True)
    return viz.gradient_flow(lambda: (a * a).tanh())


def _compared():
    recordings = [nets.recorded(nets.net(2, residual)) for residual in (False, True)]
    return viz.compare(*recordings)


WRITERS = {
    "svg": lambda path: _flow().save(path, renderer="builtin"),
    "png": lambda path: _flow().save(path, renderer="builtin"),
    "dot": lambda path: _flow().save(path),
    "txt": lambda path: _flow().save(path),
    "html": lambda path: viz.page.save(path, _flow()),
    "run": lambda path: _without_parameters().save(path),
    "pdf": lambda path: viz.save_figure(viz.layer_profile(nets.recorded(nets.net(1))), path),
}


@pytest.mark.parametrize("suffix", [*WRITERS, "sheet.png"])
@pytest.mark.parametrize(
    "fault", ["no folder", "a file as folder", "a folder as file", "no permission", "too long", "disk full"]
)
def test_a_path_that_cannot_be_written(suffix, fault, tmp_path, monkeypatch):
    save = WRITERS.get(suffix) or _compared().save
    path = tmp_path / f"x.{suffix}"
    message = "cannot write"
    if fault == "no folder":
        path = tmp_path / "nowhere" / path.name
    elif fault == "a file as folder":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / path.name
    elif fault == "too long":
        path = tmp_path / ("x" * 300 + path.name)
    elif fault == "a folder as file":
        path.mkdir()
    elif fault == "no permission":
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    else:
        path.write_text("the old one")
        monkeypatch.setattr(os, "replace", _fail)
        message = "cannot write .*: disk full"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match=message) as raised:
        save(path)
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before
    assert fault != "disk full" or path.read_text() == "the old one"


def test_a_sheet_says_what_it_can_be_written_as(tmp_path):
    with pytest.raises(ValueError, match=r"no known format; pictures are written as \.svg, \.png, \.pdf or \.html"):
        _compared().save(tmp_path / "x.jpg")


def _fail(*_):
    raise OSError("disk full")
