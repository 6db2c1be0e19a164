"""A comparison of runs: groups by rank, and how sure their differences are."""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainer.compare.example_scores import ExampleScores, path_of, read_scores
from trainer.compare.figures import number
from trainer.compare.groups import Group, grouped, ranked
from trainer.compare.intervals import Difference, paired_bootstrap, welch
from trainer.compare.past_run import FINISHED, PastRun, read_run
from trainer.compare.settings_that_vary import telling, varied
from trainer.config import ConfigError
from trainer.disk import RunFolderError
from trainer.suggestions import nearest

_BEST_AT_ITS_LEAST = ("loss", "error", "mae", "mse", "rmse", "entropy", "divergence", "brier")
_SPLITS = ("test", "val")
Scores = Mapping[Path, ExampleScores]
"""By run folder."""


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Args:
        runs: all that could be read.
        groups: the finished ones, the best first.
        others: runs that are not ranked: unfinished, or without the metric.
        metric: what ranks them, such as `val/accuracy`.
        mode: `max` or `min`, what of it is best.
        metrics: what is shown, `metric` first.
        split: whose predictions are compared.
        varied: all settings in which runs differ.
        telling: those of them that no other one implies.
        quantity: what the differences are of, such as `test/accuracy`.
        method: `bootstrap`, `welch` or `none`: where the intervals are from.
        baseline: the group that the differences are to, counted from 0; None without groups.
        differences: one for each group; None for the baseline, and where there is none.
        notes: what should be known before believing it, one line each.
    """

    runs: Sequence[PastRun]
    groups: Sequence[Group]
    others: Sequence[PastRun]
    metric: str
    mode: str
    metrics: Sequence[str]
    split: str
    varied: Sequence[str]
    telling: Sequence[str]
    quantity: str
    method: str
    baseline: int | None
    differences: Sequence[Difference | None]
    notes: Sequence[str]


def read_runs(folders: Sequence[Path]) -> tuple[list[PastRun], list[str]]:
    """Read run folders; return the runs, and a line for each folder that is damaged."""
    runs, damaged = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except (ValueError, RunFolderError) as error:
            line = " ".join(str(error).split())
            damaged.append(line if str(folder) in line else f"{folder}: {line}")
    return runs, damaged


def compared(
    runs: Sequence[PastRun],
    metric: str | None = None,
    mode: str | None = None,
    split: str | None = None,
    baseline: Path | None = None,
) -> Comparison:
    """Rank runs, and compare their predictions with those of the best.

    Args:
        runs: at least one.
        metric: what ranks them; None for what they monitor. A bare name is of `val`.
        mode: `max` or `min`; None for what it is known as.
        split: whose kept predictions are compared; None for `test` where it is kept, else `val`.
        baseline: run folder of the group that differences are to; None for the best group.

    Raises:
        ConfigError: if there is no such metric, or the baseline is not among the groups.
    """
    split = split or _split_kept(runs)
    scores, notes = _scores(runs, split)
    runs = [_with_evaluated(run, scores, split) for run in runs]
    finished = [run for run in runs if run.state == FINISHED]
    ranking, found_notes = _metric(metric, runs)
    mode = mode or _mode(ranking, runs)
    counted = [run for run in finished if ranking in run.values]
    groups = ranked(grouped(counted), ranking, mode)
    place = _place(baseline, groups)
    quantity, method, differences = _differences(groups, place, ranking, split, scores)
    settings = [run.settings for run in runs]
    return Comparison(
        runs=runs,
        groups=groups,
        others=[run for run in runs if run not in counted],
        metric=ranking,
        mode=mode,
        metrics=_shown_metrics(ranking, quantity, groups),
        split=split,
        varied=varied(settings),
        telling=telling(settings),
        quantity=quantity,
        method=method,
        baseline=place,
        differences=differences,
        notes=[
            *found_notes,
            *_doubts(runs, groups, split),
            *_other_values(groups, place, quantity, differences),
            *notes,
        ],
    )


# ---- what ranks


def _metric(name: str | None, runs: Sequence[PastRun]) -> tuple[str, list[str]]:
    monitors = Counter(run.monitor for run in runs)
    if name is None:
        metric = monitors.most_common(1)[0][0]
        listed = ", ".join(f"{monitor} ({count})" for monitor, count in monitors.items())
        several = f"the runs monitor {listed}: ranked by {metric}; --metric NAME ranks by another"
        return metric, [several] if len(monitors) > 1 else []
    known = list(dict.fromkeys(key for run in runs for key in run.values))
    for candidate in (name, f"val/{name}", f"test/{name}", f"train/{name}"):
        if candidate in known:
            return candidate, []
    raise ConfigError(f"--metric {name}: no run has such a metric; {nearest(name, known)}")


def _mode(metric: str, runs: Sequence[PastRun]) -> str:
    name = metric.partition("/")[2]
    for run in runs:
        if run.mode and run.monitor.partition("/")[2] == name:
            return run.mode
    return "min" if any(word in name.lower() for word in _BEST_AT_ITS_LEAST) else "max"


def _place(baseline: Path | None, groups: Sequence[Group]) -> int | None:
    if baseline is None:
        return 0 if groups else None
    for place, group in enumerate(groups):
        if baseline.resolve() in [run.folder.resolve() for run in group.runs]:
            return place
    raise ConfigError(f"--baseline {baseline}: not one of the finished runs that are compared")


def _shown_metrics(ranking: str, quantity: str, groups: Sequence[Group]) -> list[str]:
    has_quantity = any(quantity in run.values for group in groups for run in group.runs)
    return list(dict.fromkeys([ranking, *([quantity] if has_quantity else [])]))


# ---- what is kept of each example


def _split_kept(runs: Sequence[PastRun]) -> str:
    for split in _SPLITS:
        if any(path_of(run.folder, split).exists() for run in runs):
            return split
    return next((s for s in _SPLITS if all(r.data_fingerprint(s) for r in runs)), _SPLITS[-1])


def _scores(runs: Sequence[PastRun], split: str) -> tuple[dict[Path, ExampleScores], list[str]]:
    """Return the scores of the finished runs' best weights, and what is wrong with others'."""
    scores, notes, missing = {}, [], []
    finished = [run for run in runs if run.state == FINISHED]
    for run in finished:
        path = path_of(run.folder, split)
        if not path.exists():
            missing.append(run.folder)
            continue
        try:
            found = read_scores(path)
        except (ValueError, OSError) as error:
            notes.append(" ".join(str(error).split()))
            continue
        if run.best_step not in (None, found.step):
            notes.append(
                f"{path}: of step {found.step:,}, the best weights are of step {run.best_step:,}; "
                f"not used, evaluate anew: {_evaluate(run.folder, split)}"
            )
            continue
        scores[run.folder] = found
    if missing and len(finished) > 1:
        notes.append(
            f"{len(missing)} of {len(finished)} finished runs keep no predictions on {split}, "
            f"which intervals over examples need; for each: {_evaluate(missing[0], split)}"
        )
    return scores, notes


def _evaluate(run_dir: Path, split: str) -> str:
    return shlex.join(["python", "-m", "trainer", "evaluate", str(run_dir), f"split={split}"])


def _with_evaluated(run: PastRun, scores: Scores, split: str) -> PastRun:
    if run.folder not in scores:
        return run
    found = {f"{split}/{name}": value for name, value in scores[run.folder].metrics().items()}
    return replace(run, evaluated={**found, **run.evaluated})


# ---- differences


def _differences(
    groups: Sequence[Group], baseline: int | None, ranking: str, split: str, scores: Scores
) -> tuple[str, str, list[Difference | None]]:
    """Return what is compared, by which method, and each group's difference to the baseline."""
    if baseline is None:
        return ranking, "none", []
    quantity = _scored_quantity(ranking, scores)
    means = [_mean_scores(group, quantity, scores) for group in groups]
    by_example = [_paired(mean, means[baseline]) for mean in means]
    if any(by_example):
        return f"{split}/{quantity}", "bootstrap", by_example
    values = [group.values(ranking) for group in groups]
    by_seed = [
        None if place == baseline else welch(found, values[baseline])
        for place, found in enumerate(values)
    ]
    has_intervals = any(found and found.low is not None for found in by_seed)
    return ranking, "welch" if has_intervals else "none", by_seed


