"""What a search may vary: ranges in Hydra's grammar, as Optuna has them, and back to words."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trainer.config import ConfigError
from trainer.suggestions import nearest

EXAMPLES = "choice(a, b), range(1, 5), interval(0.1, 1), int(interval(1, 9)) or tag(log, ...)"


@dataclass(frozen=True)
class Range:
    """One setting or group that a search varies.

    Args:
        name: in Optuna; that of a branch begins with its condition, as in
            `optimizer=sgd: optimizer.momentum`.
        key: as typed before the `=`.
        distribution: of its values; choices are text, as Hydra reads it.
        condition: name and choice of the range that it hangs on, or None.
    """

    name: str
    key: str
    distribution: BaseDistribution
    condition: tuple[str, str] | None = None

    def word(self, value: Any) -> str:
        """Return a value as a word of the command line, from which the same value is read."""
        if isinstance(self.distribution, FloatDistribution):
            step, low = self.distribution.step, self.distribution.low
            if step is not None:  # 0.3, and not 0.30000000000000004
                exact = Decimal(str(low)) + round((value - low) / step) * Decimal(str(step))
                value = float(exact)
            return f"{self.key}={float(value)!r}"
        return f"{self.key}={value}"

    def ends(self) -> list[Any]:
        """Return all choices, or the least and the greatest number."""
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        low, high = _bounds(self.distribution)
        return [low] if low == high else [low, high]

    def values(self) -> list[Any] | None:
        """Return all values; None if there is no end of them."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return list(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return list(range(distribution.low, distribution.high + 1, distribution.step))
        if isinstance(distribution, FloatDistribution) and distribution.step is not None:
            low, step = distribution.low, distribution.step
            return [low + k * step for k in range(round((distribution.high - low) / step) + 1)]
        return None

    def holds(self, value: Any) -> bool:
        """Return whether something is a value of the range."""
        if isinstance(self.distribution, CategoricalDistribution):
            return value in self.distribution.choices
        low, high = _bounds(self.distribution)
        return isinstance(value, int | float) and low <= value <= high


class Space:
    """The ranges of a search.

    Args:
        ranges: those without a condition first.
    """

    def __init__(self, ranges: Sequence[Range]) -> None:
        self.ranges = tuple(ranges)

    def existing(self, values: Mapping[str, Any]) -> list[Range]:
        """Return the ranges that exist where these values, by Optuna name, are chosen."""
        return [
            each
            for each in self.ranges
            if each.condition is None or values.get(each.condition[0]) == each.condition[1]
        ]

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """Return the words of a point; values of ranges that do not exist there are left out."""
        return [each.word(values[each.name]) for each in self.existing(values)]

    def corners(self) -> Iterator[dict[str, Any]]:
        """Yield points at which each choice and each end of a range comes up at least once."""
        first = {each.name: each.ends()[0] for each in self.ranges}
        yield first
        for each in self.ranges:
            there = dict([each.condition]) if each.condition else {}
            for value in each.ends()[0 if each.condition else 1 :]:
                yield {**first, **there, each.name: value}

    def points(self) -> Iterator[dict[str, Any]] | None:
        """Return all points in order; None if there is no end of them."""
        if any(each.values() is None for each in self.ranges):
            return None
        return self._points()

    def _points(self) -> Iterator[dict[str, Any]]:
        roots = [each for each in self.ranges if each.condition is None]
        for root in _products(roots):
            branches = [each for each in self.existing(root) if each.condition]
            for branch in _products(branches):
                yield {**root, **branch}


def read_space(
    parser: OverridesParser,
    params: Any,
    when: Any,
    words: Sequence[str],
) -> tuple[Space, list[str]]:
    """Return what a search varies, and the words that all of its trials have.

    Args:
        parser: Hydra's.
        params: text by name, as in `sweep.params`; None: none.
        when: such texts by condition, as in `sweep.when`; None: none.
        words: of the command line without those of the sweep; they win.

    Raises:
        ConfigError: if something is no range, or nothing varies.
        HydraException: if a word cannot be read.
    """
    typed = parser.parse_overrides(list(words))
    ranges = {_bare(o): _range(o, o.input_line or "") for o in typed if o.is_sweep_override()}
    fixed = {_bare(o): str(o.input_line) for o in typed if not o.is_sweep_override()}
    for override, where in _overrides(parser, params, "sweep.params"):
        name = _bare(override)
        if name in ranges or name in fixed:
            continue
        if override.is_sweep_override():
            ranges[name] = _range(override, where)
        else:
            fixed[name] = str(override.input_line)
    roots = list(ranges.values())
    branches: list[Range] = []
    for condition, texts in _mapping(when, "sweep.when").items():
        hangs_on = _condition(parser, str(condition), ranges, fixed)
        for override, where in _overrides(parser, texts, f"sweep.when.{condition}"):
            name = _bare(override)
            if hangs_on is False or name in ranges or name in fixed:
                continue
            found = _range(override, where)
            name = f"{condition}: {name}"
            condition_of_it = hangs_on if isinstance(hangs_on, tuple) else None
            branch = Range(name, found.key, found.distribution, condition_of_it)
            (branches if condition_of_it else roots).append(branch)
    if not roots:
        raise ConfigError(
            f"sweep.params: nothing to search; give ranges, such as optimizer.learning_rate="
            f"interval(0.01, 1). They are {EXAMPLES}"
        )
    return Space([*roots, *branches]), list(fixed.values())


