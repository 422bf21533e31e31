"""Data sets: `dataset[i]` is one sample, `len(dataset)` their number.

A data set may also have `batch(indices)`, which returns many samples at once as a tuple of arrays, the first
axis being the sample. `DataLoader` uses it where it exists: one look-up a batch instead of one a sample.
"""

import os

import numpy as np

from ..tensor import Tensor, from_numpy

FILES = os.path.join(os.path.dirname(__file__), "files")


class Dataset:
    """Base class of data sets: a subclass says what `dataset[i]` and `len(dataset)` are."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")


class TensorDataset(Dataset):
    """Arrays or tensors of one length: `dataset[i]` is the tuple of their i-th entries.

        >>> dataset = TensorDataset(np.zeros((100, 3), np.float32), np.arange(100))
        >>> x, y = dataset[7]

    Raises ValueError when there is no array, when one has no axis, or when their lengths differ.
    """

    def __init__(self, *arrays):
        if not arrays:
            raise ValueError("TensorDataset: give at least one array")
        self.arrays = tuple(a.data if isinstance(a, Tensor) else np.asarray(a) for a in arrays)
        for i, array in enumerate(self.arrays):
            if array.ndim == 0:
                raise ValueError(f"TensorDataset: array {i} is a single number; it needs an axis of samples")
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: all arrays need the same length, but they have {lengths}")

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        return tuple(from_numpy(np.array(array[index])) for array in self.arrays)

    def batch(self, indices):
        return tuple(array[indices] for array in self.arrays)


class _ImageDataset(Dataset):
    """Labelled images kept as bytes, and made float32 when they are asked for.

    `dataset[i]` is (image, label): a float32 Tensor (1, H, W) and an int. A slice or an array of indices
    gives two tensors, (B, 1, H, W) and int64 (B,).
    """

    file = None  # name of the npz file
    largest = 255  # the byte that stands for full ink
    mean = std = None  # of the training images' pixels, on the scale 0 to 1
    classes = tuple("0123456789")

    def __init__(self, train=True, normalize=True):
        self.train = bool(train)
        self.normalize = bool(normalize)
        images, labels = self._read()
        self.images = np.ascontiguousarray(images[:, None])
        self.labels = labels.astype(np.int64)
        mean, std = (self.mean, self.std) if normalize else (0, 1)
        self._offset, self._spread = np.float32(mean * self.largest), np.float32(std * self.largest)

    def _read(self):
        """The images (N, H, W) and labels (N,) of this split."""
        raise NotImplementedError

    def _arrays(self, *names):
        """These arrays of the data file."""
        path = os.path.join(FILES, self.file)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return [arrays[name] for name in names]
        except FileNotFoundError:
            kind, problem = FileNotFoundError, "is missing"
        except Exception as error:  # what a damaged file raises depends on where the damage is
            kind, problem = OSError, f"cannot be read ({error})"
        raise kind(f"{type(self).__name__}: the data file {path} {problem}; install tinygrad-course again")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"{type(self).__name__}: no sample {index}, there are {len(self)}")
            return from_numpy(self._floats(self.images[index])), int(self.labels[index])
        return tuple(map(from_numpy, self.batch(index)))

    def batch(self, indices):
        return self._floats(self.images[indices]), np.array(self.labels[indices])

    def _floats(self, images):
        x = images.astype(np.float32)
        x -= self._offset
        x /= self._spread
        return x

    def __repr__(self):
        split = "train" if self.train else "test"
        shape = "×".join(map(str, self.images.shape[1:]))
        return f"{type(self).__name__}({split}: {len(self):,} images {shape}, {len(self.classes)} classes)"


class Digits(_ImageDataset):
    """1,797 handwritten digits of 8×8 pixels in 17 shades: 1,437 to train and 360 to test with.

    normalize=True: (pixel − 0.3058) / 0.3762, the training images' mean and standard deviation, pixels being
    0 to 1; normalize=False: 0 to 1.
    The split is fixed and stratified: with the samples sorted by label, the first and then every fifth is for
    the test. The same people wrote both parts.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998. CC BY 4.0.
    """

    file = "uci_digits.npz"
    largest = 16
    mean, std = 0.3058, 0.3762

    def _read(self):
        images, labels = self._arrays("images", "labels")
        for_test = np.zeros(len(labels), bool)
        for_test[np.argsort(labels, kind="stable")[::5]] = True
        chosen = for_test != self.train
        return images[chosen], labels[chosen]


class MNIST(_ImageDataset):
    """12,000 of MNIST's handwritten digits, 28×28: 1,000 of each class to train and 200 to test with.

    normalize=True: (pixel − 0.1321) / 0.3096, the training images' mean and standard deviation, pixels being
    0 to 1; normalize=False: 0 to 1.

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998. CC BY-SA 3.0.
    """

    file = "mnist_10000_2000.npz"
    mean, std = 0.1321, 0.3096

    def _read(self):
        split = "train" if self.train else "test"
        return self._arrays(f"x_{split}", f"y_{split}")
