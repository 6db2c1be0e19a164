"""What a run leaves to look at: TensorBoard event files and `metrics.jsonl`.

Both are files that are appended to. A checkpoint holds their positions; a resumed run cuts them
back to there, and goes on without a duplicated or a missing point. A thread of its own writes them,
so that steps wait for no disk.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from trainer.appended_file import AppendedFile, Position
from trainer.background import Background
from trainer.event_files import EventFile

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tensorboard.compat.proto.summary_pb2 import Summary

_SPLITS = ("train", "val")
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE  # and null for NaN
_QUEUE_LENGTH = 32
"""Chunks that may wait to be written; with more, the steps wait, so that memory stays bounded."""


class RunWriter:
    """Appends to the run folder's `metrics.jsonl` and to the event files in `train/` and `val/`.

    Methods return at once. What went wrong in the thread is raised by the next call.

    Args:
        run_dir: the run folder.
        positions: where each file stood at the checkpoint that is resumed; files are cut back to
            it. None starts anew: what is there is removed.
    """

    def __init__(self, run_dir: Path, positions: Mapping[str, Position] | None = None) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        positions = positions or {}
        self._metrics = AppendedFile(
            run_dir / "metrics.jsonl", positions.get("metrics"), _num_bytes_of_whole_lines
        )
        self._events = {s: EventFile(run_dir / s, positions.get(s)) for s in _SPLITS}
        self._background = Background("writer", _QUEUE_LENGTH)

    def row(self, values: Mapping[str, float]) -> None:
        """Write one row; see `rows`."""
        self.rows({name: np.array([value]) for name, value in values.items()})

    def rows(self, columns: Mapping[str, np.ndarray]) -> None:
        """Write lines of `metrics.jsonl`, and their `train/…` and `val/…` values as events.

        Args:
            columns: `step` and `epoch`, and values such as `train/loss`, all [N]; `time/…` for
                wall-clock figures.
        """
        self._background.submit(lambda: self._write_rows(columns))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write Markdown to TensorBoard's text page."""
        self._background.submit(lambda: self._events["train"].text(tag, step, markdown))

    def images(self, tag: str, images: np.ndarray, step: int = 0, split: str = "train") -> None:
        """Write pictures to TensorBoard's image page.

        Args:
            tag: their heading.
            images: uint8 [N, H, W, C], C in {1, 3}.
            step: at which step they were made.
            split: `train` or `val`, whichever they are of.
        """
        self._background.submit(lambda: self._events[split].images(tag, step, images))

    def figure(self, tag: str, figure: "Figure", step: int, split: str = "train") -> None:
        """Write a figure of matplotlib to TensorBoard's image page; it is drawn in the thread."""
        self._background.submit(lambda: self._events[split].figure(tag, step, figure))

    def summary(self, summary: "Summary", step: int, split: str = "train") -> None:
        """Write what one of TensorBoard's `summary` modules has made: histograms, curves, …."""
        self._background.submit(lambda: self._events[split].summary(step, summary))

    def graph(self, graph_def: bytes, split: str = "train") -> None:
        """Write a serialized `GraphDef` for TensorBoard's graph page."""
        self._background.submit(lambda: self._events[split].graph(graph_def))

    def flush(self) -> dict[str, Position]:
        """Wait until everything is with the operating system; return where the files stand."""
        self._background.wait()
        positions = {split: file.position() for split, file in self._events.items()}
        return {"metrics": self._metrics.position(), **positions}

    def sync(self) -> None:
        """Wait until what is with the operating system is on the disk; from any thread."""
        self._metrics.sync()
        for events in self._events.values():
            events.sync()

    def close(self) -> None:
        """Write what waits, and close the files."""
        try:
            self._background.close()
        finally:
            self._metrics.close()
            for events in self._events.values():
                events.close()

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


def _num_bytes_of_whole_lines(content: bytes) -> int:
    length = 0
    for line in content.splitlines(keepends=True):
        try:
            is_row = line.endswith(b"\n") and isinstance(orjson.loads(line), dict)
        except orjson.JSONDecodeError:
            is_row = False
        if not is_row:
            break
        length += len(line)
    return length
