"""Jobs in Slurm's queue, each a batch job; its exit code comes by a file on the shared disk.

Slurm's own commands are called, since the libraries for it wait for `sacct`, which has no answer
on a cluster without accounting.
"""

import contextlib
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.config import ConfigError
from trainer.signals import EXIT_CODE_INTERRUPTED
from trainer.sweep import slurm_batch
from trainer.sweep.job import Job
from trainer.sweep.slurm_batch import ASK_TO_STOP
from trainer.sweep.slurm_queue import SlurmQueue, SlurmRefusedError

_FAILED = 1
_SECONDS_TO_SAVE = 60
"""How long before its time is up a job is asked to stop."""
_SECONDS_BETWEEN_SIGNALS = 5.0


class SlurmHandle:
    """A batch job.

    Args:
        queue: it is in.
        number: that Slurm gave it.
        job: what it runs.
        exit_code_file: that it leaves behind.
    """

    def __init__(self, queue: SlurmQueue, number: str, job: Job, exit_code_file: Path) -> None:
        self._queue, self._number, self._job = queue, number, job
        self._file = exit_code_file
        self._code: int | None = None
        self._asked_to_stop: float | None = None

    def exit_code(self) -> int | None:
        """Return None while it waits or runs, then its exit code; below 0: killed by a signal."""
        if self._code is None:
            self._code = self._read()
        if self._code is None:
            end = self._queue.end_of(self._number)
            if end is None:
                self._ask_again()
                return None
            # Over a network a file that was not there is remembered as such until this.
            list(self._file.parent.iterdir())
            self._code = self._read()
            if self._code is None:
                self._code = self._without_file(end)
        return self._code

    def stop(self) -> None:
        """Ask it to save its state and end; asked twice, Slurm cancels it."""
        if self._asked_to_stop is None:
            self._ask()
        else:
            self._queue.cancel(self._number)

    def where(self) -> str:
        """Return the number of the batch job."""
        return f"Slurm job {self._number}"

    def _ask(self) -> None:
        self._queue.signal(self._number, ASK_TO_STOP.name.removeprefix("SIG"))
        self._asked_to_stop = time.monotonic()

    def _ask_again(self) -> None:
        """Ask once more: a job that was just being started has not heard it."""
        asked = self._asked_to_stop
        if asked is not None and time.monotonic() - asked > _SECONDS_BETWEEN_SIGNALS:
            self._ask()

    def _read(self) -> int | None:
        try:
            code = int(self._file.read_text())
        except FileNotFoundError:
            return None
        self._file.unlink(missing_ok=True)
        return code

    def _without_file(self, end: str) -> int:
        """Return the exit code of a job that Slurm, or what befell its node, has ended."""
        if self._asked_to_stop is not None and end.startswith("CANCELLED"):
            return EXIT_CODE_INTERRUPTED  # it was still waiting for its turn
        _say(self._job, f"Slurm: {end}")
        return _FAILED


class _Refused:
    """A job that Slurm does not take."""

    def exit_code(self) -> int:
        return _FAILED

    def stop(self) -> None:
        """Do nothing: there is no process."""

    def where(self) -> str:
        return "refused by Slurm"


class SlurmExecutor:
    """Submits each job with `sbatch`, from the folder of this process, with its environment.

    Args:
        num_workers: how many are in the queue at once, waiting or running.
        options: of `sbatch`, such as `--partition=gpu`.
    """

    def __init__(self, num_workers: int, options: Sequence[str]) -> None:
        self.num_workers = num_workers
        self._options = list(options)
        self._queue = SlurmQueue()
        self._has_submitted = False

    def start(self, job: Job) -> SlurmHandle | _Refused:
        """Submit a job.

        Raises:
            ConfigError: if Slurm does not take the first one: it would take none. Any other fails
                by itself, as where a limit of the user's jobs is reached.
        """
        job.log.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own for each attempt: one before may have left its code.
        exit_code_file = job.log.absolute().with_name(f"{job.log.stem}.{time.time_ns()}.exit")
        options = [
            f"--job-name={job.name}",
            f"--chdir={Path.cwd()}",
            f"--output={str(job.log.absolute()).replace('%', '%%')}",
            "--open-mode=append",
            "--export=ALL",
            # The same job again could meet the one that the next command starts.
            "--no-requeue",
            f"--signal=B:{ASK_TO_STOP.name.removeprefix('SIG')}@{_SECONDS_TO_SAVE}",
            *self._options,
        ]
        try:
            number = self._queue.submit(options, _script(job, exit_code_file), job.environment)
        except SlurmRefusedError as error:
            if not self._has_submitted:
                raise ConfigError(f"hydra/launcher=slurm: {error}") from error
            _say(job, f"Slurm: {error}")
            return _Refused()
        self._has_submitted = True
        return SlurmHandle(self._queue, number, job, exit_code_file)

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _script(job: Job, exit_code_file: Path) -> str:
    words = [sys.executable, "-m", slurm_batch.__name__, str(exit_code_file), *job.command]
    # Ignored until Python handles them: either would end the script without a word.
    signals = f"{ASK_TO_STOP.name.removeprefix('SIG')} TERM"
    return f"#!/bin/sh\ntrap '' {signals}\nexec {shlex.join(words)}\n"


def _say(job: Job, line: str) -> None:
    with contextlib.suppress(OSError), job.log.open("a") as log:
        log.write(f"{line}\n")
