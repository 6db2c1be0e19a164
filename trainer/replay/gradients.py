"""The gradients of a step that runs eagerly, as the updater takes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.trainer import Trainer


class Gradients:
    """Takes note of what the updater takes.

    Args:
        trainer: whose updater.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._updater: Any = trainer.updater
        self._num_replicas = trainer.strategy.num_replicas_in_sync
        self._scale = float(trainer.updater.scaled(tf.constant(1.0)))
        self._sums: dict[int, np.ndarray] = {}

    def of(self, weight: keras.Variable) -> np.ndarray | None:
        """Return a weight's gradient, float32; None where it had none."""
        total = self._sums.get(id(weight))
        return None if total is None else total / (self._num_replicas * self._scale)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take note while a step runs eagerly."""
        take = self._updater.take

        def observed(gradients: Any, weights: Any) -> Any:
            for gradient, weight in zip(gradients, weights, strict=True):
                if gradient is not None:
                    array = tf.convert_to_tensor(gradient).numpy().astype(np.float32)
                    self._sums[id(weight)] = self._sums.get(id(weight), 0) + array
            return take(gradients, weights)

        self._updater.take = observed
        try:
            yield
        finally:
            del self._updater.take
