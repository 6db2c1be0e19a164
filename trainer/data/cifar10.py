"""CIFAR-10 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

50,000 training and 10,000 test images of 32x32, in ten classes; from the network, from the official
Python archive, or from class folders.
"""

from functools import partial
from pathlib import Path

import numpy as np

from trainer.data.cifar_files import check_complete, find_folder, read_examples, read_names
from trainer.data.dataset import Arrays, DataSet
from trainer.data.published import download, folders_instead

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

ARCHIVE = "cifar-10-python.tar.gz"
BATCHES_FOLDER = "cifar-10-batches-py"
META_FILE = "batches.meta"
SPLIT_FILES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}


def cifar10(root: str | None = None) -> DataSet:
    """Return CIFAR-10, with its splits "train" and "test".

    Args:
        root: None: downloaded by Keras on first use, and kept in its cache (`~/.keras/datasets`).
            Else a folder with cifar-10-batches-py/ in it, or that folder itself, or a folder with
            class folders (`class_folder`), whatever their classes and sizes.

    Raises:
        ValueError: If `root` holds none of these, or a file of the archive is missing or damaged.
            `load()` raises ConnectionError (an OSError) if the download fails.
    """
    files = f"{BATCHES_FOLDER}/"
    if root is None:
        load = partial(download, "CIFAR-10", "cifar10", files)
        return DataSet(name="cifar10", class_names=CLASS_NAMES, load=load)
    batches = find_folder(Path(root).expanduser(), BATCHES_FOLDER, META_FILE)
    if batches is None:
        return folders_instead("CIFAR-10", "cifar10", files, root)
    check_complete(batches, [META_FILE, *SPLIT_FILES["train"], *SPLIT_FILES["test"]], ARCHIVE)
    return DataSet(
        name="cifar10",
        class_names=read_names(batches / META_FILE, b"label_names", ARCHIVE),
        load=partial(_load, batches),
    )


def _load(batches: Path) -> dict[str, Arrays]:
    splits: dict[str, Arrays] = {}
    for split, names in SPLIT_FILES.items():
        parts = [read_examples(batches / name, b"labels", ARCHIVE) for name in names]
        images, labels = zip(*parts, strict=True)
        splits[split] = {"image": np.concatenate(images), "label": np.concatenate(labels)}
    return splits
