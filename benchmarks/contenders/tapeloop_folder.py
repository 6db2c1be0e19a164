"""A class folder through our own loader and augmentations."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.contenders.keras_folder import BATCH_SIZE, MAX_SHIFT
from trainer import Data
from trainer.data.augment import PaddedCrop, RandomFlip
from trainer.data.class_folder import class_folder


class TapeLoopFolder:
    """Goes through every batch inside the graph, as a chunk of steps does; nothing is trained.

    Files are decoded anew in every epoch, as by the peer.

    Args:
        root: holds the class folders.
    """

    def __init__(self, root: Path) -> None:
        self._step = 0
        self._data = Data(
            train=class_folder(str(root)).load()["train"],
            batch_size=BATCH_SIZE,
            augment={"flip": RandomFlip(), "shift": PaddedCrop(padding=MAX_SHIFT)},
            feed="streamed",
        )
        self._go_through = tf.function(self._trace)

    def run(self, num_epochs: int) -> int:
        """Go through some epochs; return the number of images."""
        num_steps = self._data.feed("train").steps_per_epoch
        for _ in range(num_epochs):
            plan = self._data.feed("train").plan(self._step, num_steps, num_steps)
            self._go_through(plan, tf.constant(self._step, tf.int64), tf.constant(num_steps))
            self._step += num_steps
        return num_epochs * num_steps * BATCH_SIZE

    def _trace(self, plan: Any, first_step: tf.Tensor, num_steps: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0.0)
        for k in tf.range(num_steps):
            step = first_step + tf.cast(k, tf.int64)
            batch = self._data.transform.training(self._data.feed("train").batch(plan, k), step)
            # A sum of all pixels, so that nothing is left out as unused.
            total += tf.reduce_sum(batch["image"])
        return total
