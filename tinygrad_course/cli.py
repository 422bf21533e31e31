"""The command `tinygrad-course`."""

import argparse
import importlib.metadata
import pathlib
import runpy
import sys

from . import __version__

OTHERS = "tinygrad_course.commands"  # entry points: commands of packages that stand on this one, such as viz
WARMUP = """Compile the kernels for this processor and keep them in the cache, whose folder TINYGRAD_COURSE_CACHE
can name. Without it, each kernel is compiled when it is first called."""


def warmup(float64):
    """Compile all kernels, and say how long it took and where they are."""
    from . import kernels

    if kernels.get_backend() != "numba":
        print("nothing to compile: kernels run on NumPy")
        return 0
    from .warmup import warmup

    seconds = warmup(float64)
    print(f"all kernels compiled, or found compiled, in {seconds:.0f} s; they are kept in {kernels.cache_root()}")
    return 0


def example(name):
    """An example's path: in a checkout it is in examples/, in a wheel inside the package. None if nowhere."""
    package = pathlib.Path(__file__).resolve().parent
    for folder in (package.parent / "examples", package / "examples"):
        if (folder / name).is_file():
            return folder / name
    return None


def main(arguments=None):
    """Run the command with these arguments, by default the process's, and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser("tinygrad-course", description="Deep nets from scratch, with pictures.")
    parser.add_argument("--version", action="version", version=f"tinygrad-course {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    commands.add_parser(
        "demo",
        add_help=False,
        help="train a plain and a residual deep net and draw their gradient flow (demo --help: its options)",
    )
    others = {command.name: command for command in importlib.metadata.entry_points(group=OTHERS)}
    for name, command in others.items():
        commands.add_parser(name, add_help=False, help=f"a command of {command.module} ({name} --help: what it does)")
    warm = commands.add_parser(
        "warmup", help="compile all kernels now, so that no later run has to wait", description=WARMUP
    )
    warm.add_argument("--all", action="store_true", help="for float64, too, which gradient checks use")
    if arguments and arguments[0] in others:
        return others[arguments[0]].load()(arguments[1:])  # imported only now
    options = parser.parse_args(arguments[:1] if arguments[:1] == ["demo"] else arguments)
    if options.command == "warmup":
        return warmup(options.all)

    script = example("plain_vs_residual.py")
    if script is None:
        parser.error("the example plain_vs_residual.py is missing; install tinygrad-course again")
    sys.argv = [str(script), *arguments[1:]]  # all that follows `demo` is the example's own
    runpy.run_path(str(script), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
