"""run.py without the network: what it would do, and what it says when it cannot."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "run.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="run.py is part of a checkout only")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """run.py as a module, at home in an empty folder with a pyproject.toml."""
    spec = importlib.util.spec_from_file_location("run_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(module, "STAMP", str(tmp_path / ".venv" / "stamp.json"))
    monkeypatch.setattr(module, "PYTHON", sys.executable)
    (tmp_path / ".venv").mkdir()
    return module


@pytest.fixture
def machine(run, monkeypatch):
    """machine("uv", "ensurepip"): pretend that this computer has these tools and no others."""

    def has(*tools):
        class Found:
            origin = "/usr/lib/pip/__init__.py"

        monkeypatch.setattr(run.shutil, "which", lambda name: name if name in tools else None)
        monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: Found if name in tools else None)

    return has


@pytest.fixture
def calls(run, monkeypatch):
    """The commands that run.py starts. Those that contain a word of `calls.failing` fail."""

    class Calls(list):
        failing = ()

    commands = Calls()

    def call(command, **options):
        commands.append(command)
        text = " ".join(command)
        if "venv" in command:
            pathlib.Path(run.VENV).mkdir(exist_ok=True)
        failed = any(word in text for word in commands.failing)
        return subprocess.CompletedProcess(command, int(failed), b"output of " + command[-1].encode())

    monkeypatch.setattr(run.subprocess, "run", call)
    return commands


@pytest.mark.parametrize(
    ("installed", "needed", "expected"),
    [
        ([], [], None),
        (["test"], ["test"], None),
        (["render", "test"], ["test"], None),
        ([], ["test"], ["test"]),
        (["lint"], ["test", "render"], ["lint", "render", "test"]),
    ],
)
def test_extras_add_up_and_are_installed_once(run, installed, needed, expected):
    stamp = {"fingerprint": run.fingerprint(), "extras": installed}
    assert run.extras_to_install(stamp, needed) == expected


@pytest.mark.parametrize("stamp", [{}, {"unfinished": True}, {"fingerprint": "other", "extras": ["test"]}])
def test_other_stamps_install(run, stamp):
    assert run.extras_to_install(stamp, ["test"]) == ["test"]


def test_fingerprint_follows_pyproject_and_place(run, tmp_path, monkeypatch):
    first = run.fingerprint()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    second = run.fingerprint()
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    monkeypatch.setattr(run, "ROOT", str(tmp_path / "moved"))
    assert len({first, second, run.fingerprint()}) == 3


@pytest.mark.parametrize("text", ["", "{", "7", "[1, 2]", "\xff"])
def test_a_damaged_stamp_counts_as_none(run, text):
    pathlib.Path(run.STAMP).write_text(text, encoding="latin-1")
    assert run.read_stamp() == {}


def test_every_extra_is_in_pyproject(run):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.split("[project.optional-dependencies]")[1].split("\n[")[0]
    for extras, _, _ in run.COMMANDS.values():
        for extra in extras:
            assert f"\n{extra} = " in section


@pytest.mark.parametrize(
    ("tools", "makers", "installers"),
    [
        (["uv", "venv", "ensurepip", "pip"], ["uv venv", "-m venv"], ["uv pip", "-m pip"]),
        (["venv", "ensurepip"], ["-m venv"], ["-m pip"]),
        (["venv", "pip"], ["--without-pip"], ["-m pip"]),
        (["uv", "venv", "pip"], ["uv venv", "--without-pip"], ["uv pip", "-m pip"]),
        (["uv"], ["uv venv"], ["uv pip"]),
    ],
)
def test_ways_to_make_the_environment(run, machine, tools, makers, installers):
    machine(*tools)
    ways = run.ways()
    assert len(ways) == len(makers)
    for (make, installer), maker, name in zip(ways, makers, installers, strict=True):
        assert maker in " ".join(make[0])
        assert name in " ".join(installer)


def test_pip_of_the_machine_is_run_by_the_environment(run, machine):
    machine("venv", "pip")
    [(make, _)] = run.ways()
    assert make[1][:3] == [run.PYTHON, "/usr/lib/pip", "install"]


@pytest.mark.parametrize("tools", [[], ["venv"], ["pip"], ["ensurepip"]])
@pytest.mark.parametrize("managed", [False, True])
def test_no_way_is_said_in_one_sentence(run, machine, tools, managed, monkeypatch, capsys):
    machine(*tools)
    monkeypatch.setattr(run.os.path, "exists", lambda path: managed)
    assert run.main(["test"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "ensurepip" in line and "apt install python3-venv" in line
    assert ("managed by the operating system" in line) == managed


def test_too_old_a_python_is_said_in_one_sentence(run, monkeypatch, capsys):
    monkeypatch.setattr(run.sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(run.sys, "version", "3.9.18 (main)")
    assert run.main(["demo"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "3.10" in line and "3.9.18" in line


def test_install_notes_what_it_did(run, machine, calls):
    machine("venv", "ensurepip")
    run.install(["test"])
    assert calls[-1][-2:] == ["-e", ".[test]"]
    assert run.extras_to_install(run.read_stamp(), ["test"]) is None


def test_a_working_environment_is_kept(run, machine, calls):
    machine("venv", "ensurepip")
    marker = pathlib.Path(run.VENV, "marker")
    marker.touch()
    run.install([])
    assert marker.exists()
    assert calls[-1][-2:] == ["-e", "."]


@pytest.mark.parametrize("broken", ["unfinished", "python"])
def test_a_broken_environment_is_made_anew(run, machine, calls, broken):
    machine("venv", "ensurepip")
    marker = pathlib.Path(run.VENV, "marker")
    marker.touch()
    if broken == "unfinished":
        run.write_stamp({"unfinished": True})
    else:
        calls.failing = ["assert sys.version_info"]
    run.install([])
    assert not marker.exists()
    assert calls[-2][1:] == ["-m", "venv", run.VENV]


def test_pip_takes_over_when_uv_fails(run, machine, calls):
    machine("uv", "venv", "ensurepip")
    run.write_stamp({"unfinished": True})
    calls.failing = ["uv pip"]
    run.install([])
    assert "pip" in calls[-1] and "uv" not in calls[-1]


def test_a_failed_update_keeps_the_environment_and_its_note(run, machine, calls, capsys):
    machine("venv", "ensurepip")
    old = {"fingerprint": "older", "extras": ["test"]}
    run.write_stamp(old)
    calls.failing = ["install"]
    with pytest.raises(run.Problem, match="network"):
        run.install(["test"])
    assert run.read_stamp() == old
    assert capsys.readouterr().err == "output of .[test]"


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code_is_the_childs(run, code):
    assert run.run([sys.executable, "-c", f"raise SystemExit({code})"], None) == code


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_death_by_signal_is_an_exit_code_as_in_a_shell(run):
    assert run.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], None) == 137


def test_command_line(run, monkeypatch):
    monkeypatch.setattr(run, "install", lambda extras: pytest.fail("nothing to install"))
    started = []
    monkeypatch.setattr(run, "run", lambda command, cwd: started.append((command, cwd)) or 5)
    run.write_stamp({"fingerprint": run.fingerprint(), "extras": ["render", "test"]})
    assert run.main(["test", "-k", "conv", "--maxfail=1"]) == 5
    assert started[0][0][1:] == ["-m", "pytest", "-n", "auto", "--dist", "worksteal", "-k", "conv", "--maxfail=1"]
    assert run.main(["demo", "--quick"]) == 5
    assert started[1][0][-1] == "--quick" and started[1][0][1].endswith("plain_vs_residual.py")


@pytest.mark.parametrize("arguments", [[], ["paint"], ["--help"]])
def test_unknown_commands_show_the_usage(arguments):
    result = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "run.py demo" in result.stdout