def _bounds(distribution: BaseDistribution) -> tuple[float, float]:
    if isinstance(distribution, IntDistribution | FloatDistribution):
        return distribution.low, distribution.high
    raise TypeError(f"{distribution} is no range of numbers")


def _products(ranges: Sequence[Range]) -> Iterator[dict[str, Any]]:
    names = [each.name for each in ranges]
    for values in itertools.product(*(each.values() or [] for each in ranges)):
        yield dict(zip(names, values, strict=True))


def _bare(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def _mapping(node: Any, where: str) -> Mapping[Any, Any]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        raise ConfigError(f"{where}={node}: must be ranges by name, or null")
    return node


def _overrides(parser: OverridesParser, texts: Any, where: str) -> Iterator[tuple[Override, str]]:
    for name, text in _mapping(texts, where).items():
        shown = f"{where}.{name}={text}"
        if text is None:  # how a command does without a range of a file
            continue
        if not isinstance(text, str | int | float):
            raise ConfigError(f"{shown}: must be a range written as text: {EXAMPLES}")
        word = f"{name}={str(text).lower() if isinstance(text, bool) else text}"
        try:
            yield parser.parse_override(word), shown
        except HydraException as error:
            raise ConfigError(f"{shown}: no range that can be read; it is {EXAMPLES}") from error


def _condition(
    parser: OverridesParser, text: str, ranges: Mapping[str, Range], fixed: Mapping[str, str]
) -> tuple[str, str] | bool:
    """Return range and choice that a condition is on, or whether it holds throughout."""
    where = f"sweep.when.{text}"
    try:
        override = parser.parse_override(text)
        name, choice = _bare(override), "".join(_texts(override))
    except HydraException:
        choice = ""
    if not choice or override.is_sweep_override():
        raise ConfigError(f"{where}: must be a condition such as optimizer=sgd")
    if name in fixed:
        return _texts(parser.parse_override(fixed[name])) == [choice]
    if name not in ranges:
        raise ConfigError(f"{where}: {name} is not searched; {nearest(name, ranges)}")
    distribution = ranges[name].distribution
    if not isinstance(distribution, CategoricalDistribution):
        raise ConfigError(f"{where}: {name} is a range of numbers, and no choice(...)")
    if choice not in distribution.choices:
        near = nearest(choice, map(str, distribution.choices))
        raise ConfigError(f"{where}: {name} has no such choice; {near}")
    return name, choice


def _range(override: Override, where: str) -> Range:
    key, value = override.get_key_element(), override.value()
    name = key.lstrip("+~")
    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"}:
        tag = sorted(tags - {"log"})[0]
        raise ConfigError(f"{where}: no such tag as {tag}; {nearest(tag, ['log'])}")
    log = "log" in tags
    if isinstance(value, IntervalSweep):
        return Range(name, key, _interval(value.start, value.end, log, where))
    texts = _texts(override)
    if not texts:
        raise ConfigError(f"{where}: has no values")
    if isinstance(value, RangeSweep) and not log:
        return Range(name, key, _steps(value, len(texts)))
    if log:
        raise ConfigError(f"{where}: log goes with an interval(...) only")
    # Of a shuffled choice the order is another one each time, which Optuna takes for another range.
    texts = sorted(texts) if getattr(value, "shuffle", False) else texts
    return Range(name, key, CategoricalDistribution(tuple(dict.fromkeys(texts))))


def _texts(override: Override) -> list[str]:
    """Return the values of a choice, or the one value, as they are written on the command line."""
    if override.is_sweep_override():
        written = list(override.sweep_string_iterator())
    elif override.value_type is None:
        return []
    else:
        written = [Transformer.str(cast(Any, override.value()))]
    return [{"True": "true", "False": "false"}.get(text, text) for text in written]


def _interval(low: Any, high: Any, log: bool, where: str) -> BaseDistribution:
    if low > high:
        raise ConfigError(f"{where}: ends below its start; exchange {low} and {high}")
    if log and low <= 0:
        raise ConfigError(f"{where}: on a log scale it must start above 0")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _steps(sweep: RangeSweep, count: int) -> BaseDistribution:
    start, step = Decimal(str(sweep.start)), Decimal(str(sweep.step))
    low, high = sorted((start, start + (count - 1) * step))
    if isinstance(sweep.start, int) and isinstance(sweep.step, int):
        return IntDistribution(int(low), int(high), step=abs(sweep.step))
    return FloatDistribution(float(low), float(high), step=float(abs(step)))
