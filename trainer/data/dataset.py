"""What a data set is: its facts at once, its arrays on demand.

A data file is one function that returns a `DataSet`. What it can know cheaply (the class names)
and what the user can get wrong (a missing folder) is settled in that call; the arrays come when
`load()` is called. `check_arrays` holds what `load()` returned to the contract.

An array may stay on disk (`ArrayOnDisk`): it has the part of NumPy's interface by which examples
are chosen and counted, so that most code need not know the difference.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("train", "val", "test")

FEEDS = ("auto", "resident", "streamed")  # what data.feed may be, see placement.py

NUM_NAMED = 5  # how many unreadable examples an error names


class UnreadableExamplesError(ValueError):
    """Examples on disk that cannot be read; the message names the first few.

    Args:
        failures: one text, "path (kind of error)", for each.
        num_examples: out of how many.
    """

    def __init__(self, failures: Sequence[str], num_examples: int) -> None:
        more = ", ..." if len(failures) > NUM_NAMED else ""
        super().__init__(
            f"{len(failures):,} of {num_examples:,} images cannot be read: "
            f"{', '.join(failures[:NUM_NAMED])}{more}; remove or replace them."
        )
        self.failures = list(failures)


class ArrayOnDisk(ABC):
    """Stands for an array [N, ...] whose examples are read from disk when they are needed.

    Attributes:
        shape: of the whole array.
        dtype: of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """Number of axes, that of the examples included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the array would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, index: slice | np.ndarray) -> Self:
        """Return some of the examples, still on disk."""

    @abstractmethod
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all examples; what `np.asarray` calls.

        Raises:
            UnreadableExamplesError: naming every example that cannot be read.
        """

    @abstractmethod
    def reader(self) -> "Callable[[tf.Tensor], tf.Tensor]":
        """Return a function to be traced: rows, int32 [B] -> these examples, as of `__array__`."""

    @abstractmethod
    def identity(self) -> np.ndarray:
        """Return a digest, uint8 [32], that changes with the data without reading it."""


Arrays = dict[str, np.ndarray | ArrayOnDisk]
"""One split: key -> array [N, ...], such as `image` uint8 [N, H, W, C] and `label` int32 [N].

Labels are under `label`, or under `label/NAME` where there are several, and always in memory: class
numbers int32 [N], or float32 [N] or [N, K]: values to regress, or a 0 or 1 for each of K yes-or-no
questions. `weight` float32 [N] is what an example counts, 1 where there is none. All other keys
are inputs of the model.
"""


def is_label(key: str) -> bool:
    """Return whether a key of a batch holds labels."""
    return key == "label" or key.startswith("label/")


def num_examples(arrays: Arrays) -> int:
    """Return the number of examples of a split."""
    return len(next(iter(arrays.values())))


def class_numbers(arrays: Arrays) -> np.ndarray | None:
    """Return the class of each example, int32 [N]; None where no label is a class number."""
    for key, array in arrays.items():
        if is_label(key) and array.dtype.kind in "iu" and array.ndim == 1:
            return np.asarray(array)
    return None


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        name: Short name for logs and reports.
        class_names: One name per class: label k is `class_names[k]`. Without class numbers one per
            column of the labels, such as the K questions of yes-or-no labels [N, K]; may be empty
            where there are only values to regress.
        load: Reads the arrays: split name -> `Arrays`, for "train" and, where the data set has
            them, "val" and "test". Images stay uint8: a quarter of float32's memory, and scaling
            to [0, 1] is one multiplication in the graph.
    """

    name: str
    class_names: tuple[str, ...]
    load: Callable[[], dict[str, Arrays]]


def check_arrays(data_set: DataSet, splits: dict[str, Arrays]) -> None:
    """Check what `data_set.load()` returned.

    Every split must have the same keys, dtypes and example shapes; within a split every array has
    the same length. Inputs other than `image` may have any dtype and shape.

    Args:
        data_set: Where the arrays come from: its name and number of classes.
        splits: Split name -> arrays.

    Raises:
        ValueError: If "train" is missing, a split has an unknown name, has no label, is empty, has
            arrays of unequal length, differs from "train" in keys, dtypes or example shapes, has
            images that are not uint8 [N, H, W, C], class numbers outside [0, K), weights below 0,
            or labels of another kind.
    """
    where = f"data set {data_set.name}"
    if "train" not in splits:
        raise ValueError(f"{where}: no train split; load() returned {', '.join(splits) or 'none'}.")
    train_layout = _layout(splits["train"])
    for split, arrays in splits.items():
        if split not in SPLITS:
            raise ValueError(
                f"{where}: unknown split {split!r}; the names are {', '.join(SPLITS)}."
            )
        _check_split(f"{where}, {split} split", arrays, len(data_set.class_names))
        if _layout(arrays) != train_layout:
            raise ValueError(
                f"{where}: the {split} split holds {_layout(arrays)}, the train split "
                f"{train_layout}; keys, dtypes and example shapes must be the same."
            )


def _layout(arrays: Arrays) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Key -> (dtype, shape of one example)."""
    return {key: (str(array.dtype), array.shape[1:]) for key, array in sorted(arrays.items())}


def _check_split(where: str, arrays: Arrays, num_classes: int) -> None:
    labels = {key: np.asarray(array) for key, array in arrays.items() if is_label(key)}
    if not labels:
        raise ValueError(f"{where}: no label array; the keys are {', '.join(arrays) or 'none'}.")
    if "label" in labels and len(labels) > 1:
        raise ValueError(
            f"{where}: labels under {', '.join(labels)}; use either label or label/NAME."
        )
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{where}: arrays of unequal length: {lengths}.")
    if num_examples(arrays) == 0:
        raise ValueError(f"{where}: no examples.")
    for key, label in labels.items():
        _check_label(f"{where}: {key}", label, num_classes)
    image = arrays.get("image")
    if image is not None and (image.dtype != np.uint8 or image.ndim != 4):
        raise ValueError(
            f"{where}: image must be uint8 [N, H, W, C]; received {image.dtype} "
            f"{list(image.shape)}."
        )
    for key in arrays.keys() - labels.keys() - {"image", "weight"}:
        inputs = arrays[key]
        # What is on disk stays there: it is read once training needs it.
        is_here = isinstance(inputs, np.ndarray) and inputs.dtype.kind == "f"
        if is_here and not np.isfinite(inputs).all():
            raise ValueError(f"{where}: {key}: some are not finite; leave these examples out.")
    weight = arrays.get("weight")
    if weight is not None:
        _check_weight(f"{where}: weight", np.asarray(weight))


def _check_label(what: str, label: np.ndarray, num_classes: int) -> None:
    is_class_number = label.dtype == np.int32 and label.ndim == 1
    if not is_class_number and (label.dtype != np.float32 or label.ndim not in (1, 2)):
        raise ValueError(
            f"{what} must be int32 [N], or float32 [N] or [N, K]; received {label.dtype} "
            f"{list(label.shape)}."
        )
    if is_class_number and (label.min() < 0 or label.max() >= num_classes):
        raise ValueError(
            f"{what}: the classes run from {label.min()} to {label.max()}; with {num_classes} "
            f"classes they must lie in [0, {num_classes - 1}]."
        )
    if not np.isfinite(label).all():
        raise ValueError(f"{what}: some are not finite; leave these examples out.")


def _check_weight(what: str, weight: np.ndarray) -> None:
    if weight.dtype != np.float32 or weight.ndim != 1:
        raise ValueError(
            f"{what} must be float32 [N]; received {weight.dtype} {list(weight.shape)}."
        )
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError(f"{what}: some are below 0 or not finite; 0 leaves an example out.")
