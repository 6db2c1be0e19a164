"""How many examples each class has: in words, with a warning where they differ, and a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.data.dataset import Arrays
from trainer.disk import write_whole

SKEWED = 5
"""How many times larger the largest class may be than the smallest before it is warned of."""

NUM_LISTED = 20  # more classes than this are told by their extremes

NUM_NAMED = 60  # more bars than this have no room for their names

NAME_LENGTH = 30  # characters of a name in the picture


@dataclass(frozen=True)
class ClassDistribution:
    """The number of examples of each class in each split.

    Args:
        counts: split, "train" among them -> int64 [K].
        class_names: K of them.
        exclusive: whether an example has one class; else K yes/no labels, of which those that are
            yes are counted.
    """

    counts: dict[str, np.ndarray]
    class_names: tuple[str, ...]
    exclusive: bool = True

    def in_words(self) -> str:
        """Return the counts in words: a line, or a small table where up to 20 classes differ."""
        what = "classes" if self.exclusive else "yes/no labels"
        num_classes = len(self.class_names)
        if all(counts.min() == counts.max() for counts in self.counts.values()):
            each = ", ".join(f"{counts[0]:,} in {split}" for split, counts in self.counts.items())
            return f"{what}: {num_classes}, each with {each}"
        if num_classes > NUM_LISTED:
            extremes = ", ".join(
                f"{counts.min():,} to {counts.max():,} in {split} (median {np.median(counts):,g})"
                for split, counts in self.counts.items()
            )
            train = self.counts["train"]
            return (
                f"{what}: {num_classes}, each with {extremes}; in train "
                f"{self.class_names[train.argmin()]} has fewest, "
                f"{self.class_names[train.argmax()]} most"
            )
        rows = [[what, *self.counts]]
        for k, name in enumerate(self.class_names):
            rows.append([name, *(f"{counts[k]:,}" for counts in self.counts.values())])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )

    def warning(self) -> str | None:
        """Return a line if a class has no training examples, or far fewer than another."""
        train = self.counts["train"]
        empty = [name for name, n in zip(self.class_names, train, strict=True) if n == 0]
        if empty:
            more = ", ..." if len(empty) > NUM_LISTED else ""
            what = "classes have no training example" if self.exclusive else "labels are never yes"
            return (
                f"{len(empty)} of {len(train)} {what}: {', '.join(empty[:NUM_LISTED])}{more}; the "
                "model cannot learn them"
            )
        if not self.exclusive or train.max() <= SKEWED * train.min():
            return None
        most, fewest = train.argmax(), train.argmin()
        return (
            f"skewed classes: {train[most]:,} training examples of {self.class_names[most]}, but "
            f"{train[fewest]:,} of {self.class_names[fewest]}; accuracy says little of the small "
            "ones, and data.class_weight=balanced gives each class the same weight"
        )


def class_distribution(
    splits: Mapping[str, Arrays], class_names: Sequence[str]
) -> ClassDistribution | None:
    """Count the examples of each class.

    Args:
        splits: Split -> arrays with `label`, or `label/NAME` for each of several targets: int32
            [N], class numbers, or float32 [N, K], yes/no labels of 0 and 1.
        class_names: K of them, as the data set has them.

    Returns:
        The counts of the first target that has class numbers, else of the first that has K yes/no
        labels; None where there is neither.
    """
    num_classes, counts = len(class_names), {}
    train = {k: np.asarray(a) for k, a in splits["train"].items() if k.split("/")[0] == "label"}
    numbers = [key for key, label in train.items() if label.dtype == np.int32 and label.ndim == 1]
    yes_no = [
        key
        for key, label in train.items()
        if label.shape[1:] == (num_classes,) and np.isin(label, (0, 1)).all()
    ]
    if num_classes == 0 or not numbers + yes_no:
        return None
    key = (numbers + yes_no)[0]
    for split, arrays in splits.items():
        label = np.asarray(arrays[key])
        if numbers:
            counts[split] = np.bincount(label, minlength=num_classes)
        else:
            counts[split] = np.rint(label.sum(axis=0)).astype(np.int64)
    return ClassDistribution(counts, tuple(class_names), exclusive=bool(numbers))


def plot_class_distribution(distribution: ClassDistribution, path: Path) -> None:
    """Draw the counts as a PNG: the splits side by side, each with a scale of its own.

    Args:
        distribution: What to draw. Names of more than 60 classes are not written.
        path: The file; its folder is made if it is not there.

    Raises:
        RunFolderError: If it cannot be written.
    """
    # Not through pyplot, which keeps figures and may open a window.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from trainer.report.figures import png

    counts, names = distribution.counts, distribution.class_names
    is_named = len(names) <= NUM_NAMED
    height = 1.3 + (0.24 * len(names) if is_named else 7)  # inches
    figure = Figure(figsize=(2 + 3 * len(counts), height), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, (split, of_split) in zip(panels, counts.items(), strict=True):
        if is_named:
            bars = axes.barh(np.arange(len(names)), of_split)
            axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=7)
        else:  # without gaps: where bars are a pixel or two they would make a pattern of their own
            edges = np.arange(len(names) + 1) - 0.5
            axes.stairs(of_split, edges, orientation="horizontal", fill=True)
        axes.set_title(split, fontsize=10)
        axes.set_xlim(0, 1.25 * max(1, of_split.max()))  # room for the numbers
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    if is_named:
        panels[0].set_yticks(
            np.arange(len(names)),
            labels=[n if len(n) <= NAME_LENGTH else f"{n[: NAME_LENGTH - 3]}..." for n in names],
            parse_math=False,  # a dollar in a name is a dollar
        )
    else:
        panels[0].set_ylabel("class number", fontsize=9)
    panels[0].set_ylim(len(names) - 0.5, -0.5)  # the first class on top
    figure.supxlabel("examples" if distribution.exclusive else "examples that are yes", fontsize=9)
    write_whole(path, png(figure))
