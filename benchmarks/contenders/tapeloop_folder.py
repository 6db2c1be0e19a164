"""A class folder through our own loader and augmentations."""

from pathlib import Path

import tensorflow as tf

from benchmarks.contenders.keras_folder import BATCH_SIZE, MAX_SHIFT
from trainer import Data
from trainer.data.augment import PaddedCrop, RandomFlip
from trainer.data.class_folder import class_folder
from trainer.data.transform import Augmentation


class TapeLoopFolder:
    """Runs through every batch of an epoch inside the graph, as a chunk of steps does; no training.

    Files are decoded anew for every epoch here, as the peer does, though a run does so once.

    Args:
        root: holds the class folders.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._augment: dict[str, Augmentation] = {
            "flip": RandomFlip(),
            "shift": PaddedCrop(padding=MAX_SHIFT),
        }

    def run(self, num_epochs: int) -> int:
        """Go through some epochs; return the number of images."""
        num_images = 0
        for _ in range(num_epochs):
            data = Data(
                train=class_folder(str(self._root)).load()["train"],
                batch_size=BATCH_SIZE,
                augment=self._augment,
            )
            _go_through(data)
            num_images += data.feed("train").steps_per_epoch * BATCH_SIZE
        return num_images


def _go_through(data: Data) -> None:
    feed = data.feed("train")
    num_steps = feed.steps_per_epoch
    plan = feed.plan(0, num_steps, num_steps)

    @tf.function
    def epoch() -> tf.Tensor:
        total = tf.constant(0.0)
        for k in tf.range(num_steps):
            batch = data.transform.training(feed.batch(plan, k), tf.cast(k, tf.int64))
            # A sum of all pixels, so that nothing is left out as unused.
            total += tf.reduce_sum(batch["image"])
        return total

    epoch()
