"""What runs a job somewhere: the contract of this machine, Slurm and Ray."""

from typing import Protocol

from trainer.sweep.job import Job


class Handle(Protocol):
    """A job's process, wherever it is."""

    def exit_code(self) -> int | None:
        """Return None while it runs, then its exit code; below 0: killed by that signal."""

    def stop(self) -> None:
        """Ask it to save its state and end with code 75; asked twice, it ends at once."""

    def where(self) -> str:
        """Return its place in a few words, such as `process 4711`, for people."""


class Executor(Protocol):
    """Starts jobs; each gets a process of its own, and what it prints goes to its log."""

    num_workers: int
    """How many jobs it runs side by side."""

    def start(self, job: Job) -> Handle:
        """Start a job's command."""

    def close(self) -> None:
        """Let go of what was taken for the sweep; jobs that still run are not touched."""
