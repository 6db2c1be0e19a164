"""The official Python files of CIFAR-10 and CIFAR-100: pickles, read without trusting them."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

_Parsed = TypeVar("_Parsed")


def find_folder(root: Path, official_name: str, meta_file: str) -> Path | None:
    """Return the folder of an unpacked archive: in `root`, or `root` itself under any name."""
    if root.name == official_name or (root / meta_file).is_file():
        return root if root.is_dir() else None
    folder = root / official_name
    return folder if folder.is_dir() else None


def check_complete(folder: Path, names: Sequence[str], archive: str) -> None:
    """Check that all files are there.

    Raises:
        ValueError: naming those that are not, and the archive to unpack again.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; unpack {archive} again.")


def read_names(path: Path, key: bytes, archive: str) -> tuple[str, ...]:
    """Return the class names that a file of facts has under `key`.

    Raises:
        ValueError: If the file cannot be read as one.
    """
    return _read(path, lambda meta: tuple(name.decode() for name in meta[key]), archive)


def read_examples(path: Path, label_key: bytes, archive: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 [n, 32, 32, 3], and labels, int32 [n].

    Raises:
        ValueError: If the file cannot be read as one.
    """

    def parse(batch: dict[bytes, Any]) -> tuple[np.ndarray, np.ndarray]:
        planes = batch[b"data"].reshape(-1, 3, 32, 32)  # [n, C, H, W]
        # Contiguous, or the split would keep the layout of planes, and every reader copy it.
        image = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        return image, np.asarray(batch[label_key], np.int32)

    return _read(path, parse, archive)


def _read(path: Path, parse: Callable[[dict[bytes, Any]], _Parsed], archive: str) -> _Parsed:
    try:
        with path.open("rb") as file:
            return parse(_ArrayUnpickler(file, encoding="bytes").load())
    # Damaged pickles raise almost anything: the pickle module's own documentation says so.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{path}: cannot be read as a file of CIFAR ({reason}); unpack {archive} again."
        ) from None


class _ArrayUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings, numbers and uint8 arrays, and refuses the rest.

    A pickle can name any function of any module and have it called; a data file has no need to.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return _NDARRAY
        if (module, name) == ("numpy", "dtype"):
            return _uint8_dtype
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return _latin1_bytes
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, which a file of CIFAR has no need of"
        )


_NDARRAY = "numpy.ndarray"  # a name alone: called, it would make pointers of a file's bytes


def _empty_array(*_: object) -> np.ndarray:
    return np.empty(0, np.uint8)  # its shape and values come next, as its state


def _uint8_dtype(name: str | bytes, *_: object) -> np.dtype:
    # Object arrays are refused too: with them a file could forge pointers.
    if name not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"it holds an array of type {name!r}, expected uint8")
    return np.dtype(np.uint8)


def _latin1_bytes(text: str, _: str) -> bytes:
    return text.encode("latin1")
