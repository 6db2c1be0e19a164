"""The statistics of a classifier on a split: each class, averages, confusions, calibration."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import accuracy_score
from sklearn.metrics import confusion_matrix as count_confusions

from trainer.report import calibration, confusion_matrix, roc
from trainer.report.examples import Examples
from trainer.report.mistakes import confident_mistakes
from trainer.report.per_class import averages, per_class, remarks

_NUM_CONFUSIONS = 10


def statistics(examples: Examples) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Return what is to be said of `classes` or `yes_no` labels, and its pictures by name.

    Of yes-or-no labels `accuracy` is that of all answers, and `all_right` the share of examples of
    which every answer is right; they have no confusion matrix but numbers of answers for each.
    """
    labels, predictions, weight = examples.labels, examples.predictions, examples.weight
    is_multi_label = examples.kind == "yes_no"
    if is_multi_label:
        is_true, is_predicted = labels, predictions > 0.5
    else:
        classes, predicted = np.arange(len(examples.names)), predictions.argmax(axis=1)
        is_true, is_predicted = labels[:, None] == classes, predicted[:, None] == classes
    rows = per_class(is_true, is_predicted, predictions, weight, examples.names)
    found: dict[str, Any] = {"kind": examples.kind}
    if is_multi_label:
        is_right = is_true == is_predicted
        found["accuracy"] = float(np.average(is_right.mean(axis=1), weights=weight))
        found["all_right"] = float(np.average(is_right.all(axis=1), weights=weight))
    else:
        found["accuracy"] = float(accuracy_score(labels, predicted, sample_weight=weight))
    found |= averages(rows)
    pictures: dict[str, Figure] = {}
    curves = roc.draw(is_true, predictions, weight, rows)
    if examples.are_probabilities:
        found["calibration"] = _calibration(examples, is_true, is_predicted)
        pictures["reliability"] = calibration.draw(found["calibration"])
    found["per_class"] = rows
    if is_multi_label:
        ones = np.ones(len(labels)) if weight is None else weight
        for row, truth, answer in zip(rows, is_true.T, is_predicted.T, strict=True):
            row |= {
                "true_yes": float(ones @ (truth & answer)),
                "false_yes": float(ones @ (~truth & answer)),
                "false_no": float(ones @ (truth & ~answer)),
                "true_no": float(ones @ (~truth & ~answer)),
            }
    else:
        counts = count_confusions(labels, predicted, labels=classes, sample_weight=weight)
        found["confusion_matrix"] = counts.tolist()
        found["confusions"] = _confusions(counts, examples.names)
        pictures = {"confusion_matrix": confusion_matrix.draw(counts, examples.names), **pictures}
    if curves is not None:
        pictures["curves"] = curves
    found["mistakes"] = confident_mistakes(examples)
    found["notes"] = [*examples.notes, *remarks(rows, is_predicted)]
    return found, pictures


def _calibration(
    examples: Examples, is_true: np.ndarray, is_predicted: np.ndarray
) -> dict[str, Any]:
    if examples.kind == "classes":
        is_right = (is_true & is_predicted).any(axis=1)
        return calibration.calibration(examples.predictions.max(axis=1), is_right, examples.weight)
    # Every answer is one of two classes.
    confidence = np.maximum(examples.predictions, 1 - examples.predictions)
    weight = examples.weight
    repeated = None if weight is None else np.repeat(weight, is_true.shape[1])
    return calibration.calibration(confidence.ravel(), (is_true == is_predicted).ravel(), repeated)


def _confusions(counts: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the commonest confusions, and what share of the true class each is."""
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    commonest = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_CONFUSIONS]
    return [
        {
            "true": names[true],
            "predicted": names[predicted],
            "count": wrong[true, predicted].item(),
            "share": float(wrong[true, predicted] / counts[true].sum()),
        }
        for true, predicted in zip(*np.unravel_index(commonest, wrong.shape), strict=True)
        if wrong[true, predicted] > 0
    ]
