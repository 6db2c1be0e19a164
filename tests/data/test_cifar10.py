import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from trainer.data.cifar10 import CLASS_NAMES, cifar10
from trainer.data.dataset import check_arrays
from trainer.data.placement import read_into_memory
from trainer.data.published import DOWNLOAD_TIMEOUT_SECS

UNPACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "unpack.py"


def write_batches(folder, num_per_batch=4):
    """The official layout with a few random images: protocol 2 and bytes keys."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        batch = {
            b"batch_label": name.encode(),
            b"labels": rng.integers(0, 10, size=num_per_batch).tolist(),
            b"data": rng.integers(0, 256, size=(num_per_batch, 3072), dtype=np.uint8),
            b"filenames": [b"a.png"] * num_per_batch,
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {b"num_cases_per_batch": 4, b"label_names": [name.encode() for name in CLASS_NAMES]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return folder


def load(root):
    data_set = cifar10(str(root))
    splits = read_into_memory(data_set.load())
    check_arrays(data_set, splits)
    return data_set, splits


@pytest.mark.parametrize("at_root", ["parent", "itself", "renamed"])
def test_cifar10_reads_the_official_batches(tmp_path, at_root):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    if at_root == "renamed":
        folder = folder.rename(tmp_path / "cifar")
    data_set, splits = load(tmp_path if at_root == "parent" else folder)
    assert data_set.class_names == CLASS_NAMES and data_set.name == "cifar10"
    assert splits["train"]["image"].shape == (20, 32, 32, 3)
    assert splits["test"]["image"].shape == (4, 32, 32, 3)
    assert splits["train"]["image"].flags.c_contiguous
    batch = pickle.loads((folder / "data_batch_2").read_bytes())
    np.testing.assert_array_equal(splits["train"]["label"][4:8], batch[b"labels"])
    red = batch[b"data"][1][:1024].reshape(32, 32)  # planes: red, green, blue
    np.testing.assert_array_equal(splits["train"]["image"][5, :, :, 0], red)


def test_cifar10_reads_class_folders_of_any_kind(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("L", (9, 7), 100).save(tmp_path / "train" / name / "0.png")
    data_set, splits = load(tmp_path)
    assert data_set.name == "cifar10" and data_set.class_names == ("a", "b", "c")
    assert splits["train"]["image"].shape == (3, 7, 9, 1)


def test_cifar10_names_what_it_looked_for_and_found(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_text("")
    text = r"no cifar-10-batches-py/, and no class folders: .*found there: cifar-10-python.tar.gz"
    with pytest.raises(ValueError, match=text):
        cifar10(str(tmp_path))
    with pytest.raises(ValueError, match="nowhere: does not exist"):
        cifar10(str(tmp_path / "nowhere"))


def test_cifar10_names_missing_batches_at_once(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="cifar-10-batches-py: data_batch_3 missing; unpack"):
        cifar10(str(tmp_path))


class Malicious:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class ForgedPointers:
    """An array of objects whose pointers are bytes of the file."""

    def __reduce__(self):
        return np.ndarray, ((1,), "O", b"A" * 8)


def object_array():
    return np.array([{}], dtype=object)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda flag: Malicious(os.mkdir, flag), r"(posix|nt)\.mkdir"),
        (lambda flag: Malicious(eval, f"__import__('os').mkdir({flag!r})"), r"\.eval"),
        (lambda flag: {b"data": object_array()}, "array of type .*expected uint8"),
        (lambda flag: {b"data": ForgedPointers(), b"labels": [0]}, "not callable"),
    ],
    ids=["function", "eval", "object array", "forged pointers"],
)
def test_cifar10_refuses_a_malicious_pickle(tmp_path, content, reason):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    flag = str(tmp_path / "was_here")
    (folder / "data_batch_1").write_bytes(pickle.dumps(content(flag), protocol=2))
    with pytest.raises(ValueError, match=rf"data_batch_1: cannot be read as .*{reason}") as info:
        cifar10(str(tmp_path)).load()
    assert not Path(flag).exists()
    assert "\n" not in str(info.value)


def test_cifar10_names_a_damaged_batch(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    batch = folder / "test_batch"
    batch.write_bytes(batch.read_bytes()[:1000])
    with pytest.raises(ValueError, match="test_batch: cannot be read"):
        cifar10(str(tmp_path)).load()


def test_cifar10_names_a_batch_of_something_else(tmp_path):
    folder = write_batches(tmp_path / "cifar-10-batches-py")
    (folder / "test_batch").write_bytes(pickle.dumps({b"fine_labels": [1]}))
    with pytest.raises(ValueError, match=r"test_batch: cannot be read as .*KeyError: b'data'"):
        cifar10(str(tmp_path)).load()


def test_cifar10_without_root_is_downloaded_by_keras(monkeypatch):
    rng = np.random.default_rng(0)
    part = (
        rng.integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8),
        np.array([[3], [1], [0], [9], [2]], np.uint8),
    )
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (part, part))
    data_set = cifar10()
    splits = data_set.load()
    check_arrays(data_set, splits)
    np.testing.assert_array_equal(splits["train"]["label"], [3, 1, 0, 9, 2])
    np.testing.assert_array_equal(splits["test"]["image"], part[0])


def test_cifar10_failed_download_is_one_line_with_both_ways_out(monkeypatch):
    before = socket.getdefaulttimeout()
    during = []

    def fail():
        during.append(socket.getdefaulttimeout())
        raise Exception("URL fetch failure on https://x: None --\n Name or service not known")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    data_set = cifar10()  # the class names are known without a network
    assert data_set.class_names == CLASS_NAMES
    with pytest.raises(OSError, match="could not be downloaded") as info:
        data_set.load()
    text = str(info.value)
    assert "Name or service not known" in text and "\n" not in text
    assert "connect to the network" in text and "data.root=DIR" in text
    assert info.value.__suppress_context__
    assert during == [DOWNLOAD_TIMEOUT_SECS] and socket.getdefaulttimeout() == before


@pytest.mark.slow
@pytest.mark.skipif(not UNPACK.exists(), reason="no copy of CIFAR-10 beside the repository")
def test_cifar10_both_layouts_hold_the_same_images(tmp_path):
    subprocess.run([sys.executable, UNPACK, tmp_path, "--batches"], check=True)
    (tmp_path / "folders").mkdir()
    for split in ("train", "test"):
        (tmp_path / split).rename(tmp_path / "folders" / split)
    batches, folders = load(tmp_path), load(tmp_path / "folders")
    assert batches[0].class_names == folders[0].class_names == CLASS_NAMES
    for split, size in (("train", 50_000), ("test", 10_000)):
        ours, theirs = (
            sorted(
                (label, image.tobytes())
                for label, image in zip(s[split]["label"], s[split]["image"], strict=True)
            )
            for s in (batches[1], folders[1])
        )
        assert len(ours) == size and ours == theirs
