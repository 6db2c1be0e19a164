"""The confusion matrix as a picture: which class is taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from trainer.report.figures import shortened

_MOST_WITH_NUMBERS = 25  # classes: above, numbers would not fit into their squares
_MOST_TICKS = 100
_GAMMA = 0.5  # of the colours: a confusion of 4 % is a fifth as dark as one of 100 %


def draw(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Return a picture: a row for each true class, coloured by the shares of the row.

    Up to 25 classes the counts stand in the squares, up to 100 every class has its name.

    Args:
        counts: [K, K], how many examples of class i were taken for class j; not whole numbers where
            examples have weights.
        class_names: K of them.
    """
    num_classes = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = float(np.clip(0.5 * num_classes, 3.0, 12.0))
    figure = Figure(figsize=(side + 2.5, side + 1.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(_GAMMA, 0.0, 1.0))
    _name_classes(axes, class_names)
    if num_classes <= _MOST_WITH_NUMBERS:
        _write_counts(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1], shrink=0.8)
    bar.set_label("share of the true class")
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
    return figure


def _name_classes(axes: Axes, class_names: Sequence[str]) -> None:
    num_classes = len(class_names)
    every = -(-num_classes // _MOST_TICKS)
    ticks = range(0, num_classes, every)
    names = [shortened(class_names[k]) for k in ticks]
    size = 9 if num_classes <= _MOST_WITH_NUMBERS else 6
    axes.set_xticks(ticks, names, rotation=90 if num_classes > 3 else 0, fontsize=size)
    axes.set_yticks(ticks, names, fontsize=size)
    axes.set(xlabel="predicted class", ylabel="true class")
    if num_classes <= _MOST_TICKS:
        axes.set_xticks(np.arange(num_classes - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(num_classes - 1) + 0.5, minor=True)
        axes.grid(which="minor", color="0.9", linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    is_whole = np.array_equal(counts, np.round(counts))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(
                column,
                row,
                f"{count:,.0f}" if is_whole else f"{count:.3g}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] ** _GAMMA > 0.6 else "black",
            )
