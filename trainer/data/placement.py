"""Where the splits are during training: in memory (resident) or on disk (streamed)."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from trainer.data.dataset import FEEDS, ArrayOnDisk, Arrays, UnreadableExamplesError
from trainer.data.statistics import histograms
from trainer.suggestions import nearest

logger = logging.getLogger("trainer")

# Of this machine's memory. The arrays are there twice while they are handed to TensorFlow, and the
# rest is for the model, other processes and the file cache.
AUTO_SHARE = 1 / 4
LARGEST_SHARE = 1 / 2

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def choose_feed(setting: str, splits: Mapping[str, Arrays]) -> str:
    """Return "resident" or "streamed".

    Args:
        setting: "auto" keeps arrays that are in memory there, and reads those on disk into memory
            if all splits together take at most a quarter of it; "resident" and "streamed" decide.
        splits: what is trained and evaluated on.

    Raises:
        ValueError: If the setting is another, or "resident" would take over half of the memory.
    """
    if setting not in FEEDS:
        raise ValueError(f"data.feed={setting}: no such feed; {nearest(str(setting), FEEDS)}.")
    on_disk = _distinct_on_disk(splits)
    needed = sum(array.nbytes for array in on_disk)
    memory = memory_size()
    if setting == "resident" and needed > LARGEST_SHARE * memory:
        array = max(on_disk, key=lambda array: array.nbytes)
        raise ValueError(
            f"data.feed=resident: {len(array):,} images of {'x'.join(map(str, array.shape[1:]))} "
            f"(all splits: {needed / 2**30:.1f} GiB) would take more than half of this machine's "
            f"{memory / 2**30:.1f} GiB; use data.feed=streamed, make them smaller with "
            "data.image_size=[HEIGHT,WIDTH], or take fewer with data.limit."
        )
    if setting == "auto":
        return "resident" if needed <= AUTO_SHARE * memory else "streamed"
    return setting


def read_into_memory(splits: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """Return the splits with all arrays in memory; what two splits share is read once.

    Raises:
        UnreadableExamplesError: naming what cannot be read, over all splits.
    """
    arrays = _read_each(splits, np.asarray)
    return {
        split: {key: arrays.get(id(column), column) for key, column in of_split.items()}
        for split, of_split in splits.items()
    }


def check_readable(splits: Mapping[str, Arrays]) -> None:
    """Read through everything on disk, unless that was done before (see `histograms`).

    So an example that cannot be read is told before training, not in the middle of it, and the
    statistics of the training images are known.

    Raises:
        UnreadableExamplesError: naming what cannot be read, over all splits.
    """
    _read_each(splits, histograms)


def memory_size() -> int:
    """Return this machine's memory in bytes, or what this container may use of it."""
    memory = 2**63 - 1  # Windows: unknown
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(memory, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such file, or "max"
        return memory


def _distinct_on_disk(splits: Mapping[str, Arrays]) -> list[ArrayOnDisk]:
    arrays = {id(array): array for arrays in splits.values() for array in arrays.values()}
    return [array for array in arrays.values() if isinstance(array, ArrayOnDisk)]


def _read_each(
    splits: Mapping[str, Arrays], read: Callable[[ArrayOnDisk], np.ndarray]
) -> dict[int, np.ndarray]:
    """Return what `read` gives for each array on disk, by the array's id."""
    on_disk = _distinct_on_disk(splits)
    results, failures = {}, []
    for array in on_disk:
        try:
            results[id(array)] = read(array)
        except UnreadableExamplesError as error:
            failures += error.failures
    if failures:
        raise UnreadableExamplesError(failures, sum(len(array) for array in on_disk))
    return results
