"""The training loop every example shares: plain mini-batch gradient descent, watched from outside if one likes."""

import dataclasses

import numpy as np

from .. import nn
from ..data import DataLoader
from ..modes import no_grad


@dataclasses.dataclass
class Epoch:
    """What one epoch gave: its number from 1, the mean of the batches' losses, and their share of wrong answers."""

    number: int
    loss: float
    error: float


def train(model, loader, optimizer, epochs, loss=None, on_step=None):
    """Train `model` on the batches (x, y) of `loader`; yield an `Epoch` after each pass over it.

    `on_step(step, loss)` is called after every update. Loss and error of an epoch are those of the batches as
    they were met, in training mode, while the weights moved. A generator: it trains as far as it is read.
    """
    criterion = nn.CrossEntropyLoss() if loss is None else loss
    step = 0
    for number in range(1, epochs + 1):
        model.train()
        total = wrong = seen = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            output = model(x)
            value = criterion(output, y)
            value.backward()
            optimizer.step()
            step += 1
            total += value.item() * len(y)
            wrong += float((output.argmax(1) != y).data.sum())
            seen += len(y)
            if on_step is not None:
                on_step(step, value.item())
        yield Epoch(number, total / seen, wrong / seen)


def error_rate(model, dataset, batch_size=1000):
    """Share of the samples of `dataset` that `model`, in evaluation mode, classifies wrongly; nan counts as wrong."""
    training = model.training
    model.eval()
    wrong = 0
    try:
        with no_grad():
            for x, y in DataLoader(dataset, batch_size):
                logits = model(x).data
                right = (logits.argmax(1) == y.data) & np.isfinite(logits).all(1)
                wrong += int((~right).sum())
    finally:
        model.train(training)
    return wrong / len(dataset)
