"""The first training images: as they are, and as the model will see them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data.data import Data
from trainer.data.dataset import is_label
from trainer.data.feeds import Batch
from trainer.describe.section import Section
from trainer.disk import write_whole
from trainer.printable import printable

NUM_COLUMNS = 8
CAPTION_LENGTH = 22  # characters a line that fit above a picture


def training_images(data: Data, path: Path) -> Section:
    """Draw the first images of the first step, with their labels.

    Two rows where they are augmented: before and after. Images are shown in [0, 1], before they
    are standardised.

    Args:
        data: what is trained on.
        path: of the picture, a PNG.

    Raises:
        RunFolderError: if it cannot be written.
    """
    title = "Training images"
    if not data.has_images:
        return Section(title, lines=["None: the data has no images."])
    raw, seen = _first_step(data)
    num_channels = raw["image"].shape[-1]
    if num_channels not in (1, 3):
        return Section(title, lines=[f"No picture: the images have {num_channels} channels."])
    before = _in_unit_range(raw["image"].numpy())
    after = data.transform.unstandardise(seen)["image"].numpy()
    is_changed = before.shape != after.shape or not np.allclose(before, after, atol=1e-3)
    labels = [captions(batch, data.class_names) for batch in (raw, seen)]
    rows = {"stored": (before, labels[0]), "augmented": (after, labels[1])}
    if not is_changed:
        rows = {"": (after[:NUM_COLUMNS], labels[1]), " ": (after[NUM_COLUMNS:], labels[1][8:])}
    _draw(rows, path)
    shape = "x".join(map(str, after.shape[1:]))
    lines = [f"{shape}, {'stored above, augmented below' if is_changed else 'not augmented'}."]
    facts = data.transform.standardisation
    if facts:
        mean, std = (", ".join(f"{v:.3f}" for v in facts[key]) for key in ("mean", "std"))
        lines.append(f"Then standardised: images in [0, 1], minus {mean}, divided by {std}.")
    return Section(title, lines=lines, picture=path.name)


def captions(batch: Batch, class_names: Sequence[str]) -> list[str]:
    """Return a line or two for each example: its class, its classes, or its values.

    Args:
        batch: with `label`, or `label/NAME` for each of several.
        class_names: of class numbers and yes/no labels.
    """
    labels = {key: tensor.numpy() for key, tensor in batch.items() if is_label(key)}
    lines = [_captions_of(label, class_names) for label in labels.values()]
    return ["\n".join(of_example) for of_example in zip(*lines, strict=True)]


def _first_step(data: Data) -> tuple[Batch, Batch]:
    feed = data.feed("train")
    raw = feed.batch(feed.plan(0, 1, 1), tf.constant(0))
    return raw, data.transform.training(raw, tf.constant(0, tf.int64))


def _in_unit_range(images: np.ndarray) -> np.ndarray:
    return images / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)


def _captions_of(label: np.ndarray, class_names: Sequence[str]) -> list[str]:
    if label.ndim == 1 and label.dtype.kind in "iu":
        return [_cut(class_names[k] if k < len(class_names) else str(k)) for k in label]
    if label.ndim == 2 and label.shape[1] == len(class_names):
        return [_cut(_shares(row, class_names)) for row in label]
    return [_cut(", ".join(f"{x:.3g}" for x in np.atleast_1d(row))) for row in label]


def _shares(row: np.ndarray, class_names: Sequence[str]) -> str:
    """Return the classes that an example has, with their shares where it has several by halves."""
    some = [k for k in np.argsort(-row, kind="stable") if row[k] > 0.01]
    is_whole = np.isin(row, (0, 1)).all()
    return ", ".join(class_names[k] if is_whole else f"{class_names[k]} {row[k]:.2f}" for k in some)


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= CAPTION_LENGTH else f"{text[: CAPTION_LENGTH - 1]}…"


def _draw(rows: Mapping[str, tuple[np.ndarray, Sequence[str]]], path: Path) -> None:
    # Not through pyplot, which keeps figures and may open a window.
    from matplotlib.figure import Figure

    from trainer.report.figures import png

    rows = {name: row for name, row in rows.items() if len(row[0])}
    num_columns = min(NUM_COLUMNS, max(len(images) for images, _ in rows.values()))
    size = (1.5 * num_columns, 1.75 * len(rows))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(len(rows), num_columns, squeeze=False)
    for axes, (name, (images, labels)) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(name.strip(), fontsize=9)
        for k, panel in enumerate(axes):
            panel.set(xticks=[], yticks=[])
            if k >= len(images):
                panel.set_axis_off()
                continue
            panel.imshow(np.clip(images[k], 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)
            panel.set_title(labels[k], fontsize=8, parse_math=False)
    write_whole(path, png(figure))
