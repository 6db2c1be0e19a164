"""Who proposes the next point: Optuna's samplers, made anew for each trial from its number.

So a search goes on after a kill as it would have without one, and two processes on one storage,
which know nothing of each other's random generators, propose different points.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from trainer.config import ConfigError
from trainer.suggestions import nearest
from trainer.sweep.search.space import Space

_POPULATION = 20
"""Of NSGA-II's generations; Optuna's 50 would make most searches of networks random ones."""


class OrderedNSGAIISampler(NSGAIISampler):
    """NSGA-II whose parents always come in the same order.

    Optuna's are sorted by rank for the trial that selects them, and by number for those after it:
    were that trial's process killed, it would get another point when it is taken up again.
    """

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the parents of a generation, by number of their trials."""
        return sorted(
            super().get_parent_population(study, generation), key=lambda trial: trial.number
        )


def _tpe(seed: int) -> BaseSampler:
    # In groups: parameters that exist under a condition are modelled together where they exist.
    return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed),
    "tpe": _tpe,
    "cmaes": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "nsgaii": lambda seed: OrderedNSGAIISampler(seed=seed, population_size=_POPULATION),
}
_NEEDS = {"cmaes": ("cmaes", "cmaes"), "gp": ("torch", "gp")}
"""The package of a sampler, and our extra that installs it."""


def check_sampler(name: str, num_objectives: int) -> None:
    """Check that a sampler is there and takes so many objectives.

    Raises:
        ConfigError: if not.
    """
    if name not in SAMPLERS:
        raise ConfigError(f"sweep.sampler={name}: no such sampler; {nearest(name, SAMPLERS)}")
    if name == "cmaes" and num_objectives > 1:
        raise ConfigError(
            f"sweep.sampler=cmaes: takes one objective, not {num_objectives}; "
            "choose sweep=nsgaii or sweep=tpe"
        )
    package, extra = _NEEDS.get(name, ("", ""))
    if package and importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"sweep.sampler={name}: needs the package {package}; run: pip install -e '.[{extra}]'"
        )


def seed_of(seed: int, number: int, attempt: int) -> int:
    """Return the sampler's seed for an attempt at a trial, all of them counted from 0."""
    return int(np.random.SeedSequence([seed, number, attempt]).generate_state(1)[0])


def propose(study: Study, trial: FrozenTrial, space: Space, sampler: BaseSampler) -> dict[str, Any]:
    """Return a point for a trial, by Optuna name, without storing it.

    Args:
        study: loaded just now: samplers look at its trials as it knows them.
        trial: running, without parameters.
        space: what to choose from.
        sampler: made for this trial alone.
    """
    sampler.before_trial(study, trial)
    together = sampler.infer_relative_search_space(study, trial)
    chosen = sampler.sample_relative(study, trial, together)
    values: dict[str, Any] = {}
    for each in space.ranges:
        if each not in space.existing(values):
            continue
        if each.name in chosen and each.holds(chosen[each.name]):
            values[each.name] = chosen[each.name]
        elif each.distribution.single():
            values[each.name] = each.ends()[0]
        else:
            values[each.name] = sampler.sample_independent(
                study, trial, each.name, each.distribution
            )
    return values
