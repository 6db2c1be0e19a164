"""Which of the settings that vary matter: the share of the metric's variance that each explains."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainer.compare.axes import Axis, axes_of
from trainer.compare.comparison import Comparison
from trainer.compare.groups import Group
from trainer.disk import write_whole
from trainer.report.figures import png, shortened

MIN_RUNS = 4
SEED = "seed (chance)"
_MAX_SHOWN = 15


def draw_importance(comparison: Comparison, path: Path) -> bool:
    """Write a PNG with a bar for each setting that varies, if there are enough finished runs.

    Returns:
        Whether it was written.

    Raises:
        RunFolderError: if it cannot be written.
    """
    groups = counted(comparison)
    if sum(len(group.runs) for group in groups) < MIN_RUNS:
        return False
    found = importances(axes_of(groups), groups, comparison.metric)
    if not found:
        return False
    shown = sorted(found.items(), key=lambda item: item[1])[-_MAX_SHOWN:]
    figure = Figure(figsize=(8, 1.5 + 0.34 * len(shown)), dpi=110, layout="constrained")
    axes = figure.subplots()
    colours = ["0.6" if name == SEED else "C0" for name, _ in shown]
    names = [shortened(name) for name, _ in shown]
    bars = axes.barh(names, [share for _, share in shown], color=colours)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlim=(0, 1.1), xlabel=f"share of the variance of {comparison.metric}")
    axes.set_title(f"what matters, by fANOVA over {len(groups)} settings (the means of their runs)",
                   fontsize=10)  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    write_whole(path, png(figure))
    return True


def counted(comparison: Comparison) -> list[Group]:
    """Return the groups with a number for the metric."""
    metric = comparison.metric
    return [group for group in comparison.groups if math.isfinite(group.mean(metric))]


def importances(axes: Sequence[Axis], groups: Sequence[Group], metric: str) -> dict[str, float]:
    """Return each setting's share of the metric's variance over runs; together they are 1.

    The settings' shares are those of Optuna's fANOVA, a random forest over the means of the groups:
    with the runs themselves, a setting with more seeds would count for more, and the forest would
    explain chance by settings. Where settings have several runs, chance has the share of the
    variance among runs of one setting, and the other shares are of what is left.

    Args:
        axes: of the settings that vary.
        groups: at least two, with a number for the metric.
        metric: such as `val/accuracy`.
    """
    if not axes or len(groups) < 2:
        return {}
    means = np.array([group.mean(metric) for group in groups])
    by_settings, by_seed = _variances(groups, means, metric)
    if by_settings + by_seed == 0:
        return {}
    of_settings = by_settings / (by_settings + by_seed)
    shares = _fanova(axes, means) if by_settings else dict.fromkeys((a.name for a in axes), 0.0)
    found = {name: float(share) * of_settings for name, share in shares.items()}
    has_seeds = any(len(group.runs) > 1 for group in groups)
    return found | ({SEED: 1 - of_settings} if has_seeds else {})


def _variances(groups: Sequence[Group], means: np.ndarray, metric: str) -> tuple[float, float]:
    """Return the variance of the groups' true means, and that of the runs of a group."""
    freedom = sum(len(group.runs) - 1 for group in groups)
    squares = sum(((g.values(metric) - m) ** 2).sum() for g, m in zip(groups, means, strict=True))
    by_seed = float(squares) / freedom if freedom else 0.0
    # The means of few runs differ by chance, too.
    by_chance = by_seed * float(np.mean([1 / len(group.runs) for group in groups]))
    return max(0.0, float(means.var(ddof=1)) - by_chance), by_seed


def _fanova(axes: Sequence[Axis], means: np.ndarray) -> dict[str, float]:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    distributions: dict[str, BaseDistribution] = {
        axis.name: FloatDistribution(0, 1)
        if axis.categories is None
        else CategoricalDistribution(sorted(set(axis.categories)))
        for axis in axes
    }
    # A tree takes differences whose square is no more than a rounding error for none.
    scaled = (means - means.mean()) / means.std()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study()
            for k, value in enumerate(scaled):
                params = {
                    axis.name: float(axis.positions[k])
                    if axis.categories is None
                    else axis.categories[k]
                    for axis in axes
                }
                trial = optuna.trial.create_trial(
                    params=params, distributions=distributions, value=float(value)
                )
                study.add_trial(trial)
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    finally:
        optuna.logging.set_verbosity(level)
