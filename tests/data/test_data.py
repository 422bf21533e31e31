"""Data sets and the loader."""

import hashlib
import pathlib
from itertools import chain

import numpy as np
import pytest

import tinygrad_course as tg
from tinygrad_course import data
from tinygrad_course.data import datasets

SETS = [  # class, train, samples, height and width, samples of each class, digest of the images and labels
    (data.Digits, True, 1437, 8, [142, 146, 141, 147, 144, 146, 145, 143, 139, 144], "662e33a2e9c99c1f"),
    (data.Digits, False, 360, 8, [36, 36, 36, 36, 37, 36, 36, 36, 35, 36], "973417cfcf53301f"),
    (data.MNIST, True, 10_000, 28, [1000] * 10, "19e0663f22f3a6ff"),
    (data.MNIST, False, 2_000, 28, [200] * 10, "80a190615efcf166"),
]


@pytest.mark.parametrize(("cls", "train", "count", "side", "per_class", "digest"), SETS)
def test_shipped_set(cls, train, count, side, per_class, digest):
    dataset = cls(train=train)
    assert len(dataset) == count
    assert dataset.images.shape == (count, 1, side, side) and dataset.images.dtype == np.uint8
    assert dataset.labels.shape == (count,) and dataset.labels.dtype == np.int64
    assert np.bincount(dataset.labels).tolist() == per_class
    assert dataset.classes == tuple("0123456789")
    contents = dataset.images.tobytes() + dataset.labels.astype("<i8").tobytes()
    assert hashlib.sha256(contents).hexdigest()[:16] == digest


@pytest.mark.parametrize("cls", [data.Digits, data.MNIST])
def test_train_and_test_share_no_image(cls):
    train, test = ({image.tobytes() for image in cls(train=flag).images} for flag in (True, False))
    assert not train & test


@pytest.mark.parametrize("cls", [data.Digits, data.MNIST])
def test_normalization(cls):
    x, _ = cls()[:]
    assert x.data.dtype == np.float32
    assert abs(x.data.mean()) < 1e-3 and abs(x.data.std() - 1) < 1e-3
    raw, _ = cls(normalize=False)[:]
    assert (raw.data.min(), raw.data.max()) == (0, 1)
    np.testing.assert_allclose((raw.data - cls.mean) / cls.std, x.data, atol=1e-5)


def test_a_sample():
    dataset = data.Digits()
    image, label = dataset[3]
    assert isinstance(image, tg.Tensor) and image.shape == (1, 8, 8) and image.data.dtype == np.float32
    assert type(label) is int and label == dataset.labels[3]
    np.testing.assert_array_equal(dataset[-1][0].data, dataset[len(dataset) - 1][0].data)
    with pytest.raises(IndexError, match="no sample 1437, there are 1437"):
        dataset[1437]
    assert len(list(dataset)) == 1437  # IndexError ends a loop over the samples
    assert repr(dataset) == "Digits(train: 1,437 images 1×8×8, 10 classes)"


@pytest.mark.parametrize("damage", ["missing", "truncated", "not an npz"])
def test_a_bad_file_is_named(damage, tmp_path, monkeypatch):
    contents = pathlib.Path(datasets.FILES, "uci_digits.npz").read_bytes()
    monkeypatch.setattr(datasets, "FILES", tmp_path)
    if damage == "truncated":
        (tmp_path / "uci_digits.npz").write_bytes(contents[:9000])
    elif damage == "not an npz":
        (tmp_path / "uci_digits.npz").write_bytes(b"version https://")
    with pytest.raises(OSError, match=r"uci_digits\.npz .*install tinygrad-course again"):
        data.Digits()


@pytest.mark.parametrize("name", ["uci_digits", "mnist_10000_2000"])
def test_a_licence_lies_beside_each_file(name):
    text = pathlib.Path(datasets.FILES, f"{name}.LICENSE.txt").read_text(encoding="utf-8")
    assert "Creative Commons" in text and "Changes" in text


# ---------------------------------------------------------------------------------- TensorDataset


def test_tensor_dataset():
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    dataset = data.TensorDataset(x, tg.tensor([5, 6, 7, 8]))
    assert len(dataset) == 4
    row, label = dataset[2]
    assert row.data.tolist() == [6, 7, 8] and label.item() == 7
    row.data[:] = 0  # a sample is a copy
    assert x[2].tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((), "at least one array"),
        ((np.zeros(3), np.zeros(4)), r"same length, but they have \[3, 4\]"),
        ((np.zeros(3), np.float32(1)), "array 1 is a single number"),
    ],
)
def test_tensor_dataset_refuses(arrays, message):
    with pytest.raises(ValueError, match=message):
        data.TensorDataset(*arrays)


# ------------------------------------------------------------------------------------- DataLoader


def numbers(count):
    return data.TensorDataset(np.arange(count))


def batches(loader):
    return [batch.data.tolist() for (batch,) in loader]


