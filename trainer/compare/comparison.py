"""A comparison of runs: groups by rank, and how sure their differences are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.compare.differences import differences_to
from trainer.compare.doubts import doubts, other_values
from trainer.compare.groups import Group, grouped, ranked
from trainer.compare.intervals import Difference
from trainer.compare.kept_predictions import elsewhere, kept_scores, split_kept, with_evaluated
from trainer.compare.past_run import FINISHED, PastRun, read_run
from trainer.compare.settings_that_vary import telling, varied
from trainer.config import ConfigError
from trainer.disk import RunFolderError
from trainer.suggestions import nearest

_BEST_AT_ITS_LEAST = ("loss", "error", "mae", "mse", "rmse", "entropy", "divergence", "brier")


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
        telling: those in which groups differ, without what another one implies.
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
        except Exception as error:
            # What a forged folder raises is of many kinds, and the other runs are whole.
            is_line = isinstance(error, (ValueError, RunFolderError))
            line = " ".join(str(error if is_line else f"cannot be read ({error!r})").split())
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
    split = split or split_kept(runs)
    scores, notes = kept_scores(runs, split)
    left_out = elsewhere(runs)
    runs = [with_evaluated(run, scores, split) for run in runs]
    finished = [run for run in runs if run.state == FINISHED]
    ranking, found_notes = _metric(metric, runs, left_out)
    mode = mode or _mode(ranking, runs)
    counted = [run for run in finished if ranking in run.values]
    groups = ranked(grouped(counted), ranking, mode)
    place = _place(baseline, groups)
    quantity, method, differences = differences_to(groups, place, ranking, split, scores)
    metrics = _shown_metrics(ranking, quantity, groups)
    return Comparison(
        runs=runs,
        groups=groups,
        others=[run for run in runs if run not in counted],
        metric=ranking,
        mode=mode,
        metrics=metrics,
        split=split,
        varied=varied([run.settings for run in runs]),
        telling=telling([group.settings for group in groups]),
        quantity=quantity,
        method=method,
        baseline=place,
        differences=differences,
        notes=[
            *found_notes,
            *doubts(counted, groups, split, metrics),
            *other_values(groups, place, quantity, differences),
            *left_out,
            *notes,
        ],
    )


# ---- what ranks


def _metric(
    name: str | None, runs: Sequence[PastRun], left_out: Sequence[str]
) -> tuple[str, list[str]]:
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
    why = "".join(f"; {note}" for note in left_out)
    near = nearest(name, known)
    raise ConfigError(f"--metric {name}: no run has such a metric; {near}{why}")


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
