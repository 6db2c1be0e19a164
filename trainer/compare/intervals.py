"""95 % confidence intervals of a difference between two groups of runs."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, ttest_ind

LEVEL = 0.95
NUM_RESAMPLES = 2000
"""Ends move by a hundredth of a standard error or so with the seed; more would take seconds."""
_SEED = 0
_VALUES_AT_ONCE = 2_000_000
"""Of the resamples that are in memory together."""


@dataclass(frozen=True)
class Difference:
    """A group's value minus that of the group it is compared with.

    Args:
        value: the difference of the means.
        low: lower end of its interval; None where there is no interval.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def paired_bootstrap(
    scores: np.ndarray, baseline_scores: np.ndarray, weight: np.ndarray
) -> Difference:
    """Return the difference of two means over the same examples, with a percentile interval.

    Examples are drawn with replacement, each with both its scores (Efron and Tibshirani 1993, ch.
    13): what makes an example hard for both falls out. Seeds were averaged for each example
    before, and are not drawn: the interval is about these very weights and other examples.

    Args:
        scores: float [N], of each example.
        baseline_scores: float [N], of the same examples in the same order.
        weight: float [N], of each example, at least 0; those of weight 0 do not count.
    """
    counted = weight > 0
    differences, weight = (scores - baseline_scores)[counted], weight[counted]
    if not len(differences):
        return Difference(float("nan"))
    value = float(_weighted_mean(differences, weight))
    if len(differences) < 2 or not np.isfinite(differences).all():
        return Difference(value)
    interval = bootstrap(
        (differences, weight),
        _weighted_mean,
        paired=True,
        vectorized=True,
        confidence_level=LEVEL,
        n_resamples=NUM_RESAMPLES,
        batch=max(1, _VALUES_AT_ONCE // len(differences)),
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Difference(value, float(interval.low), float(interval.high))


def welch(values: np.ndarray, baseline_values: np.ndarray) -> Difference:
    """Return the difference of two means over seeds, with the interval of Welch's t test.

    Args:
        values: float [n], one of each run.
        baseline_values: float [m].

    Returns:
        No interval where one side has a single run, or no run differs from another.
    """
    value = float(values.mean() - baseline_values.mean())
    samples = (values, baseline_values)
    if min(map(len, samples)) < 2 or not sum(sample.var() for sample in samples) > 0:
        return Difference(value)
    interval = ttest_ind(*samples, equal_var=False).confidence_interval(LEVEL)
    return Difference(value, float(interval.low), float(interval.high))


def _weighted_mean(values: np.ndarray, weight: np.ndarray, axis: int = -1) -> np.ndarray:
    return (values * weight).sum(axis) / weight.sum(axis)
