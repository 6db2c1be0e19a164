"""Where the loop gets its batches: from arrays on the device, or from a `tf.data.Dataset`.

A feed is asked twice. On the host, `plan(first_step, num_steps)` returns what a chunk of steps
needs; in the graph, `batch(plan, k)` returns the k-th batch of that chunk. `streamed_feed.py` has
the feed that reads from disk.
"""

import copy
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from trainer.data.dataset import ArrayOnDisk, Arrays, is_label
from trainer.data.order import PADDING, SequentialOrder, ShuffledOrder

Batch = dict[str, tf.Tensor]


class Feed(Protocol):
    """What the loop and the Trainer ask of a source of batches."""

    batch_size: int
    steps_per_epoch: int
    num_examples: int
    keys: frozenset[str]
    waits: bool = False
    """Whether a step may have to wait for a batch inside the graph."""

    def plan(self, first_step: int, num_steps: int, capacity: int) -> Any:
        """Return what `batch` needs for these steps, of a shape set by `capacity` alone."""

    def batch(self, plan: Any, k: tf.Tensor) -> Batch:
        """Return the k-th batch of a plan; traced."""

    def examples(self, step: int) -> np.ndarray | None:
        """Return which examples of the split are a step's batch, int32 [B]; None: not known."""
        del step
        return None

    def num_in_batch(self, step: int) -> int:
        """Return how many rows of a step's batch, the first ones, are examples and not padding.

        Of an evaluation, whose padding is at the end; a weight of 0 may be an example's own.
        """
        return max(0, min(self.batch_size, self.num_examples - step * self.batch_size))

    def in_order(self) -> "Feed":
        """Return a feed of each of these examples once, in order: what an evaluation takes."""

    def apart(self) -> "Feed":
        """Return a feed of the same batches with a position of its own."""
        return copy.copy(self)

    def check(self, first_step: int, num_steps: int) -> None:
        """Find out, when a chunk of these steps has failed, whether its examples are at fault.

        Raises:
            UnreadableExamplesError: naming them.
        """
        return


class ResidentFeed(Feed):
    """Arrays that sit on the device; a batch is a gather inside the graph.

    Args:
        arrays: key to array [N, ...]. `weight` float32 [N] may be among them (default: ones).
        order: which examples make up which batch.
    """

    def __init__(self, arrays: Arrays, order: ShuffledOrder | SequentialOrder) -> None:
        self.arrays = {key: tf.constant(array) for key, array in arrays.items()}
        self._order = order
        self.keys = frozenset(arrays) | {"weight"}
        self.batch_size = order.batch_size
        self.steps_per_epoch = order.steps_per_epoch
        self.num_examples = order.num_examples

    def in_order(self) -> "ResidentFeed":
        """Return a feed of each example once, in order; it has the same arrays."""
        same = copy.copy(self)
        same._order = SequentialOrder(self.num_examples, self.batch_size)
        same.steps_per_epoch = same._order.steps_per_epoch
        return same

    def plan(self, first_step: int, num_steps: int, capacity: int) -> tf.Tensor:
        """Return the example indices of the steps: int32 [capacity, B], zeros past the last."""
        rows = np.zeros((capacity, self.batch_size), np.int32)
        rows[:num_steps] = self._order.indices(first_step, num_steps)
        return tf.constant(rows)

    def batch(self, plan: tf.Tensor, k: tf.Tensor) -> Batch:
        """Return the k-th batch of a plan; padding has weight 0."""
        return gather(self.arrays, tf.gather(plan, k), self._order.has_padding)

    def examples(self, step: int) -> np.ndarray:
        """Return which examples of the split are a step's batch, int32 [B]."""
        return self._order.indices(step, 1)[0]


