"""The trials of a search in its storage, where any operation may be this process' last.

A trial is made together with its owner, its point is stored in one piece before anything of it is
used, and whoever finds a trial whose owner is dead goes on from what is there. So none is lost,
none is counted twice, and the number of trials is that of all processes together.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from trainer.sweep.search.samplers import propose, seed_of
from trainer.sweep.search.space import Space
from trainer.sweep.search.workers import Liveness, Worker

OWNER, POINT, REASON, SURPLUS = "owner", "point", "reason", "surplus"
"""Attributes of a trial: who runs it; its values by name with its own words of the command line;
why it failed; and that it was begun when another process had just begun the last one."""

_ATTEMPTS = 20
"""Proposals of the sampler, each with another seed, before one that was tried is given up."""
_LOOK_SECONDS = 2.0


class Trials:
    """What this process does with the trials of a study.

    Args:
        storage: of the study.
        study_id: in the storage.
        space: what to choose from.
        make_sampler: of a seed.
        pruner: says which trials to stop.
        num_trials: of the study, by whichever process.
        seed: of the search, at least 0.
        worker: this process.
        liveness: of the others.
    """

    def __init__(
        self,
        storage: BaseStorage,
        study_id: int,
        space: Space,
        make_sampler: Callable[[int], BaseSampler],
        pruner: BasePruner,
        num_trials: int,
        seed: int,
        worker: Worker,
        liveness: Liveness,
    ) -> None:
        self._storage, self._study_id = storage, study_id
        self._space, self._make_sampler, self._pruner = space, make_sampler, pruner
        self._num_trials, self._seed = num_trials, seed
        self._name = storage.get_study_name_from_id(study_id)
        self._worker, self._liveness = worker, liveness
        self._let_go: set[int] = set()
        self._look_again = -float("inf")
        self.is_exhausted = False
        """Whether every point there is has been tried."""

    def beat(self) -> None:
        """Show other processes that this one lives; to be called all the time."""
        self._worker.beat()

    def all(self) -> list[FrozenTrial]:
        """Return the trials that count, in order."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [trial for trial in trials if SURPLUS not in trial.user_attrs]

    def elsewhere(self) -> list[FrozenTrial]:
        """Return the trials that run and are not, and were not, this process' own."""
        return [
            trial
            for trial in self._running()
            if trial._trial_id not in self._let_go
            and trial.user_attrs.get(OWNER) != self._worker.name
        ]

    def orphans(self) -> list[FrozenTrial]:
        """Return the trials that run as far as the storage knows, but whose owner is dead."""
        beats = self._storage.get_study_user_attrs(self._study_id)
        return [
            trial
            for trial in self._running()
            if trial._trial_id not in self._let_go
            and not self._liveness.is_alive(str(trial.user_attrs.get(OWNER, "")), beats)
        ]

    def take(self) -> FrozenTrial | None:
        """Return a trial for this process to run: of a dead one, else a new one; or None."""
        self.beat()
        if time.monotonic() < self._look_again:
            return None
        for orphan in self.orphans():
            if self._claim(orphan):
                settled = self._settle(orphan._trial_id)
                if settled:
                    return settled
        while not self.is_exhausted and len(self.all()) < self._num_trials:
            made = create_trial(state=TrialState.RUNNING, user_attrs={OWNER: self._worker.name})
            number = self._storage.create_new_trial(self._study_id, template_trial=made)
            settled = self._settle(number)
            if settled:
                return settled
        self._look_again = time.monotonic() + _LOOK_SECONDS
        return None

    def is_worth_going_on(self, trial_id: int, ordinal: int, value: float, is_last: bool) -> bool:
        """Report an evaluation of a trial, unless that was done before, and ask the pruner.

        Args:
            trial_id: in the storage.
            ordinal: of the evaluation, from 1; to be called for each in order.
            value: of the objective.
            is_last: whether the run ends with it, so that there is nothing to spare.
        """
        known = self._storage.get_trial(trial_id)
        if known.state.is_finished():
            return True
        if ordinal not in known.intermediate_values:
            try:
                self._storage.set_trial_intermediate_value(trial_id, ordinal, value)
            except UpdateFinishedTrialError:
                return True
        elif ordinal < (known.last_step or 0):
            return True  # as it was answered then: the trial has gone on
        study = self._study()
        return is_last or not self._pruner.prune(study, self._storage.get_trial(trial_id))

    def tell(
        self,
        trial_id: int,
        state: TrialState,
        values: Sequence[float] | None = None,
        reason: str = "",
    ) -> None:
        """Store how a trial ended, unless another process has: then nothing is done.

        Args:
            trial_id: in the storage.
            state: complete, pruned or failed.
            values: of one that is complete.
            reason: of one that failed.
        """
        with contextlib.suppress(UpdateFinishedTrialError):
            if reason:
                self._storage.set_trial_user_attr(trial_id, REASON, reason)
            trial = self._storage.get_trial(trial_id)
            if state == TrialState.PRUNED and trial.last_step is not None:
                last = trial.intermediate_values[trial.last_step]
                values = [last] if last == last else None  # as Optuna does; not NaN
            if not trial.state.is_finished():
                self._storage.set_trial_state_values(trial_id, state, values)

    def let_go(self, trial_id: int) -> None:
        """Leave a trial that was stopped to the next command, or to another process now."""
        self._let_go.add(trial_id)
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial_id, OWNER, "")

    def _running(self) -> list[FrozenTrial]:
        running = (TrialState.RUNNING,)
        return self._storage.get_all_trials(self._study_id, deepcopy=False, states=running)

    def _study(self) -> optuna.Study:
        # Loaded anew each time: a study keeps the trials that it knows from one look to the next.
        return optuna.load_study(study_name=self._name, storage=self._storage)

    def _claim(self, orphan: FrozenTrial) -> bool:
        """Make a dead process' trial our own; False if another process has just done so.

        Should two do so in the same moment, the lock of the run folder lets one of them train.
        """
        owner = orphan.user_attrs.get(OWNER)
        trial = self._storage.get_trial(orphan._trial_id)
        if trial.state.is_finished() or trial.user_attrs.get(OWNER) != owner:
            return False
        try:
            self._storage.set_trial_user_attr(orphan._trial_id, OWNER, self._worker.name)
        except UpdateFinishedTrialError:
            return False
        return self._storage.get_trial(orphan._trial_id).user_attrs[OWNER] == self._worker.name

    def _settle(self, trial_id: int) -> FrozenTrial | None:
        """See to it that a trial has its point; None if it is one too many, or no point is left."""
        trial = self._storage.get_trial(trial_id)
        if SURPLUS in trial.user_attrs or self._rank(trial) >= self._num_trials:
            self._give_up(trial_id)
            return None
        if POINT not in trial.user_attrs and not self._find_point(trial):
            self.is_exhausted = True
            self._give_up(trial_id)
            return None
        trial = self._storage.get_trial(trial_id)
        values = trial.user_attrs[POINT]["values"]
        for each in self._space.existing(values):
            # The command that made the point may have had other ranges.
            if each.name not in trial.params and each.holds(values.get(each.name)):
                internal = each.distribution.to_internal_repr(values[each.name])
                self._storage.set_trial_param(trial_id, each.name, internal, each.distribution)
        return self._storage.get_trial(trial_id)

    def _rank(self, trial: FrozenTrial) -> int:
        return sum(other.number < trial.number for other in self.all())

    def _give_up(self, trial_id: int) -> None:
        self._storage.set_trial_user_attr(trial_id, SURPLUS, True)
        self._storage.set_trial_state_values(trial_id, TrialState.FAIL)

    def _find_point(self, trial: FrozenTrial) -> bool:
        """Store a point that no other trial has; False if there is none left."""
        values: dict[str, Any] = {}
        for values in self._candidates(trial):
            if self._is_new(trial, values):
                self._store(trial, values)
                if self._is_new(trial, values):  # another process may have stored it meanwhile
                    return True
        if self._space.points() is not None:
            return False
        self._store(trial, values)
        return True

    def _candidates(self, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
        for attempt in range(_ATTEMPTS):
            sampler = self._make_sampler(seed_of(self._seed, trial.number, attempt))
            yield propose(self._study(), trial, self._space, sampler)
        yield from self._space.points() or ()

    def _is_new(self, trial: FrozenTrial, values: dict[str, Any]) -> bool:
        """Return whether no other trial has a point: the same words train the same weights."""
        return not any(
            other.user_attrs.get(POINT, {}).get("values") == values
            for other in self.all()
            if other.number != trial.number
        )

    def _store(self, trial: FrozenTrial, values: dict[str, Any]) -> None:
        point = {"values": values, "words": self._space.words(values)}
        self._storage.set_trial_user_attr(trial._trial_id, POINT, point)
