"""`tinygrad-course graph`: from a file with a net to a picture of its gradient flow.

The file gives a module, or a function that makes one. Its data are random numbers of the shape `--input` and its loss
is the sum of squares of the output, unless the file has `batch()`, which returns the input or (input, target), and
`loss(output)` or `loss(output, target)`.
"""

import argparse
import functools
import operator
import pickle
import runpy

import numpy as np

import tinygrad_course as tg
from tinygrad_course import nn

from .graph import gradient_flow
from .graph.levels import LEVELS
from .graph.recorder import Recording
from .graph.render import FORMATS

SAVED = (".pickle", ".run")


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
    parser.add_argument("--seed", type=int, default=0)
    return parser


def run(options):
    """Do what the command line asks; raises CommandError, ValueError or OSError with one clear line."""
    text_only = options.output is None and options.format in (None, "txt")
    if options.output is None and not text_only:
        raise CommandError("a picture needs a file: add -o PATH")
    if options.batch < 1:
        raise CommandError(f"--batch must be at least 1, got {options.batch}")
    shape = _shape(options.input)
    if options.source.endswith(SAVED):
        recording, title = _saved_run(options.source), None
    else:
        path, name = _split(options.source)
        tg.manual_seed(options.seed)
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
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, TypeError):
        raise CommandError(f"{path} is not a run saved by recording.save") from None


def _record(path, name, shape, options):
    try:
        found = runpy.run_path(path)
    except FileNotFoundError:
        raise CommandError(f"there is no file {path}") from None
    except Exception as error:  # anything may go wrong in a learner's file
        raise CommandError(f"{path} failed: {type(error).__name__}: {error}") from None
    if name not in found:
        public = [key for key, value in found.items() if callable(value) and not key.startswith("_")]
        raise CommandError(f"{path} has no {name!r}; it has: {', '.join(public) or 'nothing that can be called'}")
    try:
        model = found[name]
        if not isinstance(model, nn.Module) and callable(model):
            model = model()
        if not isinstance(model, nn.Module):
            raise CommandError(f"{name} of {path} is no module and makes none, but {type(model).__name__}")
        batch = _batch(found, shape, options)
        with Recording(model, details=True) as recording:
            _loss(found, model(batch[0]), batch[1:]).backward()
    except CommandError:
        raise
    except Exception as error:
        hint = "" if shape or "batch" in found else " (does it need --input?)"
        raise CommandError(f"{name} of {path}: {type(error).__name__}: {str(error).splitlines()[0]}{hint}") from None
    return recording


def _batch(found, shape, options):
    if callable(found.get("batch")):
        batch = found["batch"]()
        return batch if isinstance(batch, tuple) else (batch,)
    if shape is None:
        raise CommandError("the input's shape is unknown: add --input 3,32,32, or a function batch() to the file")
    generator = np.random.default_rng(options.seed)
    return (tg.tensor(generator.standard_normal((options.batch, *shape)).astype(np.float32)),)


def _loss(found, output, targets):
    if callable(found.get("loss")):
        return found["loss"](output, *targets)
    outputs = output if isinstance(output, (tuple, list)) else [output]
    return functools.reduce(operator.add, [(one * one).sum() for one in outputs])


def main(arguments):
    """The command with these arguments; what is wrong becomes one line and exit status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except (CommandError, ValueError, OSError, RuntimeError) as error:
        return parser.exit(2, f"{parser.prog}: error: {str(error).splitlines()[0]}\n")  # without the usage
