"""Columns of a table as labels: classes, yes/no labels or values to regress."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from trainer.data.columns import Columns

LabelKind = Literal["auto", "classes", "yes_no", "values"]


def read_labels(
    columns: Columns, names: str | Sequence[str], kind: LabelKind
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the labels, and their names.

    Args:
        columns: the table.
        names: one column or several.
        kind: "classes": what one column holds, text or numbers; class k is the k-th in order
            (numbers by size). "yes_no": each column is a label, 0 or 1. "values": numbers to
            regress. "auto": one column is classes unless it holds a fraction, several are yes/no
            where all are 0 and 1; else they are values.

    Returns:
        label: int32 [N] for classes, float32 [N, K] for K yes/no labels or values.
        class_names: one per class, or the columns.

    Raises:
        ValueError: If a column is not there or does not hold what `kind` says.
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("data.label_column=[]: at least one column is needed.")
    if kind == "auto":
        kind = _kind(columns, names)
    if kind == "classes":
        if len(names) > 1:
            raise ValueError(
                f"data.label_kind=classes: one column says the class, received {len(names)} "
                f"({', '.join(names)}); name one, or use data.label_kind=yes_no."
            )
        return _classes(columns.text(names[0]))
    values = np.stack([columns.numbers(name) for name in names], axis=1)
    if kind == "values":
        return values, tuple(names)
    row, column = np.unravel_index(np.argmax(~np.isin(values, (0, 1))), values.shape)
    if values[row, column] not in (0, 1):
        raise ValueError(
            f"{columns.where}: yes/no label {names[column]!r} is {values[row, column]:g} in row "
            f"{row + 1:,}; must be 0 or 1, or use data.label_kind=values."
        )
    return values, tuple(names)


def _kind(columns: Columns, names: list[str]) -> LabelKind:
    if len(names) > 1:
        values = np.stack([columns.numbers(name) for name in names])
        return "yes_no" if np.isin(values, (0, 1)).all() else "values"
    numbers = _as_numbers(set(columns.text(names[0])))
    is_fraction = numbers is not None and any(value % 1 for value in numbers.values())
    return "values" if is_fraction else "classes"


def _classes(column: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    found = set(column)
    numbers = _as_numbers(found)
    if numbers and len(set(numbers.values())) < len(numbers):
        raise ValueError(
            "the label column writes one number in several ways, such as 1 and 1.0; use one"
        )
    class_names = sorted(found, key=numbers.__getitem__) if numbers else sorted(found)
    index = {name: k for k, name in enumerate(class_names)}
    return np.array([index[name] for name in column], np.int32), tuple(class_names)


def _as_numbers(texts: set[str]) -> dict[str, float] | None:
    """Return the number each text stands for, None unless all do."""
    try:
        return {text: float(text) for text in texts}
    except ValueError:
        return None
