"""The settings that vary as axes: where on each a group stands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.compare.found_runs import in_natural_order
from trainer.compare.groups import Group
from trainer.compare.settings_that_vary import short_names, short_value, telling
from trainer.report.figures import shortened

_NOTHING = "-"
_MAX_VALUES = 7
"""Of numbers that are all named on their axis; of more, `_NUM_TICKS` round about are."""
_NUM_TICKS = 5
_LEAST_GAP = 0.04
_LOGARITHMIC = 50
"""Positive numbers whose largest is more than this many times the smallest are on such an axis."""
_BELOW = 0.25
"""How far below all numbers those groups stand that have no such setting, in lengths of theirs."""


@dataclass(frozen=True)
class Axis:
    """A setting.

    Args:
        name: as short as it can be told from the others.
        positions: of each group, from 0 to 1: float64 [N].
        ticks: position to what is written there.
        categories: what each group has, where these are not numbers; None where they are.
    """

    name: str
    positions: np.ndarray
    ticks: Sequence[tuple[float, str]]
    categories: Sequence[str] | None


def axes_of(groups: Sequence[Group]) -> list[Axis]:
    """Return an axis for each setting in which groups differ, but for what another one implies."""
    names = short_names(telling([group.settings for group in groups]))
    return [
        _axis(short, name, [group.settings.get(name) for group in groups])
        for name, short in names.items()
    ]


def _axis(short: str, name: str, values: Sequence[str | None]) -> Axis:
    numbers = [None if value is None else _number(value) for value in values]
    known = [x for x in numbers if x is not None]
    shown = [short_value(name, value, values) for value in values]
    is_numeric = len(known) == sum(value is not None for value in values)
    if is_numeric and len(set(known)) > 1:
        return _of_numbers(short, shown, numbers, known)
    categories = sorted(set(shown), key=lambda s: (s != _NOTHING, in_natural_order(Path(s))))
    place = {category: k / (len(categories) - 1) for k, category in enumerate(categories)}
    ticks = [(place[category], shortened(category)) for category in categories]
    positions = np.array([place[category] for category in shown])
    return Axis(short, positions, _apart(ticks), shown)


def _of_numbers(
    short: str, shown: Sequence[str], numbers: Sequence[float | None], known: list[float]
) -> Axis:
    low, high = min(known), max(known)
    is_log = low > 0 and high / low > _LOGARITHMIC
    scale = math.log10 if is_log else float
    start, length = scale(low), scale(high) - scale(low)
    has_missing = None in numbers
    # Out of the numbers' range, so that a tree tells those that have none by one question.
    bottom = start - _BELOW * length if has_missing else start
    full = start + length - bottom
    positions = [0.0 if x is None else (scale(x) - bottom) / full for x in numbers]
    named = dict(zip(shown, positions, strict=True))
    if len(named) > _MAX_VALUES:
        places = np.linspace(start, start + length, _NUM_TICKS)
        named = {f"{10**p if is_log else p:.3g}": (p - bottom) / full for p in places}
        if has_missing:
            named[_NOTHING] = 0.0
    ticks = sorted((position, shortened(text)) for text, position in named.items())
    return Axis(short, np.array(positions), _apart(ticks), None)


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Leave out ticks that would be written over the one before."""
    kept: list[tuple[float, str]] = []
    for position, text in ticks:
        if not kept or position - kept[-1][0] >= _LEAST_GAP:
            kept.append((float(position), text))
    return kept
