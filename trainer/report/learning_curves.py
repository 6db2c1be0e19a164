"""The learning curves of a run as one picture: loss and metrics, of training and validation."""

import math
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainer.disk import write_whole
from trainer.report.figures import png

_NOT_DRAWN = ("train/learning_rate", "train/gradient_norm")
_MAX_COLUMNS = 3
_NUM_SMOOTHED = 100
"""Points of a smoothed curve: each is the mean of the steps between it and the one before."""

Curve = tuple[np.ndarray, np.ndarray]
"""Epochs and values, float64 [N] each."""


def draw(curves: Mapping[str, Curve], path: Path, title: str = "") -> None:
    """Write a PNG with a panel for the loss and one for each metric.

    A curve with a point for every step is drawn thin, and its mean over stretches of steps on top.

    Args:
        curves: as `read` returns them.
        path: of the picture.
        title: above the panels.

    Raises:
        RunFolderError: if it cannot be written.
    """
    names = panels(curves)
    num_columns = max(1, min(_MAX_COLUMNS, len(names)))
    num_rows = max(1, math.ceil(len(names) / num_columns))
    figure = Figure(figsize=(5 * num_columns, 3.6 * num_rows), dpi=110, layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        _panel(axes, name, curves)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    figure.suptitle(title)
    write_whole(path, png(figure))


def read(path: Path) -> dict[str, Curve]:
    """Return the curves in a `metrics.jsonl`, by names such as `train/loss` and `val/accuracy`.

    Lines that cannot be read are passed over, and values that are not finite left out.
    """
    if not path.exists():
        return {}
    points: dict[str, tuple[array[float], array[float]]] = {}  # there may be millions
    with path.open("rb") as file:
        for row in map(_row, file):
            for name, value in row.items():
                is_curve = name.startswith(("train/", "val/")) and name not in _NOT_DRAWN
                if is_curve and isinstance(value, int | float) and math.isfinite(value):
                    epochs, values = points.setdefault(name, (array("d"), array("d")))
                    epochs.append(row["epoch"])
                    values.append(value)
    return {name: (np.array(e), np.array(v)) for name, (e, v) in points.items()}


def panels(curves: Mapping[str, Curve]) -> list[str]:
    """Return what has a panel: the loss, and what is evaluated on the validation split."""
    evaluated = [name.partition("/")[2] for name in curves if name.startswith("val/")]
    return ["loss", *(name for name in evaluated if name != "loss")]


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    is_row = isinstance(row, dict) and isinstance(row.get("epoch"), int | float)
    return row if is_row else {}


def _panel(axes: Axes, name: str, curves: Mapping[str, Curve]) -> None:
    for split, color in (("train", "C0"), ("val", "C1")):
        if f"{split}/{name}" not in curves:
            continue
        epochs, values = curves[f"{split}/{name}"]
        if len(values) > _NUM_SMOOTHED:
            axes.plot(epochs, values, color=color, linewidth=0.4, alpha=0.3)
            epochs, values = _smoothed(epochs, values)
        marker = "o" if len(values) <= 40 else ""
        axes.plot(epochs, values, color=color, marker=marker, markersize=3, label=split)
    axes.set(xlabel="epoch", title=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


def _smoothed(epochs: np.ndarray, values: np.ndarray) -> Curve:
    stretches: Sequence[np.ndarray] = np.array_split(np.arange(len(values)), _NUM_SMOOTHED)
    means = np.array([values[stretch].mean() for stretch in stretches])
    return np.array([epochs[stretch[-1]] for stretch in stretches]), means
