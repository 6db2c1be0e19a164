"""Which settings differ between runs, and how they are called where there is little room."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainer.targets import in_yaml

Settings = Mapping[str, str]
"""Dotted names to values as on the command line; what is null is left out."""

TARGET = "_target_"
_LONG_NUMBER = 8  # in characters
NOT_COMPARED = ("seed", "resume")
"""Seeds are grouped over; `resume` is of a command, not of a run."""


def flat(config: Any, prefix: str = "") -> dict[str, str]:
    """Return a configuration's settings by dotted name, without those that are null or empty."""
    if not isinstance(config, Mapping):
        is_nothing = config is None or config == []
        return {} if is_nothing else {prefix: in_yaml(config)}
    settings: dict[str, str] = {}
    for key, value in config.items():
        if prefix or key not in NOT_COMPARED:
            settings |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return settings


def varied(runs: Sequence[Settings]) -> list[str]:
    """Return the settings in which runs differ, in the order of the configurations."""
    names = dict.fromkeys(name for run in runs for name in run)
    return [name for name in names if len({run.get(name) for run in runs}) > 1]


def telling(runs: Sequence[Settings]) -> list[str]:
    """Return the varied settings without those that another option alone brought with it.

    `model.width` tells nothing beside `model` if all runs of the same model have the same width.
    """
    return [name for name in varied(runs) if _varies_by_itself(name, runs)]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the fewest last parts of dotted names by which they can be told apart.

    >>> short_names(["model._target_", "optimizer.learning_rate", "loss.power", "augment.x.power"])
    {'model._target_': 'model', 'optimizer.learning_rate': 'learning_rate', 'loss.power': \
'loss.power', 'augment.x.power': 'x.power'}
    """
    parts = {name: name.removesuffix(f".{TARGET}").split(".") for name in names}
    num_parts = dict.fromkeys(parts, 1)

    def short(name: str) -> str:
        return ".".join(parts[name][-num_parts[name] :])

    while True:
        shorts = [short(name) for name in parts]
        alike = [n for n in parts if shorts.count(short(n)) > 1 and num_parts[n] < len(parts[n])]
        if not alike:
            return dict(zip(parts, shorts, strict=True))
        for name in alike:
            num_parts[name] += 1


def short_value(name: str, value: str | None, others: Iterable[str | None] = ()) -> str:
    """Return a setting's value as it is shown.

    Args:
        name: dotted, of the setting.
        value: None where a run has no such setting, or null.
        others: its values in other runs; a class is called by its name alone, and a number has few
            digits, if it can still be told from these.
    """
    if value is None:
        return "-"
    short = _short(name, value)
    alike = {other for other in others if other and _short(name, other) == short}
    return short if alike <= {value} else value


def _short(name: str, value: str) -> str:
    if name.endswith(TARGET):
        return value.rpartition(".")[2]
    is_long_number = len(value) > _LONG_NUMBER and re.fullmatch(r"-?[\d.]+(e-?\d+)?", value)
    try:
        return f"{float(value):.4g}" if is_long_number and "." in value else value
    except ValueError:  # such as a version, 1.10.2
        return value


def _varies_by_itself(name: str, runs: Sequence[Settings]) -> bool:
    path = name.removesuffix(f".{TARGET}").split(".")
    above = [".".join([*path[:k], TARGET]) for k in range(1, len(path))]
    values: dict[tuple[str | None, ...], set[str | None]] = {}
    for run in runs:
        values.setdefault(tuple(run.get(target) for target in above), set()).add(run.get(name))
    return any(len(found) > 1 for found in values.values())
