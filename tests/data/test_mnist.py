"""MNIST and Fashion-MNIST: from the network, from Keras' files, IDX files and class folders."""

import gzip
import socket

import keras
import numpy as np
import pytest
from layouts import class_folders, idx, random_images
from layouts import fashion_mnist as write_idx
from layouts import mnist as write_npz

from trainer.data.fashion_mnist import fashion_mnist
from trainer.data.idx_files import read_idx
from trainer.data.mnist import mnist


@pytest.mark.parametrize(("data", "subfolder"), [
    (mnist, ""), (mnist, "raw"), (mnist, "MNIST/raw"),
    (fashion_mnist, ""), (fashion_mnist, "FashionMNIST/raw"),
])  # fmt: skip
@pytest.mark.parametrize(("suffix", "separator"), [(".gz", "-"), ("", "-"), ("", ".")])
def test_idx_files_hold_what_was_written(tmp_path, data, subfolder, suffix, separator):
    (tmp_path / subfolder).mkdir(parents=True, exist_ok=True)
    write_idx(tmp_path / subfolder, suffix, separator)
    data_set = data(str(tmp_path))
    splits = data_set.load()
    assert data_set.name == data.__name__ and len(data_set.class_names) == 10
    np.testing.assert_array_equal(splits["train"]["image"][..., 0], random_images(20, 28, 28))
    np.testing.assert_array_equal(splits["test"]["label"], np.arange(10))
    assert splits["test"]["label"].dtype == np.int32 and splits["test"]["image"].shape[0] == 10


def test_mnist_reads_the_file_of_keras(tmp_path):
    data_set = mnist(**write_npz(tmp_path))
    splits = data_set.load()
    assert data_set.name == "mnist" and data_set.class_names == tuple("0123456789")
    np.testing.assert_array_equal(splits["train"]["image"][..., 0], random_images(20, 28, 28))
    np.testing.assert_array_equal(splits["train"]["label"], np.arange(20) % 10)


@pytest.mark.parametrize("data", [mnist, fashion_mnist])
def test_class_folders_are_read_instead(tmp_path, data):
    data_set = data(**class_folders(tmp_path))
    assert data_set.name == data.__name__ and data_set.class_names == ("a", "b")


@pytest.mark.parametrize("data", [mnist, fashion_mnist])
def test_an_empty_root_is_told_what_it_may_hold(tmp_path, data):
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.*, and no class folders: "):
        data(str(tmp_path))


def test_missing_idx_files_are_named(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte missing; put all four"):
        fashion_mnist(str(tmp_path))


@pytest.mark.parametrize(
    "contents",
    [
        b"", b"\0\0\x08", b"\0\0\x08\0", b"\0\0\x08\x03\0\0", b"\0\0\x0d\x01\0\0\0\1\0\0\0\0",
        idx(random_images(2, 3, 3))[:-1], idx(random_images(2, 3, 3)) + b"\0",
        b"\0\0\x08\x01\xff\xff\xff\xff", b"<html>not found</html>",
    ],
)  # fmt: skip
def test_a_file_that_is_no_idx_file_is_named(tmp_path, contents):
    path = tmp_path / "x-idx3-ubyte"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"x-idx3-ubyte: no whole IDX file of uint8 .*again"):
        read_idx(path)
    (tmp_path / "x.gz").write_bytes(gzip.compress(contents))
    with pytest.raises(ValueError, match=r"x\.gz: no whole IDX file"):
        read_idx(tmp_path / "x.gz")


def test_damaged_idx_files_are_named(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (whole[:200], b"no gzip", whole[:300] + bytes(100) + whole[400:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: cannot be read"):
            fashion_mnist(str(tmp_path)).load()
    path.write_bytes((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(ValueError, match=r"holds \[20\], no images"):
        fashion_mnist(str(tmp_path)).load()


@pytest.mark.parametrize("data", [mnist, fashion_mnist])
def test_without_root_keras_downloads_and_keeps(monkeypatch, data):
    images, labels = random_images(4, 28, 28), np.array([3, 0, 9, 1], np.uint8)
    module = getattr(keras.datasets, data.__name__)
    monkeypatch.setattr(module, "load_data", lambda: ((images, labels), (images[:1], labels[:1])))
    splits = data().load()
    np.testing.assert_array_equal(splits["train"]["image"], images[..., np.newaxis])
    np.testing.assert_array_equal(splits["test"]["label"], [3])


def test_what_keras_has_kept_needs_no_network(tmp_path, monkeypatch):
    def no_network(*arguments):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    # Only the cache's place is changed: Keras' own code reads it.
    fetch = keras.datasets.fashion_mnist.load_data.__globals__["get_file"]
    kept = tmp_path / "datasets" / "fashion-mnist"

    def get_file(*arguments, **options):
        return fetch(*arguments, **options, cache_dir=str(tmp_path))

    monkeypatch.setitem(keras.datasets.fashion_mnist.load_data.__globals__, "get_file", get_file)
    with pytest.raises(ConnectionError, match=r"Fashion-MNIST could not be downloaded") as info:
        fashion_mnist().load()
    text = str(info.value)
    assert "connect to the network" in text and "data.root=DIR" in text and "\n" not in text
    assert "train-images-idx3-ubyte" in text and "class folders" in text

    kept.mkdir(parents=True, exist_ok=True)
    write_idx(kept)
    np.testing.assert_array_equal(fashion_mnist().load()["test"]["label"], np.arange(10))

    broken = kept / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"Keras' copy cannot be read .*; delete it from ~/.keras"):
        fashion_mnist().load()
