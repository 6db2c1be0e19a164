"""The statistics of regressed values on a split, and what was predicted against what is true."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from trainer.report.examples import Examples
from trainer.report.figures import shortened
from trainer.report.mistakes import largest_errors

STATISTICS = ("mae", "rmse", "r2")
_MOST_PANELS = 9
_NUM_BINS = 50
_MOST_POINTS = 5000  # above, points hide each other


def statistics(examples: Examples) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Return what is to be said of `values`, and its pictures by name.

    R2 of a value that is the same in all examples is not defined and None.
    """
    rows: list[dict[str, Any]] = []
    notes = list(examples.notes)
    for k, name in enumerate(examples.names):
        labels, predictions = examples.labels[:, k], examples.predictions[:, k]
        weighted = {"sample_weight": examples.weight}
        has_spread = bool(labels.min() < labels.max())
        rows.append(
            {
                "class": name,
                "mae": float(mean_absolute_error(labels, predictions, **weighted)),
                "rmse": float(root_mean_squared_error(labels, predictions, **weighted)),
                "r2": float(r2_score(labels, predictions, **weighted)) if has_spread else None,
            }
        )
        if not has_spread:
            notes.append(f"{name} is the same in all examples: its R2 is not defined")
    found: dict[str, Any] = {"kind": "values"}
    for statistic in STATISTICS:
        known = [row[statistic] for row in rows if row[statistic] is not None]
        found[statistic] = float(np.mean(known)) if known else None
    found |= {"per_class": rows, "mistakes": largest_errors(examples), "notes": notes}
    return found, {"values": _draw(examples, rows)}


def _draw(examples: Examples, rows: list[dict[str, Any]]) -> Figure:
    shown = range(min(len(rows), _MOST_PANELS))
    num_columns = max(2, min(3, len(shown)))
    panels = len(shown) + (len(shown) == 1)  # a single value has its errors beside it
    num_rows = math.ceil(panels / num_columns)
    figure = Figure(figsize=(4.8 * num_columns, 4.4 * num_rows), dpi=110, layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for k in shown:
        _panel(grid[k], examples.labels[:, k], examples.predictions[:, k])
        r2 = rows[k]["r2"]
        text = f"MAE {rows[k]['mae']:.4g}" + ("" if r2 is None else f", R2 {r2:.4f}")
        grid[k].set_title(f"{shortened(rows[k]['class'])}: {text}", fontsize=10)
    if len(shown) == 1:
        errors = examples.predictions[:, 0] - examples.labels[:, 0]
        grid[1].hist(errors, bins=_NUM_BINS, color="C0")
        grid[1].axvline(0, color="0.4", linestyle="--", linewidth=1)
        grid[1].set(xlabel="predicted - true", ylabel="examples")
    for axes in grid[panels:]:
        axes.set_axis_off()
    if len(rows) > len(shown):
        figure.suptitle(f"the first {len(shown)} of {len(rows)} values")
    return figure


def _panel(axes: Axes, labels: np.ndarray, predictions: np.ndarray) -> None:
    if len(labels) > _MOST_POINTS:
        axes.hexbin(labels, predictions, gridsize=60, bins="log", cmap="Blues", mincnt=1)
    else:
        axes.plot(labels, predictions, "o", markersize=3, alpha=0.4)
    ends = [min(labels.min(), predictions.min()), max(labels.max(), predictions.max())]
    axes.plot(ends, ends, color="0.4", linestyle="--", linewidth=1)
    axes.set(xlabel="true", ylabel="predicted")
    axes.grid(alpha=0.3)
