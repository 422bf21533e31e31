"""Weights with a structure: identities, orthogonal matrices, sparse ones."""

import math

import numpy as np

from ...generator import default_generator
from .fill import fill, normal_, unless_meta


@unless_meta
def eye_(tensor):
    """The identity: 1 on the diagonal of a matrix, 0 elsewhere."""
    _expect_dimensions("eye_", tensor, (2,))
    return fill(tensor, np.eye(*tensor.shape, dtype=tensor.dtype))


@unless_meta
def dirac_(tensor, groups=1):
    """The identity of convolutions: channel i of a group's output is channel i of its input, as far as there are any.

    A weight (out, in / groups, k…) of 3 to 5 dimensions, with odd k and padding k // 2.
    """
    _expect_dimensions("dirac_", tensor, (3, 4, 5))
    out, inputs, *kernel = tensor.shape
    if out % groups:
        raise ValueError(f"dirac_: {out} output channels cannot be divided into {groups} groups")
    numbers = np.zeros(tensor.shape, tensor.dtype)
    middle = tuple(size // 2 for size in kernel)
    for group in range(groups):
        for channel in range(min(out // groups, inputs)):
            numbers[(group * (out // groups) + channel, channel, *middle)] = 1
    return fill(tensor, numbers)


@unless_meta
def orthogonal_(tensor, gain=1, generator=None):
    """Orthonormal rows, or columns if there are more rows, times `gain`; dimensions after the first count as one.

    The Q of a Gaussian matrix's QR decomposition, with R's diagonal made positive: uniform among all of them.
    An orthogonal W keeps lengths exactly, whatever the depth of a linear net (Saxe et al. 2014).
    """
    if len(tensor.shape) < 2:
        raise ValueError(f"orthogonal_ needs a weight of at least 2 dimensions, got shape {tuple(tensor.shape)}")
    if 0 in tensor.shape:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    draw = generator or default_generator()
    numbers = draw.standard_normal((rows, columns))
    q, r = np.linalg.qr(numbers if rows >= columns else numbers.T)
    q *= np.sign(np.diag(r))
    return fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


@unless_meta
def sparse_(tensor, sparsity, std=0.01, generator=None):
    """N(0, std²), with a share `sparsity` of each column set to 0, rounded up (Martens 2010)."""
    _expect_dimensions("sparse_", tensor, (2,))
    draw = generator or default_generator()
    normal_(tensor, 0.0, std, draw)
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    for column in range(columns):
        tensor._data[draw.permutation(rows)[:zeros], column] = 0
    return tensor


def _expect_dimensions(name, tensor, allowed):
    if len(tensor.shape) not in allowed:
        raise ValueError(f"{name} needs {' or '.join(map(str, allowed))} dimensions, got shape {tuple(tensor.shape)}")
