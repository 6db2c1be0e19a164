"""What a model gets most wrong: rows for a table, and the images where there are any."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trainer.report.examples import Examples
from trainer.report.figures import shortened

MOST = 25  # a picture of five by five


def confident_mistakes(examples: Examples) -> list[dict[str, Any]]:
    """Return the mistakes in which the model is most confident, the worst first.

    Args:
        examples: of `classes` or `yes_no`.

    Returns:
        `row` in the split, `true`, `predicted`, `confidence`; of yes-or-no labels also `class`.
    """
    if examples.kind == "yes_no":
        return _wrong_answers(examples)
    predicted = examples.predictions.argmax(axis=1)
    confidence = examples.predictions.max(axis=1)
    wrong = np.flatnonzero(predicted != examples.labels)
    return [
        {
            "row": int(examples.rows[k]),
            "true": examples.names[examples.labels[k]],
            "predicted": examples.names[predicted[k]],
            "confidence": float(confidence[k]),
        }
        for k in wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST]
    ]


def largest_errors(examples: Examples) -> list[dict[str, Any]]:
    """Return the values that are furthest off, each measured by the spread of its labels.

    Args:
        examples: of `values`.

    Returns:
        `row` in the split, `class` (which value), `true`, `predicted`, `error`.
    """
    errors = examples.predictions - examples.labels
    spread = examples.labels.std(axis=0)
    sizes = abs(errors) / np.where(spread > 0, spread, 1.0)
    worst = np.argsort(-sizes, axis=None, kind="stable")[:MOST]
    return [
        {
            "row": int(examples.rows[k]),
            "class": examples.names[column],
            "true": float(examples.labels[k, column]),
            "predicted": float(examples.predictions[k, column]),
            "error": float(errors[k, column]),
        }
        for k, column in zip(*np.unravel_index(worst, errors.shape), strict=True)
    ]


def draw(images: np.ndarray, mistakes: Sequence[dict[str, Any]]) -> Figure:
    """Return a picture of the images with what they are and what they were taken for.

    Args:
        images: uint8 [M, H, W, C], C in {1, 3}.
        mistakes: M of them.
    """
    num_columns = min(5, len(mistakes))
    num_rows = math.ceil(len(mistakes) / num_columns)
    figure = Figure(figsize=(2.1 * num_columns, 2.6 * num_rows), dpi=110, layout="constrained")
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes in panels[len(mistakes) :]:
        axes.set_axis_off()
    for axes, image, mistake in zip(panels, images, mistakes, strict=False):
        axes.imshow(
            image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255
        )
        axes.set(xticks=[], yticks=[])
        axes.set_title(_caption(mistake), fontsize=8)
    return figure


def _caption(mistake: dict[str, Any]) -> str:
    if "error" in mistake:
        values = f"{mistake['true']:.4g}\npredicted {mistake['predicted']:.4g}"
        return f"{shortened(mistake['class'])} {values}\nrow {mistake['row']}"
    question = f"{shortened(mistake['class'])}: " if "class" in mistake else ""
    true, predicted = shortened(mistake["true"]), shortened(mistake["predicted"])
    confidence = f"{mistake['confidence']:.1%}, row {mistake['row']}"
    return f"{question}{true}\ntaken for {predicted}\n{confidence}"


def _wrong_answers(examples: Examples) -> list[dict[str, Any]]:
    says_yes = examples.predictions > 0.5
    confidence = np.maximum(examples.predictions, 1 - examples.predictions)
    confidence = np.where(says_yes != examples.labels, confidence, -1.0)
    worst = np.argsort(-confidence, axis=None, kind="stable")[:MOST]
    return [
        {
            "row": int(examples.rows[k]),
            "class": examples.names[column],
            "true": "yes" if examples.labels[k, column] else "no",
            "predicted": "yes" if says_yes[k, column] else "no",
            "confidence": float(confidence[k, column]),
        }
        for k, column in zip(*np.unravel_index(worst, confidence.shape), strict=True)
        if confidence[k, column] > 0
    ]
