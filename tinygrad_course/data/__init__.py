"""Floor 4: data sets and the loader that cuts them into batches.

Two real sets come with the library, so nothing is ever downloaded: `Digits` (8×8) and `MNIST` (28×28).
"""

from .datasets import MNIST, Dataset, Digits, TensorDataset
from .loader import DataLoader

__all__ = ["MNIST", "DataLoader", "Dataset", "Digits", "TensorDataset"]
