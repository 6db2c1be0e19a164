"""One job of a sweep: what is typed to run it, where it goes, and what became of it."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.quoting import quoted

FINISHED, FAILED, STOPPED, PRUNED = "finished", "failed", "stopped", "pruned"


@dataclass(frozen=True)
class Job:
    """A training with a run folder of its own.

    Args:
        name: of the folder.
        label: what is its own among the jobs of the sweep, for people.
        words: of the command line, without the folder.
        run_dir: where it goes.
        log: gets what its process prints, of one attempt after the other.
        config: the checked configuration, as plain values.
    """

    name: str
    label: str
    words: Sequence[str]
    run_dir: Path
    log: Path
    config: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        """The words of its process; the same by hand goes on with it."""
        # A file of conf/ may ask for a sweep: a job of it must not start another.
        own = ["hydra.mode=RUN", f"hydra.run.dir={quoted(self.run_dir)}"]
        return [sys.executable, "-m", "trainer", *self.words, *own]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its process: that of the sweep, where errors end in one line again."""
        return {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR"}


@dataclass(frozen=True)
class Outcome:
    """How a process of a job ended.

    Args:
        state: `finished`, `failed`, `stopped` (its state is saved) or `pruned`.
        reason: the last line that it printed, of one that failed.
        seconds: how long it took; 0 if it was finished before.
    """

    state: str
    reason: str = ""
    seconds: float = 0.0
