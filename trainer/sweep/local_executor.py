"""Jobs on this machine: processes side by side, with its CPUs or GPUs divided between them."""

import contextlib
import itertools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from trainer.sweep.job import Job

T = TypeVar("T")

_OUT_OF_MEMORY_SCORE = "500"
"""Out of 1000: where memory runs out, Linux ends a job and not the sweep."""


class LocalHandle:
    """A process of this machine, in a group of its own: Ctrl-C reaches the sweep alone.

    Args:
        process: the job's.
    """

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def exit_code(self) -> int | None:
        """Return None while it runs, then its exit code; below 0: killed by that signal."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to save its state and end."""
        self._process.terminate()

    def where(self) -> str:
        """Return the process' number."""
        return f"process {self._process.pid}"


class LocalExecutor:
    """Starts each job on the first place that is free.

    Args:
        num_workers: places: jobs side by side, at least 1. Each has an equal share of the CPUs, or
            of the GPUs where there are any; with more places than CPUs, several share one.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._cpus = shares(sorted(_usable_cpus()), num_workers)
        self._gpus = shares(visible_gpus(), num_workers)
        self._running: dict[int, LocalHandle] = {}

    def start(self, job: Job) -> LocalHandle:
        """Start a job's command on a free place."""
        free = [
            place
            for place in range(self.num_workers)
            if place not in self._running or self._running[place].exit_code() is not None
        ]
        place = free[0]
        environment = job.environment
        if self._gpus[place]:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(self._gpus[place])
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )
        # It may be gone already; and a kernel may know neither.
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setaffinity(process.pid, self._cpus[place])
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE)
        self._running[place] = LocalHandle(process)
        return self._running[place]

    def close(self) -> None:
        """Do nothing: nothing is held."""


def shares(things: Sequence[T], num_shares: int) -> list[list[T]]:
    """Divide things into shares as equal as can be; where there are too few, they are shared.

    >>> shares([0, 1, 2, 3, 4], 2)
    [[0, 1], [2, 3, 4]]
    >>> shares([0, 1], 3)
    [[0], [1], [0]]
    """
    if len(things) < num_shares:
        return [[things[k % len(things)]] if things else [] for k in range(num_shares)]
    ends = [len(things) * k // num_shares for k in range(num_shares + 1)]
    return [list(things[start:end]) for start, end in itertools.pairwise(ends)]


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that a process started here may use, as CUDA numbers them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name and name != "-1"]
    return [str(k) for k in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
