"""Batches out of a data set."""

from collections.abc import Mapping

import numpy as np

from ..generator import default_generator
from ..tensor import Tensor, from_numpy


class DataLoader:
    """Iterates over a data set in batches: `for images, labels in DataLoader(dataset, batch_size=64): ...`

    dataset      anything with `len(dataset)` and `dataset[i]`
    batch_size   samples in a batch; the last one has what is left
    shuffle      a new order in each epoch
    drop_last    leave out a last batch that is not full
    generator    the `numpy.random.Generator` that shuffles, by default the library's own
    seed         an int instead of a generator: this loader's orders are always the same ones

    `len(loader)` is ⌈N / batch_size⌉, or ⌊N / batch_size⌋ with drop_last. After `manual_seed`, or with a
    seed, the orders are the same in every run. A batch has the structure of a sample, each array in it with
    one more axis in front; Python ints become int64 and Python floats float32 tensors.

    Raises ValueError for a batch size below 1, a data set with no sample, and both a generator and a seed;
    TypeError for a data set without a length; RuntimeError for samples of different shapes.
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, *, drop_last=False, generator=None, seed=None):
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                "DataLoader: a data set needs __len__ and __getitem__, which "
                f"{type(dataset).__name__} has not; for arrays use DataLoader(TensorDataset(x, y))"
            )
        if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size should be a positive integer, but got {batch_size!r}")
        if len(dataset) == 0:
            raise ValueError("DataLoader: the data set is empty")
        if generator is not None and seed is not None:
            raise ValueError("DataLoader: give a generator or a seed, not both")
        if not isinstance(generator, (np.random.Generator, type(None))):
            raise TypeError(
                f"DataLoader: generator is a numpy.random.Generator, not {type(generator).__name__}; "
                "an int goes into seed="
            )
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.generator = generator if seed is None else np.random.default_rng(seed)

    def __len__(self):
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self):
        if self.shuffle:
            order = (self.generator or default_generator()).permutation(len(self.dataset))
        else:
            order = np.arange(len(self.dataset))
        return self._batches(order, len(self))  # the order is drawn here, not at the first batch

    def _batches(self, order, count):
        whole = getattr(self.dataset, "batch", None)
        for start in range(0, count * self.batch_size, self.batch_size):
            indices = order[start : start + self.batch_size]
            if whole is not None:
                yield tuple(map(from_numpy, whole(indices)))
            else:
                yield _collate([self.dataset[i] for i in indices.tolist()])

    def __repr__(self):
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last})"
        )


def _collate(samples):
    """One batch of these samples: tuples, lists and dicts are joined entry by entry, strings stay a list."""
    first = samples[0]
    if isinstance(first, (str, bytes)):
        return samples
    if isinstance(first, Mapping):
        return {key: _collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = {len(sample) for sample in samples}
        if len(lengths) > 1:
            raise RuntimeError(f"DataLoader: samples have different numbers of entries: {sorted(lengths)}")
        return tuple(_collate(list(column)) for column in zip(*samples, strict=True))
    arrays = [sample.data if isinstance(sample, Tensor) else np.asarray(sample) for sample in samples]
    for position, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise RuntimeError(
                f"DataLoader: samples of one batch need equal shapes, but sample 0 has {arrays[0].shape} "
                f"and sample {position} has {array.shape}"
            )
        if array.dtype.kind not in "biuf":
            raise TypeError(f"DataLoader: cannot make a tensor of {type(samples[position]).__name__}")
    batch = np.stack(arrays)
    if isinstance(first, float) and not isinstance(first, np.floating):
        batch = batch.astype(np.float32)
    elif isinstance(first, int) and batch.dtype.kind == "i":
        batch = batch.astype(np.int64)
    return from_numpy(batch)
