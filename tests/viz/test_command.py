"""`tinygrad-course graph`, the text picture, themes, and saved runs."""

import contextlib
import pickle
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import viz_nets as nets

import tinygrad_course as tg
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


TENSORS = "tg.ones(2, 5), tg.tensor([0, 1])"
ARRAYS = "np.random.randn(2, 5), np.array([0, 1])"
CROSS_ENTROPY = "def loss(output, target): return nn.CrossEntropyLoss()(output, target)"
NETS = """
import random
import numpy as np
import tinygrad_course as tg
from tinygrad_course import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 2)
    def forward(self, x):
        y = self.layer(x)
        return RETURNED
"""
# what the net returns, what batch() returns, loss, what the picture shows
FILES = [
    ("y", f"({TENSORS})", CROSS_ENTROPY, "cross_entropy"),
    ("y", f"[{TENSORS}]", CROSS_ENTROPY, "cross_entropy"),
    ("y", f"({ARRAYS})", CROSS_ENTROPY, "cross_entropy"),
    ("y", f"({TENSORS})", "def loss(output): return (output ** 2).mean()", "mean"),
    ("y", f"({TENSORS})", "loss = nn.CrossEntropyLoss()", "cross_entropy"),
    ("y", f"({TENSORS})", "", "sum"),
    ("y", "np.ones((2, 5))", "", "sum"),
    ("{'out': y, 'more': [y * 3, None]}", "tg.ones(2, 5)", "", "add"),
    ("y, (y.tanh(), [y.exp()])", "tg.ones(2, 5)", "", "exp"),
    ("y, y.argmax(1)", "tg.ones(2, 5)", "", "sum"),
    ("y * random.random() * np.random.rand()", "tg.ones(2, 5)", "", "sum"),
]


@pytest.mark.parametrize(("returned", "batch", "loss", "shown"), FILES)
def test_what_a_file_may_give(returned, batch, loss, shown, tmp_path, capsys):
    """Tensors or arrays, one or several, nested as they may be; and the same seed gives the same bytes."""
    path = tmp_path / "net.py"
    path.write_text(f"{NETS.replace('RETURNED', returned)}\ndef batch(): return {batch}\n{loss}\n")
    written = set()
    for _ in range(2):
        assert _run(f"{path}:Net", "--seed", "1", "-o", tmp_path / "flow.dot", "--level", "op") == 0
        written.add((tmp_path / "flow.dot").read_bytes())
    assert len(written) == 1 and shown.encode() in written.pop()


def test_the_command_leaves_random_numbers_alone(tmp_path):
    """Called from a program: what that draws next does not depend on it, whether the file can be drawn or not."""
    path, wrong = tmp_path / "net.py", tmp_path / "wrong.py"
    path.write_text(NETS.replace("RETURNED", "y * random.random() * np.random.rand()"))
    wrong.write_text("import random\nrandom.seed(1)\nx = 1 / 0\n")
    found = []
    for command in (lambda: None, lambda: _run(f"{path}:Net", "--input", "5"), lambda: _run(f"{wrong}:Net")):
        tg.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        random.seed(5)
        with contextlib.suppress(SystemExit):
            command()
        found.append((tg.rand(1).item(), np.random.rand(), random.random()))  # noqa: NPY002
    assert len(set(found)) == 1


