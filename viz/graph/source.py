"""What a caller may hand in (a loss or a function that makes one, a model, names), and the errors for anything else."""

from collections.abc import Mapping

from tinygrad_course.base import TensorBase


def loss_from(source, caller, what="a loss or a function that returns one"):
    """The loss itself, made now if `source` is a function: one number whose graph is there.

    Raises TypeError for what is no loss and makes none, RuntimeError for one without a graph or of several numbers.
    """
    loss = source
    if not isinstance(source, TensorBase) and callable(source):
        if hasattr(source, "named_parameters"):
            raise TypeError(
                f"{caller} takes {what}, not a model: call it on data and a loss, as in "
                f"{caller}(lambda: criterion(model(x), y))"
            )
        loss = source()
    if not isinstance(loss, TensorBase):
        raise TypeError(f"{caller} takes {what}, not {type(loss).__name__}")
    if loss.node is None:
        raise RuntimeError("this loss has no graph: nothing it was made from requires a gradient, or it is in no_grad")
    if loss._data.size != 1:
        raise RuntimeError(f"a loss is one number; this tensor has shape {loss._data.shape}: sum it first, or record")
    return loss


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
