"""The data of one run: a feed per split and the way from raw batch to model input."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.feeds import Batch, DatasetFeed, Feed, ResidentFeed, as_arrays
from trainer.data.order import SequentialOrder, ShuffledOrder
from trainer.data.transform import Augmentation, Transform

SPLITS = ("train", "val", "test")


class Data:
    """What a `Trainer` trains and evaluates on.

    A split is `(inputs, labels)`, `(inputs, labels, weight)` or a dict of arrays [N, ...], with
    the labels under `label`; or a batched `tf.data.Dataset` of the same. Inputs given as uint8
    are scaled to [0, 1]. Arrays are shuffled anew every epoch, as a function of (seed, epoch).

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
    ) -> None:
        self.class_names = tuple(class_names)
        self.seed = seed
        self.transform = Transform(augment, mean, std, seed)
        self.feeds: dict[str, Feed] = {}
        for split, examples in zip(SPLITS, (train, val, test), strict=True):
            if isinstance(examples, tf.data.Dataset):
                self.feeds[split] = DatasetFeed(examples, training=split == "train")
            elif examples is not None:
                arrays = as_arrays(examples)
                num_examples = len(arrays["label"])
                order = (
                    ShuffledOrder(num_examples, batch_size, seed)
                    if split == "train"
                    else SequentialOrder(num_examples, batch_size)
                )
                self.feeds[split] = ResidentFeed(arrays, order)

    def feed(self, split: str) -> Feed:
        """Return the feed of a split.

        Raises:
            ValueError: if there is no such split.
        """
        if split not in self.feeds:
            raise ValueError(f"split={split!r}: this data has {', '.join(self.feeds)}")
        return self.feeds[split]

    @property
    def global_batch_size(self) -> int:
        """Examples in a training step, over all replicas."""
        return self.feeds["train"].batch_size

    @property
    def has_images(self) -> bool:
        """Whether batches have an `image`."""
        return "image" in self.feeds["train"].keys

    def example_batch(self) -> Batch:
        """Return the first training batch as the model will see it; eager."""
        feed = self.feeds["train"]
        plan = feed.plan(0, 1, 1)
        return self.transform.training(feed.batch(plan, tf.constant(0)), tf.constant(0, tf.int64))


def model_inputs(batch: Batch) -> Any:
    """Return what a model is called with: all but `label` and `weight`.

    One tensor is passed as it is, several as a dict by name.
    """
    inputs = {key: tensor for key, tensor in batch.items() if key not in ("label", "weight")}
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs
