"""Accuracy, written by hand: the example of a metric of one's own."""

from typing import Any

import keras
import tensorflow as tf


class SparseCategoricalAccuracy(keras.metrics.Metric):
    """How often the likeliest class is the label, as Keras' metric of that name.

    What a metric needs: its sums as variables, `update_state`, which is compiled into the step,
    `result`, a scalar, and, if `__init__` has arguments, `get_config`: a copy is made for each
    split. `_direction`, `up` or `down`, says which values are better, so that it can be monitored.

    A metric whose name begins with Sparse gets class numbers even if labels are mixed, and one
    output of a yes/no classifier as two. Any other gets labels and outputs as they are, with
    `takes_probabilities = True` predictions in the place of outputs, and with
    `takes_classes = True` class numbers and a probability for each class.

    Args:
        name: the metric's name.
        dtype: of its sums.
    """

    _direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.correct = self.add_weight(shape=(), initializer="zeros", name="correct")
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(
        self, labels: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add a batch; traced.

        Args:
            labels: int [B].
            logits: float32 [B, K].
            sample_weight: float32 [B], 0 on padding; default: 1.
        """
        is_correct = tf.argmax(logits, axis=-1, output_type=tf.int32) == tf.cast(labels, tf.int32)
        weight = tf.ones_like(logits[:, 0]) if sample_weight is None else sample_weight
        self.correct.assign_add(tf.reduce_sum(tf.where(is_correct, weight, 0.0)))
        self.total.assign_add(tf.reduce_sum(weight))

    def result(self) -> tf.Tensor:
        """Return the accuracy of all batches, float32 scalar in [0, 1]."""
        return tf.math.divide_no_nan(self.correct.value, self.total.value)
