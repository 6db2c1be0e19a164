"""Hydra's launchers of `-m`: each job has a process and a run folder of its own, and is resumed.

`isolated` is the default, on this machine. They take the place of Hydra's `basic`, which runs all
jobs in one process, so that what one sets (a dtype policy, names of layers) is left to the next.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from trainer.compare.folder_lock import folder_lock
from trainer.compare.past_run import read_run
from trainer.config import ConfigError, check_sweep
from trainer.settings import SweepSettings
from trainer.sweep.board import Board
from trainer.sweep.direction import direction
from trainer.sweep.executor import Executor
from trainer.sweep.finish import finish
from trainer.sweep.job import FINISHED, Job
from trainer.sweep.local_executor import LocalExecutor
from trainer.sweep.plan import Planner, is_finished, labels, varied_names, words_of_a_job
from trainer.sweep.pool import JobList, run_jobs
from trainer.sweep.seeds import by_configuration, check_settings, of_each
from trainer.sweep_folder import SWEEP_FOLDER, describe_sweep


class TapeLoopLauncher(Launcher):
    """Runs jobs as processes; a subclass says where."""

    planner: Planner

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives: its loader, and the configuration of the sweep."""
        self.planner = Planner(hydra_context.config_loader, config)
        self._config = config

    def executor(self, num_workers: int) -> Executor:
        """Return what runs jobs, `num_workers` of them side by side."""
        raise NotImplementedError

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs that are not finished yet, and say what they came to.

        Args:
            job_overrides: the words of each job.
            initial_job_idx: number of the first.

        Returns:
            A return for each job, with the best value of what it monitors.

        Raises:
            SweepEndedError: if a job failed, or a signal stopped the sweep.
            ConfigError: before any job starts, if one of them cannot be trained.
            RunFolderError: then too, if the folder holds links where the sweep has files.
        """
        _, workers = check_sweep(self._config, SweepSettings)
        jobs = self._jobs(job_overrides, initial_job_idx)
        SWEEP_FOLDER.check(self.planner.folder)
        finished = [job for job in jobs if is_finished(job)]
        waiting = [job for job in jobs if job not in finished]
        if workers.vectorize:
            waiting = by_configuration(waiting)
            for job in waiting:
                check_settings(job.config)
        varied = varied_names([words_of_a_job(words) for words in job_overrides])
        with folder_lock(self.planner.folder):
            describe_sweep(self.planner.folder, varied)
        metric = jobs[0].config["monitor"]
        mode = direction(jobs[0].config, metric)
        shown = [*finished, *waiting]
        board = Board(len(shown), workers.workers, metric, mode, shown)
        for job in finished:
            board.known(job, FINISHED)
        source = JobList(waiting)
        executor = self.executor(workers.workers)
        try:
            signal = run_jobs(source, executor, board)
        finally:
            executor.close()
        outcomes = of_each(waiting, source.outcomes)
        finish(self.planner.folder, [(job, outcomes.get(job.name)) for job in jobs], signal)
        return [_returned(job, list(words)) for job, words in zip(jobs, job_overrides, strict=True)]

    def _jobs(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[Job]:
        jobs, wrong = [], []
        for number, words in enumerate(job_overrides, start=first):
            try:
                jobs.append(self.planner.job(words, number))
            except ConfigError as error:
                wrong.append(str(error))
        if wrong:
            more = f" (and {len(wrong) - 1} more jobs cannot be trained)" if wrong[1:] else ""
            raise ConfigError(f"{wrong[0]}{more}")
        for name, count in Counter(job.name for job in jobs).items():
            if count > 1:
                raise ConfigError(
                    f"{count} jobs would go into the folder {name}; name every value once, and "
                    "leave hydra.sweep.subdir as it is"
                )
        own = labels([words_of_a_job(words) for words in job_overrides])
        return [replace(job, label=label or job.name) for job, label in zip(jobs, own, strict=True)]


class IsolatedLauncher(TapeLoopLauncher):
    """Processes on this machine; `workers` of them side by side."""

    def executor(self, num_workers: int) -> Executor:
        """Return what divides this machine between `num_workers` jobs."""
        return LocalExecutor(num_workers)


def _returned(job: Job, words: list[str]) -> JobReturn:
    """Return what Hydra's sweepers and callbacks look at."""
    returned = JobReturn(overrides=words, working_dir=str(job.run_dir), status=JobStatus.COMPLETED)
    returned.return_value = read_run(job.run_dir).best.get(job.config["monitor"])
    return returned
