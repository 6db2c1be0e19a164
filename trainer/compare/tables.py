"""A comparison as a table with one row a group: for the terminal, and as Markdown."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from trainer.compare.comparison import Comparison
from trainer.compare.failures import Unranked
from trainer.compare.figures import duration, number
from trainer.compare.groups import Group
from trainer.compare.intervals import Difference
from trainer.compare.past_run import PastRun
from trainer.compare.settings_that_vary import short_names, short_value
from trainer.compare.wording import explanation, heading, label
from trainer.printable import printable

_ANY_WIDTH = 10_000


def terminal_table(comparison: Comparison, console: Console) -> Table:
    """Return the groups as a table that fits the console.

    Where there is little room, means stand above what belongs to them; where there is less, the
    settings have one column together.
    """
    for is_stacked in (False, True):
        table = _table(_columns(comparison, is_stacked=is_stacked))
        options = console.options.update(width=_ANY_WIDTH)
        if Measurement.get(console, options, table).maximum <= console.width:
            return table
    return _table(_columns(comparison, one_column=True, is_stacked=True))


def markdown(comparison: Comparison, unranked: Unranked) -> str:
    """Return the groups as a Markdown table, with what stands above and below it."""
    columns = _columns(comparison)
    rows = list(zip(*(cells for _, cells in columns), strict=True))
    align = ["---" if _is_text(name, comparison) else "---:" for name, _ in columns]
    lines = [[name for name, _ in columns], align, *rows]
    table = [f"| {' | '.join(_in_markdown(cell) for cell in line)} |" for line in lines]
    below = [f"- {_in_markdown(line)}" for line in (*explanation(comparison), *comparison.notes)]
    others = [
        f"- not ranked: {_in_markdown(_shown(folder, comparison))}: {_in_markdown(words)}"
        for folder, words in unranked
    ]
    return "\n".join([heading(comparison), "", *table, "", *below, *others]) + "\n"


def _columns(
    comparison: Comparison, one_column: bool = False, is_stacked: bool = False
) -> list[tuple[str, list[str]]]:
    groups, runs = comparison.groups, _ranked_runs(comparison)
    columns = [("", [str(rank) for rank in range(1, len(groups) + 1)])]
    if one_column or not comparison.telling:
        labels = [label(group, comparison).replace("  ", "\n") for group in groups]
        columns += [("settings" if comparison.telling else "run", labels)]
    else:
        for name, short in short_names(comparison.telling).items():
            values = [other.settings.get(name) for other in comparison.groups]
            cells = [short_value(name, group.settings.get(name), values) for group in groups]
            columns.append((short, cells))
    for metric in comparison.metrics:
        cells = [_mean_and_std(group, metric) for group in groups]
        columns.append((metric, [c.replace(" ±", "\n±") for c in cells] if is_stacked else cells))
    if len(groups) > 1:
        cells = [_difference(found) for found in comparison.differences]
        columns.append(
            ("difference", [c.replace(" [", "\n[") for c in cells] if is_stacked else cells)
        )
    columns.append(("n", [str(len(group.runs)) for group in groups]))
    columns.append(("time", [_mean_time(group) for group in groups]))
    for name, attribute in (("steps", "step"), ("weights", "num_weights")):
        if len({getattr(run, attribute) for run in runs}) > 1:
            cells = [_span([getattr(run, attribute) for run in group.runs]) for group in groups]
            columns.append((name, cells))
    return columns


def _table(columns: Sequence[tuple[str, list[str]]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name, cells in columns:
        is_text = name in ("", "settings", "run")
        widest = max(len(line) for cell in cells for line in cell.split("\n"))
        head = name.replace("/", "/\n") if len(name) > widest else name
        table.add_column(
            _cell(head),
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
        )
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*map(_cell, row))
    return table


def _cell(text: str) -> Text:
    return Text("\n".join(map(printable, text.split("\n"))))


def _ranked_runs(comparison: Comparison) -> list[PastRun]:
    return [run for group in comparison.groups for run in group.runs]


def _is_text(name: str, comparison: Comparison) -> bool:
    return name in ("", "run", *short_names(comparison.telling).values())


def _mean_and_std(group: Group, metric: str) -> str:
    mean, std = group.mean(metric), group.std(metric)
    if math.isnan(mean):
        return "-"
    return number(mean) if std is None else f"{number(mean)} ± {number(std)}"


def _difference(found: Difference | None) -> str:
    if found is None or math.isnan(found.value):
        return "-"
    value = number(found.value, "+")
    if found.low is None or found.high is None:
        return value
    return f"{value} [{number(found.low, '+')}, {number(found.high, '+')}]"


def _mean_time(group: Group) -> str:
    seconds = [run.seconds for run in group.runs if run.seconds is not None]
    return duration(float(np.mean(seconds))) if seconds else "-"


def _span(values: Sequence[int | None]) -> str:
    numbers = sorted({value for value in values if value is not None})
    if not numbers:
        return "-"
    ends = [f"{number:,}" for number in (numbers[0], numbers[-1])]
    return ends[0] if len(numbers) == 1 else " to ".join(ends)


def _shown(folder: Path, comparison: Comparison) -> Path:
    parents = {run.folder.parent for run in comparison.runs}
    return Path(folder.name) if len(parents) == 1 else folder


def _in_markdown(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
