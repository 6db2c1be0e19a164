"""Labels against likeliest classes: the table, and precision and recall averaged over its classes.

Keras averages these over the examples.
"""

from typing import Any

import keras
import tensorflow as tf


class ConfusionMatrix(keras.metrics.Metric):
    """Counts labels, the rows, against likeliest classes, the columns.

    Its result is no number: among a run's metrics are those derived from it.

    Args:
        num_classes: K, at least 2. A run from the command line gets it from the data.
        name: the metric's name.
        dtype: of the counts.

    Raises:
        ValueError: if there are fewer than two classes.
    """

    takes_classes = True
    _direction = "up"

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes={num_classes}: at least 2")
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.matrix = self.add_weight(
            shape=(num_classes, num_classes), initializer="zeros", name="matrix"
        )

    def update_state(
        self, labels: tf.Tensor, probabilities: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> None:
        """Add a batch; traced.

        Args:
            labels: int [B].
            probabilities: float32 [B, K].
            sample_weight: float32 [B]; default: 1.

        Raises:
            ValueError: if K is not `num_classes`.
        """
        if probabilities.shape[-1] != self.num_classes:
            raise ValueError(
                f"num_classes={self.num_classes}, but the model tells {probabilities.shape[-1]} "
                "classes apart"
            )
        labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
        weight = tf.ones_like(probabilities[:, 0]) if sample_weight is None else sample_weight
        predicted = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        cells = tf.math.unsorted_segment_sum(
            weight, labels * self.num_classes + predicted, self.num_classes**2
        )
        self.matrix.assign_add(tf.reshape(cells, [self.num_classes, self.num_classes]))

    def result(self) -> tf.Tensor:
        """Return the sums of the examples' weights, float32 [K, K]."""
        return self.matrix.value

    def _mean_share(self, axis: int) -> tf.Tensor:
        """Return the mean over the classes of diagonal / sum along an axis; 0 for 0 / 0."""
        matrix = self.matrix.value
        correct, total = tf.linalg.diag_part(matrix), tf.reduce_sum(matrix, axis)
        return tf.reduce_mean(tf.math.divide_no_nan(correct, total))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"num_classes": self.num_classes}


class MacroPrecision(ConfusionMatrix):
    """The mean over all classes of the share of right ones among the examples predicted as it.

    A class that is never predicted counts 0, as in scikit-learn with `zero_division=0`.
    """

    def result(self) -> tf.Tensor:
        """Return the precision of all batches, float32 scalar in [0, 1]."""
        return self._mean_share(axis=0)


class MacroRecall(ConfusionMatrix):
    """The mean over all classes of the share of its examples that are predicted as it.

    Also called balanced accuracy, except that a class without examples counts 0, as in
    scikit-learn's `recall_score` with all labels and `zero_division=0`.
    """

    def result(self) -> tf.Tensor:
        """Return the recall of all batches, float32 scalar in [0, 1]."""
        return self._mean_share(axis=1)
