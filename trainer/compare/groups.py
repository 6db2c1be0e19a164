"""Runs of the same settings and several seeds, as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.compare.past_run import PastRun
from trainer.compare.settings_that_vary import Settings


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Args:
        settings: of each of them.
        runs: at least one.
    """

    settings: Settings
    runs: Sequence[PastRun]

    def values(self, metric: str) -> np.ndarray:
        """Return the metric of each run, float64 [n]; NaN where a run does not have it."""
        return np.array([run.values.get(metric, math.nan) for run in self.runs])

    def mean(self, metric: str) -> float:
        """Return the mean over the runs; NaN unless all of them have the metric."""
        return float(self.values(metric).mean())

    def std(self, metric: str) -> float | None:
        """Return the standard deviation over the runs (of a sample: n - 1); None for one run."""
        return float(self.values(metric).std(ddof=1)) if len(self.runs) > 1 else None

    def repeated_seeds(self) -> list[str]:
        """Return the seeds that more than one run has."""
        seeds = [run.seed for run in self.runs]
        return [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]


def grouped(runs: Sequence[PastRun]) -> list[Group]:
    """Return runs grouped over their seeds, in the order in which they come."""
    groups: dict[tuple[tuple[str, str], ...], list[PastRun]] = {}
    for run in runs:
        groups.setdefault(tuple(sorted(run.settings.items())), []).append(run)
    return [Group(members[0].settings, members) for members in groups.values()]


def ranked(groups: Sequence[Group], metric: str, mode: str) -> list[Group]:
    """Return groups by the mean of a metric, the best first, and those without it last."""

    def key(group: Group) -> float:
        mean = group.mean(metric)
        if math.isnan(mean):
            return math.inf
        return -mean if mode == "max" else mean

    return sorted(groups, key=key)
