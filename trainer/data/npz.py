"""NumPy arrays in one `.npz` file, in the way of Keras' own (`x_train`, `y_train`, `x_test`, ...).

Written with `np.savez(file, x_train=..., y_train=..., x_test=..., y_test=...)`.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from trainer.data.dataset import Arrays, DataSet

KEYS = "x_train, y_train (x_val, y_val, x_test, y_test), or image (features), label"

_KEY = re.compile(r"(x|y|image|features|label|weight)(?:_(train|val|test))?")


def npz(file: str, class_names: Sequence[str] | None = None) -> DataSet:
    """Return the data set kept in a `.npz` file.

    The arrays of a split are called `x` and `y`, or `image` (or `features`) and `label`, and
    `weight` where there is one, each with `_train`, `_val` or `_test` behind it; without, they are
    the train split. Other arrays are not read.

    Inputs: uint8 [N, H, W, C] or [N, H, W] (grey) are images; other shapes are `features`,
    float32. Labels: whole numbers [N] or [N, 1] are classes, int32 [N]; whole numbers [N, K] are K
    yes/no labels of 0 and 1, float32; fractions are values to regress, float32 [N, K].

    Args:
        file: The file; `~` is expanded.
        class_names: One per class, or per column of the labels. Default: "0", "1", ....

    Raises:
        ValueError: If the file cannot be read, holds objects (which only a pickle could hold), no
            train split, a float image, or labels that are none of these.
    """
    path = Path(file).expanduser()
    names = _names_by_split(path)
    labels = {split: _read(path, keys["label"]) for split, keys in names.items()}
    if class_names is None:
        class_names = _numbered(path, labels)
    return DataSet(name=path.stem, class_names=tuple(class_names), load=partial(_load, path, names))


def _names_by_split(path: Path) -> dict[str, dict[str, str]]:
    """Split -> key of the contract (`x` where shape decides) -> name of the array in the file."""
    try:
        with np.load(path) as file:
            stored = list(file.files)
    except Exception as error:
        raise _unreadable(path, error) from None
    names: dict[str, dict[str, str]] = {}
    for name in stored:
        if match := _KEY.fullmatch(name):
            key = "label" if match[1] == "y" else match[1]
            names.setdefault(match[2] or "train", {})[key] = name
    inputs = {"x", "image", "features"}
    lacking = [s for s, keys in names.items() if "label" not in keys or not inputs & keys.keys()]
    if "train" not in names or lacking:
        raise ValueError(
            f"{path}: no inputs and labels for {', '.join(lacking) or 'train'} (found: "
            f"{', '.join(stored) or 'nothing'}); expected {KEYS}."
        )
    return {split: names[split] for split in ("train", "val", "test") if split in names}


def _read(path: Path, name: str) -> np.ndarray:
    try:
        with np.load(path) as file:
            array = file[name]
    # A damaged zip raises BadZipFile, zlib.error, EOFError, ValueError, OSError and more.
    except Exception as error:
        raise _unreadable(path, error) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name} is {array.dtype}; only numbers can be read.")
    return array


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ValueError(f"{path}: cannot be read as .npz ({reason}); write it with np.savez.")


def _numbered(path: Path, labels: dict[str, np.ndarray]) -> list[str]:
    arrays = [_label(path, label) for label in labels.values()]
    if all(array.dtype == np.int32 for array in arrays):
        num_classes = max((int(array.max()) for array in arrays if array.size), default=0) + 1
    else:
        num_classes = arrays[0].shape[1]
    return [str(k) for k in range(num_classes)]


def _load(path: Path, names: dict[str, dict[str, str]]) -> dict[str, Arrays]:
    splits: dict[str, Arrays] = {}
    for split, keys in names.items():
        arrays: Arrays = {}
        for key, name in keys.items():
            array = _read(path, name)
            if key == "label":
                arrays[key] = _label(path, array)
            elif key == "image" or (key == "x" and _looks_like_image(array)):
                arrays["image"] = _image(path, name, array)
            else:
                arrays["features" if key == "x" else key] = array.astype(np.float32)
        splits[split] = arrays
    return splits


def _looks_like_image(array: np.ndarray) -> bool:
    is_grey = array.ndim == 3 and array.dtype == np.uint8
    return is_grey or (array.ndim == 4 and array.shape[-1] in (1, 3))


def _image(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise ValueError(
            f"{path}: {name} is {array.dtype} {list(array.shape)}, but images must be uint8 "
            "[N, H, W, C] or [N, H, W]; save (255 * image).round().astype(np.uint8) if they are in "
            "[0, 1]."
        )
    return array if array.ndim == 4 else array[..., np.newaxis]


def _label(path: Path, label: np.ndarray) -> np.ndarray:
    if label.dtype.kind == "f":
        return label.astype(np.float32).reshape(len(label), -1)
    if label.ndim == 1 or label.shape[1:] == (1,):
        numbers = label.reshape(-1).astype(np.int32)
        if (numbers != label.reshape(-1)).any():
            raise ValueError(f"{path}: class numbers do not fit into int32; number them from 0.")
        return numbers
    if label.ndim == 2 and np.isin(label, (0, 1)).all():
        return label.astype(np.float32)
    raise ValueError(
        f"{path}: labels are {label.dtype} {list(label.shape)}; expected class numbers [N], yes/no "
        "labels of 0 and 1 [N, K], or fractions to regress."
    )
