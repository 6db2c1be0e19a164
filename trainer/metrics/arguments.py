"""What a metric is given: labels and outputs in the form that its kind compares."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from trainer.predictions import (
    activated,
    as_classes,
    as_column,
    labels_like,
    link,
    num_outputs,
)

_BASES = ("Metric", "Mean", "Sum", "MeanMetricWrapper")
_OF_THE_LIKELIEST = ("CategoricalAccuracy", "TopKCategoricalAccuracy")
_OF_CLASSES = (
    *("CategoricalCrossentropy", "SparseCategoricalCrossentropy", "FBetaScore", "F1Score"),
)
_OF_REGIONS = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU")
_OF_YES_AND_NO = ("BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU")
_OF_ANSWERS = (
    *_OF_YES_AND_NO,
    *("AUC", "Precision", "Recall", "PrecisionAtRecall", "RecallAtPrecision"),
    *("SensitivityAtSpecificity", "SpecificityAtSensitivity"),
    *("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"),
)
_USE_ACCURACY = "use SparseCategoricalAccuracy for classes, BinaryAccuracy for yes and no"


class Examples:
    """The labels and outputs of a batch, in every form that a metric may ask for.

    Args:
        labels: int [B], or float32 [B] or [B, K].
        outputs: float32 [B, K].
        activation: what makes predictions of the outputs, one of `predictions.ACTIVATIONS`.
        are_mixed: whether float labels [B, K] may be class numbers that were mixed.
    """

    def __init__(self, labels: Any, outputs: Any, activation: str, are_mixed: bool) -> None:
        self.labels: Any = labels if isinstance(labels, Mapping) else tf.convert_to_tensor(labels)
        self.outputs: Any = (
            outputs if isinstance(outputs, Mapping) else tf.convert_to_tensor(outputs)
        )
        self._activation = activation
        self._are_mixed = are_mixed

    @cached_property
    def predictions(self) -> tf.Tensor:
        """Probabilities or values, float32 [B, K]."""
        return activated(self.outputs, self._activation, self.labels)

    @cached_property
    def class_probabilities(self) -> tf.Tensor:
        """A probability for each class, float32 [B, K], K at least 2."""
        return as_classes(self.predictions)

    @property
    def class_outputs(self) -> tf.Tensor:
        """What orders the classes, float32 [B, K], K at least 2."""
        return self.outputs if num_outputs(self.outputs) != 1 else self.class_probabilities

    @property
    def classes(self) -> tf.Tensor:
        """The labels as class numbers, int [B]; of soft ones the likeliest.

        Raises:
            ValueError: if labels are no classes.
        """
        is_column = self.labels.shape.rank == 2 and self.labels.shape[-1] == 1
        if self.labels.dtype.is_integer:
            if is_column and self.outputs.shape.rank == 2:
                return self.labels[:, 0]
            if self.labels.shape.rank != self.outputs.shape.rank:
                return self.labels
        elif self.labels.shape.rank == 2 and not is_column:
            kind = link(self._activation, self.outputs, self.labels)
            same = self.labels.shape.is_compatible_with(self.outputs.shape)
            if same and (self._are_mixed or kind == "softmax"):
                return tf.argmax(self.labels, axis=-1, output_type=tf.int32)
        raise ValueError(
            f"takes classes, but labels are {self.labels.dtype.name} {self.labels.shape} for "
            f"outputs {self.outputs.shape}: yes and no, or values; use a metric such as "
            "keras.metrics.BinaryAccuracy or MeanAbsoluteError"
        )

    @property
    def are_single_classes(self) -> bool:
        """Whether each example has one class out of several that exclude one another."""
        return (
            self.labels.dtype.is_integer
            and num_outputs(self.outputs) != 1
            and link(self._activation, self.outputs, self.labels) == "softmax"
        )

    @property
    def are_values(self) -> bool:
        """Whether labels are values to regress, and predictions too."""
        is_flat = self.labels.dtype.is_floating and self.labels.shape.rank == 1
        return is_flat and link(self._activation, self.outputs, self.labels) == "linear"


def kind_in_keras(metric: keras.metrics.Metric) -> str | None:
    """Return the name of Keras' metric that one is or is derived from; None for one's own."""
    for kind in type(metric).__mro__:
        if getattr(keras.metrics, kind.__name__, None) is kind:
            return None if kind.__name__ in _BASES else kind.__name__
    return None


def arguments(metric: keras.metrics.Metric, examples: Examples) -> tuple[Any, Any]:
    """Return the labels and outputs that a metric's `update_state` takes.

    Those that only order the classes, as all that Keras calls Sparse but its cross-entropy, get the
    outputs as they are: no operation is spent on them.

    Raises:
        ValueError: if it would not measure what it says.
    """
    if type(metric) in (keras.metrics.Mean, keras.metrics.Sum):
        raise ValueError(f"is of values, not of labels and outputs; {_USE_ACCURACY}")
    kind = kind_in_keras(metric)
    is_sparse = any(base.__name__.startswith("Sparse") for base in type(metric).__mro__)
    if kind is None and not is_sparse:
        if getattr(metric, "takes_classes", False):
            _check_one_output(examples)
            return examples.classes, examples.class_probabilities
        if getattr(metric, "takes_probabilities", False):
            return as_column(examples.labels, examples.outputs), examples.predictions
        return as_column(examples.labels, examples.outputs), examples.outputs

    _check_one_output(examples)
    if kind == "Accuracy":
        raise ValueError(f"compares outputs with labels for equality; {_USE_ACCURACY}")
    from_logits = getattr(metric, "from_logits", getattr(metric, "_from_logits", False))
    if from_logits and num_outputs(examples.outputs) == 1 and kind in _OF_CLASSES:
        raise ValueError("has from_logits=true, but there is one output; set from_logits=false")
    if is_sparse:
        is_of_order = kind != "SparseCategoricalCrossentropy" or from_logits
        outputs = examples.class_outputs if is_of_order else examples.class_probabilities
        return examples.classes, outputs
    if kind in _OF_REGIONS:
        if metric.sparse_y_pred:
            raise ValueError("takes class numbers as predictions; set sparse_y_pred=false")
        classes, outputs = examples.classes, examples.class_outputs
        return classes if metric.sparse_y_true else labels_like(classes, outputs), outputs
    if kind in _OF_THE_LIKELIEST:
        return _soft_classes(examples, examples.class_outputs)
    if kind in _OF_CLASSES and getattr(metric, "threshold", None) is None:
        return _soft_classes(
            examples, examples.class_outputs if from_logits else examples.class_probabilities
        )
    if kind in _OF_YES_AND_NO and examples.are_single_classes:
        raise ValueError(
            f"is of yes and no, but an example has one of {num_outputs(examples.outputs)} classes; "
            "use keras.metrics.SparseCategoricalAccuracy or SparseCategoricalCrossentropy"
        )
    if kind in _OF_ANSWERS and examples.are_values:
        raise ValueError("is of classes or yes and no, but labels are values, float32 [B]")
    outputs = examples.outputs if from_logits else examples.predictions
    return labels_like(examples.labels, outputs), outputs


def _soft_classes(examples: Examples, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    classes = examples.classes  # is refused where there are none
    labels = examples.labels if examples.labels.dtype.is_floating else classes
    return labels_like(labels, outputs), outputs


def _check_one_output(examples: Examples) -> None:
    for what, tensors in (("outputs", examples.outputs), ("targets", examples.labels)):
        if isinstance(tensors, Mapping):
            raise ValueError(
                f"is of one output, but there are the {what} {', '.join(tensors)}; wrap it in "
                "trainer.metrics.OfOutput"
            )
