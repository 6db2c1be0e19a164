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
"""One split: key -> array [N, ...]; `image` uint8 [N, H, W, C] and `label` int32 [N].

`label` is always in memory.
"""


@dataclass(frozen=True)
class DataSet:
    """A classification data set.

    Attributes:
        name: Short name for logs and reports.
        class_names: One name per class; label k is `class_names[k]`.
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
    the same length. Keys other than `image` and `label` may have any dtype and shape.

    Args:
        data_set: Where the arrays come from: its name and number of classes.
        splits: Split name -> arrays.

    Raises:
        ValueError: If "train" is missing, a split has an unknown name, lacks `label`, is empty, has
            arrays of unequal length, differs from "train" in keys, dtypes or example shapes, has
            images that are not uint8 [N, H, W, C], or labels that are not int32 [N] in [0, K).
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
    if "label" not in arrays:
        raise ValueError(f"{where}: no label array; the keys are {', '.join(arrays) or 'none'}.")
    label = np.asarray(arrays["label"])
    if label.dtype != np.int32 or label.ndim != 1:
        raise ValueError(
            f"{where}: label must be int32 [N]; received {label.dtype} {list(label.shape)}."
        )
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{where}: arrays of unequal length: {lengths}.")
    if len(label) == 0:
        raise ValueError(f"{where}: no examples.")
    if label.min() < 0 or label.max() >= num_classes:
        raise ValueError(
            f"{where}: labels run from {label.min()} to {label.max()}; with {num_classes} classes "
            f"they must lie in [0, {num_classes - 1}]."
        )
    image = arrays.get("image")
    if image is not None and (image.dtype != np.uint8 or image.ndim != 4):
        raise ValueError(
            f"{where}: image must be uint8 [N, H, W, C]; received {image.dtype} "
            f"{list(image.shape)}."
        )
