"""The examples of a split, of one output, in the form of their kind of problem.

classes   one class each: labels int64 [N], of K classes; one probability counts as two classes
yes_no    K questions with yes or no each: labels bool [N, K]
values    K numbers to regress: labels float64 [N, K]
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trainer.split_predictions import SplitPredictions

_TOLERANCE = 0.02  # of a sum of probabilities: float16 and bfloat16 have 3 and 2 digits


class NotApplicableError(ValueError):
    """Predictions that no statistics can be made of; the message says why."""


@dataclass(frozen=True)
class Examples:
    """Those examples of a split that count, their weights being above 0.

    Args:
        kind: `classes`, `yes_no` or `values`.
        labels: as above.
        predictions: float64 [N, K]: probabilities, scores where `are_probabilities` is false, or
            values.
        weight: float64 [N]; None where all are 1.
        rows: int64 [N], their numbers in the split.
        names: of the K classes, questions or values.
        are_probabilities: whether they can be calibrated.
        notes: what a reader has to know.
    """

    kind: str
    labels: np.ndarray
    predictions: np.ndarray
    weight: np.ndarray | None
    rows: np.ndarray
    names: tuple[str, ...]
    are_probabilities: bool = True
    notes: list[str] = field(default_factory=list)


def examples_of(
    split: SplitPredictions, output: str | None, class_names: Sequence[str]
) -> Examples:
    """Return the examples of one output.

    Args:
        split: what the model says of each.
        output: the name of the output; None for the only one.
        class_names: of the data; where there are not as many as outputs, numbers stand for them.

    Raises:
        NotApplicableError: if predictions and labels do not fit together, or are not finite.
    """
    labels, predictions = split.labels[output], split.predictions[output].astype(np.float64)
    counts = split.weight > 0
    if not counts.any():
        raise NotApplicableError("no example counts: all weights are 0")
    if predictions.ndim == 1:
        predictions = predictions[:, np.newaxis]
    if predictions.ndim != 2:
        raise NotApplicableError(f"predictions are {list(predictions.shape)}, not a row an example")
    labels, predictions, weight = labels[counts], predictions[counts], split.weight[counts]
    num_bad = int((~np.isfinite(predictions).all(axis=1)).sum())
    if num_bad:
        raise NotApplicableError(f"{num_bad:,} of {len(predictions):,} predictions are not finite")
    is_single = output is None
    examples = Examples(
        kind="values",
        labels=labels,
        predictions=predictions,
        weight=None if (weight == 1).all() else weight.astype(np.float64),
        rows=np.flatnonzero(counts),
        names=(),
    )
    if labels.ndim == 1 and labels.dtype.kind in "iu":
        return _of_class_numbers(examples, class_names, is_single)
    return _of_columns(examples, class_names, split.activations.get(output))


def _of_class_numbers(examples: Examples, class_names: Sequence[str], is_single: bool) -> Examples:
    labels, predictions = examples.labels.astype(np.int64), examples.predictions
    lie_in_range = bool(((predictions >= 0) & (predictions <= 1)).all())
    if predictions.shape[1] == 1:
        if not lie_in_range:
            values = replace(examples, labels=labels.astype(np.float64))
            return _of_columns(values, class_names, "linear")
        predictions = np.concatenate([1 - predictions, predictions], axis=1)
    num_classes = predictions.shape[1]
    if labels.min() < 0 or labels.max() >= num_classes:
        raise NotApplicableError(
            f"labels run from {labels.min()} to {labels.max()}, predictions have {num_classes} "
            "columns: these are no classes"
        )
    if is_single and class_names and len(class_names) != num_classes:
        raise NotApplicableError(
            f"the data has {len(class_names)} classes, predictions have {num_classes} columns"
        )
    sums = predictions.sum(axis=1)
    are_probabilities = lie_in_range and bool((abs(sums - 1) < _TOLERANCE).all())
    notes = [] if are_probabilities else ["predictions are scores: calibration is left out"]
    return replace(
        examples,
        kind="classes",
        labels=labels,
        predictions=predictions,
        names=_names("", class_names, num_classes),
        are_probabilities=are_probabilities,
        notes=notes,
    )


def _of_columns(examples: Examples, class_names: Sequence[str], activation: str | None) -> Examples:
    """Return yes-or-no labels, values, or classes where labels are distributions over them."""
    predictions = examples.predictions
    labels = examples.labels.astype(np.float64)
    labels = labels[:, np.newaxis] if labels.ndim == 1 else labels
    if labels.shape != predictions.shape:
        raise NotApplicableError(
            f"labels are {list(labels.shape)}, predictions {list(predictions.shape)}"
        )
    num_columns = labels.shape[1]
    kind = kind_of_columns(labels, predictions, activation)
    if kind == "classes":
        is_one_hot = np.isin(labels, (0, 1)).all()
        return replace(
            examples,
            kind=kind,
            labels=labels.argmax(axis=1),
            names=_names("", class_names, num_columns),
            notes=[] if is_one_hot else ["labels are soft: the most probable class counts"],
        )
    if kind == "yes_no":
        names = _names("", class_names, num_columns)
        return replace(examples, kind=kind, labels=labels == 1, names=names)
    return replace(examples, labels=labels, names=_names("value ", class_names, num_columns))


def kind_of_columns(labels: np.ndarray, predictions: np.ndarray, activation: str | None) -> str:
    """Return `classes`, `yes_no` or `values`: what labels that are no class numbers are.

    Numbers alone do not tell: values to regress may all be 0 or 1, and predictions lie between.

    Args:
        labels: [N, K].
        predictions: [N, K].
        activation: that made the predictions: `softmax`, `sigmoid` or `linear`; None: not known.
    """
    is_zero_or_one = bool(np.isin(labels, (0, 1)).all())
    are_distributions = labels.shape[1] > 1 and all(map(_are_distributions, (labels, predictions)))
    # A model with a softmax of its own is linear too, but its labels are rows with a one.
    may_be_classes = is_zero_or_one if activation == "linear" else activation != "sigmoid"
    if are_distributions and may_be_classes:
        return "classes"
    lie_in_range = bool(((predictions >= 0) & (predictions <= 1)).all())
    return "yes_no" if is_zero_or_one and lie_in_range and activation != "linear" else "values"


def _are_distributions(rows: np.ndarray) -> bool:
    return bool((rows >= 0).all() and (abs(rows.sum(axis=1) - 1) < _TOLERANCE).all())


def _names(prefix: str, class_names: Sequence[str], num: int) -> tuple[str, ...]:
    if len(class_names) == num:
        return tuple(class_names)
    return tuple(f"{prefix}{k}" for k in range(num)) if num > 1 or not prefix else ("value",)
