"""Precision, recall, F1, ROC AUC and average precision of each class, and their averages.

Classes are taken one against the rest, so yes-or-no labels are had in the same way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

STATISTICS = ("precision", "recall", "f1", "roc_auc", "average_precision")


def per_class(
    is_true: np.ndarray,
    is_predicted: np.ndarray,
    scores: np.ndarray,
    weight: np.ndarray | None,
    names: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the statistics of each class, as scikit-learn has them.

    Precision, recall and F1 of a class that is never predicted are 0. What is not defined is None:
    everything but `support` of a class without examples, and the ROC AUC of one without others.

    Args:
        is_true: bool [N, K].
        is_predicted: bool [N, K].
        scores: float64 [N, K], the higher the more likely.
        weight: float64 [N]; None: all 1.
        names: K of them.

    Returns:
        For each class `class`, `STATISTICS` and `support`, the weight of its examples.
    """
    ones = np.ones(len(is_true)) if weight is None else weight
    support = ones @ is_true
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        row = {"class": name, **dict.fromkeys(STATISTICS), "support": _number(support[k])}
        if is_true[:, k].any():
            # Column by column: of [N, 1] scikit-learn makes two classes, and puts that of no first.
            precision, recall, f1, _ = precision_recall_fscore_support(
                is_true[:, k],
                is_predicted[:, k],
                pos_label=True,
                average="binary",
                sample_weight=weight,
                zero_division=0,
            )
            row |= {"precision": precision, "recall": recall, "f1": f1}
            of_class = {"y_true": is_true[:, k], "y_score": scores[:, k], "sample_weight": weight}
            if not is_true[:, k].all():
                row["roc_auc"] = roc_auc_score(**of_class)
            row["average_precision"] = average_precision_score(**of_class)
        rows.append({k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()})
    return rows


def averages(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return `macro` and `weighted` (by support) averages over the classes that have a value."""
    kinds: dict[str, dict[str, float | None]] = {"macro": {}, "weighted": {}}
    for statistic in STATISTICS:
        known = [row for row in rows if row[statistic] is not None]
        values = [row[statistic] for row in known]
        supports = [row["support"] for row in known]
        kinds["macro"][statistic] = float(np.mean(values)) if known else None
        kinds["weighted"][statistic] = (
            float(np.average(values, weights=supports)) if known else None
        )
    return kinds


def remarks(rows: Sequence[dict[str, Any]], is_predicted: np.ndarray) -> list[str]:
    """Return what is to be said of classes whose statistics are not defined, or 0 by agreement."""
    absent = [row["class"] for row in rows if row["average_precision"] is None]
    alone = [r["class"] for r in rows if r["roc_auc"] is None and r["class"] not in absent]
    never = [
        row["class"]
        for row, predicted in zip(rows, is_predicted.T, strict=True)
        if not predicted.any() and row["class"] not in absent
    ]
    found = []
    if absent:
        found.append(f"no examples of {_listed(absent)}: left out of the averages")
    if alone:
        found.append(f"nothing but {_listed(alone)}: its ROC AUC is not defined")
    if never:
        found.append(f"never predicted: {_listed(never)}; precision counts as 0")
    return found


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _number(support: float) -> int | float:
    return int(support) if support == int(support) else float(support)
