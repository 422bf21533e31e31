"""The main example: what it writes, what it says when it is stopped or cannot write, and what it must show."""

import importlib.util
import json
import pathlib

import pytest

PATH = pathlib.Path(__file__).parent.parent / "examples" / "plain_vs_residual.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("plain_vs_residual", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SMALL = ["--data", "digits", "--width", "16", "--epochs", "2", "--depth", "4", "--depth", "8", "--seed", "1"]
PICTURES = [
    "gradient_flow_plain_8", "gradient_flow_residual_8", "profile_start", "profile_training", "summary",
    "training_error",
]  # fmt: skip


def test_writes_every_kind_of_file(example, tmp_path, capsys):
    assert example.main([*SMALL, "--out", str(tmp_path / "new" / "folder")]) == 0
    out = tmp_path / "new" / "folder"
    names = {path.name for path in out.iterdir()}
    assert names == {f"{name}.{suffix}" for name in PICTURES for suffix in ("svg", "png")} | {"results.json"}
    for path in out.glob("*.svg"):
        assert "<svg" in path.read_text(encoding="utf-8")[:2000]
    for path in out.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    results = json.loads((out / "results.json").read_text())
    assert [(r["net"], r["depth"], r["seed"]) for r in results["runs"]] == [
        ("plain", 8, 1), ("residual", 8, 1), ("plain", 4, 1), ("residual", 4, 1),
    ]  # fmt: skip
    for run in results["runs"]:
        assert 0 <= run["train_error"] <= 1 and 0 <= run["test_error"] <= 1
        assert 0.5 < run["grad_slope"] < 3 and run["input_gradient"] > 0
    printed = capsys.readouterr().out
    assert results["conclusion"] in printed
    for name, theory in results["theory"].items():  # THEORY: per-layer slopes, 3 % for one seed at this width
        assert name in printed
        assert theory["measured"] == pytest.approx(theory["predicted"], rel=0.03)


def test_the_same_seed_gives_the_same_numbers(example, tmp_path):
    runs = []
    for name in ("a", "b"):
        assert example.main([*SMALL, "--out", str(tmp_path / name)]) == 0
        runs.append(json.loads((tmp_path / name / "results.json").read_text())["runs"])
    assert runs[0] == runs[1]


def test_ctrl_c_leaves_what_was_done_and_says_so(example, tmp_path, capsys, monkeypatch):
    train_one = example.Study.train_one

    def interrupted(study, *arguments):
        if len(study.runs) == 2:
            raise KeyboardInterrupt
        train_one(study, *arguments)

    monkeypatch.setattr(example.Study, "train_one", interrupted)
    assert example.main([*SMALL, "--out", str(tmp_path)]) == 130
    assert "stopped by Ctrl-C after 2 of 4 runs" in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["runs"]) == 2 and results["settings"]["interrupted"]
    assert (tmp_path / "summary.png").exists()


def test_ctrl_c_before_the_first_run_is_done(example, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(example.Study, "train_one", interrupted)
    assert example.main([*SMALL, "--out", str(tmp_path)]) == 130
    printed = capsys.readouterr().out
    assert "No run was finished" in printed
    assert json.loads((tmp_path / "results.json").read_text())["runs"] == []


def test_an_output_folder_that_cannot_be_made(example, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert example.main([*SMALL, "--out", str(tmp_path / "file" / "out")]) == 2
    error = capsys.readouterr().err
    assert "cannot write into" in error and "--out" in error


@pytest.mark.parametrize("arguments", [["--depth", "7"], ["--depth", "2"], ["--width", "0"], ["--seed", "-1"]])
def test_options_that_make_no_sense(example, arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        example.main(arguments)
    assert stopped.value.code == 2
    assert arguments[1] in capsys.readouterr().err



@pytest.mark.slow
def test_degradation(example, tmp_path):
    """He et al. 2016: depth raises the plain net's training error, and not the residual net's. Three seeds."""
    assert example.main(["--depth", "6", "--depth", "54", "--epochs", "2", "--out", str(tmp_path)]) == 0
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]

    def errors(net, depth):
        return [run["train_error"] for run in runs if (run["net"], run["depth"]) == (net, depth)]

    assert min(errors("plain", 54)) > max(errors("plain", 6)) + 0.3
    assert max(errors("residual", 54)) < max(errors("residual", 6)) + 0.02
    for run in runs:
        if run["net"] == "plain" and run["depth"] == 54:  # width 64: the slope's spread over seeds is 1 %
            assert run["grad_slope"] == pytest.approx(1.467, rel=0.03)
            assert run["input_gradient"] > 1000
        if run["net"] == "residual":
            assert run["input_gradient"] < 10