def _scored_quantity(ranking: str, scores: Scores) -> str:
    has_accuracy = all(found.correct is not None for found in scores.values())
    return "accuracy" if has_accuracy and not ranking.endswith("loss") else "loss"


@dataclass(frozen=True)
class _MeanScores:
    """What a group's runs score on each example, averaged: float64 [N]."""

    examples: str
    values: np.ndarray
    weight: np.ndarray


def _mean_scores(group: Group, quantity: str, scores: Scores) -> _MeanScores | None:
    """Return None unless all of the group's runs kept predictions of the same examples."""
    found = [scores[run.folder] for run in group.runs if run.folder in scores]
    if len(found) < len(group.runs) or len({one.examples for one in found}) > 1:
        return None
    values = [one.losses if quantity == "loss" else one.correct for one in found]
    mean = np.mean([value for value in values if value is not None], axis=0)
    return _MeanScores(found[0].examples, mean, found[0].weight)


def _paired(mean: _MeanScores | None, baseline: _MeanScores | None) -> Difference | None:
    if mean is None or baseline is None or mean is baseline or mean.examples != baseline.examples:
        return None
    return paired_bootstrap(mean.values, baseline.values, mean.weight)


# ---- notes


def _doubts(runs: Sequence[PastRun], groups: Sequence[Group], split: str) -> list[str]:
    """Return what makes a comparison less than it seems."""
    notes = []
    for name in dict.fromkeys(("val", split)):
        if len({run.data_fingerprint(name) for run in runs} - {None}) > 1:
            notes.append(
                f"the runs were scored on different {name} data: values are not comparable"
            )
    commits = {
        git.get("commit") for run in runs if isinstance(git := run.manifest.get("git"), dict)
    }
    if len(commits) > 1:
        notes.append(f"the runs were made by {len(commits)} versions of the code (git commits)")
    for place, group in enumerate(groups, start=1):
        if seeds := group.repeated_seeds():
            notes.append(
                f"row {place}: several runs of seed {', '.join(seeds)}, each counted: its n and ± "
                "claim more than there is"
            )
    return notes


def _other_values(
    groups: Sequence[Group],
    baseline: int | None,
    quantity: str,
    differences: Sequence[Difference | None],
) -> list[str]:
    """Say where differences are not those of the metrics in the table: both are right."""
    for group, found in zip(groups, differences, strict=True):
        of_metrics = group.mean(quantity) - groups[baseline or 0].mean(quantity)
        if found and number(found.value) != number(of_metrics) and not math.isnan(of_metrics):
            return [
                f"the kept predictions give other differences than the metrics in the table (by "
                f"{number(abs(found.value - of_metrics))}, say): rounding, where precision is reduced"
            ]
    return []
