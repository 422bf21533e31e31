"""Norms by the names of `torch.linalg`."""

from .functional import _lifted
from .ops import measure
from .ops.linear import matmul as _matmul

__all__ = ["matmul", "matrix_norm", "norm", "vector_norm"]

vector_norm = _lifted(measure.vector_norm)
matmul = _lifted(_matmul)


def norm(x, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The Euclidean norm of all numbers; with `ord` the vector norm over `dim`, or "fro" over two of them."""
    return vector_norm(x, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype=dtype)


def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The Frobenius norm √Σ x² of matrices."""
    if ord != "fro":
        raise NotImplementedError(f'matrix_norm: ord must be "fro", not {ord!r}')
    return vector_norm(x, 2, dim, keepdim, dtype=dtype)
