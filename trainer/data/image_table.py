"""Image files named in a table, with their labels: a CSV or, from Python, a data frame or rows."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.columns import read_columns
from trainer.data.dataset import NUM_NAMED, Arrays, DataSet
from trainer.data.image_splits import check_image_arguments, image_splits
from trainer.data.label_columns import LabelKind, read_labels


def image_table(
    file: str | Any,
    root: str | None = None,
    file_column: str = "file",
    label_column: str | Sequence[str] = "label",
    label_kind: LabelKind = "auto",
    weight_column: str | None = "weight",
    split_column: str | None = "split",
    delimiter: str = ",",
    image_size: Sequence[int] | None = None,
    channels: int | None = None,
) -> DataSet:
    """Return the data set that a table describes, one image a row.

    The images stay on disk, as in `class_folder`, and are of any kind that `decoding.decode` reads.

    Args:
        file: A CSV file with a header or, from Python, a pandas data frame or a list of dicts.
        root: The folder that file names are relative to. Default: the table's own (of one in
            memory, the working directory).
        file_column: Which column names the image files.
        label_column: Which column, or columns, hold the labels.
        label_kind: What these are, see `label_columns.read_labels`.
        weight_column: Weights of examples, at least 0; the default is used where there is one.
        split_column: train, val or test for each row; the default is used where there is one.
            Without, all rows are the train split.
        delimiter: Between the columns of the CSV file.
        image_size: As in `class_folder`.
        channels: As in `class_folder`.

    Raises:
        ValueError: If the table cannot be read, lacks a column, or names files that do not exist.
            Reading the arrays raises UnreadableExamplesError for images that cannot be read.
    """
    check_image_arguments(image_size, channels)
    columns = read_columns(file, delimiter)
    folder = columns.folder if root is None else Path(root).expanduser()
    paths = columns.text(file_column)
    missing = [path for path in paths if not (folder / path).is_file()]
    if missing:
        more = ", ..." if len(missing) > NUM_NAMED else ""
        raise ValueError(
            f"{columns.where}: {len(missing):,} of {len(paths):,} files do not exist in {folder}: "
            f"{', '.join(missing[:NUM_NAMED])}{more}; set data.root to the folder that their names "
            "are relative to, or remove the rows."
        )
    label, class_names = read_labels(columns, label_column, label_kind)
    in_memory = {"label": label}
    if weight_name := columns.optional(weight_column, "weight"):
        in_memory["weight"] = columns.weights(weight_name)
    rows = columns.rows_by_split(columns.optional(split_column, "split"))
    return DataSet(
        name=Path(columns.where).stem if isinstance(file, str) else "image_table",
        class_names=class_names,
        load=partial(_load, folder, np.array(paths, object), in_memory, rows, image_size, channels),
    )


def _load(
    folder: Path,
    paths: np.ndarray,
    in_memory: dict[str, np.ndarray],
    rows: dict[str, np.ndarray],
    image_size: Sequence[int] | None,
    channels: int | None,
) -> dict[str, Arrays]:
    of_split = {split: list(paths[chosen]) for split, chosen in rows.items()}
    images = image_splits(folder, of_split, image_size, channels)
    return {
        split: {"image": images[split], **{key: a[chosen] for key, a in in_memory.items()}}
        for split, chosen in rows.items()
    }
