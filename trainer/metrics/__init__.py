"""Metrics: what is reported of a split beside its mean loss, updated inside the step."""

from trainer.metrics.calibration import ExpectedCalibrationError
from trainer.metrics.confusion import MacroPrecision, MacroRecall
from trainer.metrics.metric_set import Metrics, MetricSet
from trainer.metrics.of_output import OfOutput
from trainer.metrics.sparse_categorical_accuracy import SparseCategoricalAccuracy

__all__ = [
    "ExpectedCalibrationError",
    "MacroPrecision",
    "MacroRecall",
    "MetricSet",
    "Metrics",
    "OfOutput",
    "SparseCategoricalAccuracy",
]
