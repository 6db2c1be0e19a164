"""The jobs of a search: each is a trial, which a run folder of its own and a process belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial, TrialState

from trainer.config import ConfigError
from trainer.disk import RunFolderError
from trainer.sweep.job import FAILED, FINISHED, PRUNED, STOPPED, Job, Outcome
from trainer.sweep.plan import is_finished
from trainer.sweep.search.objectives import values_of
from trainer.sweep.search.trials import POINT, Trials
from trainer.sweep.watched_run import WatchedRun, is_finite


class MakesJobs(Protocol):
    """What `trainer.sweep.plan.Planner` does."""

    folder: Path

    def job(self, words: Sequence[str], number: int, name: str | None = None) -> Job:
        """Return the job of some words; a ConfigError says why it cannot be trained."""


@dataclass
class _Own:
    """A trial that this process runs."""

    trial_id: int
    num_asked: int = 0
    is_pruned: bool = False


class TrialSource:
    """Gives the pool trials as jobs, and the storage what became of them.

    Args:
        trials: of the study.
        planner: makes the jobs.
        fixed: the words that all trials have.
        objectives: `max` or `min` by metric.
    """

    def __init__(
        self,
        trials: Trials,
        planner: MakesJobs,
        fixed: Sequence[str],
        objectives: Mapping[str, str],
    ) -> None:
        self._trials, self._planner = trials, planner
        self._fixed, self._objectives = list(fixed), objectives
        self._own: dict[str, _Own] = {}
        self.outcomes: list[tuple[Job, Outcome]] = []
        """How the trials ended that this process has run."""

    def next(self) -> Job | None:
        """Return a trial that is to be run now; None if there is none, or not yet."""
        while True:
            trial = self._trials.take()
            if trial is None:
                return None
            job = self._job(trial)
            if job is not None:
                return job

    def is_worth_going_on(self, job: Job, run: WatchedRun) -> bool:
        """Report the evaluations that are new, and return whether the pruner lets the job go on."""
        self._trials.beat()
        own = self._own[job.name]
        if len(self._objectives) > 1:
            return True  # neither reports nor pruners of Optuna know of several
        metric = next(iter(self._objectives))
        while not own.is_pruned and own.num_asked < len(run.evaluations):
            value: Any = run.evaluations[own.num_asked].get(metric)
            own.num_asked += 1
            is_last = own.num_asked == len(run.evaluations) and run.share_done >= 1
            number = float(value) if is_finite(value) else float("nan")
            going_on = self._trials.is_worth_going_on(own.trial_id, own.num_asked, number, is_last)
            own.is_pruned = not going_on
        return not own.is_pruned

    def ended(self, job: Job, outcome: Outcome, run: WatchedRun) -> Outcome:
        """Tell the storage how a trial ended, and return what it is told.

        One that the pruner has stopped counts as such, whether or not its process came to its end
        before it heard of that: otherwise a search would depend on who was faster.
        """
        own = self._own[job.name]
        if outcome.state in (FINISHED, PRUNED):
            self.is_worth_going_on(job, run)
        if own.is_pruned:
            outcome = replace(outcome, state=PRUNED, reason="")
        del self._own[job.name]
        if outcome.state == STOPPED:
            self._trials.let_go(own.trial_id)
        elif outcome.state == PRUNED:
            self._trials.tell(own.trial_id, TrialState.PRUNED)
        elif outcome.state == FAILED:
            self._trials.tell(own.trial_id, TrialState.FAIL, reason=outcome.reason)
        else:
            values, wrong = values_of(job.run_dir, self._objectives)
            if wrong:
                outcome = replace(outcome, state=FAILED, reason=wrong)
                self._trials.tell(own.trial_id, TrialState.FAIL, reason=wrong)
            else:
                self._trials.tell(own.trial_id, TrialState.COMPLETE, values)
        self.outcomes.append((job, outcome))
        return outcome

    def _job(self, trial: FrozenTrial) -> Job | None:
        """Return a trial's job; None if it cannot be trained or has been, which is then told."""
        own = list(trial.user_attrs[POINT]["words"])
        name = f"trial_{trial.number}"
        try:
            job = self._planner.job([*self._fixed, *own], trial.number, name)
            has_ended = is_finished(job)
        except (ConfigError, HydraException, OmegaConfBaseException, RunFolderError) as error:
            reason = " ".join(str(error).split())
            self._trials.tell(trial._trial_id, TrialState.FAIL, reason=reason)
            self.outcomes.append((past_job(trial, self._planner.folder), Outcome(FAILED, reason)))
            return None
        job = replace(job, label=label(trial))
        self._own[name] = _Own(trial._trial_id)
        if has_ended:  # and its sweep was killed before it could say so
            run = WatchedRun(job.run_dir, job.config)
            run.update()
            self.ended(job, Outcome(FINISHED), run)
            return None
        return job


def past_job(trial: FrozenTrial, folder: Path) -> Job:
    """Return the job of a trial that is not to be run (again), for lists of them.

    Args:
        trial: of the study.
        folder: of the sweep.
    """
    name = f"trial_{trial.number}"
    words = list(trial.user_attrs.get(POINT, {}).get("words", []))
    log = folder / "logs" / f"{name}.log"
    return Job(name, label(trial), words, run_dir=folder / name, log=log, config={})


def label(trial: FrozenTrial) -> str:
    """Return a trial's name and point for people, such as `trial_7 optimizer.momentum=0.912`."""
    words = trial.user_attrs.get(POINT, {}).get("words", [])
    return " ".join([f"trial_{trial.number}", *map(_short, words)])


def _short(word: str) -> str:
    key, _, value = word.partition("=")
    try:
        return f"{key}={float(value):.4g}" if not value.lstrip("-").isdecimal() else word
    except ValueError:
        return word
