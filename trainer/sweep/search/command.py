"""A search from its command: all checks before anything starts, then its trials."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from optuna.distributions import check_distribution_compatibility
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from trainer.compare.folder_lock import folder_lock
from trainer.config import ConfigError, check_sweep
from trainer.console import print_lines
from trainer.disk import RunFolderError
from trainer.settings import SearchSettings
from trainer.signals import StopRequest
from trainer.sweep.board import ELSEWHERE, Board
from trainer.sweep.executor import Executor
from trainer.sweep.finish import finish
from trainer.sweep.job import FAILED, FINISHED, PRUNED, Job, Outcome
from trainer.sweep.launcher import TapeLoopLauncher
from trainer.sweep.plan import Planner, words_of_a_job
from trainer.sweep.pool import run_jobs
from trainer.sweep.search.objectives import read_objectives
from trainer.sweep.search.pruners import check_pruner, make_pruner
from trainer.sweep.search.samplers import SAMPLERS, check_sampler
from trainer.sweep.search.source import TrialSource, past_job
from trainer.sweep.search.space import Space, read_space
from trainer.sweep.search.storage import one_line, open_storage, open_study
from trainer.sweep.search.trials import REASON, Trials
from trainer.sweep.search.workers import Liveness, Worker
from trainer.sweep.watched_run import has_finished
from trainer.sweep_folder import JOURNAL, SWEEP_FOLDER, describe_sweep

_STATES = {
    TrialState.RUNNING: ELSEWHERE,
    TrialState.COMPLETE: FINISHED,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: FAILED,
}


def search(
    launcher: TapeLoopLauncher, loader: ConfigLoader, config: DictConfig, arguments: Sequence[str]
) -> None:
    """Run a search, or go on with it, or join it.

    Args:
        launcher: says where its jobs run.
        loader: Hydra's, which composes configurations.
        config: of the sweep, with its `hydra` node.
        arguments: the words of the command line that are not Hydra's.

    Raises:
        ConfigError: before anything starts, if it cannot be searched so.
        SweepEndedError: if a job failed, or a signal stopped the search.
        RunFolderError: if the folder holds links where the search has files, or the storage is
            lost half-way.
    """
    settings, workers = check_sweep(config, SearchSettings)
    num_workers = workers.workers
    if workers.vectorize:
        raise ConfigError("vectorize=seeds: is for sweep=grid; a search thinks of jobs one by one")
    planner = Planner(loader, config)
    space, fixed = read_space(
        OverridesParser.create(config_loader=loader),
        settings.params,
        settings.when,
        words_of_a_job(arguments),
    )
    if any(each.key.lstrip("+") == "seed" for each in space.ranges):
        raise ConfigError(
            "seed: a search would choose the luckiest; give it one, and train the best setting "
            "with others afterwards"
        )
    # What is cheap to check comes first: the configurations take the import of TensorFlow.
    given = settings.objectives if isinstance(settings.objectives, Mapping) else {"val/loss": "min"}
    check_sampler(settings.sampler, len(given))
    check_pruner(settings.pruner, list(given))
    configs = _checked(planner, space, fixed)
    objectives = read_objectives(settings.objectives, configs[0])
    check_pruner(settings.pruner, list(objectives))
    SWEEP_FOLDER.check(planner.folder)
    storage = open_storage(settings.storage, planner.folder)
    try:
        study_id = open_study(storage, settings.name, objectives)
        _check_same(storage, study_id, settings.name, fixed, _left_out(config))
        _check_ranges(storage, study_id, settings.name, space)
        _check_folders(storage, study_id, planner)
        with folder_lock(planner.folder):
            describe_sweep(planner.folder, [each.key.lstrip("+~") for each in space.ranges])
        pruner = make_pruner(settings.pruner, settings.min_evaluations)
        worker = Worker(lambda name, beats: storage.set_study_user_attr(study_id, name, beats))
        trials = Trials(
            storage=storage,
            study_id=study_id,
            space=space,
            make_sampler=SAMPLERS[settings.sampler],
            pruner=pruner,
            num_trials=settings.n_trials,
            seed=settings.seed,
            worker=worker,
            liveness=Liveness(),
        )
        source = TrialSource(trials, planner, fixed, objectives)
        metric, mode = next(iter(objectives.items()))
        board = Board(
            settings.n_trials,
            num_workers,
            metric,
            mode,
            others=lambda: _by_state(trials, planner.folder),
        )
        signal = _run(launcher.executor(num_workers), source, trials, board)
    except (OptunaError, SQLAlchemyError) as error:
        raise RunFolderError(
            f"sweep.storage: lost ({one_line(error)}); the same command goes on with the search"
        ) from error
    if trials.is_exhausted:
        print_lines(f"Every point of the search has been tried: there are {len(trials.all())}.")
    ended = _ended(trials, source, planner.folder)
    pruned = [job for job, outcome in ended if outcome and outcome.state == PRUNED]
    if num_whole := sum(has_finished(job.run_dir) for job in pruned):
        print_lines(
            f"Ranked too: {num_whole} pruned trials, at their end before they could be stopped."
        )
    finish(planner.folder, ended, signal, tries_again=False)


def _by_state(trials: Trials, folder: Path) -> list[tuple[Job, str]]:
    return [
        (past_job(trial, folder), _STATES[trial.state])
        for trial in trials.all()
        if trial.state in _STATES
    ]


def _ended(trials: Trials, source: TrialSource, folder: Path) -> list[tuple[Job, Outcome | None]]:
    """Return all trials with their outcomes, whoever ran them; those that run have none."""
    own = {job.name: outcome for job, outcome in source.outcomes}
    found: list[tuple[Job, Outcome | None]] = []
    for trial in trials.all():
        job, state = past_job(trial, folder), _STATES.get(trial.state, ELSEWHERE)
        reason = str(trial.user_attrs.get(REASON, ""))
        outcome = None if state == ELSEWHERE else Outcome(state, reason)
        found.append((job, own.get(job.name, outcome)))
    return found


def _run(executor: Executor, source: TrialSource, trials: Trials, board: Board) -> str | None:
    """Run jobs until all trials have ended, those of other processes too; return a signal or None.

    Should another process die meanwhile, its trials are taken over.
    """
    said = None
    try:
        while True:
            signal = run_jobs(source, executor, board)
            if signal:
                return signal
            others = [trial.number for trial in trials.elsewhere()]
            if not others:
                return None
            if said != others:
                said = others
                print_lines(f"Other processes run trial {', '.join(map(str, others))}; waiting.")
            with StopRequest() as stop:
                # Short, so that a signal is answered at once.
                for _ in range(10):
                    trials.beat()
                    time.sleep(0.2)
                    if stop.received:
                        return stop.received
    finally:
        executor.close()


def _checked(planner: Planner, space: Space, fixed: Sequence[str]) -> list[Any]:
    """Check configurations of the space before the first trial, each choice and end at least once.

    What some combination of them refuses makes its trial fail, and the search goes on.
    """
    configs = []
    for number, values in enumerate(space.corners()):
        words = space.words(values)
        configs.append(planner.job([*fixed, *words], number, ",".join(words)).config)
    return configs


def _left_out(config: DictConfig) -> list[str]:
    """Return the settings that may differ from machine to machine."""
    return [str(key) for key in config.hydra.job.config.override_dirname.exclude_keys]


def _check_same(
    storage: BaseStorage, study_id: int, name: str, fixed: Sequence[str], left_out: Sequence[str]
) -> None:
    """Check that the command searches what the study was begun with: else values do not compare."""
    here = sorted(w for w in fixed if w.partition("=")[0].lstrip("+~") not in left_out)
    there = storage.get_study_user_attrs(study_id).get("words")
    if there is None:
        storage.set_study_user_attr(study_id, "words", here)
    elif there != here:
        differing = " ".join(sorted(set(there) ^ set(here)))
        raise ConfigError(
            f"sweep.name={name}: this search was begun with other words ({differing}); "
            "give the same, or choose another sweep.name"
        )


def _check_ranges(storage: BaseStorage, study_id: int, name: str, space: Space) -> None:
    """Check that ranges are as they were, as far as Optuna asks it: choices, and the scale."""
    ranges = {each.name: each.distribution for each in space.ranges}
    for trial in storage.get_all_trials(study_id, deepcopy=False):
        for param in trial.distributions.keys() & ranges.keys():
            try:
                check_distribution_compatibility(trial.distributions[param], ranges[param])
            except ValueError as error:
                raise ConfigError(
                    f"{param}: this search was begun with other choices, or a range of another "
                    f"kind; give those, or choose another sweep.name than {name}"
                ) from error


def _check_folders(storage: BaseStorage, study_id: int, planner: Planner) -> None:
    """Check that a new search does not meet the runs of one whose storage is gone."""
    runs = sorted(planner.folder.glob("trial_*/config.yaml"))
    if runs and not storage.get_all_trials(study_id, deepcopy=False):
        raise ConfigError(
            f"{runs[0].parent}: is of a search that its storage does not know (any more); choose "
            f"another sweep.name, remove the folder, or bring {JOURNAL} back"
        )
