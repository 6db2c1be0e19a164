"""The settings beside the options' own arguments: their types, and what each may be.

A new setting is one line here and one in `conf/config.yaml`.
"""

import re
from collections.abc import Callable, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

from trainer.data.dataset import FEEDS
from trainer.durations import Duration
from trainer.nonfinite import ACTIONS

MISSING = "???"
"""The default of a setting that must be given, as OmegaConf writes it."""

RESUMES = ("same", "folder", "command")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
MODES = ("auto", "min", "max")
STANDARDISATIONS = ("auto", "channel", "global", "none")


def _setting(allowed: str, valid: Callable[[Any], bool], default: Any = MISSING) -> Any:
    return field(default=default, metadata={"allowed": allowed, "valid": valid})


def _is_period(text: Any) -> bool:
    return Duration.parse(text).amount > 0


def _is_folder_name(name: str) -> bool:
    return re.fullmatch(r"[\w.=,+-]*\w[\w.=,+-]*", name) is not None


@dataclass
class Settings:
    """The keys of config.yaml beside the groups, with what each may be."""

    name: str = _setting(
        "letters, digits and . _ - = only, since it names a folder",
        _is_folder_name,
    )
    seed: int = _setting("a whole number, at least 0", lambda seed: seed >= 0)
    duration: str = _setting(
        "above 0, in ep, st, ex or min; a run cannot last a share of itself",
        lambda text: _is_period(text) and Duration.parse(text).unit != "%",
    )
    precision: str = _setting(f"one of {', '.join(PRECISIONS)}", lambda p: p in PRECISIONS)
    jit: bool | str = _setting("true, false or auto", lambda jit: jit in (True, False, "auto"))
    log_every: str = _setting(
        "above 0, in st, ep, ex or %",
        lambda text: _is_period(text) and not Duration.parse(text).is_wall_time,
    )
    eval_every: str | None = _setting("above 0, such as 1ep, or null", _is_period)
    checkpoint_every: str = _setting("above 0, such as 1ep", _is_period)
    keep: int = _setting("a whole number, at least 1", lambda keep: keep >= 1)
    keep_best: int = _setting("a whole number, at least 1", lambda keep: keep >= 1, 1)
    keep_every: str | None = _setting(
        "above 0, in st, ep or ex, or null",
        lambda text: _is_period(text) and Duration.parse(text).unit in ("st", "ep", "ex"),
        None,
    )
    augment_until: str | None = _setting(
        "above 0, in st, ep, ex or %, or null",
        lambda text: _is_period(text) and not Duration.parse(text).is_wall_time,
        None,
    )
    resume: str = _setting(f"one of {', '.join(RESUMES)}", lambda r: r in RESUMES, "same")
    on_nonfinite: str = _setting(f"one of {', '.join(ACTIONS)}", lambda a: a in ACTIONS, "stop")
    deterministic: bool = _setting("true or false", lambda d: d in (True, False), False)
    monitor: str = _setting("val/METRIC, train/METRIC or auto", bool)
    monitor_mode: str = _setting(f"one of {', '.join(MODES)}", lambda mode: mode in MODES)
    profile: str | None = _setting(
        "above 0, in st, ep, ex or %, such as 10st, or null",
        lambda text: _is_period(text) and not Duration.parse(text).is_wall_time,
    )
    overfit_batches: int | None = _setting("a whole number, at least 1, or null", lambda n: n >= 1)


@dataclass
class DataSettings:
    """The keys of the data group that are the framework's, not arguments of its target."""

    batch_size: int = _setting("a whole number, at least 1", lambda size: size >= 1)
    limit: int | None = _setting("a whole number, at least 1, or null", lambda n: n >= 1, None)
    validation: str | float = _setting(
        "auto, test, or the share of the training split that is held out, between 0 and 1",
        lambda v: v in ("auto", "test") or (isinstance(v, float) and 0 < v < 1),
        "auto",
    )
    test: float | None = _setting(
        "the share of the training split that is held out as test split, between 0 and 1, or null",
        lambda share: 0 < share < 1,
        None,
    )
    split_seed: int = _setting("a whole number, at least 0", lambda seed: seed >= 0, 0)
    standardise: str = _setting(
        f"one of {', '.join(STANDARDISATIONS)}", lambda s: s in STANDARDISATIONS, "auto"
    )
    class_weight: Any = _setting(
        "balanced, a number for each class, or numbers by class name, or null",
        lambda weight: weight == "balanced" or isinstance(weight, MutableSequence | MutableMapping),
        None,
    )
    feed: str = _setting(f"one of {', '.join(FEEDS)}", lambda feed: feed in FEEDS, "auto")


@dataclass
class SweepSettings:
    """The keys of `sweep` that every sweep has."""

    name: str = _setting(
        "letters, digits and . _ - = only, since it names a folder", _is_folder_name
    )


@dataclass
class SearchSettings(SweepSettings):
    """The keys of `sweep` where a sampler proposes what to try.

    Names of samplers and pruners, ranges and metrics are checked by the search, which knows them.
    """

    sampler: str = _setting("the name of a sampler, such as tpe", bool)
    n_trials: int = _setting("a whole number, at least 1", lambda n: n >= 1)
    seed: int = _setting("a whole number, at least 0", lambda seed: seed >= 0, 0)
    pruner: str = _setting("the name of a pruner, such as median, or none", bool, "none")
    min_evaluations: int = _setting("a whole number, at least 1", lambda n: n >= 1, 1)
    objectives: Any = _setting("max or min by metric, or null", lambda metrics: True, None)
    storage: str | None = _setting("the URL of a database, or null", bool, None)
    params: Any = _setting("ranges by name, or null", lambda ranges: True, None)
    when: Any = _setting("ranges by condition, or null", lambda ranges: True, None)


@dataclass
class WorkerSettings:
    """How the jobs of a sweep share the machine."""

    workers: int = _setting("a whole number, at least 1", lambda n: n >= 1)
    vectorize: str | None = _setting("seeds, or null", lambda what: what == "seeds", None)


_POSITIVE = "a number above 0, or null"


@dataclass
class UpdateSettings:
    """The keys of `update`: the arguments of `trainer.update.Update`."""

    accumulate_steps: int = _setting("a whole number, at least 1", lambda n: n >= 1)
    clip_global_norm: float | None = _setting(_POSITIVE, lambda norm: norm > 0)
    clip_norm: float | None = _setting(_POSITIVE, lambda norm: norm > 0)
    clip_value: float | None = _setting(_POSITIVE, lambda value: value > 0)
    ema_decay: float | None = _setting("0 <= decay < 1, or null", lambda decay: 0 <= decay < 1)
    weight_decay_exclude: list[str] = _setting("a list of names or patterns", lambda names: True)
