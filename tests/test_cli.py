"""The command `tinygrad-course`, also as `python -m tinygrad_course`."""

import os
import subprocess
import sys

import pytest

import tinygrad_course
from tinygrad_course import cli, kernels

SCRIPT = "import sys; print(sys.argv[1:], __name__)"


def test_version(capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out.split() == ["tinygrad-course", tinygrad_course.__version__]


def test_as_a_module():
    command = [sys.executable, "-m", "tinygrad_course", "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert output.split() == ["tinygrad-course", tinygrad_course.__version__]


@pytest.mark.parametrize("arguments", [[], ["paint"], ["--nonsense"]])
def test_a_wrong_command_is_one_line_of_explanation(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(arguments)
    assert exit.value.code == 2
    assert "tinygrad-course: error: " in capsys.readouterr().err


def test_demo_is_given_all_that_follows(tmp_path, monkeypatch, capsys):
    (tmp_path / "plain_vs_residual.py").write_text(SCRIPT)
    monkeypatch.setattr(cli, "example", lambda name: tmp_path / name)
    monkeypatch.setattr(sys, "argv", ["tinygrad-course"])
    assert cli.main(["demo", "--quick", "--help", "--version"]) == 0
    assert capsys.readouterr().out.strip() == "['--quick', '--help', '--version'] __main__"


@pytest.mark.parametrize("place", ["examples", "package/examples"])
def test_example_is_found_in_a_checkout_and_in_a_wheel(place, tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    (tmp_path / place).mkdir()
    (tmp_path / place / "plain_vs_residual.py").write_text(SCRIPT)
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "package" / "cli.py"))
    assert cli.example("plain_vs_residual.py") == (tmp_path / place / "plain_vs_residual.py").resolve()


def test_a_missing_example_is_said(monkeypatch, capsys):
    monkeypatch.setattr(cli, "example", lambda name: None)
    with pytest.raises(SystemExit):
        cli.main(["demo"])
    assert "plain_vs_residual.py is missing" in capsys.readouterr().err


def test_warmup_without_a_compiler(monkeypatch, capsys):
    from tinygrad_course import kernels

    monkeypatch.setattr(kernels, "get_backend", lambda: "numpy")
    assert cli.main(["warmup", "--all"]) == 0
    assert "nothing to compile" in capsys.readouterr().out


WARM = """
import sys
from tinygrad_course import cli, kernels
from tinygrad_course.kernels import jit
cli.main(["warmup"])
for family in kernels.FAMILIES:
    for name, kernel in vars(kernels.module(family)).items():
        kernel = getattr(kernel, "kernel", kernel)
        dispatcher = getattr(kernel, "_body", None) or getattr(kernel, "_dispatcher", kernel)
        cached = "save_overload" in vars(getattr(dispatcher, "_cache", None) or object)
        if cached and not dispatcher.signatures:
            print("forgotten:", family, name)
"""


@pytest.mark.slow
def test_warmup_compiles_every_kernel():
    """… into the cache of this run of the tests, which want the same kernels."""
    pytest.importorskip("numba")
    environment = {**os.environ, "TINYGRAD_COURSE_BACKEND": "numba"}
    done = subprocess.run(
        [sys.executable, "-c", WARM], env=environment, capture_output=True, text=True, timeout=1000
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(kernels.cache_root()) in done.stdout and "forgotten" not in done.stdout
    assert "compiling kernels" in done.stderr and "for this processor, once" not in done.stderr