@pytest.mark.parametrize(
    ("count", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 1, False, [1, 1, 1]),
        (3, 8, False, [3]),
        (3, 8, True, []),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_batch_sizes(count, batch_size, drop_last, sizes, shuffle):
    loader = data.DataLoader(numbers(count), batch_size, shuffle, drop_last=drop_last)
    assert len(loader) == len(sizes)
    found = batches(loader)
    assert list(map(len, found)) == sizes
    if not drop_last:
        assert sorted(chain(*found)) == list(range(count))
    if not shuffle:
        assert list(chain(*found)) == list(range(sum(sizes)))


def test_a_batch_of_images():
    dataset = data.MNIST(train=False)
    images, labels = next(iter(data.DataLoader(dataset, batch_size=64)))
    assert isinstance(images, tg.Tensor) and isinstance(labels, tg.Tensor)
    assert images.shape == (64, 1, 28, 28) and images.data.dtype == np.float32
    assert labels.shape == (64,) and labels.data.dtype == np.int64
    np.testing.assert_array_equal(images.data[5], dataset[5][0].data)
    labels.data[:] = -1  # a batch is a copy
    assert dataset.labels.min() == 0


def test_whole_batches_and_single_samples_agree_to_the_bit():
    digits = data.Digits(train=False)

    class OneByOne:
        def __len__(self):
            return len(digits)

        def __getitem__(self, index):
            return digits[index]

    fast = data.DataLoader(digits, 50, shuffle=True, seed=3)
    slow = data.DataLoader(OneByOne(), 50, shuffle=True, seed=3)
    for (x, y), (u, v) in zip(fast, slow, strict=True):
        assert x.data.tobytes() == u.data.tobytes() and x.shape == u.shape
        assert y.data.tobytes() == v.data.tobytes() and y.data.dtype == v.data.dtype


def test_shuffling_is_reproducible_and_new_each_epoch():
    loader = data.DataLoader(numbers(100), 10, shuffle=True)
    tg.manual_seed(7)
    first, second = batches(loader), batches(loader)
    assert first != second
    tg.manual_seed(7)
    assert (batches(loader), batches(loader)) == (first, second)
    tg.manual_seed(8)
    assert batches(loader) != first


def test_a_seed_or_generator_leaves_the_global_one_alone():
    orders = []
    for _ in range(2):
        loader = data.DataLoader(numbers(50), 50, shuffle=True, seed=1)
        tg.manual_seed(len(orders))
        orders.append(batches(loader) + batches(loader))
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]
    given = data.DataLoader(numbers(50), 50, shuffle=True, generator=np.random.default_rng(1))
    assert batches(given) + batches(given) == orders[0]


def test_the_order_is_drawn_when_the_loop_begins():
    loader = data.DataLoader(numbers(50), 50, shuffle=True)
    tg.manual_seed(0)
    expected = batches(loader)
    tg.manual_seed(0)
    iterator = iter(loader)
    tg.manual_seed(1)
    assert [batch.data.tolist() for (batch,) in iterator] == expected


class Samples(data.Dataset):
    def __init__(self, *samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_other_samples_are_joined():
    [(floats, arrays, tensors, names)] = data.DataLoader(
        Samples((0.5, np.ones(2), tg.ones(3), "a"), (1.5, np.zeros(2), tg.zeros(3), "b")), batch_size=2
    )
    assert floats.data.tolist() == [0.5, 1.5] and floats.data.dtype == np.float32
    assert arrays.shape == (2, 2) and arrays.data.dtype == np.float64
    assert tensors.shape == (2, 3) and tensors.data.dtype == np.float32
    assert names == ["a", "b"]
    [batch] = data.DataLoader(Samples({"x": 1, "y": True}, {"x": 2, "y": False}), batch_size=2)
    assert batch["x"].data.tolist() == [1, 2] and batch["x"].data.dtype == np.int64
    assert batch["y"].data.tolist() == [True, False]
    [single] = data.DataLoader(Samples(1.0, 2.0), batch_size=2)
    assert single.data.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ((np.zeros(2), np.zeros(3)), RuntimeError, r"sample 0 has \(2,\) and sample 1 has \(3,\)"),
        (((1, 2), (1, 2, 3)), RuntimeError, r"different numbers of entries: \[2, 3\]"),
        ((None, None), TypeError, "cannot make a tensor of NoneType"),
    ],
)
def test_samples_that_do_not_fit(samples, error, message):
    with pytest.raises(error, match=message):
        next(iter(data.DataLoader(Samples(*samples), batch_size=2)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(batch_size=0), ValueError, "positive integer, but got 0"),
        (dict(batch_size=-3), ValueError, "positive integer, but got -3"),
        (dict(batch_size=2.5), ValueError, "positive integer, but got 2.5"),
        (dict(batch_size=True), ValueError, "positive integer, but got True"),
        (dict(dataset=numbers(0)), ValueError, "empty"),
        (dict(dataset=iter([1])), TypeError, "__len__ and __getitem__"),
        (dict(generator=3), TypeError, "an int goes into seed="),
        (dict(generator=np.random.default_rng(0), seed=0), ValueError, "not both"),
    ],
)
def test_loader_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        data.DataLoader(**{"dataset": numbers(3), **arguments})


def test_a_dataset_must_say_what_a_sample_is():
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        data.Dataset()[0]
