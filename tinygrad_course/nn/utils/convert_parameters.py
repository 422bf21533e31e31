"""All parameters of a network as one vector, and back: for line searches, loss landscapes, second-order methods."""

from ... import ops
from ...base import TensorBase
from ...tensor import Tensor


def parameters_to_vector(parameters):
    """The parameters laid end to end in one vector. It stands on the tape: its gradient reaches them."""
    return ops.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Give the parameters the numbers of `vec`, in order; they become views of it, as in PyTorch."""
    if not isinstance(vec, TensorBase):
        raise TypeError(f"vector_to_parameters: the vector must be a Tensor, not {type(vec).__name__}")
    parameters = list(parameters)
    needed = sum(p.numel() for p in parameters)
    if vec._data.ndim != 1 or vec._data.size < needed:
        raise RuntimeError(
            f"vector_to_parameters: the parameters have {needed} numbers, the vector has shape {vec._data.shape}"
        )
    start = 0
    for p in parameters:
        stop = start + p.numel()
        p.data = Tensor(vec._data[start:stop].reshape(p.shape))
        start = stop
