"""How well a run did on each example of a split, from the predictions that `evaluate` keeps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.fingerprint import fingerprint
from trainer.report.examples import kind_of_columns
from trainer.split_predictions import SplitPredictions


@dataclass(frozen=True)
class ExampleScores:
    """Scores of the N examples of a split, in the split's order.

    Args:
        examples: identifies labels and weights: scores of equal examples can be paired.
        step: of the weights that predicted.
        weight: float64 [N], of each example.
        losses: float64 [N].
        correct: float64 [N], the share of an example's labels that was right, so 0 or 1 for one
            label; None for values to regress and for several outputs.
        data: fingerprint of the split; empty if it was not kept.
    """

    examples: str
    step: int
    weight: np.ndarray
    losses: np.ndarray
    correct: np.ndarray | None
    data: str = ""

    def metrics(self) -> dict[str, float]:
        """Return `loss` and, where there is one, `accuracy`: means over the examples' weights."""
        found = {"loss": self.losses} | ({} if self.correct is None else {"accuracy": self.correct})
        total = self.weight.sum()
        return {
            name: float((values * self.weight).sum() / total) if total else float("nan")
            for name, values in found.items()
        }


def path_of(run_dir: Path, split: str) -> Path:
    """Return where `evaluate` keeps a split's predictions."""
    return run_dir / "report" / f"predictions_{split}.npz"


def read_scores(path: Path) -> ExampleScores:
    """Read predictions and score them.

    Raises:
        ValueError: in one line, if the file is damaged or something else.
        OSError: if it cannot be read.
    """
    kept = SplitPredictions.load(path)
    num_examples = len(kept.weight)
    per_example = [kept.losses, kept.weight]
    arrays = [*per_example, *kept.labels.values(), *kept.predictions.values()]
    is_whole = (
        kept.labels.keys() == kept.predictions.keys()
        and all(array.dtype.kind in "biuf" and array.ndim for array in arrays)
        and all(len(array) == num_examples for array in arrays)
        and all(array.ndim == 1 for array in per_example)
    )
    if not is_whole:
        raise ValueError(f"{path}: labels, predictions and losses do not fit together")
    labels = {f"labels/{name or ''}": array for name, array in kept.labels.items()}
    is_single = None in kept.labels and len(kept.labels) == 1
    return ExampleScores(
        fingerprint(labels | {"weight": kept.weight}),
        kept.step,
        kept.weight.astype(np.float64),
        kept.losses.astype(np.float64),
        correct(kept.labels[None], kept.predictions[None], kept.activations.get(None))
        if is_single
        else None,
        kept.data,
    )


def correct(
    labels: np.ndarray, predictions: np.ndarray, activation: str | None = None
) -> np.ndarray | None:
    """Return how much of each example was right; None if the predictions are values to regress.

    Args:
        labels: int [N] or [N, 1] class numbers; float [N, K] rows of class probabilities, or yes
            and no for each of K; or values.
        predictions: float [N, K] probabilities, or values. Of one probability, more than a half
            is class 1.
        activation: that made the predictions: `softmax`, `sigmoid` or `linear`; None: not known.

    Returns:
        float64 [N] in [0, 1].
    """
    rows = predictions.reshape(len(predictions), -1)
    columns = labels.reshape(len(labels), -1)
    num_outputs = rows.shape[1]
    if labels.dtype.kind != "f" and columns.shape[1] == 1:
        if num_outputs == 1 and not ((rows >= 0) & (rows <= 1)).all():
            return None
        classes = (rows[:, 0] > 0.5).astype(int) if num_outputs == 1 else rows.argmax(axis=1)
        return (classes == columns[:, 0]).astype(np.float64)
    if columns.shape != rows.shape or not num_outputs:
        return None
    kind = kind_of_columns(columns, rows, activation)
    if kind == "classes":
        return (rows.argmax(axis=1) == columns.argmax(axis=1)).astype(np.float64)
    return ((rows > 0.5) == (columns > 0.5)).mean(axis=1) if kind == "yes_no" else None
