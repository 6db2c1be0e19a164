"""The metrics of one split: a loss mean and any Keras metrics, updated inside the step."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.metrics.arguments import Examples, arguments
from trainer.metrics.of_output import OfOutput
from trainer.predictions import Activation, of_output

Metrics = Mapping[str, keras.metrics.Metric | OfOutput]


class MetricSet:
    """Keras metrics by name, beside the mean `loss`, with the weights of a batch honoured.

    Each split has its own set, so that an evaluation in mid-epoch leaves the training sums alone.

    Args:
        metrics: name to metric. The metrics are copied, not used.
        split: the copies' name prefix, such as `train`, where labels may be mixed.
        activation: what makes predictions of the outputs, as `predictions.activation_of` the loss.
        scores: name to `max` or `min`, whichever is best: further values of each example, whose
            means are kept; see `add_scores`.

    Raises:
        ValueError: if a name is taken, or something is no metric.
    """

    def __init__(
        self,
        metrics: Metrics,
        split: str,
        activation: Activation = "auto",
        scores: Mapping[str, str] | None = None,
    ) -> None:
        for name in ("loss", *metrics):
            if name in (scores or {}):
                raise ValueError(f"scores: the name {name!r} is taken by a metric; choose another")
        if "loss" in metrics:
            raise ValueError("metrics: the name 'loss' is taken by the mean loss; choose another")
        for name, direction in (scores or {}).items():
            if direction not in ("max", "min"):
                raise ValueError(f"scores: {name} is best at its {direction!r}; say max or min")
        self.loss = _WeightedMean(name=f"{split}_loss")
        self.metrics = {name: _copy(name, metric) for name, metric in metrics.items()}
        self.scores = {name: _WeightedMean(name=f"{split}_{name}") for name in scores or {}}
        self.observers: dict[str, keras.metrics.Metric] = {}
        """Metrics that are read by whoever looks into them, and not reported; see `observe`."""
        self._directions = dict(scores or {})
        self._output_of = {n: m.output for n, m in metrics.items() if isinstance(m, OfOutput)}
        self._activation = activation
        self._are_mixed = split == "train"

    @property
    def names(self) -> list[str]:
        """What `result` has values of."""
        return ["loss", *self.metrics, *self.scores]

    def observe(self, name: str, metric: keras.metrics.Metric, output: str | None = None) -> None:
        """Also update a metric whose result is more than a number, such as a table.

        Call it before `try_out`, which leaves out an observer that cannot measure these examples.

        Args:
            name: under which it is found in `observers`; a second one replaces the first.
            metric: made in the strategy's scope.
            output: which one it is of, where there are several by name.
        """
        self.observers[name] = metric
        if output is not None:
            self._output_of[name] = output

    def update(self, labels: Any, outputs: Any, weight: tf.Tensor, losses: tf.Tensor) -> None:
        """Add a batch; traced, on each replica with its share.

        Metrics get labels and outputs in the form that they compare: see `arguments`.

        Args:
            labels: int32 [B], or float32 [B] or [B, K]: soft, yes and no, or values; of several
                outputs by name.
            outputs: float32 [B, K], or several by name.
            weight: float32 [B], 0 on padding.
            losses: float32 [B], one value an example.

        Raises:
            ValueError: if a metric would not measure what it says.
        """
        self.loss.update_state(losses, weight)
        examples: dict[str | None, Examples] = {}
        for name in (*self.metrics, *self.observers):
            self._update(name, examples, labels, outputs, weight)

    def add_scores(self, values: Mapping[str, tf.Tensor], weight: tf.Tensor) -> None:
        """Add values of a batch's examples; traced, on each replica with its share.

        Args:
            values: float32 [B] of every score.
            weight: float32 [B], 0 on padding.

        Raises:
            ValueError: if they are not those of all scores.
        """
        if values.keys() != self.scores.keys():
            raise ValueError(
                f"scores: {', '.join(values) or 'none'} given, but declared are "
                f"{', '.join(self.scores) or 'none'}; name each in `scores` as max or min"
            )
        for name, value in values.items():
            if len(value.shape) != 1:
                raise ValueError(
                    f"scores: {name} has shape {value.shape}; a value for each example is needed, "
                    "shape [B]"
                )
            self.scores[name].update_state(tf.cast(value, tf.float32), weight)

    def try_out(self, labels: Any, outputs: Any, weight: tf.Tensor, losses: tf.Tensor) -> None:
        """Update once and forget it, so that all variables exist; eager, in the strategy's scope.

        Args:
            labels: as for `update`.
            outputs: as for `update`.
            weight: as for `update`.
            losses: as for `update`.

        Raises:
            ValueError: if a metric would not measure what it says, or not in a number.
        """
        examples: dict[str | None, Examples] = {}
        for name, metric in self.metrics.items():
            if not getattr(metric, "_built", True):
                # Keras' that make variables of the first batch would make them on each replica.
                self._update(name, examples, labels, outputs, weight)
        for name in list(self.observers):
            try:
                self._update(name, examples, labels, outputs, weight)
            except (ValueError, TypeError, IndexError, tf.errors.OpError):
                del self.observers[name]
        strategy = tf.distribute.get_strategy()
        strategy.run(self.update, (labels, outputs, weight, losses))
        self.result()
        self.reset()

    def result(self) -> dict[str, float]:
        """Return the values since the last reset; eager.

        Raises:
            ValueError: if a metric's result is not a number.
        """
        values = {"loss": self.loss.mean()}
        values |= {name: _scalar(name, metric.result()) for name, metric in self.metrics.items()}
        return values | {name: score.mean() for name, score in self.scores.items()}

    def reset(self) -> None:
        """Forget all batches; eager."""
        for metric in self._all:
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
            raise ValueError(f"no metric {name!r}; there are {', '.join(self.names)}")
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
        return [variable for metric in self._all for variable in metric.variables]

    @property
    def _all(self) -> list[keras.metrics.Metric]:
        reported = [self.loss, *self.metrics.values(), *self.scores.values()]
        return [*reported, *self.observers.values()]

    def _update(
        self,
        name: str,
        examples: dict[str | None, Examples],
        labels: Any,
        outputs: Any,
        weight: tf.Tensor,
    ) -> None:
        metric = self.metrics.get(name) or self.observers[name]
        output = self._output_of.get(name)
        try:
            if output not in examples:
                examples[output] = self._examples(output, labels, outputs)
            compared = arguments(metric, examples[output])
        except ValueError as error:
            raise ValueError(f"metrics.{name}: {type(metric).__name__} {error}") from error
        metric.update_state(*compared, sample_weight=weight)

    def _examples(self, output: str | None, labels: Any, outputs: Any) -> Examples:
        if output is not None:
            for what, tensors in (("outputs", outputs), ("targets", labels)):
                if not isinstance(tensors, Mapping):
                    raise ValueError(f"is of the output {output}, but there are no {what} by name")
                if output not in tensors:
                    raise ValueError(f"is of the output {output}; there are {', '.join(tensors)}")
            labels, outputs = labels[output], outputs[output]
        is_one = not isinstance(outputs, Mapping)
        activation = of_output(self._activation, output) if is_one else "auto"
        return Examples(labels, outputs, activation, self._are_mixed)


class _WeightedMean(keras.metrics.Mean):
    """A mean whose sums are added to in place, in half as many operations as Keras'."""

    def update_state(self, values: tf.Tensor, weight: tf.Tensor) -> None:
        self.total.value.assign_add(tf.reduce_sum(values * weight))
        self.count.value.assign_add(tf.reduce_sum(weight))

    def mean(self) -> float:
        total, count = float(self.total.numpy()), float(self.count.numpy())
        return float(np.float32(total / count)) if count else 0.0


def _scalar(name: str, result: Any) -> float:
    shape = tuple(getattr(result, "shape", ()))
    if isinstance(result, Mapping) or shape:
        what = f"the parts {', '.join(result)}" if isinstance(result, Mapping) else f"shape {shape}"
        raise ValueError(
            f"metrics.{name}: its result has {what}; it must be one number: give the metric an "
            "average, or use one for each part"
        )
    return float(result)


def _copy(name: str, metric: keras.metrics.Metric | OfOutput) -> keras.metrics.Metric:
    if isinstance(metric, OfOutput):
        metric = metric.metric
    if not isinstance(metric, keras.metrics.Metric):
        raise ValueError(
            f"metrics.{name}={metric!r}: not a keras.metrics.Metric; "
            "wrap a function in keras.metrics.MeanMetricWrapper"
        )
    if type(metric) is keras.metrics.MeanMetricWrapper:
        # Keras writes down the function's name, and finds it again only if it is registered.
        return type(metric)(metric._fn, metric.name, metric.dtype, **metric._fn_kwargs)
    return type(metric).from_config(metric.get_config())
