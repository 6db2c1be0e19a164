"""Precision and recall at every threshold, of each class against the others."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class PrecisionRecallCurves(keras.metrics.Metric):
    """Counts positives and negatives by their probability, in buckets of equal width.

    Its result is no number: it is read by whoever draws the curves.

    Args:
        num_outputs: K, probabilities of an example: one for each class or yes-or-no label.
        is_together: whether all answers are counted together, whatever their class: one curve.
        num_thresholds: T, evenly spaced from 0 to 1, at least 2. TensorBoard's own default is 127.
        name: the metric's name.
        dtype: of the counts.

    Raises:
        ValueError: if there are fewer than two thresholds.
    """

    takes_probabilities = True

    def __init__(
        self,
        num_outputs: int,
        is_together: bool = False,
        num_thresholds: int = 127,
        name: str = "precision_recall",
        dtype: Any = None,
    ) -> None:
        if num_thresholds < 2:
            raise ValueError(f"num_thresholds={num_thresholds}: at least 2")
        super().__init__(name=name, dtype=dtype)
        self.num_outputs = num_outputs
        self.is_together = is_together
        self._num_curves = 1 if is_together else num_outputs
        self.num_thresholds = num_thresholds
        self.counts = self.add_weight(
            shape=(2, self._num_curves, num_thresholds), initializer="zeros", name="counts"
        )

    def update_state(
        self, labels: tf.Tensor, probabilities: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add a batch; traced.

        Args:
            labels: int [B] class numbers, or [B, K], 1 for yes and 0 for no.
            probabilities: float32 [B, K].
            sample_weight: float32 [B]; default: 1.

        Raises:
            ValueError: if K is not `num_outputs`, or there are several outputs.
        """
        num, num_curves, steps = self.num_outputs, self._num_curves, self.num_thresholds - 1
        if isinstance(probabilities, Mapping):
            raise ValueError(f"is of one output, but there are {', '.join(probabilities)}")
        probabilities = tf.convert_to_tensor(probabilities)
        if probabilities.shape.rank != 2 or probabilities.shape[-1] != num:
            raise ValueError(f"num_outputs={num}, but their shape is {probabilities.shape}")
        labels = tf.convert_to_tensor(labels)
        if labels.shape.rank == 1:
            labels = tf.one_hot(labels, num)
        weight = tf.ones_like(probabilities[:, 0]) if sample_weight is None else sample_weight
        is_positive = tf.cast(tf.cast(labels, tf.float32) > 0.5, tf.int32)
        # The last threshold that a probability reaches.
        reached = tf.cast(tf.floor(tf.clip_by_value(probabilities, 0.0, 1.0) * steps), tf.int32)
        curve = tf.zeros(num, tf.int32) if self.is_together else tf.range(num)
        cells = (is_positive * num_curves + curve) * (steps + 1) + reached
        sums = tf.math.unsorted_segment_sum(
            tf.repeat(weight, num), tf.reshape(cells, [-1]), 2 * num_curves * (steps + 1)
        )
        self.counts.assign_add(tf.reshape(sums, [2, num_curves, steps + 1]))

    def result(self) -> tf.Tensor:
        """Return the sums of the examples' weights, float32 [2, K, T]: negatives, then positives.

        K is 1 where all are counted together, and t the last threshold, `t / (T - 1)`, that the
        probability reaches.
        """
        return self.counts.value

    def curves(self) -> np.ndarray:
        """Return what is found at each threshold, float32 [6, K, T]; eager.

        True positives, false positives, true negatives, false negatives, precision and recall, in
        the order of TensorBoard's plugin. Precision is 1 where nothing is found, as scikit-learn
        has it.
        """
        negatives, positives = self.counts.numpy().astype(np.float64)

        def found(counts: np.ndarray) -> np.ndarray:
            return counts[:, ::-1].cumsum(axis=1)[:, ::-1]

        true, false = found(positives), found(negatives)
        num_positives, num_negatives = true[:, :1], false[:, :1]
        precision = np.divide(true, true + false, out=np.ones_like(true), where=true + false > 0)
        recall = np.divide(true, num_positives, out=np.zeros_like(true), where=num_positives > 0)
        rows = [true, false, num_negatives - false, num_positives - true, precision, recall]
        return np.stack(rows).astype(np.float32)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = ("num_outputs", "is_together", "num_thresholds")
        return super().get_config() | {name: getattr(self, name) for name in own}
