"""What a caller may hand in (a loss or a function that makes one, a model, names), and the errors for anything else."""

import contextlib
import functools
import inspect
from collections.abc import Mapping

from tinygrad_course.base import TensorBase

from .aside import random_numbers_aside


def loss_from(source, caller, what="a loss or a function that returns one", model=None):
    """The loss itself, made now if `source` is a function: one number whose graph is there.

    To make it changes nothing: the buffers of the model, and of every module that the function names, and the random
    numbers of the library, of NumPy and of Python are afterwards what they were.

    Raises TypeError for what is no loss and makes none, RuntimeError for one without a graph or of several numbers.
    """
    loss = source
    if not isinstance(source, TensorBase) and callable(source):
        if hasattr(source, "named_parameters"):
            raise TypeError(
                f"{caller} takes {what}, not a model: call it on data and a loss, as in "
                f"{caller}(lambda: criterion(model(x), y))"
            )
        with _unchanged(source, model):
            loss = source()
    if not isinstance(loss, TensorBase):
        raise TypeError(f"{caller} takes {what}, not {type(loss).__name__}")
    if loss.node is None and loss._requires_grad:
        raise RuntimeError("this loss is a tensor that no operation made: there is no graph behind it")
    if loss.node is None:
        raise RuntimeError("this loss has no graph: nothing it was made from requires a gradient, or it is in no_grad")
    if loss._data.size != 1:
        raise RuntimeError(f"a loss is one number; this tensor has shape {loss._data.shape}: sum it first, or record")
    return loss


@contextlib.contextmanager
def _unchanged(function, model):
    """While inside, modules write into copies of their buffers (batch norm's running mean)."""
    buffers = [
        (module._buffers, name, tensor, tensor._data)
        for root in [model, *_modules_named_by(function)]
        if callable(getattr(root, "modules", None))
        for module in root.modules()
        for name, tensor in getattr(module, "_buffers", {}).items()
        if tensor is not None
    ]
    for _, _, tensor, data in buffers:
        tensor._data = data.copy()
    try:
        with random_numbers_aside():
            yield
    finally:
        for held, name, tensor, data in buffers:
            held[name], tensor._data = tensor, data


def _modules_named_by(function):
    """The modules among a function's variables, and among those of the functions that it names."""
    found, seen, waiting = [], set(), [function]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if hasattr(value, "named_parameters") and not isinstance(value, type):
            found.append(value)
        elif inspect.ismethod(value):
            waiting += [value.__self__, value.__func__, *getattr(value.__self__, "__dict__", {}).values()]
        elif isinstance(value, functools.partial):
            waiting += [value.func, *value.args, *value.keywords.values()]
        elif inspect.isfunction(value):
            with contextlib.suppress(ValueError):  # a variable that has no value yet
                names = inspect.getclosurevars(value)
                waiting += [*names.nonlocals.values(), *names.globals.values()]
    return found


def check_model(model):
    """Raise TypeError unless the model is None or can name its parameters."""
    if model is not None and not callable(getattr(model, "named_parameters", None)):
        raise TypeError(f"model must have named_parameters(), as an nn.Module has, not be {type(model).__name__}")


def check_names(names):
    """Raise TypeError unless `names` is None or a mapping."""
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f'names must be a dict such as {{"a": a}}, not {type(names).__name__}')


def check_optimizer(optimizer):
    """Raise TypeError unless the optimizer is None or has parameter groups with learning rates."""
    groups = getattr(optimizer, "param_groups", None)
    if optimizer is not None and not (isinstance(groups, list) and all("lr" in group for group in groups)):
        raise TypeError(f"optimizer must have param_groups, as those of optim have, not be {type(optimizer).__name__}")
