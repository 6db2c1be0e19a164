"""All settings that vary beside each other: a line for each group, its colour the metric."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from trainer.compare.axes import axes_of
from trainer.compare.comparison import Comparison
from trainer.compare.figures import number
from trainer.compare.importance import counted
from trainer.disk import write_whole
from trainer.report.figures import png, shortened

_MIN_RUNS = 3
"""Where a single setting varies."""
_MAX_AXES = 12
_NUM_TICKS = 5
_BEST = "C3"


def draw_parallel_coordinates(comparison: Comparison, path: Path) -> bool:
    """Write a PNG with an axis for each setting that varies and one for the metric.

    Returns:
        Whether it was written: one setting needs three runs to be worth a picture.

    Raises:
        RunFolderError: if it cannot be written.
    """
    groups = counted(comparison)
    axes = axes_of(groups)[:_MAX_AXES]
    if not axes or (len(axes) == 1 and sum(len(group.runs) for group in groups) < _MIN_RUNS):
        return False
    means = np.array([group.mean(comparison.metric) for group in groups])
    low, length = means.min(), np.ptp(means) or 1.0
    heights = (means - low) / length
    figure = Figure(figsize=(3 + 1.7 * len(axes), 4.6), dpi=110, layout="constrained")
    plot = figure.subplots()
    goodness = heights if comparison.mode == "max" else 1 - heights
    colours = colormaps["viridis_r"](0.05 + 0.9 * goodness)
    # The best last, so that it is on top.
    for k in reversed(range(len(groups))):
        line = [*(axis.positions[k] for axis in axes), heights[k]]
        colour, width = (_BEST, 2.6) if k == 0 else (colours[k], 1.2)
        plot.plot(range(len(line)), line, color=colour, linewidth=width, alpha=0.9, clip_on=False)
    ticks = [(p, number(low + p * length)) for p in np.linspace(0, 1, _NUM_TICKS)]
    for k, written in enumerate([*(axis.ticks for axis in axes), ticks]):
        plot.axvline(k, color="0.3", linewidth=1)
        for position, text in written:
            plot.annotate(
                text,
                (k, position),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.75, "lw": 0},
            )
    names = [*(shortened(axis.name) for axis in axes), comparison.metric]
    plot.set_xticks(range(len(names)), names, fontsize=9)
    plot.xaxis.tick_top()
    plot.tick_params(length=0)
    plot.set(yticks=[], xlim=(-0.1, len(names) - 0.6), ylim=(-0.04, 1.04))
    plot.spines[:].set_visible(False)
    title = f"{len(groups)} settings, the means of their runs: darker is better, red the best"
    figure.suptitle(title, fontsize=10)
    write_whole(path, png(figure))
    return True
