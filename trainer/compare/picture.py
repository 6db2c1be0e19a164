"""The learning curves of many runs in one picture: a colour for each setting."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from trainer.compare.comparison import Comparison
from trainer.compare.groups import Group
from trainer.compare.tables import label
from trainer.disk import write_whole
from trainer.report.figures import png
from trainer.report.learning_curves import Curve, panels, read

MAX_COLOURED = 10
"""Groups with a colour and a name of their own; the others are grey."""
_NUM_POINTS = 100
"""Of a curve with a value for every step: each is the mean of the steps since the one before."""
_MAX_MARKED = 40
_SPLITS = ("val", "train")
_GREY = "0.75"
_MAX_LEGEND = 100
"""Characters of a name in the legend."""

Curves = dict[str, Curve]


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG with a row for the loss and one for each metric, validation beside training.

    A run is a thin line, the mean over a group's seeds a thick one.

    Raises:
        RunFolderError: if it cannot be written.
    """
    curves = [[_curves(run.folder) for run in group.runs] for group in comparison.groups]
    names = list(dict.fromkeys(name for group in curves for run in group for name in panels(run)))
    names.sort(key=lambda name: name != comparison.metric.partition("/")[2])
    colours = _colours(len(curves))
    handles, labels = _legend(comparison, colours)
    num_columns = max(1, min(3, _MAX_LEGEND // max(map(len, labels))))
    legend_inches = 0.4 + 0.2 * math.ceil(len(labels) / num_columns)
    size = (11, 3.2 * len(names) + legend_inches)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    grid = figure.subplots(len(names), len(_SPLITS), squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for axes, split in zip(row, _SPLITS, strict=True):
            # The best last, so that it is on top.
            for place in reversed(range(len(curves))):
                _draw_group(axes, curves[place], f"{split}/{name}", colours[place])
            axes.set(xlabel="epoch", title=f"{split}/{name}")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
    figure.legend(handles, labels, loc="outside lower center", ncols=num_columns, fontsize=9)
    write_whole(path, png(figure))


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves over the epochs that all of them have, at the points of the first.

    Args:
        curves: at least one; between its points a curve is a straight line.
    """
    first = max(epochs[0] for epochs, _ in curves)
    last = min(epochs[-1] for epochs, _ in curves)
    epochs = curves[0][0][(curves[0][0] >= first) & (curves[0][0] <= last)]
    return epochs, np.mean([np.interp(epochs, x, values) for x, values in curves], axis=0)


def _curves(run_dir: Path) -> Curves:
    return {name: _thinned(*curve) for name, curve in read(run_dir / "metrics.jsonl").items()}


def _thinned(epochs: np.ndarray, values: np.ndarray) -> Curve:
    if len(values) <= _NUM_POINTS:
        return epochs, values
    stretches = np.array_split(np.arange(len(values)), _NUM_POINTS)
    means = np.array([values[stretch].mean() for stretch in stretches])
    return epochs[[stretch[-1] for stretch in stretches]], means


def _draw_group(axes: Axes, runs: Sequence[Curves], name: str, colour: str) -> None:
    curves = [run[name] for run in runs if name in run]
    if not curves:
        return
    if len(curves) > 1:
        for epochs, values in curves:
            axes.plot(epochs, values, color=colour, linewidth=0.7, alpha=0.45)
    epochs, values = mean_curve(curves)
    marker = "o" if len(values) <= _MAX_MARKED else ""
    axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=3)


def _colours(num_groups: int) -> list[str]:
    return [f"C{k}" if k < MAX_COLOURED else _GREY for k in range(num_groups)]


def _legend(comparison: Comparison, colours: Sequence[str]) -> tuple[list[Line2D], list[str]]:
    groups: Sequence[Group] = comparison.groups[:MAX_COLOURED]
    labels = [_named(rank, group, comparison) for rank, group in enumerate(groups, start=1)]
    handles = [Line2D([], [], color=colour) for colour in colours[: len(groups)]]
    if len(comparison.groups) > MAX_COLOURED:
        labels.append(f"{len(comparison.groups) - MAX_COLOURED} others")
        handles.append(Line2D([], [], color=_GREY))
    return handles, labels


def _named(rank: int, group: Group, comparison: Comparison) -> str:
    text = label(group, comparison)
    short = text if len(text) <= _MAX_LEGEND else f"{text[:_MAX_LEGEND]}…"
    # A dollar sign would begin a formula.
    return f"{rank}  {short}  (n={len(group.runs)})".replace("$", r"\$")