class DatasetFeed(Feed):
    """A user's `tf.data.Dataset` of batches, in the order it gives them.

    Resuming skips the batches that were seen, so the data set must give the same ones again. Where
    its length or batch size is not known statically, one pass over it counts the examples.

    Args:
        dataset: yields `(inputs, labels)`, `(inputs, labels, weight)` or dicts, already batched.
        training: drop partial batches and repeat; otherwise pad partial batches with weight 0.

    Raises:
        ValueError: if it is not batched, empty or infinite.
    """

    waits = True

    def __init__(self, dataset: tf.data.Dataset, *, training: bool) -> None:
        self._dataset = dataset
        batches = dataset.map(_as_weighted_batch)
        sizes = _batch_sizes(batches)
        self.keys = frozenset(batches.element_spec)
        self.batch_size = max(sizes)
        if training:
            sizes = [size for size in sizes if size == self.batch_size]
            batches = batches.filter(lambda batch: _size(batch) == self.batch_size)
        self._sizes = sizes
        self.steps_per_epoch = len(sizes)
        self.num_examples = sum(sizes)
        batches = batches.map(self._pad).prefetch(tf.data.AUTOTUNE)
        self._batches = batches.repeat() if training else batches
        self._iterator: Iterator[Batch] | None = None
        self._position = 0

    def in_order(self) -> "DatasetFeed":
        """Return a feed of each example once, in the order that the data set gives them."""
        return DatasetFeed(self._dataset, training=False)

    def apart(self) -> "DatasetFeed":
        """Return a feed of the same batches with an iterator of its own."""
        same = copy.copy(self)
        same._iterator = None
        return same

    def plan(self, first_step: int, num_steps: int, capacity: int) -> Iterator[Batch]:
        """Return an iterator that stands before batch `first_step`."""
        del capacity
        if self._iterator is None or self._position != first_step:
            self._iterator = iter(self._batches.skip(first_step % self.steps_per_epoch))
        self._position = first_step + num_steps
        return self._iterator

    def batch(self, plan: Iterator[Batch], k: tf.Tensor) -> Batch:
        """Return the iterator's next batch."""
        del k
        return next(plan)

    def num_in_batch(self, step: int) -> int:
        """Return how many rows of a step's batch are examples: any batch may be a short one."""
        return self._sizes[step % self.steps_per_epoch]

    def _pad(self, batch: Batch) -> Batch:
        num_missing = self.batch_size - _size(batch)

        def pad(tensor: tf.Tensor) -> tf.Tensor:
            paddings = [[0, num_missing]] + [[0, 0]] * (tensor.shape.rank - 1)
            return tf.ensure_shape(tf.pad(tensor, paddings), [self.batch_size, *tensor.shape[1:]])

        return {key: pad(tensor) for key, tensor in batch.items()}


def gather(tensors: Batch, indices: tf.Tensor, has_padding: bool) -> Batch:
    """Return the examples at `indices`, int32 [B], and their weights; traced.

    Where an index is `PADDING` the weight is 0, and the example is the first one. Without padding
    the weights are constants, of which TensorFlow makes no operations.
    """
    rows = tf.maximum(indices, 0) if has_padding else indices
    batch = {key: tf.gather(tensor, rows) for key, tensor in tensors.items()}
    batch.setdefault("weight", tf.ones(indices.shape, tf.float32))
    if has_padding:
        batch["weight"] *= tf.cast(tf.not_equal(indices, PADDING), tf.float32)
    return batch


def as_arrays(examples: Any) -> Arrays:
    """Return `(inputs, labels)`, `(inputs, labels, weight)` or a dict as a dict of arrays.

    Inputs of rank 4 are called `image`, other arrays `features`; a dict keeps its keys, and one of
    labels becomes `label/NAME`. What is on disk stays there.

    Raises:
        ValueError: if there is no label, or the arrays differ in length.
    """
    elements = examples if isinstance(examples, (tuple, list)) else (examples,)
    arrays = {
        key: array if isinstance(array, ArrayOnDisk) else np.asarray(array)
        for key, array in _as_batch(*elements).items()
    }
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"data: arrays of different lengths, {lengths}; give each one per example")
    return arrays


def _as_batch(*element: Any) -> dict[str, Any]:
    if len(element) == 1 and isinstance(element[0], dict):
        batch = dict(element[0])
        if not any(is_label(key) for key in batch):
            raise ValueError(f"data: no 'label' among the keys {sorted(batch)}")
        return batch
    if len(element) not in (2, 3):
        raise ValueError(
            "data: expected (inputs, labels), (inputs, labels, weight) or a dict with 'label', "
            f"received {len(element)} part(s)"
        )
    inputs, label, *weight = element
    if not isinstance(inputs, dict):
        inputs = {"image" if len(inputs.shape) == 4 else "features": inputs}
    is_dict = isinstance(label, dict)
    labels = {f"label/{name}": of_name for name, of_name in label.items()} if is_dict else None
    batch = {**inputs, **(labels or {"label": label})}
    return batch | {"weight": weight[0]} if weight else batch


def _as_weighted_batch(*element: Any) -> Batch:
    batch = _as_batch(*element)
    if any(tensor.shape.rank == 0 for tensor in batch.values()):
        raise ValueError("data: the tf.data.Dataset is not batched; call .batch(batch_size) on it")
    ones = tf.ones([_size(batch)], tf.float32)
    return {"weight": ones} | batch


def _batch_sizes(batches: tf.data.Dataset) -> list[int]:
    num_batches = int(batches.cardinality())
    if num_batches == tf.data.INFINITE_CARDINALITY:
        raise ValueError("data: the tf.data.Dataset is infinite; leave out .repeat()")
    static = _any_label(batches.element_spec).shape[0]
    if static is not None and num_batches >= 0:
        return [static] * num_batches
    sizes = [int(_size(batch)) for batch in batches]
    if not sizes:
        raise ValueError("data: the tf.data.Dataset is empty")
    return sizes


def _size(batch: Batch) -> tf.Tensor:
    return tf.shape(_any_label(batch))[0]


def _any_label(batch: Any) -> Any:
    return next(value for key, value in batch.items() if is_label(key))
