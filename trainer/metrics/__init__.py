"""Metrics: what is reported of a split beside its mean loss, updated inside the step."""

from trainer.metrics.calibration import ExpectedCalibrationError
from trainer.metrics.confusion import ConfusionMatrix, MacroPrecision, MacroRecall
from trainer.metrics.metric_set import Metrics, MetricSet
from trainer.metrics.of_output import OfOutput
from trainer.metrics.precision_recall import PrecisionRecallCurves
from trainer.metrics.sparse_categorical_accuracy import SparseCategoricalAccuracy

__all__ = [
    "ConfusionMatrix",
    "ExpectedCalibrationError",
    "MacroPrecision",
    "MacroRecall",
    "MetricSet",
    "Metrics",
    "OfOutput",
    "PrecisionRecallCurves",
    "SparseCategoricalAccuracy",
]
