"""`tinygrad-course graph`: from a file with a net to a picture of its gradient flow.

The file gives a module, or a function that makes one. Its data are random numbers of the shape `--input` and its loss
is the sum of squares of the output, unless the file has `batch()`, which returns the input or (input, target), Tensors
or arrays, and `loss(output)` or `loss(output, target)`. It is run as a program is: it finds the files beside it.
"""

import argparse
import contextlib
import functools
import inspect
import operator
import os
import random
import runpy
import sys

import numpy as np

import tinygrad_course as tg
from tinygrad_course import nn

from .graph import gradient_flow
from .graph.aside import random_numbers_aside
from .graph.levels import LEVELS
from .graph.recorder import Recording
from .graph.render import FORMATS
from .graph.source import loss_from

SAVED = (".pickle", ".run")  # what a saved run is mostly called; a file by another name is one unless it ends in .py


class CommandError(Exception):
    """What is wrong, in one line."""


def _parser():
    parser = argparse.ArgumentParser("tinygrad-course graph", description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("source", help="FILE.py:name, a module or a function that makes one; or a run that was saved "
                                       f"with recording.save(…{SAVED[1]})")  # fmt: skip
    parser.add_argument("--input", metavar="3,32,32", help="shape of one sample, without the batch")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="samples (default: 4)")
    parser.add_argument("-o", "--output", metavar="PATH", help="file to write (default: standard output, as text)")
    parser.add_argument("--format", choices=FORMATS, help="by default the suffix of the output")
    parser.add_argument("--level", choices=["auto", *LEVELS], default="auto")
    parser.add_argument("--theme", default="light", help="light, dark, paper or contrast")
    parser.add_argument("--seed", type=int, default=0, help="of the library's random numbers, NumPy's and Python's")
    return parser


def run(options):
    """Do what the command line asks; raises CommandError, ValueError or OSError with one clear line."""
    text_only = options.output is None and options.format in (None, "txt")
    if options.output is None and not text_only:
        raise CommandError("a picture needs a file: add -o PATH")
    if options.batch < 1:
        raise CommandError(f"--batch must be at least 1, got {options.batch}")
    if not 0 <= options.seed < 2**32:
        raise CommandError(f"--seed must be between 0 and 2**32 - 1, got {options.seed}")
    shape = _shape(options.input)
    if _is_saved_run(options.source):
        recording, title = _saved_run(options.source), None
    else:
        path, name = _split(options.source)
        with random_numbers_aside():
            _seed(options.seed)
            recording, title = _record(path, name, shape, options), name
    flow = gradient_flow(recording, level=options.level, title=title)
    flow = flow.with_theme(options.theme)
    if text_only:
        print(flow.to_text())
    else:
        print(flow.save(options.output, file_format=options.format))
    return 0


def _shape(text):
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part)
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise CommandError(f"--input must be a shape such as 3,32,32, got {text!r}")
    return shape


def _seed(seed):
    """Every generator that a file may draw from: the same seed gives the same picture."""
    tg.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  it is what `np.random.randn` of a file draws from
    random.seed(seed)


def _is_saved_run(source):
    return source.endswith(SAVED) or (os.path.isfile(source) and not source.endswith(".py"))


def _split(source):
    path, separator, name = source.rpartition(":")
    if not separator or not path.endswith(".py") or not name:
        raise CommandError(f"expected FILE.py:name or a saved run ({', '.join(SAVED)}), got {source!r}")
    return path, name


def _saved_run(path):
    try:
        return Recording.load(path)
    except FileNotFoundError:
        raise CommandError(f"there is no file {path}") from None


