"""The statistics of an evaluation on the terminal, as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.report.markdown import COLUMNS, calibration_line, mistake_rows, number

MOST_CLASSES = 20  # above, the worst and the best alone
_NUM_WORST, _NUM_BEST, _NUM_MISTAKES, _NUM_CONFUSIONS = 10, 5, 5, 5


def show(console: Console, facts: Mapping[str, Any]) -> None:
    """Print the statistics; the metrics of the run have been printed.

    Args:
        console: where to.
        facts: as `Evaluation` has them.
    """
    for key, found in facts["statistics"].items():
        name = key.partition("/")[2]
        title = f"{name}: " if name else ""
        console.print(_per_class(title, found))
        for line in _lines(found):
            _say(console, line)
        if found["mistakes"]:
            console.print(_mistakes(title, found))
        for note in found["notes"]:
            _say(console, f"  note: {note}")
    for note in facts["notes"]:
        _say(console, f"  note: {note}")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _per_class(title: str, found: Mapping[str, Any]) -> Table:
    is_values, rows = found["kind"] == "values", found["per_class"]
    columns = COLUMNS["values" if is_values else "classes"]
    what = {"classes": "classes", "yes_no": "labels", "values": "values"}[found["kind"]]
    order = "r2" if is_values else "f1"
    hint = ""
    if len(rows) > MOST_CLASSES:
        known = [row for row in rows if row[order] is not None]
        ranked = sorted(known, key=lambda row: row[order])
        best_from = max(_NUM_WORST, len(ranked) - _NUM_BEST)
        hint = (
            f": the {_NUM_WORST} worst and {_NUM_BEST} best of {len(rows)} by "
            f"{columns[order]}, all in report.md"
        )
        groups = [ranked[:_NUM_WORST], ranked[best_from:]]
    else:
        groups = [rows]
    table = _table(Text(f"{title}{what}{hint}"))
    table.add_column({"classes": "class", "labels": "label", "values": "value"}[what])
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for group in groups:
        for row in group:
            table.add_row(Text(row["class"]), *(number(row[key]) for key in columns))
        table.add_section()
    for kind in () if is_values else ("macro", "weighted"):
        averages = found[kind]
        table.add_row(kind, *(number(averages[k]) if k in averages else "" for k in columns))
    if is_values and len(rows) > 1:
        table.add_row("mean", *(number(found[key]) for key in columns))
    return table


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if found["kind"] == "values":
        return
    accuracy = f"  accuracy {number(found['accuracy'])}"
    if found["kind"] == "yes_no":
        accuracy += f" of all answers; all right in {number(found['all_right'])} of the examples"
    yield accuracy
    if "calibration" in found:
        yield f"  {calibration_line(found['calibration'])}"
    confusions = found.get("confusions", [])[:_NUM_CONFUSIONS]
    if confusions:
        listed = ", ".join(
            f"{one['true']} taken for {one['predicted']} {one['count']:,g} x ({one['share']:.1%})"
            for one in confusions
        )
        yield f"  most confused: {listed}"


def _mistakes(title: str, found: Mapping[str, Any]) -> Table:
    what = "largest errors" if found["kind"] == "values" else "most confident mistakes"
    table = _table(Text(f"{title}{what}"))
    heads, rows = mistake_rows(found["mistakes"][:_NUM_MISTAKES])
    for head in heads:
        table.add_column(head, justify="left" if head == "file" else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _table(title: Text) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
