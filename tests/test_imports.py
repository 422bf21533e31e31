"""Imports point down: a floor knows those below it, and nobody below knows who stands on it."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
ABOVE = {  # what lies here, in a folder or a file, never imports what is named there, in no function either
    "tinygrad_course": ["viz", "matplotlib", "graphviz", "pygraphviz", "torch"],
    "tinygrad_course/kernels": [
        f"tinygrad_course.{name}"
        for name in (
            "base", "function", "engine", "ops", "tensor", "operators", "nn", "optim", "data", "models", "train",
            "compiled",
        )
    ],
    "tinygrad_course/base.py": [f"tinygrad_course.{name}" for name in ("function", "engine", "ops", "tensor")],
    "tinygrad_course/function.py": [f"tinygrad_course.{name}" for name in ("engine", "ops", "tensor")],
    "tinygrad_course/engine.py": [f"tinygrad_course.{name}" for name in ("ops", "tensor")],
    "tinygrad_course/ops": [
        f"tinygrad_course.{name}"
        for name in ("engine", "tensor", "operators", "nn", "optim", "data", "models", "train")
    ],
    "tinygrad_course/nn": ["tinygrad_course.models", "tinygrad_course.train"],
    "viz": ["torch"],
    "viz/theory": ["tinygrad_course", "viz.graph", "viz.plots", "viz.page"],
}  # fmt: skip


def _imported(path):
    """The full names of what a file imports."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("place", ABOVE)
def test_nobody_knows_who_stands_on_him(place):
    files = sorted((ROOT / place).rglob("*.py")) or [ROOT / place]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in _imported(path)
        for above in ABOVE[place]
        if name == above or name.startswith(above + ".")
    ]
    assert not wrong


def test_relative_imports_are_understood():
    """The test above could not fail if they were not."""
    assert "tinygrad_course.kernels.jit.inner" in set(_imported(ROOT / "tinygrad_course/kernels/optim.py"))
    assert "tinygrad_course.function.Function" in set(_imported(ROOT / "tinygrad_course/ops/arithmetic.py"))
