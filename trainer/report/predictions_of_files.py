"""Predictions for image files: a table in the terminal, and a CSV file of all of them."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.answers import YES, Answer
from trainer.config import ConfigError
from trainer.images_on_disk import printable

SHOWN = 40  # files in the terminal; a CSV file has them all
_CLASSES_SHOWN = 10
_WIDE = 1000  # columns where the output is no terminal, so that no name is broken

Answers = Mapping[str | None, Answer]
Row = Mapping[str | None, np.ndarray]
"""Of one file: the predictions [K] by the name of the output."""


class PredictionTable:
    """What the terminal shows of predictions, of however many files.

    Args:
        answers: how the predictions of each output are read.
        top: classes named for each file.
    """

    def __init__(self, answers: Answers, top: int) -> None:
        self._answers, self._top = answers, top
        self._classes: dict[str | None, Counter[str]] = {name: Counter() for name in answers}
        self._num_files = 0
        self._table = Table("file", box=SIMPLE_HEAD)
        for name, answer in answers.items():
            for header in _headers(answer, top):
                heading = Text(printable(_of_output(name, header, ": ")))
                self._table.add_column(heading, overflow="fold")
        self._table.columns[0].overflow = "fold"

    def add(self, path: str, row: Row) -> None:
        """Take note of a file's predictions."""
        self._num_files += 1
        for name, answer in self._answers.items():
            if answer.kind == "classes":
                self._classes[name][answer.names[int(row[name].argmax())]] += 1
        if self._num_files <= SHOWN:
            cells = [path]
            for name, answer in self._answers.items():
                cells += _cells(answer, row[name], self._top)
            # As text: names may have brackets, which are rich's markup, and escape sequences.
            self._table.add_row(*(Text(printable(cell)) for cell in cells))

    def show(self, console: Console) -> None:
        """Print the table and, of more files than one, how often each class was predicted."""
        unbroken = Console(file=console.file, width=_WIDE, highlight=False)
        (console if console.is_terminal else unbroken).print(self._table)
        if self._num_files > SHOWN:
            rest = self._num_files - SHOWN
            console.print(f"and {rest:,} more; --csv FILE has them all", markup=False)
        for name, counts in self._classes.items():
            if self._num_files > 1 and counts:
                common = [f"{c} {n:,}" for c, n in counts.most_common(_CLASSES_SHOWN)]
                if len(counts) > _CLASSES_SHOWN:
                    common.append(f"{len(counts) - _CLASSES_SHOWN} other classes")
                heading = _of_output(name, f"of {self._num_files:,} images", ": ")
                console.print(printable(f"{heading}: {', '.join(common)}"), markup=False)


@contextmanager
def csv_of(path: Path, answers: Answers) -> Iterator[Callable[[str, Row], None]]:
    """Write a CSV file row by row; it is there once it is whole, and not before.

    One row a file: `file`, then for classes `class`, `probability` and `probability/NAME` of every
    class, for labels `labels` (those that hold, with semicolons between) and `probability/NAME`,
    and for values their names. With several outputs each column begins with `OUTPUT/`.

    Args:
        path: of the CSV file.
        answers: how the predictions of each output are read.

    Yields:
        What writes the row of a file.

    Raises:
        ConfigError: if it cannot be written.
    """
    beside = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            columns = [_of_output(n, c, "/") for n, a in answers.items() for c in _columns(a)]
            writer.writerow(["file", *columns])

            def write(of_file: str, row: Row) -> None:
                values = [v for name, a in answers.items() for v in _values(a, row[name])]
                writer.writerow([of_file, *values])

            yield write
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except (OSError, UnicodeEncodeError) as error:  # names of classes may be no Unicode
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--csv {path}: cannot be written ({reason})") from error
    finally:
        with suppress(OSError):  # it is gone where all went well
            beside.unlink()


def _of_output(name: str | None, text: str, separator: str) -> str:
    return text if name is None else f"{name}{separator}{text}"


def _headers(answer: Answer, top: int) -> list[str]:
    if answer.kind == "classes":
        count = min(top, len(answer.names))
        return ["class", "probability", *(f"next {k}" for k in range(1, count))]
    return ["labels", "probabilities"] if answer.kind == "labels" else list(answer.names)


def _cells(answer: Answer, row: np.ndarray, top: int) -> list[str]:
    if answer.kind == "classes":
        first, *others = ((answer.names[k], f"{row[k]:.4f}") for k in _order(row)[:top])
        return [*first, *(f"{name} {probability}" for name, probability in others)]
    if answer.kind == "labels":
        every = zip(answer.names, row, strict=True)
        return [_holding(answer, row, ", ") or "none", ", ".join(f"{n} {p:.4f}" for n, p in every)]
    return [f"{value:.6g}" for value in row]


def _columns(answer: Answer) -> list[str]:
    if answer.kind == "values":
        return list(answer.names)
    first = ["class", "probability"] if answer.kind == "classes" else ["labels"]
    return [*first, *(f"probability/{name}" for name in answer.names)]


def _values(answer: Answer, row: np.ndarray) -> list[str]:
    numbers = [f"{value:.7g}" for value in row]
    if answer.kind == "values":
        return numbers
    if answer.kind == "labels":
        return [_holding(answer, row, ";"), *numbers]
    best = int(row.argmax())
    return [answer.names[best], numbers[best], *numbers]


def _holding(answer: Answer, row: np.ndarray, separator: str) -> str:
    return separator.join(n for n, p in zip(answer.names, row, strict=True) if p > YES)


def _order(row: np.ndarray) -> np.ndarray:
    return np.argsort(-row, kind="stable")
