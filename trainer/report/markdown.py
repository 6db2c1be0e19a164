"""The report as Markdown, from the facts in `metrics.json`: a section for each split."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = {
    "classes": {
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "roc_auc": "ROC AUC",
        "average_precision": "avg. prec.",
        "support": "support",
    },
    "values": {"mae": "MAE", "rmse": "RMSE", "r2": "R2"},
}
"""Of the table of classes (or yes-or-no labels) and of that of values: key to heading."""

_ANSWERS = {
    "true_yes": "yes, right",
    "false_yes": "yes, wrong",
    "false_no": "no, wrong",
    "true_no": "no, right",
}
_FIRST = ("test", "val", "train")


def report(splits: Mapping[str, Mapping[str, Any]], title: str, has_curves: bool) -> str:
    """Return the whole report.

    Args:
        splits: the facts of each split, as `Evaluation` has them.
        title: of the report.
        has_curves: whether there is a picture of the learning curves beside it.
    """
    parts = [f"# {_cell(title)}"]
    parts += [section(name, splits[name]) for name in _FIRST if name in splits]
    if has_curves:
        parts.append("## Learning curves\n\n![learning curves](learning_curves.png)")
    return "\n\n".join(parts) + "\n"


def section(split: str, facts: Mapping[str, Any], with_pictures: bool = True) -> str:
    """Return the section of a split.

    Args:
        split: its name, and that of the folder of its pictures.
        facts: as `Evaluation` has them.
        with_pictures: whether to link them.
    """
    kept = f", predictions in `predictions_{split}.npz`" if facts["statistics"] else ""
    parts = [
        f"## {split}",
        f"{facts['num_examples']:,} examples, {facts['weights']} weights "
        f"(step {facts['step']:,}){kept}.",
        _metrics(facts),
        *_notes(facts["notes"]),
    ]
    for key, found in facts["statistics"].items():
        name = key.partition("/")[2]
        title = f"{name}: " if name else ""
        pictures = found["pictures"] if with_pictures else []
        links = {one: f"![{_cell(one)}]({split}/{one}.png)" for one in pictures}
        parts += (
            _values(title, found, links)
            if found["kind"] == "values"
            else (_classes(title, found, links))
        )
        parts += _mistakes(title, found, links)
        parts += _notes(found["notes"])
    return "\n\n".join(parts)


def number(value: float | None) -> str:
    """Return a statistic as it stands in a table; what is not defined is a dash."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _metrics(facts: Mapping[str, Any]) -> str:
    logged = facts["logged"]
    rows = [
        [name, _six(value), *([_six(logged[name]) if name in logged else ""] if logged else [])]
        for name, value in facts["metrics"].items()
    ]
    return _table(["metric", "value", *(["training logged"] if logged else [])], rows)


def _classes(title: str, found: Mapping[str, Any], links: Mapping[str, str]) -> list[str]:
    columns, is_multi_label = COLUMNS["classes"], found["kind"] == "yes_no"
    columns = columns | (_ANSWERS if is_multi_label else {})
    rows = [[row["class"], *(number(row[key]) for key in columns)] for row in found["per_class"]]
    for kind in ("macro", "weighted"):
        values = (number(found[kind][k]) if k in found[kind] else "" for k in columns)
        rows.append([f"**{kind}**", *values])
    accuracy = f"Accuracy {number(found['accuracy'])}"
    if is_multi_label:
        accuracy += f" of all answers; all right in {number(found['all_right'])} of the examples"
    what, one = ("Labels", "label") if is_multi_label else ("Classes", "class")
    parts = [
        f"### {title}{what}",
        f"{accuracy}.",
        _table([one, *columns.values()], rows),
    ]
    if found.get("confusions") or _linked(links, "confusion_matrix"):
        parts += [f"### {title}Confusions", *_linked(links, "confusion_matrix")]
    if found.get("confusions"):
        confusions = [
            [one["true"], one["predicted"], f"{one['count']:,g}", f"{one['share']:.1%}"]
            for one in found["confusions"]
        ]
        heads = ["true", "taken for", "examples", "share of the true class"]
        parts.append(_table(heads, confusions))
    if _linked(links, "curves"):
        parts += [f"### {title}ROC and precision-recall", *_linked(links, "curves")]
    if "calibration" in found:
        parts += [f"### {title}Calibration", calibration_line(found["calibration"])]
        parts += _linked(links, "reliability")
    return parts


def calibration_line(found: Mapping[str, Any]) -> str:
    """Return the calibration in a sentence."""
    gap = found["confidence"] - found["accuracy"]
    verdict = f"{100 * abs(gap):.1f} points too {'sure' if gap > 0 else 'unsure'} on average"
    return (
        f"Expected calibration error {found['error']:.4f}: mean confidence "
        f"{found['confidence']:.1%}, right in {found['accuracy']:.1%}; {verdict}."
    )


def _values(title: str, found: Mapping[str, Any], links: Mapping[str, str]) -> list[str]:
    columns = COLUMNS["values"]
    rows = [[row["class"], *(number(row[key]) for key in columns)] for row in found["per_class"]]
    if len(rows) > 1:
        rows.append(["**mean**", *(number(found[key]) for key in columns)])
    table = _table(["value", *columns.values()], rows)
    return [f"### {title}Values", table, *_linked(links, "values")]


def _mistakes(title: str, found: Mapping[str, Any], links: Mapping[str, str]) -> list[str]:
    mistakes = found["mistakes"]
    if not mistakes:
        return [f"### {title}Mistakes", "None."]
    heads, rows = mistake_rows(mistakes)
    what = "Largest errors" if found["kind"] == "values" else "Most confident mistakes"
    picture = _linked(links, "mistakes")
    return [f"### {title}{what}", *picture, _table(heads, rows)]


def mistake_rows(mistakes: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of a table of mistakes or of largest errors."""
    keys = [key for key in mistakes[0] if key not in ("row", "file")]
    heads = ["row", *keys, *(["file"] if "file" in mistakes[0] else [])]
    return heads, [[_entry(key, one[key]) for key in heads] for one in mistakes]


def _entry(key: str, value: Any) -> str:
    if key == "row":
        return str(value)
    if key == "confidence":
        return f"{value:.1%}"
    return number(value) if isinstance(value, float) else str(value)


def _linked(links: Mapping[str, str], name: str) -> list[str]:
    return [link for one, link in links.items() if one == name or one.endswith(f"_{name}")]


def _notes(notes: Iterable[str]) -> list[str]:
    return [f"> {_cell(note)}" for note in notes]


def _six(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;")
