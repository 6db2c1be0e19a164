"""What data sets under conf/data need to be built, made small: YAML name -> what makes it.

A function gets an empty folder and returns the arguments to build the data set with. One without an
entry in `LAYOUTS` gets class folders if it has a `root`; else it is built as its YAML says.
"""

import csv
import gzip
import pickle
import types

import numpy as np
import tensorflow as tf
from PIL import Image

SPLITS = (("train", 20), ("test", 4))  # and their sizes


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)


def class_folders(folder):
    for split, count in (("train", 10), ("test", 2)):
        for name, pixels in zip("ab", random_images(2, count, 8, 8, 3), strict=True):
            (folder / split / name).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(pixels[k]).save(folder / split / name / f"{k}.png")
    return {"root": str(folder)}


def cifar100(folder):
    """The official layout; one example of each fine class: protocol 2 and bytes keys."""
    archive = folder / "cifar-100-python"
    archive.mkdir()
    for split in ("train", "test"):
        examples = {
            b"data": random_images(100, 3072),
            b"fine_labels": list(range(100)),
            b"coarse_labels": [k // 5 for k in range(100)],
            b"filenames": [b"a.png"] * 100,
            b"batch_label": split.encode(),
        }
        (archive / split).write_bytes(pickle.dumps(examples, protocol=2))
    names = {
        b"fine_label_names": [f"fine_{k}".encode() for k in range(100)],
        b"coarse_label_names": [f"coarse_{k}".encode() for k in range(20)],
    }
    (archive / "meta").write_bytes(pickle.dumps(names, protocol=2))
    return {"root": str(folder)}


def idx(array):
    """An array as the bytes of an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def fashion_mnist(folder, suffix=".gz", separator="-"):
    """The four IDX files; labels go round the ten classes."""
    for prefix, count in (("train", 20), ("t10k", 10)):
        label = (np.arange(count) % 10).astype(np.uint8)
        arrays = {"images-idx3": random_images(count, 28, 28), "labels-idx1": label}
        for kind, array in arrays.items():
            contents = gzip.compress(idx(array)) if suffix else idx(array)
            name = f"{prefix}-{kind.replace('-idx', f'{separator}idx')}-ubyte{suffix}"
            (folder / name).write_bytes(contents)
    return {"root": str(folder)}


def mnist(folder):
    """Keras' mnist.npz."""
    arrays = {}
    for split, count in (("train", 20), ("test", 10)):
        arrays[f"x_{split}"] = random_images(count, 28, 28)
        arrays[f"y_{split}"] = (np.arange(count) % 10).astype(np.uint8)
    np.savez(folder / "mnist.npz", **arrays)
    return {"root": str(folder)}


def npz(folder):
    return {"file": f"{mnist(folder)['root']}/mnist.npz"}


def image_table(folder):
    """A CSV beside its images, with weights and splits."""
    rows = [("file", "label", "weight", "split")]
    (folder / "images").mkdir()
    for split, count in SPLITS:
        for k, pixels in enumerate(random_images(count, 8, 8, 3)):
            path = f"images/{split}_{k}.png"
            Image.fromarray(pixels).save(folder / path)
            rows.append((path, "cat" if k % 2 else "dog", 1 + k % 3, split))
    return {"file": written(folder / "images.csv", rows)}


def table(folder):
    """A CSV of three numbers and a class."""
    rng = np.random.default_rng(0)
    rows = [("length", "width", "depth", "label"), *([*rng.random(3), k % 2] for k in range(20))]
    return {"file": written(folder / "table.csv", rows)}


def written(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


class FakeBuilder:
    """The part of `tfds.core.DatasetBuilder` that is used, over images of two sizes."""

    def __init__(self, name, data_dir=None):
        if name == "no_such_set":
            raise ValueError("Dataset no_such_set not found.\nDid you mean ...")
        self.data_dir, self.is_prepared = data_dir, False
        features = {
            "image": types.SimpleNamespace(shape=(None, None, 3), dtype=np.uint8),
            "label": types.SimpleNamespace(shape=(), dtype=np.int64, names=["cat", "dog"]),
            "image/filename": types.SimpleNamespace(shape=(), dtype=np.object_),
        }
        splits = {
            name: types.SimpleNamespace(num_examples=count)
            for name, count in (("train", 20), ("validation", 6), ("unlabelled", 3))
        }
        self.info = types.SimpleNamespace(features=features, splits=splits)

    def download_and_prepare(self):
        if self.data_dir == "/offline":
            raise OSError("Max retries exceeded\nwith url ...")
        self.is_prepared = True

    def as_dataset(self, split):
        if not self.is_prepared:
            raise AssertionError("Dataset not prepared")

        def examples():
            for k in range(self.info.splits[split].num_examples):
                side = 8 + 2 * (k % 2)
                yield {"image": np.full((side, side, 3), 10 * k, np.uint8), "label": k % 2}

        spec = {
            "image": tf.TensorSpec([None, None, 3], tf.uint8),
            "label": tf.TensorSpec([], tf.int64),
        }
        return tf.data.Dataset.from_generator(examples, output_signature=spec)


def tensorflow_datasets(folder):
    return {"dataset": "cats_vs_dogs", "image_size": [8, 8], "root": str(folder)}


PACKAGES = {
    "tensorflow_datasets": types.SimpleNamespace(builder=FakeBuilder, __version__="0.0"),
}
"""What stands in for packages that are no dependencies, and whose data cannot be made here."""

LAYOUTS = {
    "cifar100": cifar100,
    "fashion_mnist": fashion_mnist,
    "image_table": image_table,
    "mnist": mnist,
    "npz": npz,
    "table": table,
    "tensorflow_datasets": tensorflow_datasets,
}
