"""A run as seen from outside: its evaluations, how far it is, whether somebody trains it."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from trainer.compare.past_run import FINISHED, read_run
from trainer.durations import Duration


class WatchedRun:
    """Follows the `metrics.jsonl` of a run folder, which may not be there yet.

    Args:
        run_dir: the run folder.
        config: of the run, as plain values.
    """

    def __init__(self, run_dir: Path, config: Mapping[str, Any]) -> None:
        self.run_dir = run_dir
        self.evaluations: list[dict[str, Any]] = []
        """The rows of evaluations so far, each with `step`, `epoch` and metrics."""
        self._length = Duration.parse(config["duration"])
        self._batch_size = config["data"]["batch_size"]
        self._started = time.monotonic()
        self._done_at_first: float | None = None
        self._row: dict[str, Any] = {}
        self._position = 0

    def update(self) -> None:
        """Read what was written since the last time."""
        path = self.run_dir / "metrics.jsonl"
        try:
            if not path.is_file():
                return
            with path.open("rb") as file:
                # A resume takes back what came after its checkpoint, and writes on: then there is
                # less, or the end of no line where this one was left off.
                file.seek(max(0, self._position - 1))
                if self._position and file.read(1) != b"\n":
                    self._position = 0
                    file.seek(0)
                content = file.read()
        except OSError:  # the job will say so
            return
        end = content.rfind(b"\n") + 1
        self._position += end
        for line in content[:end].splitlines():
            self._take(line)
        if self._row and self._done_at_first is None:
            self._done_at_first, self._started = self.share_done, time.monotonic()

    @property
    def epoch(self) -> float:
        """How many epochs are done."""
        return float(self._row.get("epoch", 0.0))

    @property
    def share_done(self) -> float:
        """How much of the run is done, from 0 to 1."""
        done = {
            "ep": self.epoch,
            "st": self._row.get("step", 0),
            "ex": self._row.get("step", 0) * self._batch_size,
            "min": self._seconds_trained() / 60,
        }
        return min(1.0, done[self._length.unit] / self._length.amount)

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on at the speed of this attempt; None before that is known."""
        if self._done_at_first is None:
            return None
        seconds, done = time.monotonic() - self._started, self.share_done - self._done_at_first
        return seconds / done * (1 - self.share_done) if done > 0 and seconds > 1 else None

    def best(self, metric: str, mode: str) -> float | None:
        """Return the best value of a metric so far, such as `val/accuracy`; `mode`: max or min."""
        values = [row[metric] for row in self.evaluations if is_finite(row.get(metric))]
        return (max if mode == "max" else min)(values) if values else None

    def _take(self, line: bytes) -> None:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:  # cut off where a resume went on writing
            return
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            return
        if not is_finite(row.get("epoch", 0.0)):
            return
        self._row = row
        if is_finite(row.get("time/total")):
            # A resume writes some evaluations again, with the same metrics.
            self.evaluations = [e for e in self.evaluations if e["step"] < row["step"]] + [row]

    def _seconds_trained(self) -> float:
        return float(self.evaluations[-1]["time/total"]) if self.evaluations else 0.0


def has_finished(run_dir: Path) -> bool:
    """Return whether a run folder holds a run that got to its end; one that is damaged did not."""
    try:
        return read_run(run_dir).state == FINISHED
    except (ValueError, OSError):
        return False


def is_finite(value: Any) -> bool:
    """Return whether something is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
