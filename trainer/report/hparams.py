"""A run on TensorBoard's HParams page: its settings, its state and what it came to.

TensorFlow is imported only by whoever opens a session: `mark_failed` is for the parent of a run.
"""

import fcntl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.summary.writer.record_writer import RecordWriter

from trainer.disk import blaming_disk

SUCCEEDED, FAILED = Status.STATUS_SUCCESS, Status.STATUS_FAILURE
EVENT_FILES = "events.out.tfevents.*.tapeloop"

_HEAD, _TAIL = 12, 4  # bytes of a record before and after its event


class HParamsSession:
    """An event file in the run folder itself, written anew whenever the run is taken up.

    The page puts the curves in `train/` and `val/` beside it by itself, with their last values. The
    metrics of the best weights are added as `best/…`.

    Args:
        run_dir: the run folder.
        settings: name to value, as `session_settings` returns them.
    """

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        from tensorboard.plugins.hparams import summary_v2

        from trainer.event_files import EventFile  # with TensorFlow

        self._events = EventFile(run_dir)
        # Its own name, and not a hash of the settings: equal settings are still several runs.
        here, path = Path.cwd(), run_dir.resolve()
        name = path.relative_to(here) if path.is_relative_to(here) else path
        start = summary_v2.hparams_pb(dict(settings), trial_id=str(name))
        self._events.summary(0, start)
        self._events.position()  # hands it to the operating system: the page shows it at once

    def end(self, status: int, best: Mapping[str, float], step: int) -> None:
        """Write how it ended: `SUCCEEDED` or `FAILED`, and the metrics of the best weights."""
        columns = {f"best/{name}": np.array([value]) for name, value in best.items()}
        if columns:
            self._events.scalars(np.array([step]), columns, time.time())
        self._events.summary(0, _end(status))

    def close(self) -> None:
        """Close the file."""
        self._events.close()


def mark_failed(run_dir: Path) -> None:
    """Write the end of a run whose process died without a word, such as one that was killed.

    Nothing is written where the run has ended by itself, where a process trains in the folder,
    where none has begun to, or to where a link points. A run that is taken up again writes its
    session anew; a TensorBoard that has read this end shows the new one when it is started again.

    Args:
        run_dir: the run folder.

    Raises:
        RunFolderError: if it cannot be written.
    """
    paths = sorted(run_dir.glob(EVENT_FILES))
    if not paths or paths[0].is_symlink() or not (run_dir / "lock").is_file():
        return
    with (
        blaming_disk(paths[0]),
        (run_dir / "lock").open("rb") as lock,
        paths[0].open("r+b") as file,
    ):
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        events, length = _whole_events(file.read())
        if not events or any(metadata.SESSION_END_INFO_TAG.encode() in event for event in events):
            return
        # A record cut off by the kill would hide all that comes after it.
        file.truncate(length)
        file.seek(length)
        event = Event(wall_time=time.time(), step=0, summary=_end(FAILED))
        RecordWriter(file).write(event.SerializeToString())


def _end(status: int) -> Summary:
    data = HParamsPluginData(
        session_end_info=SessionEndInfo(status=status, end_time_secs=time.time())
    )
    summary = Summary()
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return summary


def _whole_events(content: bytes) -> tuple[list[bytes], int]:
    """Return the events of whole records, and how many bytes these take."""
    events, length = [], 0
    while len(head := content[length : length + _HEAD]) == _HEAD:
        end = length + _HEAD + int.from_bytes(head[:8], "little") + _TAIL
        if end > len(content):
            break
        events.append(content[length + _HEAD : end - _TAIL])
        length = end
    return events, length
