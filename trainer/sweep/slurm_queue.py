"""Slurm's queue by its own commands `sbatch`, `squeue` and `scancel`; no accounting is needed."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

COMMANDS = ("sbatch", "squeue", "scancel")

_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}
_SECONDS_BETWEEN_QUESTIONS = 5.0
"""One question for all jobs: a controller serves many users."""
_LONGEST_ANSWER_SECONDS = 60.0


class SlurmRefusedError(Exception):
    """A job that Slurm does not take; the message is what `sbatch` said."""


def missing_commands() -> list[str]:
    """Return those of Slurm's commands that are not installed here."""
    return [name for name in COMMANDS if shutil.which(name) is None]


class SlurmQueue:
    """The jobs of this user, with what became of each."""

    def __init__(self) -> None:
        self._jobs: dict[str, str] = {}
        self._asked = float("-inf")

    def submit(
        self, options: Sequence[str], script: str, environment: Mapping[str, str] | None = None
    ) -> str:
        """Put a batch script into the queue and return its number.

        Args:
            options: of `sbatch`.
            script: with its first line `#!`.
            environment: of the script; None: that of this process.

        Raises:
            SlurmRefusedError: if it is not taken.
        """
        code, output, error = _run(["sbatch", "--parsable", *options], script, environment)
        number = output.strip().partition(";")[0]  # the name of the cluster may follow
        if code or not number.isdecimal():
            raise SlurmRefusedError(" ".join(error.split()) or f"sbatch: exit code {code}")
        self._asked = float("-inf")  # what is known is older than this job
        return number

    def end_of(self, number: str) -> str | None:
        """Return how a job ended, such as `NODE_FAIL (NodeDown)`.

        None while it has not ended, and while Slurm's controller does not answer: its jobs run on
        without it.
        """
        if time.monotonic() - self._asked > _SECONDS_BETWEEN_QUESTIONS and not self._ask():
            return None
        state, _, reason = self._jobs.get(number, "gone from the queue").partition("|")
        if number in self._jobs and state not in _ENDED:
            return None
        return state if reason in ("", "None") else f"{state} ({reason})"

    def signal(self, number: str, name: str) -> None:
        """Send a signal to the process of the batch script; take a job out that does not run yet.

        Args:
            number: of the job; nothing happens if it has ended.
            name: of the signal, such as `USR1`.
        """
        _run(["scancel", "--state=PENDING", number])
        _run(["scancel", "--batch", f"--signal={name}", number])

    def cancel(self, number: str) -> None:
        """End a job: SIGTERM for all its processes, and SIGKILL soon after."""
        _run(["scancel", number])

    def _ask(self) -> bool:
        command = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}"]
        code, output, _ = _run([*command, "--format=%i|%T|%r"])
        self._asked = time.monotonic()
        if code == 0:
            lines = (line.strip().partition("|") for line in output.splitlines())
            self._jobs = {number: rest for number, _, rest in lines}
        return code == 0


def _run(
    command: Sequence[str], text: str = "", environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Return the exit code of a command and what it wrote to its two outputs."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_ANSWER_SECONDS,
            env=environment,
            # Ctrl-C must not end it between a job's submission and its number.
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr
