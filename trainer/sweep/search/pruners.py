"""Who stops trials that will not be among the best: median, ASHA and Hyperband.

Asked twice about the same evaluation, a pruner answers the same: a search may be killed between
answer and deed. Optuna's own successive halving keeps what it answered in the storage, and would
let a trial pass that it has stopped already.
"""

import math
import zlib

from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trainer.config import ConfigError
from trainer.suggestions import nearest

PRUNERS = ("none", "median", "asha", "hyperband")


class AshaPruner(BasePruner):
    """Asynchronous successive halving (Li et al. 2018, arXiv 1810.05934).

    At each rung a trial goes on if it is among the best share of those that have come that far.

    Args:
        first_rung: evaluations before the first decision, at least 1.
        reduction: one out of so many goes on; the next rung is so many times as far.
        bracket: whose trials are compared; None: all.
    """

    def __init__(
        self, first_rung: int, reduction: int = 4, bracket: "Bracket | None" = None
    ) -> None:
        self._first_rung, self._reduction, self._bracket = first_rung, reduction, bracket

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial is to be stopped after its last evaluation."""
        step = trial.last_step
        if step is None or not self._is_rung(step):
            return False
        value = trial.intermediate_values[step]
        if math.isnan(value):
            return True
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        competing = [
            sign * other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False)
            if step in other.intermediate_values
            and other.number != trial.number
            and (self._bracket is None or self._bracket.has(other))
        ]
        there = sorted([*(v for v in competing if not math.isnan(v)), sign * value])
        return sign * value > there[max(1, len(there) // self._reduction) - 1]

    def _is_rung(self, step: int) -> bool:
        rung = self._first_rung
        while rung < step:
            rung *= self._reduction
        return rung == step


class Bracket:
    """One of Hyperband's brackets: which trials are in it.

    Args:
        number: from 0; the higher, the later its first rung.
        num_brackets: of all.
        study_name: so that the trials of another search are divided otherwise.
        reduction: of successive halving.
    """

    def __init__(self, number: int, num_brackets: int, study_name: str, reduction: int) -> None:
        self._number, self._study_name = number, study_name
        # Each bracket gets about the same amount of training, and so the less trials the later.
        shares = [
            math.ceil(num_brackets * reduction**left / (left + 1))
            for left in reversed(range(num_brackets))
        ]
        self._start, self._end = sum(shares[:number]), sum(shares[: number + 1])
        self._total = sum(shares)

    def has(self, trial: FrozenTrial) -> bool:
        """Return whether a trial is in this bracket."""
        place = zlib.crc32(f"{self._study_name}_{trial.number}".encode()) % self._total
        return self._start <= place < self._end


class HyperbandPruner(BasePruner):
    """Successive halving with several first rungs (Li et al. 2018, arXiv 1603.06560).

    Args:
        first_rung: evaluations before the first decision in the first bracket, at least 1.
        reduction: one out of so many goes on.
    """

    def __init__(self, first_rung: int, reduction: int = 3) -> None:
        self._first_rung, self._reduction = first_rung, reduction

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial is to be stopped; none is before one has come to its end."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        longest = max((other.last_step or 0 for other in complete), default=0)
        if longest < self._first_rung:
            return False
        num_brackets, rung = 1, self._first_rung
        while rung * self._reduction <= longest:
            num_brackets, rung = num_brackets + 1, rung * self._reduction
        for number in range(num_brackets):
            bracket = Bracket(number, num_brackets, study.study_name, self._reduction)
            if bracket.has(trial):
                first_rung = self._first_rung * self._reduction**number
                return AshaPruner(first_rung, self._reduction, bracket).prune(study, trial)
        return False


def check_pruner(name: str, objectives: list[str]) -> None:
    """Check that a pruner is there, and that the objectives let trials be pruned.

    Raises:
        ConfigError: if not.
    """
    if name not in PRUNERS:
        raise ConfigError(f"sweep.pruner={name}: no such pruner; {nearest(name, PRUNERS)}")
    if name == "none":
        return
    if len(objectives) > 1:
        raise ConfigError(
            f"sweep.pruner={name}: with several objectives ({', '.join(objectives)}) no trial is "
            "worse than another half-way; choose sweep.pruner=none"
        )
    if not objectives[0].startswith(("val/", "train/")):
        raise ConfigError(
            f"sweep.pruner={name}: {objectives[0]} does not tell half-way which trial is better; "
            "choose sweep.pruner=none"
        )


def make_pruner(name: str, min_evaluations: int) -> BasePruner:
    """Return a pruner.

    Args:
        name: one of `PRUNERS`.
        min_evaluations: that each trial has, at least 1.
    """
    if name == "median":
        return MedianPruner(n_warmup_steps=min_evaluations)
    if name == "asha":
        return AshaPruner(min_evaluations)
    return HyperbandPruner(min_evaluations) if name == "hyperband" else NopPruner()
