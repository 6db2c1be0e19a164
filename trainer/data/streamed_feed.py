"""Batches read from disk while the model trains: a `tf.data` pipeline over example indices."""

import copy
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from trainer.data.dataset import ArrayOnDisk, Arrays, UnreadableExamplesError
from trainer.data.feeds import Batch, Feed, gather
from trainer.data.image_files import num_threads
from trainer.data.order import SequentialOrder, ShuffledOrder

NUM_PREFETCHED = 8
"""Batches kept ready, so that a slow file does not stop the loop; more would only take memory."""


class StreamedFeed(Feed):
    """Arrays of which some stay on disk; the same batches, to the bit, as a `ResidentFeed`.

        step → its example indices → these examples read and decoded, one thread a batch

    The batches are put in order again, so they do not depend on the number of threads. The
    position is the step: a pipeline that begins at any step costs the same, and one pipeline
    serves the whole run, running ahead of the loop across the borders of its chunks.

    Args:
        arrays: key to array [N, ...], in memory or on disk. `weight` float32 [N] may be among them
            (default: ones).
        order: which examples make up which batch.
        num_parallel: how many batches are read at a time, at least 1; default: `num_threads()`.
    """

    waits = True

    def __init__(
        self,
        arrays: Arrays,
        order: ShuffledOrder | SequentialOrder,
        num_parallel: int | None = None,
    ) -> None:
        self._arrays = arrays
        self._on_disk = {k: array for k, array in arrays.items() if isinstance(array, ArrayOnDisk)}
        self._readers = {key: array.reader() for key, array in self._on_disk.items()}
        self.arrays = {
            key: tf.constant(array) for key, array in arrays.items() if key not in self._on_disk
        }
        self._order = order
        self._num_parallel = num_parallel or num_threads()
        self.keys = frozenset(arrays) | {"weight"}
        self.batch_size = order.batch_size
        self.steps_per_epoch = order.steps_per_epoch
        self.num_examples = order.num_examples
        self._pipeline: tuple[int, tf.data.Dataset] | None = None
        self._iterator: Iterator[Batch]
        self._position = -1  # where the iterator stands; at first there is none

    def in_order(self) -> "StreamedFeed":
        """Return a feed of each example once, in order."""
        order = SequentialOrder(self.num_examples, self.batch_size)
        return StreamedFeed(self._arrays, order, self._num_parallel)

    def apart(self) -> "StreamedFeed":
        """Return a feed of the same batches with an iterator of its own."""
        same = copy.copy(self)
        same._position = -1
        return same

    def plan(self, first_step: int, num_steps: int, capacity: int) -> Iterator[Batch]:
        """Return an iterator that stands before batch `first_step`."""
        del capacity
        if self._position != first_step:
            self._iterator = iter(self._batches(first_step))
        self._position = first_step + num_steps
        return self._iterator

    def batch(self, plan: Iterator[Batch], k: tf.Tensor) -> Batch:
        """Return the iterator's next batch."""
        del k
        return next(plan)

    def examples(self, step: int) -> np.ndarray:
        """Return which examples of the split are a step's batch, int32 [B]."""
        return self._order.indices(step, 1)[0]

    def check(self, first_step: int, num_steps: int) -> None:
        """Read the examples of these steps once more, and name those that cannot be read."""
        rows = np.unique(self._order.indices(first_step, num_steps))
        rows = rows[rows >= 0]
        for array in self._on_disk.values():
            for start in range(0, len(rows), self.batch_size):
                try:
                    np.asarray(array[rows[start : start + self.batch_size]])
                except UnreadableExamplesError as error:
                    raise UnreadableExamplesError(error.failures, self.num_examples) from None

    def _batches(self, first_step: int) -> tf.data.Dataset:
        """Return the pipeline from a step on; each evaluation begins with the one it had before."""
        if self._pipeline is None or self._pipeline[0] != first_step:
            self._pipeline = first_step, self._build(first_step)
        return self._pipeline[1]

    def _build(self, first_step: int) -> tf.data.Dataset:
        endless = isinstance(self._order, ShuffledOrder)
        last_step = sys.maxsize if endless else self.steps_per_epoch
        batches = (
            tf.data.Dataset.range(first_step, last_step)
            .map(self._indices)
            .map(self._batch_of, self._num_parallel, deterministic=True)
            .prefetch(NUM_PREFETCHED)
        )
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False  # there is nothing left to tune, and it takes a thread
        return batches.with_options(options)

    def _indices(self, step: tf.Tensor) -> tf.Tensor:
        def of_step(step: np.ndarray) -> np.ndarray:
            return self._order.indices(int(step), 1)[0]

        indices = tf.numpy_function(of_step, [step], tf.int32, stateful=False)
        return tf.ensure_shape(indices, [self.batch_size])

    def _batch_of(self, indices: tf.Tensor) -> Batch:
        rows = tf.maximum(indices, 0)  # padding: any example, with weight 0
        on_disk = {key: read(rows) for key, read in self._readers.items()}
        return gather(self.arrays, indices, self._order.has_padding) | on_disk
