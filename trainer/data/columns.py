"""A table as columns of text: from a CSV file, a pandas data frame or a list of rows."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.dataset import SPLITS
from trainer.suggestions import nearest

SPLIT_NAMES = {name: name for name in SPLITS} | {"valid": "val", "validation": "val"}

FLOAT32_MAX = float(np.finfo(np.float32).max)

BOOLEANS = {"true": 1.0, "false": 0.0}  # as pandas writes them


@dataclass(frozen=True)
class Columns:
    """The cells of a table.

    Args:
        where: the table's name, for messages.
        cells: column -> one text per row, without blanks around it; "" where there is none.
        folder: where the table is; of one in memory the working directory.
    """

    where: str
    cells: dict[str, list[str]]
    folder: Path = Path()

    def text(self, name: str) -> list[str]:
        """Return a column none of whose cells is empty.

        Raises:
            ValueError: If there is no such column, or a cell of it is empty.
        """
        if name not in self.cells:
            raise ValueError(
                f"{self.where}: no column {name!r}; {nearest(name, self.cells)} (the columns are "
                f"split at data.delimiter)."
            )
        column = self.cells[name]
        if "" in column:
            raise ValueError(
                f"{self.where}: column {name!r} is empty in row {column.index('') + 1:,}; fill it "
                "in, or leave the row out."
            )
        return column

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as numbers: float32 [N]; true and false are 1 and 0.

        Raises:
            ValueError: If there is no such column, or a cell of it is no finite number.
        """
        column = self.text(name)
        numbers = np.array([_number(cell) for cell in column])
        wrong = np.flatnonzero(np.isnan(numbers))
        if len(wrong):
            raise ValueError(
                f"{self.where}: column {name!r} holds {column[wrong[0]]!r} in row "
                f"{wrong[0] + 1:,}, and only numbers can be used; replace it by numbers (each "
                "category by a column of 0 and 1), or leave the column out."
            )
        return numbers.astype(np.float32)

    def weights(self, name: str) -> np.ndarray:
        """Return a column as weights of examples: float32 [N], at least 0.

        Raises:
            ValueError: As `numbers`, or if one is negative.
        """
        weights = self.numbers(name)
        if weights.min() < 0:
            row = int(weights.argmin())
            raise ValueError(
                f"{self.where}: weight {weights[row]:g} in row {row + 1:,} of column {name!r}; "
                "weights must be at least 0."
            )
        return weights

    def rows_by_split(self, name: str | None) -> dict[str, np.ndarray]:
        """Return the rows of each split, int64; without such a column all are "train".

        Raises:
            ValueError: If a row says something else than train, val (valid, validation) or test.
        """
        if name is None:
            num_rows = len(next(iter(self.cells.values())))
            return {"train": np.arange(num_rows)}
        splits = []
        for row, cell in enumerate(self.text(name), start=1):
            if cell.lower() not in SPLIT_NAMES:
                raise ValueError(
                    f"{self.where}: split {cell!r} in row {row:,} of column {name!r}; must be one "
                    f"of {', '.join(SPLIT_NAMES)}."
                )
            splits.append(SPLIT_NAMES[cell.lower()])
        found = np.array(splits)
        return {split: np.flatnonzero(found == split) for split in SPLITS if split in splits}

    def optional(self, name: str | None, usual: str) -> str | None:
        """Return the name of a column that need not be there.

        Args:
            name: as the user gave it; None: there is none.
            usual: the default of that argument: None is returned if there is no such column.

        Raises:
            ValueError: If another was asked for, and is not there.
        """
        if name is None or (name == usual and name not in self.cells):
            return None
        self.text(name)
        return name


def read_columns(table: Any, delimiter: str = ",") -> Columns:
    """Return the columns of a table.

    Args:
        table: the name of a CSV file with a header (UTF-8; `~` is expanded), a pandas data frame,
            or a list of rows, each a mapping with the same keys.
        delimiter: of the file; "tab" for a tabulator.

    Raises:
        ValueError: If it cannot be read, has no rows, or rows of different lengths.
    """
    if isinstance(table, str | Path):
        path = Path(table).expanduser()
        where, folder, rows = str(path), path.parent, _csv_rows(path, delimiter)
        header = [name.strip() for name in rows[0]] if rows else []
        rows = rows[1:]
    elif isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table):
        where, folder, header = (
            "the table",
            Path(),
            [str(name) for name in table[0]] if table else [],
        )
        rows = [[str(name) for name in row] for row in table]
        if any(set(row) != set(header) for row in rows):
            raise ValueError("the table: its rows have different keys; give every row the same.")
        rows = [[row[name] for name in table[0]] for row in table]
    elif hasattr(table, "columns") and hasattr(table, "itertuples"):
        where, folder = "the data frame", Path()
        header = [str(name) for name in table.columns]
        rows = list(table.itertuples(index=False, name=None))
    else:
        raise ValueError(
            f"data.file={table!r}: must be the name of a CSV file or, from Python, a pandas data "
            "frame or a list of rows, each a dict."
        )
    if not header or not rows:
        raise ValueError(f"{where}: no rows; expected a header and at least one row.")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"{where}: two columns are called {twice!r}; rename one.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"{where}: row {number:,} has {len(row)} cells, the header {len(header)}; mend it."
            )
    columns = ([_as_text(cell) for cell in column] for column in zip(*rows, strict=True))
    return Columns(where, dict(zip(header, columns, strict=True)), folder)


def _csv_rows(path: Path, delimiter: str) -> list[list[str]]:
    delimiter = "\t" if delimiter == "tab" else delimiter
    if len(delimiter) != 1:
        raise ValueError(f"data.delimiter={delimiter!r}: must be one character, or tab.")
    try:
        # A byte-order mark, as spreadsheets write it, is no part of the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [row for row in csv.reader(file, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read as a CSV file in UTF-8 ({reason}).") from None


def _as_text(cell: Any) -> str:
    missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
    return "" if missing else str(cell).strip()


def _number(cell: str) -> float:
    """Return the number a cell holds, nan if none that float32 has room for."""
    try:
        number = BOOLEANS[cell.lower()] if cell.lower() in BOOLEANS else float(cell)
    except ValueError:
        return math.nan
    return number if abs(number) <= FLOAT32_MAX else math.nan
