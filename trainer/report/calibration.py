"""How far confidence is from how often a classifier is right, and the reliability diagram.

Guo et al. 2017 (arXiv 1706.04599), equation 3 and figure 1; `metrics.calibration` is the same while
training.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

NUM_BINS = 15  # the paper's


def calibration(
    confidence: np.ndarray, is_right: np.ndarray, weight: np.ndarray | None
) -> dict[str, Any]:
    """Return the expected calibration error and the bins that it is the mean of.

    Args:
        confidence: float64 [N], in the class that is predicted.
        is_right: bool [N], whether it is that class.
        weight: float64 [N]; None: all 1.

    Returns:
        `error`, mean `confidence` and `accuracy`, and of each of `bins` its `weight`, mean
        `confidence` and `accuracy`, None where it is empty. Bin m is (m/M, (m+1)/M].
    """
    ones = np.ones(len(confidence)) if weight is None else weight
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    totals, confidences, rights = (
        np.bincount(bins, ones * values, NUM_BINS)
        for values in (np.ones(len(confidence)), confidence, is_right)
    )
    total = totals.sum()
    return {
        "error": float(abs(rights - confidences).sum() / total),
        "confidence": float(confidences.sum() / total),
        "accuracy": float(rights.sum() / total),
        "bins": [
            {
                "weight": float(weight),
                "confidence": float(confident / weight) if weight else None,
                "accuracy": float(right / weight) if weight else None,
            }
            for weight, confident, right in zip(totals, confidences, rights, strict=True)
        ],
    }


def draw(found: dict[str, Any]) -> Figure:
    """Return the reliability diagram: accuracy by confidence, and how many examples have which.

    Args:
        found: as `calibration` returns it.
    """
    bins, width = found["bins"], 1 / len(found["bins"])
    centres = (np.arange(len(bins)) + 0.5) * width
    filled = [k for k, one in enumerate(bins) if one["weight"]]
    accuracy = np.array([bins[k]["accuracy"] for k in filled])
    confidence = np.array([bins[k]["confidence"] for k in filled])
    figure = Figure(figsize=(5.5, 6.5), dpi=110, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.bar(centres[filled], accuracy, width, color="C0", edgecolor="white", label="accuracy")
    upper.bar(
        centres[filled],
        confidence - accuracy,
        width,
        bottom=accuracy,
        color="C3",
        alpha=0.35,
        edgecolor="C3",
        label="gap to the mean confidence",
    )
    upper.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    upper.set(
        xlim=(0, 1),
        ylim=(0, 1),
        ylabel="accuracy",
        title=f"expected calibration error {found['error']:.4f}",
    )
    upper.legend(loc="upper left")
    shares = np.array([one["weight"] for one in bins])
    lower.bar(centres, 100 * shares / shares.sum(), width, color="0.6", edgecolor="white")
    lower.axvline(found["confidence"], color="C3", linewidth=1, label="mean confidence")
    lower.axvline(found["accuracy"], color="C0", linewidth=1, linestyle="--", label="accuracy")
    lower.set(xlabel="confidence in the predicted class", ylabel="% of examples")
    lower.legend(loc="upper left", fontsize=8)
    return figure
