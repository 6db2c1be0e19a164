"""What is not ranked and why, jobs of a sweep that left nothing but their log among them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.compare.found_runs import in_natural_order
from trainer.compare.past_run import FINISHED, PastRun
from trainer.compare.wording import how_far
from trainer.log_tail import last_line
from trainer.sweep_folder import NAME as SWEEP_FILE

_LOGS = "logs"
_EXPLAINED = (FINISHED, "running", "stopped")

Unranked = Sequence[tuple[Path, str]]
"""Run folders, and what is said of each."""


def unranked(runs: Iterable[PastRun]) -> list[tuple[Path, str]]:
    """Return how far each run got, with the log of its process where a sweep keeps one."""
    return [(run.folder, ", ".join([how_far(run), *_of_log(run)])) for run in runs]


def lost_jobs(words: Sequence[str], folders: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the jobs of sweeps that have a log and no run, with the log's last line.

    Args:
        words: the folders asked about.
        folders: the run folders in them.
    """
    places = [Path(word).resolve() for word in words if Path(word).is_dir()]
    known = {folder.resolve() for folder in folders}
    sweeps = dict.fromkeys([*places, *(folder.parent for folder in known)])
    lost = []
    for sweep in sweeps:
        is_asked = any(sweep.is_relative_to(place) for place in places)
        if not is_asked or not (sweep / SWEEP_FILE).exists():
            continue
        for log in sorted((sweep / _LOGS).glob("*.log"), key=in_natural_order):
            folder = sweep / log.stem
            if folder not in known and log.is_file():
                lost.append((folder, f"nothing trained, {_ending(log)}"))
    return lost


def _of_log(run: PastRun) -> list[str]:
    log = run.folder.parent / _LOGS / f"{run.folder.name}.log"
    if run.state in _EXPLAINED or not log.is_file():
        return []
    return [f"log {log}" if run.reason else _ending(log)]


def _ending(log: Path) -> str:
    line = last_line(log)
    return f"log {log} ends: {line}" if line else f"log {log} is empty"
