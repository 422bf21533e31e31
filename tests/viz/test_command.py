"""`tinygrad-course graph`, the text picture, themes, and saved runs."""

import subprocess
import sys

import pytest
import viz_nets as nets

import viz
from tinygrad_course import cli
from viz.graph import theme

FILE = """
import tinygrad_course as tg
from tinygrad_course import nn
net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
def make(): return nn.Sequential(nn.Linear(5, 3))
seven = 7
def number(): return 3
seven = 7
def broken(): raise KeyError("two\\nlines")
"""
WITH_LOSS = """
def batch(): return tg.ones(2, 5), tg.tensor([0, 1])
def loss(output, target): return nn.CrossEntropyLoss()(output, target)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my net.py"
    path.write_text(FILE)
    return path


def _run(*arguments):
    return cli.main(["graph", *map(str, arguments)])


@pytest.mark.parametrize("name", ["net", "make"])
def test_text_is_the_default(file, name, capsys):
    assert _run(f"{file}:{name}", "--input", "5") == 0
    text = capsys.readouterr().out
    assert "(linear)" in text and "mul" in text and "10^" in text


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "txt", "html"])
def test_every_format(file, suffix, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    target = tmp_path / f"flow.{suffix}"
    assert _run(f"{file}:net", "--input", "5", "-o", target, "--theme", "dark", "--level", "op") == 0
    assert target.stat().st_size > 300
    assert capsys.readouterr().out.strip() == str(target)
    first = target.read_bytes()
    _run(f"{file}:net", "--input", "5", "-o", target, "--theme", "dark", "--level", "op")
    assert suffix == "pdf" or target.read_bytes() == first


def test_the_file_gives_batch_and_loss(file, capsys):
    file.write_text(FILE + WITH_LOSS)
    assert _run(f"{file}:net") == 0
    assert "cross_entropy" in capsys.readouterr().out


def test_a_saved_run(tmp_path, capsys):
    recording = nets.recorded(nets.net(2))
    path = recording.save(tmp_path / "a.run")
    assert _run(path) == 0
    assert "blocks.1.linear1" in capsys.readouterr().out
    again = viz.graph.Recording.load(path)
    assert viz.gradient_flow(again).to_dot() == viz.gradient_flow(recording).to_dot()
    assert again.layers() == recording.layers()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}:net"], "add --input"),
        (["{}:net", "--input", "5,a"], "--input must be a shape such as 3,32,32"),
        (["{}:net", "--input", "7"], "net of"),
        (["{}:nets", "--input", "5"], "has no 'nets'; it has: net, make"),
        (["{}:number", "--input", "5"], "is no module and makes none, but int"),
        (["{}:broken", "--input", "5"], "KeyError"),
        (["nowhere.py:net", "--input", "5"], "there is no file nowhere.py"),
        (["{}", "--input", "5"], "expected FILE.py:name"),
        (["{}:net", "--input", "5", "--format", "svg"], "add -o PATH"),
        (["{}:net", "--input", "5", "-o", "nowhere/flow.svg"], "there is no folder"),
        (["{}:net", "--input", "5", "-o", "flow.gif"], "no known format"),
        (["{}:net", "--input", "5", "--theme", "pink"], "theme must be one of light, dark, paper, contrast"),
        (["{}:net", "--input", "5", "--batch", "0"], "--batch must be at least 1"),
        (["nowhere.run"], "there is no file nowhere.run"),
        (["{}:seven", "--input", "5"], "is no module and makes none, but int"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, file, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        _run(*(argument.format(file) for argument in arguments))
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] in ([], ["__pycache__"])


def test_a_file_that_is_no_run(tmp_path, capsys):
    (tmp_path / "x.run").write_bytes(b"no pickle")
    with pytest.raises(SystemExit):
        _run(tmp_path / "x.run")
    assert "is not a run saved by" in capsys.readouterr().err


def test_the_command_line_imports_no_viz():
    code = "import sys, tinygrad_course.cli; assert not {'viz', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_text_shows_highways_marks_and_no_control_characters():
    flow = viz.gradient_flow(nets.recorded(nets.net(2)), title="a\x1b[31mnet")
    text = flow.to_text()
    assert "\x1b" not in text
    assert text.count("╯") == 1 + 2 and text.count("╮") == 1 + 2  # two highways and the legend's line
    structure = nets.net(1)
    with viz.record(structure) as recording:
        structure(nets.data()[0])
    assert "structure only" in viz.gradient_flow(recording).to_text()


def test_themes_differ_and_do_not_linger():
    flow = viz.gradient_flow(nets.recorded(nets.net(1)))
    texts = {name: flow.with_theme(name).to_dot() for name in theme.THEMES}
    assert len(set(texts.values())) == 4
    assert flow.to_dot() == texts["light"]
    assert theme.THEMES["light"]["INK"] == theme.INK
    assert theme.THEMES["dark"]["PAPER"] in texts["dark"]
    with pytest.raises(ValueError, match="theme must be one of"):
        flow.with_theme("pink")
