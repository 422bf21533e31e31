"""Runs the project on a bare machine: makes .venv once, installs what the command needs into it, and runs it.

    python3 run.py demo [options of examples/plain_vs_residual.py]
    python3 run.py test | bench | lint [options of pytest, of tests/benchmarks, or of ruff check]

Needs Python 3.10 or newer and nothing else: uv does the work where it is on the PATH, otherwise venv and pip.
Nothing is ever installed outside .venv, so a Python managed by the operating system stays as it is.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "tinygrad_course.json")
PYTHON = os.path.join(VENV, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"]))

COMMANDS = {  # name: (extras of pyproject.toml, what the environment's Python is given, where it runs)
    "demo": ([], [os.path.join(ROOT, "examples", "plain_vs_residual.py")], None),
    "test": (["render", "test"], ["-m", "pytest", "-n", "auto", "--dist", "worksteal"], ROOT),
    "lint": (["lint"], ["-m", "ruff", "check", "."], ROOT),
    "bench": (["bench"], [os.path.join(ROOT, "tests", "benchmarks")], ROOT),
}


class Problem(Exception):
    """What is wrong and what to do about it, in one sentence."""


def fingerprint():
    """Changes when the installation must be redone: with pyproject.toml, and when the folder has moved."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(file.read() + os.fsencode(ROOT)).hexdigest()


def read_stamp():
    """What was noted in the environment; {} without a note that can be read."""
    try:
        with open(STAMP, encoding="utf-8") as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def write_stamp(stamp):
    with open(STAMP, "w", encoding="utf-8") as file:
        json.dump(stamp, file)


def extras_to_install(stamp, needed):
    """None when the environment is up to date, else its extras and the needed ones together."""
    extras = sorted({*stamp.get("extras", ()), *needed})
    return None if stamp == {"fingerprint": fingerprint(), "extras": extras} else extras


def ways():
    """How .venv can be made and filled here, best first: [(commands that make it, installer)]."""
    python = getattr(sys, "_base_executable", None) or sys.executable  # not .venv's own, which may have to go
    installer = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    venv, ensurepip, pip = map(importlib.util.find_spec, ("venv", "ensurepip", "pip"))
    found = []
    if shutil.which("uv"):
        uv = ["uv", "pip", "install", "-q", "--python", PYTHON]
        found.append(([["uv", "venv", "-q", "--python", python, VENV]], uv))
    if venv and ensurepip:
        found.append(([[python, "-m", "venv", VENV]], installer))
    elif venv and pip:  # the machine's pip, run by the environment's Python, puts a pip into the environment
        bootstrap = [PYTHON, os.path.dirname(pip.origin), "install", "-q", "--ignore-installed", "pip"]
        found.append(([[python, "-m", "venv", "--without-pip", VENV], bootstrap], installer))
    if not found:
        managed = os.path.exists(os.path.join(os.path.dirname(os.__file__), "EXTERNALLY-MANAGED"))
        owner = "is managed by the operating system and " if managed else ""
        raise Problem(f"{python} {owner}lacks ensurepip: `apt install python3-venv`, or install uv")
    return found


def succeeds(command, quiet=False):
    """Run it, and show what it printed if it fails (but not if Ctrl-C ends it)."""
    with contextlib.suppress(OSError):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0 and not quiet:
            sys.stderr.write(done.stdout.decode(errors="replace"))
        return done.returncode == 0
    return False


def usable(module="sys"):
    """Was the environment finished, does its Python start, is it new enough, and has it this module?"""
    check = f"import sys, {module}; assert sys.version_info >= (3, 10)"
    return "unfinished" not in read_stamp() and succeeds([PYTHON, "-c", check], quiet=True)


def install(extras):
    """Bring .venv up to date; make it anew if it is broken, or if an earlier set-up in it was cut short."""
    start, stamp, possible = time.time(), read_stamp(), ways()
    print("Installing what is needed into .venv; the first time takes about a minute ...", flush=True)
    keep = usable("sys" if possible[0][1][0] == "uv" else "pip")
    for make, installer in possible:
        if not keep:
            if os.path.lexists(VENV):
                (shutil.rmtree if os.path.isdir(VENV) and not os.path.islink(VENV) else os.remove)(VENV)
            if not all(map(succeeds, make)):
                continue
        write_stamp({"unfinished": True})
        if succeeds([*installer, "-e", f".[{','.join(extras)}]" if extras else "."]):
            write_stamp({"fingerprint": fingerprint(), "extras": extras})
            return print(f"Ready after {time.time() - start:.0f} s.", flush=True)
        if keep:
            write_stamp(stamp)  # what was there still works, and the network may be back tomorrow
            break
    raise Problem("the set-up failed for the reason above; is the network reachable?")


def run(command, cwd):
    """Run it to its end, Ctrl-C included, which it hears too; give its exit code."""
    child = subprocess.Popen(command, cwd=cwd, env={"PYTHONUTF8": "1", **os.environ})
    while child.returncode is None:
        with contextlib.suppress(KeyboardInterrupt):
            child.wait()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def main(arguments):
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__)
        return 2
    needed, start, cwd = COMMANDS[arguments[0]]
    try:
        if not sys.version_info >= (3, 10):
            raise Problem(f"Python 3.10 or newer is needed; {sys.executable} is {sys.version.split()[0]}")
        extras = extras_to_install(read_stamp() if usable() else {}, needed)
        if extras is not None:
            install(extras)
            succeeds([PYTHON, "-m", "compileall", "-q", "tinygrad_course", "viz"], quiet=True)  # for a quick import
        return run([PYTHON, *start, *arguments[1:]], cwd)
    except (Problem, OSError) as problem:
        print(f"run.py: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
