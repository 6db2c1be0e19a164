"""CIFAR-10 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

50,000 training and 10,000 test images of 32x32, in ten classes; from the network, from the official
Python archive, or from class folders.
"""

import pickle
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trainer.data.class_folder import class_folder
from trainer.data.dataset import Arrays, DataSet

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

BATCHES_FOLDER = "cifar-10-batches-py"
META_FILE = "batches.meta"
SPLIT_FILES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}

_Parsed = TypeVar("_Parsed")

DOWNLOAD_TIMEOUT_SECS = 20  # without an answer; a slow download that moves is not cut off


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
    if root is None:
        return DataSet(name="cifar10", class_names=CLASS_NAMES, load=_download)
    folder = Path(root).expanduser()
    batches = folder if folder.name == BATCHES_FOLDER else folder / BATCHES_FOLDER
    if (folder / META_FILE).is_file():  # the official folder under another name
        batches = folder
    if batches.is_dir():
        return DataSet(
            name="cifar10", class_names=_class_names(batches), load=partial(_load, batches)
        )
    try:
        return replace(class_folder(root), name="cifar10")
    except ValueError as error:
        raise ValueError(f"CIFAR-10: no {BATCHES_FOLDER}/, and no class folders: {error}") from None


def _download() -> dict[str, Arrays]:
    # Here, not at the top: only the download needs Keras, which takes seconds to import.
    import keras

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECS)  # Keras sets none: it would wait for minutes
    try:
        train, test = keras.datasets.cifar10.load_data()
    # Keras raises a bare Exception for a failed fetch and ValueError for a damaged archive.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"CIFAR-10 could not be downloaded ({reason}); connect to the network, or give a copy "
            f"with data.root=DIR, where DIR holds {BATCHES_FOLDER}/ or class folders "
            "train/<class>/* and test/<class>/*."
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
    return {
        split: {"image": np.ascontiguousarray(image), "label": label.reshape(-1).astype(np.int32)}
        for split, (image, label) in (("train", train), ("test", test))
    }


def _class_names(batches: Path) -> tuple[str, ...]:
    names = [META_FILE, *SPLIT_FILES["train"], *SPLIT_FILES["test"]]
    missing = [name for name in names if not (batches / name).is_file()]
    if missing:
        raise ValueError(
            f"{batches}: {', '.join(missing)} missing; unpack cifar-10-python.tar.gz again."
        )
    return _read(
        batches / META_FILE, lambda meta: tuple(name.decode() for name in meta[b"label_names"])
    )


def _load(batches: Path) -> dict[str, Arrays]:
    splits: dict[str, Arrays] = {}
    for split, names in SPLIT_FILES.items():
        images, labels = zip(*(_read(batches / name, _parse_batch) for name in names), strict=True)
        splits[split] = {"image": np.concatenate(images), "label": np.concatenate(labels)}
    return splits


def _parse_batch(batch: dict[bytes, Any]) -> tuple[np.ndarray, np.ndarray]:
    planes = batch[b"data"].reshape(-1, 3, 32, 32)  # [n, C, H, W]
    # Contiguous, or the whole split would keep the layout of planes, and every reader copy it.
    image = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return image, np.asarray(batch[b"labels"], np.int32)


def _read(path: Path, parse: Callable[[dict[bytes, Any]], _Parsed]) -> _Parsed:
    try:
        with path.open("rb") as file:
            return parse(_ArrayUnpickler(file, encoding="bytes").load())
    # Damaged pickles raise almost anything: the pickle module's own documentation says so.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{path}: cannot be read as a file of CIFAR-10 ({reason}); unpack "
            "cifar-10-python.tar.gz again."
        ) from None


class _ArrayUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings, numbers and uint8 arrays, and refuses the rest.

    A pickle can name any function of any module and have it called; a data file has no need to.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return _uint8_dtype
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return _latin1_bytes
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return super().find_class("numpy._core.multiarray", name)
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, which a CIFAR-10 file has no need of"
        )


def _uint8_dtype(name: str | bytes, *_: object) -> np.dtype:
    # Object arrays are refused too: with them a file could forge pointers.
    if name not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"it holds an array of type {name!r}, expected uint8")
    return np.dtype(np.uint8)


def _latin1_bytes(text: str, _: str) -> bytes:
    return text.encode("latin1")