def test_a_net_that_learns_nothing_is_drawn_down_to_its_input(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text("from tinygrad_course import nn\nnet = nn.Sequential(nn.Tanh(), nn.ReLU())\n")
    assert _run(f"{path}:net", "--input", "5") == 0
    shown = capsys.readouterr().out
    assert "0 (tanh)" in shown and "variable" in shown and "10^" in shown.split("variable")[1].split("\n")[0]


# what the net returns, what else the file has, message
REFUSED = [
    ("None", "", "returns no Tensor of fractions to make a loss from, but NoneType"),
    ("{'a': []}", "", "returns no Tensor of fractions to make a loss from, but dict"),
    ("y", "def loss(output): return 3.0", "loss() must return a Tensor, the loss itself, not float"),
    ("y", "def loss(output): return tg.tensor(3.0)", "RuntimeError: this loss has no graph"),
    ("y", "def loss(output): return output", "a loss is one number; this tensor has shape (4, 2)"),
    ("y", "def loss(output, target): return output.sum()", "missing 1 required positional argument: 'target'"),
    ("y", "def batch(): return ()", "batch() returns nothing: it must return the input"),
    ("y", "import sys; sys.exit('boo')", "net.py failed: it ends the program with sys.exit('boo')"),
    ("exit()", "", "Net of"),
    ("y", "assert False", "net.py failed: AssertionError"),
    ("y", "def loss(output): assert False", "net.py: AssertionError"),
]


@pytest.mark.parametrize(("returned", "more", "message"), REFUSED)
def test_what_a_file_may_not(returned, more, message, tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text(f"{NETS.replace('RETURNED', returned)}\n{more}\n")
    with pytest.raises(SystemExit) as stop:
        _run(f"{path}:Net", "--input", "5")
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1


def test_a_file_finds_what_lies_beside_it(tmp_path):
    """As a program does; an installed command does not have the folder on its path."""
    (tmp_path / "beside_it.py").write_text("WIDTH = 5\n")
    (tmp_path / "later_it.py").write_text("WIDTH = 2\n")
    (tmp_path / "net.py").write_text(
        "from beside_it import WIDTH\nfrom tinygrad_course import nn\n"
        "def make():\n    import later_it\n    return nn.Linear(WIDTH, later_it.WIDTH)\n"
    )
    code = "import sys; from tinygrad_course.cli import main; before = list(sys.path); main(sys.argv[1:]);"
    code = f"import sys; sys.path[:] = {sys.path!r}; {code} assert sys.path == before"
    command = [sys.executable, "-P", "-c", code, "graph", f"{tmp_path}/net.py:make", "--input", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "4×2" in done.stdout


@pytest.mark.parametrize("name", ["a.run", "a.pkl", "run of today", "net.py.run"])
def test_a_saved_run_by_any_name(name, tmp_path, capsys):
    assert _run(nets.recorded(nets.net(1)).save(tmp_path / name)) == 0
    assert "blocks.0.linear1" in capsys.readouterr().out


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
        (["{}:net", "--input", "7"], "a function batch() in the file gives another"),
        (["nowhere.py:net", "--input", "5"], "there is no file nowhere.py"),
        (["{}", "--input", "5"], "expected FILE.py:name"),
        (["{}:net", "--input", "5", "--format", "svg"], "add -o PATH"),
        (["{}:net", "--input", "5", "-o", "nowhere/flow.svg"], "there is no folder"),
        (["{}:net", "--input", "5", "-o", "flow.gif"], "no known format"),
        (["{}:net", "--input", "5", "--theme", "pink"], "theme must be one of light, dark, paper, contrast"),
        (["{}:net", "--input", "5", "--batch", "0"], "--batch must be at least 1"),
        (["{}:net", "--input", "5", "--seed", "-1"], "--seed must be between 0 and 2**32 - 1, got -1"),
        (["{}:net", "--input", "5", "--seed", "9999999999"], "--seed must be between 0 and 2**32 - 1, got 9999999999"),
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


NO_RUNS = [b"no pickle", b"", b"\x80", pickle.dumps({}), pickle.dumps([1, 2]), pickle.dumps(3),
           pickle.dumps({"_steps": 3, "_last": None}), pickle.dumps({"_steps": [], "_last": {}}),
           b"cnowhere\nnothing\n."]  # fmt: skip


@pytest.mark.parametrize("content", NO_RUNS)
def test_a_file_that_is_no_run(content, tmp_path, capsys):
    path = tmp_path / "x.run"
    path.write_bytes(content)
    with pytest.raises(SystemExit):
        _run(path)
    assert f"{path} is not a run saved by recording.save" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is not a run saved by"):
        viz.graph.Recording.load(path)


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


def test_a_bar_of_one_decade_is_one_decade_long():
    flow = viz.gradient_flow(nets.recorded(nets.net(2)))
    assert flow.with_scale(1).to_text().splitlines()[-2].endswith("is 1 decade long")
    assert flow.with_scale(2).to_text().splitlines()[-2].endswith("is 2 decades long")


def test_a_long_title_and_a_long_operation_are_each_shortened_by_themselves():
    """An unrolled net without modules: names made of operations, and many of them."""
    tg.manual_seed(0)
    w, u = (tg.random.randn(4, 4).requires_grad_() for _ in range(2))

    def loss():
        h = tg.zeros(2, 4)
        for _ in range(60):
            h = (tg.ones(2, 4) @ u + h @ w).tanh()
        return (h**2.0).sum()

    for level in ("op", "module", "block", "folded"):
        rows = viz.gradient_flow(loss, names={"w": w, "u": u}, level=level).to_text().splitlines()
        names = [row.split("  ")[0] for row in rows[4:] if row.strip()]
        names = [name for name in names if "tanh" in name]
        form = r"\S+( … \S+)?( \([\d …]+\))?( \(.+\))?( ×\d+)?"  # a title, an operation, repeats: each whole
        assert names and all(re.fullmatch(form, name) for name in names), names
        assert all(name.count("(") == name.count(")") for name in names) and max(map(len, names)) < 60


def test_themes_differ_and_do_not_linger():
    flow = viz.gradient_flow(nets.recorded(nets.net(1)))
    texts = {name: flow.with_theme(name).to_dot() for name in theme.THEMES}
    assert len(set(texts.values())) == 4
    assert flow.to_dot() == texts["light"]
    assert theme.THEMES["light"]["INK"] == theme.INK
    assert theme.THEMES["dark"]["PAPER"] in texts["dark"]
    with pytest.raises(ValueError, match="theme must be one of"):
        flow.with_theme("pink")
