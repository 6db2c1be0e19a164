"""The end of a sweep: what failed and why, the answer, and the exit code."""

from collections.abc import Sequence
from pathlib import Path

from trainer.config import ConfigError
from trainer.console import print_lines
from trainer.disk import RunFolderError
from trainer.signals import EXIT_CODE_INTERRUPTED
from trainer.sweep.job import FAILED, STOPPED, Job, Outcome

_FAILED = 1


class SweepEndedError(Exception):
    """A sweep did not finish all of its jobs; what there is to say has been printed."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def finish(
    folder: Path,
    jobs: Sequence[tuple[Job, Outcome | None]],
    signal: str | None,
    tries_again: bool = True,
) -> None:
    """Print what failed and how the jobs compare.

    Args:
        folder: of the sweep.
        jobs: each with its outcome, or None if it was finished before or never begun.
        signal: that stopped the sweep, if one did.
        tries_again: whether the same command runs what failed again; a search does not.

    Raises:
        SweepEndedError: with 75 after a signal, with 1 if a job failed or was stopped.
    """
    # Here, since every training imports this file, and SciPy and Matplotlib take their time.
    from trainer.compare import answer
    from trainer.report.hparams import mark_failed

    ended = [(job, outcome) for job, outcome in jobs if outcome]
    failed = [(job, outcome) for job, outcome in ended if outcome.state == FAILED]
    stopped = [job for job, outcome in ended if outcome.state == STOPPED]
    try:
        for job, _ in failed:
            mark_failed(job.run_dir)
        answer.show([str(folder)], told=[job.run_dir for job, _ in failed])
    except (ConfigError, RunFolderError) as error:
        # No run here, or a full disk: what failed is said all the same.
        print_lines(str(error))
    if failed:
        print_lines(f"{len(failed)} of {len(jobs)} jobs failed:")
    for job, outcome in failed:
        print_lines(f"  {job.label}: {outcome.reason}", f"    log  {job.log}")
    if signal:
        print_lines(f"Stopped by {signal}; the same command goes on with the sweep.")
        raise SweepEndedError(EXIT_CODE_INTERRUPTED)
    if failed and tries_again:
        print_lines("The same command tries again what failed.")
    if stopped:
        print_lines("The same command goes on with what was stopped.")
    if failed or stopped:
        raise SweepEndedError(_FAILED)
