"""The metrics of one split: a loss mean and any Keras metrics, updated inside the step."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf


class MetricSet:
    """Keras metrics by name, beside the mean `loss`, with the weights of a batch honoured.

    Each split has its own set, so that an evaluation in mid-epoch leaves the training sums alone.

    Args:
        metrics: name to metric. The metrics are copied, not used.
        split: the copies' name prefix, such as `train`.
    """

    def __init__(self, metrics: Mapping[str, keras.metrics.Metric], split: str) -> None:
        if "loss" in metrics:
            raise ValueError("metrics: the name 'loss' is taken by the mean loss; choose another")
        self.loss = _LossMean(name=f"{split}_loss")
        self.metrics = {name: _copy(name, metric) for name, metric in metrics.items()}

    def update(
        self, labels: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor, losses: tf.Tensor
    ) -> None:
        """Add a batch; traced, on each replica with its share.

        Args:
            labels: int32 [B], or soft, float32 [B, K]: Keras' sparse metrics then get the likeliest
                class, and the others the labels as they are.
            logits: float32 [B, K].
            weight: float32 [B], 0 on padding.
            losses: float32 [B], one value an example.
        """
        self.loss.update_state(losses, weight)
        for metric in self.metrics.values():
            metric.update_state(_labels_for(metric, labels), logits, sample_weight=weight)

    def result(self) -> dict[str, float]:
        """Return the values since the last reset; eager."""
        values = {"loss": self.loss.mean()}
        return values | {name: float(metric.result()) for name, metric in self.metrics.items()}

    def reset(self) -> None:
        """Forget all batches; eager."""
        self.loss.reset_state()
        for metric in self.metrics.values():
            metric.reset_state()

    def direction(self, name: str) -> str:
        """Return whether a metric is best at its `max` or its `min`, as Keras knows it.

        Raises:
            ValueError: if there is no such metric, or Keras does not know.
        """
        if name == "loss":
            return "min"
        if name not in self.metrics:
            raise ValueError(f"no metric {name!r}; there are loss, {', '.join(self.metrics)}")
        direction = getattr(self.metrics[name], "_direction", None)
        if direction is None:
            raise ValueError(
                f"whether more or less of the metric {name!r} is better is not known; "
                "say monitor_mode=max or monitor_mode=min"
            )
        return {"up": "max", "down": "min"}[direction]

    @property
    def variables(self) -> list[keras.Variable]:
        """All sums and counts, in a fixed order."""
        metrics = [self.loss, *self.metrics.values()]
        return [variable for metric in metrics for variable in metric.variables]


class _LossMean(keras.metrics.Mean):
    """A mean whose sums are added to in place, in half as many operations as Keras'."""

    def update_state(self, losses: tf.Tensor, weight: tf.Tensor) -> None:
        self.total.value.assign_add(tf.reduce_sum(losses * weight))
        self.count.value.assign_add(tf.reduce_sum(weight))

    def mean(self) -> float:
        total, count = float(self.total.numpy()), float(self.count.numpy())
        return float(np.float32(total / count)) if count else 0.0


def _labels_for(metric: keras.metrics.Metric, labels: tf.Tensor) -> tf.Tensor:
    is_sparse = any(base.__name__.startswith("Sparse") for base in type(metric).__mro__)
    labels = tf.convert_to_tensor(labels)
    is_soft = labels.shape.rank == 2 and labels.dtype.is_floating
    return tf.argmax(labels, axis=-1, output_type=tf.int32) if is_sparse and is_soft else labels


def _copy(name: str, metric: keras.metrics.Metric) -> keras.metrics.Metric:
    if not isinstance(metric, keras.metrics.Metric):
        raise ValueError(
            f"metrics.{name}={metric!r}: not a keras.metrics.Metric; "
            "wrap a function in keras.metrics.MeanMetricWrapper"
        )
    return type(metric).from_config(metric.get_config())
