"""The data of one run: a feed per split and the way from raw batch to model input."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.dataset import SPLITS, Arrays, is_label, num_examples
from trainer.data.feeds import Batch, DatasetFeed, Feed, ResidentFeed, as_arrays
from trainer.data.order import SequentialOrder, ShuffledOrder
from trainer.data.placement import choose_feed, read_into_memory
from trainer.data.streamed_feed import StreamedFeed
from trainer.data.transform import Augmentation, Transform
from trainer.durations import Duration, RunLength


class Data:
    """What a `Trainer` trains and evaluates on.

    A split is `(inputs, labels)`, `(inputs, labels, weight)` or a dict of arrays [N, ...], with
    the labels under `label` (several: `label/NAME`); or a batched `tf.data.Dataset` of the same.
    Inputs and labels may be dicts of arrays by name. Inputs given as uint8
    are scaled to [0, 1]. Arrays are shuffled anew every epoch, as a function of (seed, epoch). They
    may be on disk (`ArrayOnDisk`), as a split of `class_folder(DIR).load()` is.

    Args:
        train: the training split.
        val: what is evaluated during training, if anything.
        test: what is kept for the end, if anything.
        batch_size: global batch size for arrays; a data set brings its own. 32 is Keras' default.
        augment: name to augmentation, for training images.
        mean: per channel, of images in [0, 1]; with `std`, standardises images.
        std: per channel, above 0.
        class_names: one per class, for reports.
        seed: of the order and the augmentations, 0 <= seed < 2**31.
        feed: how arrays are fed, "resident" in memory or "streamed" from disk, with the same
            batches to the bit; "auto" goes by their size (see `placement.choose_feed`).

    Raises:
        ValueError: if the arrays do not fit together, into a batch or into memory, or one on disk
            cannot be read into it.
    """

    def __init__(
        self,
        train: Any,
        val: Any = None,
        test: Any = None,
        *,
        batch_size: int = 32,
        augment: Mapping[str, Augmentation] | None = None,
        mean: Sequence[float] | np.ndarray | None = None,
        std: Sequence[float] | np.ndarray | None = None,
        class_names: Sequence[str] = (),
        seed: int = 0,
        feed: str = "auto",
    ) -> None:
        self.class_names = tuple(str(name) for name in class_names)
        self.seed: int | tf.Tensor = seed
        self.transform = Transform(augment, mean, std, seed)
        self.feeds: dict[str, Feed] = {}
        self._train_in_order: Feed | None = None
        splits: dict[str, Arrays] = {}
        for split, examples in zip(SPLITS, (train, val, test), strict=True):
            if isinstance(examples, tf.data.Dataset):
                self.feeds[split] = DatasetFeed(examples, training=split == "train")
            elif examples is not None:
                splits[split] = as_arrays(examples)
        kind: type[ResidentFeed] | type[StreamedFeed] = StreamedFeed
        if choose_feed(feed, splits) == "resident":
            kind, splits = ResidentFeed, read_into_memory(splits)
        for split, arrays in splits.items():
            count = num_examples(arrays)
            order = (
                ShuffledOrder(count, batch_size, seed)
                if split == "train"
                else SequentialOrder(count, batch_size)
            )
            self.feeds[split] = kind(arrays, order)

    def feed(self, split: str) -> Feed:
        """Return the feed of a split.

        Raises:
            ValueError: if there is no such split.
        """
        if split not in self.feeds:
            raise ValueError(f"split={split!r}: this data has {', '.join(self.feeds)}")
        return self.feeds[split]

    def evaluation_feed(self, split: str) -> Feed:
        """Return the feed of a split that gives each of its examples once.

        Raises:
            ValueError: if there is no such split.
        """
        feed = self.feed(split)
        if split != "train":
            return feed
        if self._train_in_order is None:
            self._train_in_order = feed.in_order()
        return self._train_in_order

    @contextmanager
    def seeded(self, seed: tf.Tensor) -> Iterator[None]:
        """Draw for another seed within the context, int64 scalar; traced. The order stays."""
        before, self.seed, self.transform.seed = self.seed, seed, seed
        try:
            yield
        finally:
            self.seed = self.transform.seed = before

    def run_length(self, duration: str | Duration) -> RunLength:
        """Return how many steps `duration` is for the training split."""
        feed = self.feed("train")
        return RunLength.of(duration, feed.steps_per_epoch, feed.batch_size)

    @property
    def global_batch_size(self) -> int:
        """Examples in a training step, over all replicas."""
        return self.feeds["train"].batch_size

    @property
    def has_images(self) -> bool:
        """Whether batches have an `image`."""
        return "image" in self.feeds["train"].keys

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """What a model takes of one example: name to shape and dtype."""
        return {
            key: tf.TensorSpec(tensor.shape[1:], tensor.dtype, key)
            for key, tensor in self.evaluated_batch().items()
            if not is_label(key) and key != "weight"
        }

    def example_batch(self, split: str = "train") -> Batch:
        """Return the first batch of a split as the model will see it; eager."""
        batch = self._first_batch(split)
        if split != "train":
            return self.transform.evaluation(batch)
        return self.transform.training(batch, tf.constant(0, tf.int64))

    def evaluated_batch(self) -> Batch:
        """Return a batch as an evaluation sees it: labels as they are, nothing augmented; eager."""
        split = next((split for split in self.feeds if split != "train"), "train")
        return self.transform.evaluation(self._first_batch(split))

    def _first_batch(self, split: str) -> Batch:
        feed = self.feed(split)
        plan = feed.plan(0, 1, 1)
        try:
            return feed.batch(plan, tf.constant(0))
        except tf.errors.OpError:
            feed.check(0, 1)
            raise


def model_inputs(batch: Batch) -> Any:
    """Return what a model is called with: all but the labels and `weight`.

    One tensor is passed as it is, several as a dict by name.
    """
    inputs = {k: tensor for k, tensor in batch.items() if not is_label(k) and k != "weight"}
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs


def labels_of(batch: Batch) -> Any:
    """Return what a loss compares with the model's outputs.

    The tensor under `label`, or a dict of those under `label/NAME` by name.
    """
    if "label" in batch:
        return batch["label"]
    return {k.partition("/")[2]: tensor for k, tensor in batch.items() if is_label(k)}
