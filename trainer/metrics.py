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
        scores: name to direction (`max` or `min`) of what a step scores by itself, example by
            example.

    Raises:
        ValueError: if a name is taken.
    """

    def __init__(
        self,
        metrics: Mapping[str, keras.metrics.Metric],
        split: str,
        scores: Mapping[str, str] | None = None,
    ) -> None:
        self._directions = dict(scores or {})
        for name in metrics:
            if name == "loss":
                raise ValueError(
                    "metrics: the name 'loss' is taken by the mean loss; choose another"
                )
            if name in self._directions:
                raise ValueError(
                    f"metrics.{name}: the training rule scores {name!r} itself; choose another name"
                )
        self.loss = _WeightedMean(name=f"{split}_loss")
        self.metrics = {name: _copy(name, metric) for name, metric in metrics.items()}
        self.scores = {name: _WeightedMean(name=f"{split}_{name}") for name in self._directions}

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

    def add_scores(self, values: Mapping[str, tf.Tensor], weight: tf.Tensor) -> None:
        """Add what a step scored itself; traced.

        Args:
            values: name to float32 [B], one for each of the scores.
            weight: float32 [B], 0 on padding.

        Raises:
            ValueError: if they are not the scores that were declared, or not one value an example.
        """
        if values.keys() != self.scores.keys():
            raise ValueError(
                f"test_step returned {sorted(values)}, but the rule's scores are "
                f"{sorted(self.scores)}; declare what it returns in `scores`"
            )
        for name, value in values.items():
            if value.shape.rank != 1:
                raise ValueError(
                    f"test_step returned {name!r} of shape {value.shape}; it must be one value an "
                    "example, shape [B]: the mean over the split is taken here"
                )
            self.scores[name].update_state(tf.cast(value, tf.float32), weight)

    def result(self) -> dict[str, float]:
        """Return the values since the last reset; eager."""
        values = {"loss": self.loss.mean()}
        values |= {name: float(metric.result()) for name, metric in self.metrics.items()}
        return values | {name: score.mean() for name, score in self.scores.items()}

    def reset(self) -> None:
        """Forget all batches; eager."""
        for metric in self._all():
            metric.reset_state()

    def direction(self, name: str) -> str:
        """Return whether a metric is best at its `max` or its `min`, as Keras knows it.

        Raises:
            ValueError: if there is no such metric, or Keras does not know.
        """
        if name == "loss":
            return "min"
        if name in self._directions:
            return self._directions[name]
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
        return [variable for metric in self._all() for variable in metric.variables]

    def _all(self) -> list[keras.metrics.Metric]:
        return [self.loss, *self.metrics.values(), *self.scores.values()]


class _WeightedMean(keras.metrics.Mean):
    """A mean whose sums are added to in place, in half as many operations as Keras'."""

    def update_state(self, values: tf.Tensor, weight: tf.Tensor) -> None:
        self.total.value.assign_add(tf.reduce_sum(values * weight))
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
