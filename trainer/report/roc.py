"""ROC curves and precision-recall curves, each class against the rest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from trainer.report.figures import shortened

_MOST_COLOURED = 10  # classes: above, only the worst have a colour and a name
_NUM_WORST = 5


def draw(
    is_true: np.ndarray,
    scores: np.ndarray,
    weight: np.ndarray | None,
    rows: Sequence[dict[str, Any]],
) -> Figure | None:
    """Return both kinds of curves side by side; None where no class has any.

    Args:
        is_true: bool [N, K].
        scores: float64 [N, K].
        weight: float64 [N]; None: all 1.
        rows: as `per_class` returns them, for names and areas.
    """
    known = [k for k, row in enumerate(rows) if row["roc_auc"] is not None]
    if not known:
        return None
    figure = Figure(figsize=(11, 5.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, statistic in ((left, "roc_auc"), (right, "average_precision")):
        worst_first = sorted(known, key=lambda k: rows[k][statistic])
        few = len(known) <= _MOST_COLOURED
        named = known if few else worst_first[:_NUM_WORST]
        for k in [k for k in known if k not in named]:
            x, y = _curve(statistic, is_true[:, k], scores[:, k], weight)
            axes.plot(x, y, color="0.75", linewidth=0.5)
        for color, k in enumerate(named):
            x, y = _curve(statistic, is_true[:, k], scores[:, k], weight)
            label = f"{shortened(rows[k]['class'])}  {rows[k][statistic]:.4f}"
            axes.plot(x, y, color=f"C{color}", linewidth=1.3, label=label)
        hint = "" if few else f"\n(the {_NUM_WORST} worst of {len(known)} named)"
        mean = np.mean([rows[k][statistic] for k in known])
        _label(axes, statistic, f"{mean:.4f}{hint}")
    left.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    return figure


def _curve(
    statistic: str, is_true: np.ndarray, scores: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    if statistic == "roc_auc":
        false_positives, true_positives, _ = roc_curve(is_true, scores, sample_weight=weight)
        return false_positives, true_positives
    precision, recall, _ = precision_recall_curve(
        is_true, scores, sample_weight=weight, drop_intermediate=True
    )
    return recall, precision


def _label(axes: Axes, statistic: str, text: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if statistic == "roc_auc":
        axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
        axes.set_title(f"ROC, mean area {text}", fontsize=10)
        axes.legend(loc="lower right", fontsize=8)
    else:
        axes.set(xlabel="recall", ylabel="precision")
        axes.set_title(f"precision-recall, mean average precision {text}", fontsize=10)
        axes.legend(loc="best", fontsize=8)
    axes.grid(alpha=0.3)
