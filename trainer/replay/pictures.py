"""Pictures of a step: histograms of what was observed, and the images of its batch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.data.dataset import is_label
from trainer.disk import write_whole
from trainer.replay.step import Replayed
from trainer.replay.summary import Summary
from trainer.report.figures import png
from trainer.report.image_grid import grid, stretched

PER_PICTURE = 48
"""Histograms in one picture; more of them make another one."""
_NUM_COLUMNS = 6
_MAX_IMAGES = 256
_PIXELS_OF_AN_IMAGE = 96

Named = Sequence[tuple[str, Summary]]


def draw(replayed: Replayed, folder: Path, class_names: Sequence[str] = ()) -> None:
    """Write PNG files.

    Args:
        replayed: what is drawn.
        folder: exists.
        class_names: one per class, for the images' labels.
    """
    observed = replayed.observed
    gradients = [(v.name, v.gradient) for v in observed.variables if v.gradient is not None]
    updates = [(v.name, v.update) for v in observed.variables]
    for kind, named in (
        ("activations", observed.layers), ("gradients", gradients), ("updates", updates),
    ):  # fmt: skip
        starts = range(0, len(named), PER_PICTURE)
        for page, start in enumerate(starts, 1):
            name = kind if len(starts) == 1 else f"{kind}_{page}"
            title = f"step {replayed.step:,}: {kind}"
            _histograms(title, named[start : start + PER_PICTURE], folder / f"{name}.png")
    _images(replayed, folder / "batch.png", class_names)


def _histograms(title: str, named: Named, path: Path) -> None:
    num_columns = min(_NUM_COLUMNS, len(named))
    num_rows = -(-len(named) // num_columns)
    size = (max(2.2 * num_columns, 4.0), 1.4 * num_rows + 0.3)
    figure = Figure(figsize=size, dpi=100)
    figure.suptitle(f"{title} (how many values, on a logarithmic scale)", fontsize=9)
    # One set of axes for all of them: axes of their own would take a minute for a large model.
    axes = figure.add_axes((0, 0, 1, 1 - 0.3 / size[1]))
    axes.set(xlim=(0, num_columns), ylim=(num_rows, 0))
    axes.set_axis_off()
    for k, (name, summary) in enumerate(named):
        row, column = divmod(k, num_columns)
        _histogram(axes, summary, name, left=column + 0.05, bottom=row + 0.85)
    write_whole(path, png(figure))


def _histogram(axes: Axes, summary: Summary, name: str, left: float, bottom: float) -> None:
    """Draw one, 0.9 wide and 0.65 high, with the ends of its range below it."""
    width, height = 0.9, 0.65
    color = "C3" if summary.num_non_finite else "C0"
    low, high = summary.edges[0], summary.edges[-1]
    x = left + width * (summary.edges - low) / (high - low)
    y = bottom - height * np.log1p(summary.counts) / np.log1p(max(summary.counts.max(), 1))
    axes.fill_between(x, np.append(y, y[-1]), bottom, step="post", color=color, linewidth=0)
    axes.plot([left, left + width], [bottom, bottom], color="0.3", linewidth=0.6)
    if low < 0 < high:
        zero = left - width * low / (high - low)
        axes.plot([zero, zero], [bottom, bottom - height], color="0.3", linewidth=0.5, ls=":")
        if 0.25 < (zero - left) / width < 0.75:
            axes.text(zero, bottom + 0.02, "0", fontsize=5, va="top", ha="center")
    axes.text(left, bottom + 0.02, f"{low:.3g}", fontsize=5, va="top", ha="left")
    axes.text(left + width, bottom + 0.02, f"{high:.3g}", fontsize=5, va="top", ha="right")
    bad = f", {summary.num_non_finite:,} not finite" if summary.num_non_finite else ""
    text = f"{_shortened(name)}{bad}"
    axes.text(left, bottom - height - 0.02, text, fontsize=5.5, va="bottom", color=color)


def _images(replayed: Replayed, path: Path, class_names: Sequence[str]) -> None:
    """Draw the batch's images row by row, each with its position and its (likeliest) label."""
    if "image" not in replayed.batch:
        return
    images = replayed.batch["image"].numpy()[:_MAX_IMAGES].astype(np.float32)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        return
    finite = images[np.isfinite(images)]
    low = float(finite.min()) if finite.size else 0.0
    high = float(finite.max()) if finite.size else 0.0
    tiles = grid(stretched(np.nan_to_num(images, nan=low, neginf=low, posinf=high)))
    labels = next(v for k, v in replayed.batch.items() if is_label(k)).numpy()[:_MAX_IMAGES]
    classes = labels.argmax(axis=-1) if labels.ndim == 2 else labels
    bad = set(replayed.inputs["image"].non_finite)
    height, width = images.shape[1] + 1, images.shape[2] + 1
    num_columns = tiles.shape[1] // width
    inches = _PIXELS_OF_AN_IMAGE * num_columns / 100
    figure = Figure(figsize=(inches, inches * tiles.shape[0] / tiles.shape[1]), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(tiles.squeeze(-1) if tiles.shape[-1] == 1 else tiles, cmap="gray", aspect="auto")
    axes.set_axis_off()
    for k, label in enumerate(classes):
        row, column = divmod(k, num_columns)
        known = np.ndim(label) == 0 and 0 <= label < len(class_names)
        text = f"{k}: {class_names[int(label)] if known else label}" + (" NaN" if k in bad else "")
        axes.text(
            column * width - 0.4, row * height - 0.3, text, fontsize=7, va="top",
            color="white", bbox={"color": "C3" if k in bad else "black", "pad": 0.6, "alpha": 0.7},
        )  # fmt: skip
    write_whole(path, png(figure))


def _shortened(name: str, length: int = 44) -> str:
    return name if len(name) <= length else f"…{name[-length:]}"
