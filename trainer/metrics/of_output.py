"""Which of a model's outputs a metric is of."""

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class OfOutput:
    """A metric of one output, for models with several.

    Args:
        output: the output's name, which is that of its target: `value` of the labels `label/value`.
        metric: any metric.
    """

    output: str
    metric: keras.metrics.Metric
