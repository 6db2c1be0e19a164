"""One process that trains in a run folder, watched from outside by what it writes there."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from trainer.checkpoint import load_facts
from trainer.quoting import quoted

_TAIL_BYTES = 1 << 16
"""How much of the end of `metrics.jsonl` is read to find its last row."""
_RESUMED = re.compile(r"going on from step ([\d,]+) ")

Signature = tuple[int, int]
"""Size and time of change of a file, by which one sees that it was written to."""


class RunFailedError(Exception):
    """A run ended otherwise than by a kill or well; the message is one line for the user."""


class Attempt:
    """Starts `python -m trainer` in a process of its own; what is left of it ends with the context.

    Args:
        words: of the command line, without the folder.
        run_dir: the run folder.
        log: gets what the process prints.
    """

    def __init__(self, words: Sequence[str], run_dir: Path, log: Path) -> None:
        self._metrics, self._checkpoints = run_dir / "metrics.jsonl", run_dir / "checkpoints"
        self._log = log
        self.checkpoint_step, self._position = self._newest_checkpoint()
        # What a process killed before left behind is there until this one takes up the run.
        self._metrics_before = _signature(self._metrics)
        self._partial_before = self._partial_files()
        self._last_row: Mapping[str, Any] | None = None
        self._metrics_seen = self._metrics_before
        log.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.monotonic()
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer", *words, f"hydra.run.dir={quoted(run_dir)}"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._started

    @property
    def last_row(self) -> Mapping[str, Any] | None:
        """The last row that this process has written; None before the first."""
        seen = _signature(self._metrics)
        if seen != self._metrics_seen and seen != self._metrics_before:
            self._metrics_seen = seen
            self._last_row = self._read_last_row()
        return self._last_row

    @property
    def step(self) -> int:
        """The last step that it has shown; at first, the one that it goes on from."""
        row = self.last_row
        return int(row["step"]) if row else self.checkpoint_step

    def is_writing_checkpoint(self) -> bool:
        """Return whether a checkpoint is half written, by this process."""
        now = self._partial_files()
        return any(self._partial_before.get(name) != seen for name, seen in now.items())

    def is_running(self) -> bool:
        """Return whether it goes on; False once it has done all.

        Raises:
            RunFailedError: if it has failed.
        """
        code = self._process.poll()
        if code:
            raise RunFailedError(self._failure(code))
        return code is None

    def wait(self) -> None:
        """Wait until it has done all.

        Raises:
            RunFailedError: if it fails.
        """
        self._process.wait()
        self.is_running()

    def kill(self) -> bool:
        """Send SIGKILL; return whether that ended it, and not its own end just before.

        Raises:
            RunFailedError: if it had failed.
        """
        self._process.kill()
        code = self._process.wait()
        if code not in (0, -signal.SIGKILL):
            raise RunFailedError(self._failure(code))
        return code != 0

    def resumed_at(self) -> int | None:
        """Return the step of the checkpoint that it took up; None if it took up none."""
        found = _RESUMED.search(self._log.read_text(errors="replace"))
        return int(found[1].replace(",", "")) if found else None

    def _newest_checkpoint(self) -> tuple[int, int]:
        """Return its step, and how long `metrics.jsonl` was then."""
        paths = sorted(self._checkpoints.glob("step_*.safetensors"))
        if not paths:
            return 0, 0
        length = load_facts(paths[-1])["positions"]["metrics"]["length"]
        return int(paths[-1].stem.partition("_")[2]), int(length)

    def _read_last_row(self) -> Mapping[str, Any] | None:
        with self._metrics.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(self._position, size - _TAIL_BYTES))
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        try:
            return orjson.loads(whole[-1]) if whole else None
        except orjson.JSONDecodeError:
            return self._last_row

    def _partial_files(self) -> dict[str, Signature]:
        # A name may be gone before it is looked at.
        found = {path.name: _signature(path) for path in self._checkpoints.glob("*.partial")}
        return {name: seen for name, seen in found.items() if seen != _ABSENT}

    def _failure(self, code: int) -> str:
        lines = [
            line for line in self._log.read_text(errors="replace").splitlines() if line.strip()
        ]
        said = lines[-1].strip() if lines else "it printed nothing"
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"the run ended {how}, not by this command: {said} (see {self._log})"


_ABSENT: Signature = (0, 0)


def _signature(path: Path) -> Signature:
    try:
        status = path.stat()
    except FileNotFoundError:
        return _ABSENT
    return status.st_size, status.st_mtime_ns
