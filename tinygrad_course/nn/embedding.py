"""Embedding: a learned vector for each word, symbol or class."""

import numpy as np

from .. import ops
from ..ops.embedding import padding_row
from . import init
from .module import Module, Parameter


class Embedding(Module):
    """The rows of a table (num_embeddings, embedding_dim) that integers (…) name: (…, embedding_dim).

    It is a linear layer for one-hot vectors, without the multiplications. The table starts as N(0, 1); its row
    `padding_idx` starts as 0 and gets no gradient. `max_norm`: rows are scaled down to it when they are looked up.
    """

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, _weight=None, _freeze=False, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        if num_embeddings < 0 or embedding_dim < 0:
            raise RuntimeError(f"Embedding: a table of shape {(num_embeddings, embedding_dim)} cannot be made")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            table = np.empty((num_embeddings, embedding_dim), dtype or np.float32)
            self.weight = Parameter(table, requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise AssertionError(
                    f"Embedding: the table has shape {tuple(_weight.shape)}, not {(num_embeddings, embedding_dim)}"
                )
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(
        cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False,
    ):  # fmt: skip
        """An Embedding whose table is the matrix `embeddings`, not to be learned unless `freeze=False`."""
        if embeddings.ndim != 2:
            raise AssertionError(f"Embedding: the table must be a matrix, got shape {tuple(embeddings.shape)}")
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def reset_parameters(self):
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None and self.weight._data.flags.writeable:
            self.weight.data[self.padding_idx] = 0

    def forward(self, x):
        return ops.embedding(
            x, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self):
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, plain in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False),
                            ("sparse", False)):  # fmt: skip
            if getattr(self, name) != plain:
                text += f", {name}={getattr(self, name)}"
        return text
