"""Runs the jobs of a sweep side by side until none is left; one that fails stops no other."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from trainer.compare.past_run import is_held
from trainer.signals import EXIT_CODE_INTERRUPTED, StopRequest
from trainer.sweep.board import Board
from trainer.sweep.executor import Executor, Handle
from trainer.sweep.job import FAILED, FINISHED, PRUNED, STOPPED, Job, Outcome
from trainer.sweep.last_words import last_words, size_of
from trainer.sweep.watched_run import WatchedRun, has_finished

POLL_SECONDS = 0.2


class JobSource(Protocol):
    """Where jobs come from: a list, or a search that thinks of them one by one."""

    def next(self) -> Job | None:
        """Return a job to run now; None if there is none, for the moment or for good."""

    def is_worth_going_on(self, job: Job, run: WatchedRun) -> bool:
        """Return whether a running job should go on; asked again and again."""

    def ended(self, job: Job, outcome: Outcome, run: WatchedRun) -> Outcome:
        """Take note of how the process of a job ended, and return what that comes to."""


class JobList:
    """The jobs of a grid, in order.

    Args:
        jobs: all that are to run.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waiting = deque(jobs)
        self.outcomes: dict[str, Outcome] = {}
        """By name, of the jobs that have ended."""

    def next(self) -> Job | None:
        """Return the next job, or None after the last."""
        return self._waiting.popleft() if self._waiting else None

    def is_worth_going_on(self, job: Job, run: WatchedRun) -> bool:
        """Return True: every point of a grid is wanted."""
        return True

    def ended(self, job: Job, outcome: Outcome, run: WatchedRun) -> Outcome:
        """Note the outcome."""
        self.outcomes[job.name] = outcome
        return outcome


class _Elsewhere:
    """A process that trains in the job's folder, started by a sweep that is gone or by another."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def exit_code(self) -> int | None:
        if is_held(self._job.run_dir):
            return None
        return 0 if has_finished(self._job.run_dir) else EXIT_CODE_INTERRUPTED

    def stop(self) -> None:
        """Leave it alone: it is somebody else's."""

    def where(self) -> str:
        return "another process, waited for"


class _Attempt:
    """One process of a job."""

    def __init__(self, job: Job, executor: Executor) -> None:
        self.job = job
        self.run = WatchedRun(job.run_dir, job.config)
        self.is_elsewhere = is_held(job.run_dir)
        self._log_begun_at = size_of(job.log)
        self.handle: Handle = _Elsewhere(job) if self.is_elsewhere else executor.start(job)
        self.is_pruned = False
        self.is_stopped = False
        self._started = time.monotonic()

    def stop(self) -> None:
        if not self.is_stopped:
            self.is_stopped = True
            self.handle.stop()

    def outcome(self) -> Outcome | None:
        """Return how it ended; None while it runs, or if somebody else goes on with the job."""
        code = self.handle.exit_code()
        if code is None:
            return None
        seconds = time.monotonic() - self._started
        if code == 0:
            return Outcome(FINISHED, seconds=seconds)
        # While it starts, a process has nothing to save yet and does not handle the signal.
        if code == EXIT_CODE_INTERRUPTED or (self.is_stopped and code == -signal.SIGTERM):
            return Outcome(PRUNED if self.is_pruned else STOPPED, seconds=seconds)
        return Outcome(FAILED, last_words(self.job.log, code, self._log_begun_at), seconds)


def run_jobs(source: JobSource, executor: Executor, board: Board) -> str | None:
    """Run what the source has until it has no more and all have ended.

    A job in whose folder another process trains already is waited for, and then gone on with
    unless that finished it. The first signal has the running jobs save their state, a second Ctrl-C
    ends them at once.

    Args:
        source: of the jobs.
        executor: runs them.
        board: shows them.

    Returns:
        The signal that stopped the sweep, or None.
    """
    running: list[_Attempt] = []
    again: deque[Job] = deque()
    with StopRequest() as stop, board:
        try:
            while True:
                while _has_room(running, executor) and not stop.received:
                    job = again.popleft() if again else source.next()
                    if job is None:
                        break
                    running.append(_Attempt(job, executor))
                    board.started(job, running[-1].handle.where(), running[-1].run)
                if not running:
                    return stop.received
                time.sleep(POLL_SECONDS)
                for attempt in list(running):
                    outcome = _look_after(attempt, source, bool(stop.received))
                    if outcome is None:
                        continue
                    running.remove(attempt)
                    if _is_to_go_on(attempt, outcome, bool(stop.received)):
                        again.append(attempt.job)
                    else:
                        board.ended(attempt.job, source.ended(attempt.job, outcome, attempt.run))
                board.show()
        except BaseException:
            for attempt in running:
                attempt.handle.stop()
            raise


def _has_room(running: Sequence[_Attempt], executor: Executor) -> bool:
    return sum(not attempt.is_elsewhere for attempt in running) < executor.num_workers


def _look_after(attempt: _Attempt, source: JobSource, is_stopping: bool) -> Outcome | None:
    if is_stopping:
        attempt.stop()
        if attempt.is_elsewhere:
            return Outcome(STOPPED)
    outcome = attempt.outcome()  # before the file is read, so that nothing written is missed
    attempt.run.update()
    is_asked = outcome is None and not attempt.is_stopped
    if is_asked and not source.is_worth_going_on(attempt.job, attempt.run):
        attempt.is_pruned = True
        attempt.stop()
    return outcome


def _is_to_go_on(attempt: _Attempt, outcome: Outcome, is_stopping: bool) -> bool:
    """Return whether a job is to be taken up again: it was, or is now, in other hands."""
    if is_stopping or outcome.state == FINISHED:
        return False
    return attempt.is_elsewhere or (outcome.state == FAILED and is_held(attempt.job.run_dir))
