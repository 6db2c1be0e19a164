"""Image files as an array [N, H, W, C]: read into memory at once, or a few at a time."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from trainer.data.dataset import ArrayOnDisk, UnreadableExamplesError
from trainer.data.decoding import VERSION, decode, decode_with_pillow

READ_AT_ONCE = 64  # images decoded together in one call of a tf.data function


def num_threads() -> int:
    """Return how many threads read and decode images.

    Twice the number of cores: a thread that waits for the disk leaves its core to another. A fixed
    number, because tf.data's autotuning takes seconds to get there.
    """
    return 2 * (os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class ImageFiles(ArrayOnDisk):
    """Image files that stand for the array uint8 [N, H, W, C] of their pixels.

    Args:
        root: the folder that holds them all.
        paths: relative to `root`, array of str [N].
        stats: int64 [N, 2], the size in bytes and the time of last change in nanoseconds.
        image_size: (height, width) that images are resized to where they differ.
        channels: 1 or 3; see `decoding.decode`.
        uniform: whether all files are known to be JPEG of this size.
    """

    root: Path
    paths: np.ndarray
    stats: np.ndarray
    image_size: tuple[int, int]
    channels: int
    uniform: bool = False

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """N, height, width, channels."""
        return (len(self.paths), *self.image_size, self.channels)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        """Always uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: slice | np.ndarray) -> Self:
        return replace(self, paths=self.paths[index], stats=self.stats[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        images, was_read = np.empty(self.shape, np.uint8), np.zeros(len(self), bool)
        read = self.reader()
        # One broken image fails all that are read together: these are then read one by one.
        for at_once in (READ_AT_ONCE, 1):
            left = np.flatnonzero(~was_read).astype(np.int32)
            groups = tf.data.Dataset.from_tensor_slices(left).batch(at_once)
            groups = groups.map(lambda rows: (rows, read(rows)), num_threads(), deterministic=False)
            for rows, pixels in groups.ignore_errors().as_numpy_iterator():
                images[rows] = pixels
                was_read[rows] = True
        if not was_read.all():
            raise UnreadableExamplesError(
                [self._failure(path) for path in self.paths[~was_read]], len(self)
            )
        return images if dtype is None else images.astype(dtype)

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the function rows, int32 [B] -> uint8 [B, H, W, C], to be traced."""
        # An eager tensor: made while tracing, it would be copied into the graph.
        paths = tf.constant([os.fsencode(self.root / path) for path in self.paths])

        def read_one(path: tf.Tensor) -> tf.Tensor:
            return decode(tf.io.read_file(path), self.image_size, self.channels, self.uniform)

        def read(rows: tf.Tensor) -> tf.Tensor:
            spec = tf.TensorSpec(self.shape[1:], tf.uint8)
            # One thread reads the images of a batch, another the next batch's: for small files that
            # is a third faster than to hand over image by image.
            return tf.map_fn(
                read_one, tf.gather(paths, rows), parallel_iterations=1, fn_output_signature=spec
            )

        return read

    def identity(self) -> np.ndarray:
        """Digest names, sizes and times of last change of the files, and how they are decoded."""
        digest = hashlib.sha256(f"{VERSION} {self.shape}\n".encode())
        digest.update("\n".join(self.paths).encode(errors="surrogateescape"))
        digest.update(np.ascontiguousarray(self.stats).data)
        return np.frombuffer(digest.digest(), np.uint8)

    def _failure(self, path: str) -> str:
        try:
            decode_with_pillow((self.root / path).read_bytes(), self.image_size, self.channels)
        except Exception as error:  # see decoding.read_header
            return f"{self.root / path} ({type(error).__name__})"
        return f"{self.root / path} (changed since it was listed, or TensorFlow cannot decode it)"


def file_stats(root: Path, paths: Sequence[str]) -> np.ndarray:
    """Return size in bytes and time of last change in nanoseconds: int64 [N, 2]."""
    stats = np.empty((len(paths), 2), np.int64)
    for row, path in enumerate(paths):
        stat = (root / path).stat()
        stats[row] = stat.st_size, stat.st_mtime_ns
    return stats
