"""A table of numbers: a CSV or, from Python, a data frame or rows; one column is the label."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.columns import read_columns
from trainer.data.dataset import DataSet
from trainer.data.label_columns import LabelKind, read_labels


def table(
    file: str | Any,
    label_column: str | Sequence[str] = "label",
    label_kind: LabelKind = "auto",
    feature_columns: Sequence[str] | None = None,
    weight_column: str | None = None,
    split_column: str | None = "split",
    delimiter: str = ",",
) -> DataSet:
    """Return the data set in a table: `features` float32 [N, F] as they are, one row an example.

    Args:
        file: A CSV file with a header or, from Python, a pandas data frame or a list of dicts.
        label_column: Which column, or columns, hold the labels.
        label_kind: What these are, see `label_columns.read_labels`.
        feature_columns: Which columns are the features, in this order; numbers only. Default: all
            but those that another argument names.
        weight_column: Weights of examples, at least 0. Default: none.
        split_column: train, val or test for each row; the default is used where there is one.
            Without, all rows are the train split.
        delimiter: Between the columns of the CSV file.

    Raises:
        ValueError: If the table cannot be read, lacks a column, or a feature is not a number.
    """
    columns = read_columns(file, delimiter)
    label, class_names = read_labels(columns, label_column, label_kind)
    split_name = columns.optional(split_column, "split")
    label_names = [label_column] if isinstance(label_column, str) else list(label_column)
    other_use = {*label_names, weight_column, split_name}
    if feature_columns is None:
        feature_columns = [name for name in columns.cells if name not in other_use]
    leaks = [name for name in feature_columns if name in label_names]
    if leaks or not feature_columns:
        raise ValueError(
            f"data.feature_columns=[{', '.join(feature_columns)}]: must be columns other than the "
            f"label's; the columns are {', '.join(columns.cells)}."
        )
    arrays = {
        "features": np.stack([columns.numbers(name) for name in feature_columns], axis=1),
        "label": label,
    }
    if weight_column is not None:
        arrays["weight"] = columns.weights(weight_column)
    rows = columns.rows_by_split(split_name)
    return DataSet(
        name=Path(columns.where).stem if isinstance(file, str) else "table",
        class_names=class_names,
        load=lambda: {
            split: {key: array[chosen] for key, array in arrays.items()}
            for split, chosen in rows.items()
        },
    )