def _record(path, name, shape, options):
    """The recording of one step of the net that a learner's file gives, in which anything may go wrong."""
    if not os.path.isfile(path):
        raise CommandError(f"there is no file {path}")
    with _beside(path):
        with _told(f"{path} failed"):
            found = runpy.run_path(path)
        if name not in found:
            public = [key for key, value in found.items() if callable(value) and not key.startswith("_")]
            raise CommandError(f"{path} has no {name!r}; it has: {', '.join(public) or 'nothing that can be called'}")
        drawn = " (its input was random numbers, float32; a function batch() in the file gives another)"
        hint = "" if "batch" in found else drawn if shape else " (does it need --input?)"
        with _told(f"{name} of {path}", hint):
            model = found[name]
            if not isinstance(model, nn.Module) and callable(model):
                model = model()
            if not isinstance(model, nn.Module):
                raise CommandError(f"{name} of {path} is no module and makes none, but {type(model).__name__}")
            x, *targets = _batch(found, model, shape, options)
            with Recording(model, details=True) as recording:
                _loss(found, model(x), targets).backward()
    return recording


@contextlib.contextmanager
def _beside(path):
    """Modules beside a file can be imported by it, as when it is the program itself."""
    before = list(sys.path)
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _told(what, hint=""):
    """Whatever is raised within becomes one line that names the file."""
    try:
        yield
    except CommandError as error:
        raise error from None
    except SystemExit as stop:
        raise CommandError(f"{what}: it ends the program with sys.exit({stop.code!r})") from None
    except Exception as error:
        raise CommandError(f"{what}: {_line(error)}{hint}") from None


def _line(error):
    """An error in one line; a bare `assert` has no words."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def _batch(found, model, shape, options):
    """(input, targets…) as Tensors."""
    if callable(found.get("batch")):
        batch = found["batch"]()
        batch = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        if not batch:
            raise CommandError("batch() returns nothing: it must return the input, or (input, target)")
        return [_as_tensor(one, model) for one in batch]
    if shape is None:
        raise CommandError("the input's shape is unknown: add --input 3,32,32, or a function batch() to the file")
    array = np.random.default_rng(options.seed).standard_normal((options.batch, *shape)).astype(np.float32)
    learns = any(parameter.requires_grad for parameter in model.parameters())
    return [tg.tensor(array, requires_grad=not learns)]  # of a net that learns nothing, one sees the way to its input


def _as_tensor(one, model):
    """An array as a Tensor, fractions in the parameters' own dtype: NumPy's random numbers are float64."""
    if isinstance(one, tg.Tensor) or not hasattr(one, "__array__"):
        return one
    array = np.asarray(one)
    if array.dtype.kind == "f":
        array = array.astype(next((p.data.dtype for p in model.parameters() if p.is_floating_point()), np.float32))
    return tg.tensor(array)


def _loss(found, output, targets):
    """The file's loss, which may do without the targets; or the sum of squares of all that the net returns."""
    if callable(found.get("loss")):
        loss = found["loss"]
        value = loss(output, *targets) if _takes(loss, output, *targets) else loss(output)
        if not isinstance(value, tg.Tensor):
            raise CommandError(f"loss() must return a Tensor, the loss itself, not {type(value).__name__}")
        return loss_from(value, "graph")
    outputs = [one for one in _flat(output) if one.is_floating_point()]
    if not outputs:
        raise CommandError(
            f"the net returns no Tensor of fractions to make a loss from, but {type(output).__name__}: "
            "add a function loss(output) to the file"
        )
    return functools.reduce(operator.add, [(one * one).sum() for one in outputs])


def _takes(function, *arguments):
    """Whether it can be called with these; yes where only the call will tell, or if it takes not even the first."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    for count in (len(arguments), 1):
        with contextlib.suppress(TypeError):
            signature.bind(*arguments[:count])
            return count == len(arguments)
    return True


def _flat(output):
    """The Tensors in nested tuples, lists and dicts, in order."""
    if isinstance(output, tg.Tensor):
        yield output
    elif isinstance(output, (tuple, list, dict)):
        for one in output.values() if isinstance(output, dict) else output:
            yield from _flat(one)


def main(arguments):
    """The command with these arguments; what is wrong becomes one line and exit status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except CommandError as error:
        return parser.exit(2, f"{parser.prog}: error: {str(error).splitlines()[0]}\n")  # without the usage
    except (ValueError, OSError, RuntimeError) as error:
        said = str(error).splitlines()
        return parser.exit(2, f"{parser.prog}: error: {said[0] if said else type(error).__name__}\n")
