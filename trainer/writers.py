"""What a run leaves to look at: TensorBoard event files and `metrics.jsonl`.

Both are files that are appended to. `positions` are their lengths at a checkpoint; a resumed run
cuts them back to there, and goes on without a duplicated or a missing point. A thread of its own
writes them, so that steps wait for no disk.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import orjson

from trainer.event_files import EventFile

Positions = Mapping[str, int]

_SPLITS = ("train", "val")
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE  # and null for NaN
_QUEUE_LENGTH = 32
"""Chunks that may wait to be written; with more, the steps wait, so that memory stays bounded."""


class RunWriter:
    """Appends to the run folder's `metrics.jsonl` and to the event files in `train/` and `val/`.

    Methods return at once. What went wrong in the thread is raised by the next call.

    Args:
        run_dir: the run folder.
        positions: length in bytes of each file at the checkpoint that is resumed; files are cut
            back to it. None starts anew: what is there is removed.
    """

    def __init__(self, run_dir: Path, positions: Positions | None = None) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        positions = positions or {}
        self._metrics = (run_dir / "metrics.jsonl").open("ab")
        self._metrics.truncate(positions.get("metrics", 0))
        self._metrics.seek(0, os.SEEK_END)
        self._events = {s: EventFile(run_dir / s, positions.get(s, 0)) for s in _SPLITS}
        self._error: BaseException | None = None
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._write_all, name="writer", daemon=True)
        self._thread.start()

    def row(self, values: Mapping[str, float]) -> None:
        """Write one row; see `rows`."""
        self.rows({name: np.array([value]) for name, value in values.items()})

    def rows(self, columns: Mapping[str, np.ndarray]) -> None:
        """Write lines of `metrics.jsonl`, and their `train/…` and `val/…` values as events.

        Args:
            columns: `step` and `epoch`, and values such as `train/loss`, all [N]; `time/…` for
                wall-clock figures.
        """
        self._submit(lambda: self._write_rows(columns))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write Markdown to TensorBoard's text page."""
        self._submit(lambda: self._events["train"].text(tag, step, markdown))

    def images(self, tag: str, images: np.ndarray, step: int = 0) -> None:
        """Write pictures to TensorBoard's image page.

        Args:
            tag: their heading.
            images: uint8 [N, H, W, C], C in {1, 3}.
            step: at which step they were made.
        """
        self._submit(lambda: self._events["train"].images(tag, step, images))

    def flush(self) -> Positions:
        """Wait until everything is with the operating system; return the files' lengths."""
        self._queue.join()
        self._raise()
        self._metrics.flush()
        lengths = {split: file.flush() for split, file in self._events.items()}
        return {"metrics": self._metrics.tell(), **lengths}

    def close(self) -> None:
        """Write what waits, and close the files."""
        self._queue.put(None)
        self._thread.join()
        self._metrics.close()
        for file in self._events.values():
            file.close()
        self._raise()

    def _submit(self, write: Callable[[], None]) -> None:
        self._raise()
        self._queue.put(write)

    def _raise(self) -> None:
        if self._error:
            error, self._error = self._error, None
            raise error

    def _write_all(self) -> None:
        while (write := self._queue.get()) is not None:
            try:
                if self._error is None:
                    write()
            except Exception as error:
                self._error = error
            self._queue.task_done()

    def _write_rows(self, columns: Mapping[str, np.ndarray]) -> None:
        steps = columns["step"]
        rows = zip(*columns.values(), strict=True)
        lines = [orjson.dumps(dict(zip(columns, row, strict=True)), option=_JSON) for row in rows]
        self._metrics.write(b"".join(lines))
        for split, events in self._events.items():
            curves = {_tag(name): v for name, v in columns.items() if _split(name) == split}
            if curves:
                events.scalars(steps, curves, time.time())


def _split(name: str) -> str:
    group = name.partition("/")[0]
    return "train" if group == "time" else group


def _tag(name: str) -> str:
    return name.removeprefix("train/").removeprefix("val/")
