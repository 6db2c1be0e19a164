"""How far a classifier's confidence is from how often it is right."""

from typing import Any

import keras
import tensorflow as tf


class ExpectedCalibrationError(keras.metrics.Metric):
    """The expected calibration error, ECE (Guo et al. 2017, arXiv 1706.04599, equation 3).

    Examples are put into bins of equal width by the confidence in the class that is predicted; it
    is the mean over examples of `|accuracy - mean confidence|` of their bin, in [0, 1]. 0 is best,
    but neither zero error nor few bins prove calibration.

    Differs from the paper in that examples have weights. A yes/no classifier of one output counts
    as one of two classes.

    Args:
        num_bins: M, at least 1. 15 is the paper's.
        name: the metric's name.
        dtype: of its sums.

    Raises:
        ValueError: if there is no bin.
    """

    takes_classes = True
    _direction = "down"

    def __init__(
        self, num_bins: int = 15, name: str = "calibration_error", dtype: Any = None
    ) -> None:
        if num_bins < 1:
            raise ValueError(f"num_bins={num_bins}: at least 1")
        super().__init__(name=name, dtype=dtype)
        self.num_bins = num_bins
        self.count = self._zeros("count")
        self.correct = self._zeros("correct")
        self.confidence = self._zeros("confidence")

    def update_state(
        self, labels: tf.Tensor, probabilities: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add a batch; traced.

        Args:
            labels: int [B].
            probabilities: float32 [B, K], K at least 2.
            sample_weight: float32 [B]; default: 1.
        """
        labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
        weight = tf.ones_like(probabilities[:, 0]) if sample_weight is None else sample_weight
        confidence = tf.reduce_max(probabilities, axis=-1)
        is_correct = tf.argmax(probabilities, axis=-1, output_type=tf.int32) == labels
        # Bin m is (m/M, (m+1)/M], as in the paper.
        bins = tf.cast(tf.math.ceil(confidence * self.num_bins), tf.int32) - 1
        bins = tf.clip_by_value(bins, 0, self.num_bins - 1)
        columns = tf.stack([tf.ones_like(weight), tf.cast(is_correct, weight.dtype), confidence], 1)
        sums = tf.math.unsorted_segment_sum(columns * weight[:, tf.newaxis], bins, self.num_bins)
        self.count.assign_add(sums[:, 0])
        self.correct.assign_add(sums[:, 1])
        self.confidence.assign_add(sums[:, 2])

    def result(self) -> tf.Tensor:
        """Return the error of all batches, float32 scalar; 0 of none."""
        gaps = tf.abs(self.correct.value - self.confidence.value)
        return tf.math.divide_no_nan(tf.reduce_sum(gaps), tf.reduce_sum(self.count.value))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"num_bins": self.num_bins}

    def _zeros(self, name: str) -> keras.Variable:
        return self.add_weight(shape=(self.num_bins,), initializer="zeros", name=name)
