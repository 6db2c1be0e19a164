"""IDX files, the format that MNIST and its successors are published in (yann.lecun.com/exdb/mnist).

Two zero bytes, one for the type (8: uint8), one for the number of axes; the length of each axis as
a big-endian int32; then the values.
"""

import gzip
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from trainer.data.dataset import Arrays, DataSet

PREFIXES = {"train": "train", "test": "t10k"}
KINDS = {"image": "images-idx3-ubyte", "label": "labels-idx1-ubyte"}
FILES = "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], t10k-..."

UINT8 = 8


def idx_data_set(
    name: str, class_names: tuple[str, ...], folders: Sequence[Path]
) -> DataSet | None:
    """Return the data set in the first of `folders` that has any of the files, None if none has.

    Raises:
        ValueError: If some of the four files are missing there. `load()` raises it if one is
            damaged or is no uint8 array of the right shape.
    """
    for folder in folders:
        found = {
            (split, key): _find(folder, f"{prefix}-{kind}")
            for split, prefix in PREFIXES.items()
            for key, kind in KINDS.items()
        }
        missing = [f"{PREFIXES[s]}-{KINDS[k]}" for (s, k), path in found.items() if path is None]
        if len(missing) == len(found):
            continue
        if missing:
            raise ValueError(f"{folder}: {', '.join(missing)} missing; put all four files there.")
        paths = {place: path for place, path in found.items() if path is not None}
        return DataSet(name=name, class_names=class_names, load=partial(_load, paths))
    return None


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file, gzipped or not: uint8, any shape.

    Raises:
        ValueError: If the file is damaged or holds another type.
    """
    try:
        contents = path.read_bytes()
        if path.suffix == ".gz":
            contents = gzip.decompress(contents)
    # gzip raises OSError, EOFError or zlib.error by what is damaged.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path}: cannot be read ({reason}); download it again.") from None
    num_axes = contents[3] if contents[:3] == bytes([0, 0, UINT8]) and len(contents) > 3 else 0
    start = 4 + 4 * num_axes
    shape = np.frombuffer(contents[4:start], ">i4") if len(contents) >= start else np.array([-1])
    if num_axes == 0 or len(contents) - start != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"{path}: no whole IDX file of uint8 ({len(contents):,} bytes, beginning with "
            f"{contents[:4].hex() or 'nothing'}); download it again."
        )
    return np.frombuffer(contents, np.uint8, offset=start).reshape(shape)


def _find(folder: Path, name: str) -> Path | None:
    # Some copies have a dot where the official name has its second hyphen.
    for candidate in (name, name.replace("-idx", ".idx")):
        for suffix in ("", ".gz"):
            path = folder / f"{candidate}{suffix}"
            if path.is_file():
                return path
    return None


def _load(paths: dict[tuple[str, str], Path]) -> dict[str, Arrays]:
    splits: dict[str, Arrays] = {split: {} for split, _ in paths}
    for (split, key), path in paths.items():
        array = read_idx(path)
        if array.ndim != (3 if key == "image" else 1):
            raise ValueError(f"{path}: holds {list(array.shape)}, no {key}s; download it again.")
        splits[split][key] = array[..., np.newaxis] if key == "image" else array.astype(np.int32)
    return splits
