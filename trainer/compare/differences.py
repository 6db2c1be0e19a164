"""How each group differs from one of them, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.compare.groups import Group
from trainer.compare.intervals import Difference, paired_bootstrap, welch
from trainer.compare.kept_predictions import Scores


def differences_to(
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
