"""What a run leaves to look at: TensorBoard event files and `metrics.jsonl`.

Both are files that are appended to. `positions` are their lengths at a checkpoint; a resumed run
cuts them back to there, and goes on without a duplicated or a missing point.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image.metadata import create_summary_metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

Positions = Mapping[str, int]

_SPLITS = ("train", "val")


class RunWriter:
    """Appends to the run folder's `metrics.jsonl` and to the event files in `train/` and `val/`.

    Args:
        run_dir: the run folder.
        positions: length in bytes of each file at the checkpoint that is resumed; files are cut
            back to it. None starts anew: what is there is removed.
    """

    def __init__(self, run_dir: Path, positions: Positions | None = None) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {}
        paths = {"metrics": run_dir / "metrics.jsonl"} | {
            split: _event_file(run_dir / split) for split in _SPLITS
        }
        for name, path in paths.items():
            self._files[name] = path.open("ab")
            self._files[name].truncate((positions or {}).get(name, 0))
            self._files[name].seek(0, os.SEEK_END)
        self._events = {split: RecordWriter(self._files[split]) for split in _SPLITS}
        for split in _SPLITS:
            if self._files[split].tell() == 0:
                self._write(split, Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalars(self, row: Mapping[str, float]) -> None:
        """Write one line of `metrics.jsonl`, and its `train/…` and `val/…` values as events.

        Args:
            row: `step`, `epoch` and values such as `train/loss`; `time/…` for wall-clock figures.
        """
        line = {name: _json_number(value) for name, value in row.items()}
        self._files["metrics"].write(json.dumps(line).encode() + b"\n")
        for name, value in row.items():
            split, _, tag = name.partition("/")
            if split in _SPLITS:
                self._summary(split, int(row["step"]), scalar_pb(tag, value))
            elif split == "time":
                self._summary("train", int(row["step"]), scalar_pb(name, value))

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write Markdown to TensorBoard's text page."""
        self._summary("train", step, text_pb(tag, markdown))

    def images(self, tag: str, images: np.ndarray, step: int = 0) -> None:
        """Write pictures to TensorBoard's image page.

        Args:
            tag: their heading.
            images: uint8 [N, H, W, C], C in {1, 3}.
            step: at which step they were made.
        """
        height, width = images.shape[1:3]
        encoded = [tf.io.encode_png(image).numpy() for image in images]
        content = np.array([str(width).encode(), str(height).encode(), *encoded], dtype=object)
        summary = Summary()
        summary.value.add(
            tag=tag,
            metadata=image_metadata(display_name=tag, description=""),
            tensor=tensor_util.make_tensor_proto(content),
        )
        self._summary("train", step, summary)

    def flush(self) -> Positions:
        """Hand everything to the operating system; return the files' lengths in bytes."""
        for file in self._files.values():
            file.flush()
        return {name: file.tell() for name, file in self._files.items()}

    def close(self) -> None:
        """Flush and close the files."""
        for file in self._files.values():
            file.close()

    def _summary(self, split: str, step: int, summary: Summary) -> None:
        # Through bytes, since these summaries may be TensorFlow's message class.
        message = Summary.FromString(summary.SerializeToString())
        self._write(split, Event(wall_time=time.time(), step=step, summary=message))

    def _write(self, split: str, event: Event) -> None:
        self._events[split].write(event.SerializeToString())


def _event_file(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    existing = sorted(folder.glob("events.out.tfevents.*"))
    return existing[0] if existing else folder / f"events.out.tfevents.{int(time.time())}.tapeloop"


def _json_number(value: Any) -> Any:
    # JSON has no NaN: null keeps the line readable for every parser.
    return None if isinstance(value, float) and not math.isfinite(value) else value
