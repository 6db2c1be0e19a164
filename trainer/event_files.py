"""TensorBoard's event files, appended to: scalars, text and pictures as records.

A record is its length, a checksum of that, the event, and a checksum of the event, as in TFRecord
files. TensorBoard's own writer spends 14 microseconds on a record in Python's checksum and 30 on a
scalar's message. Here the records of many steps are copies of one, made as an array of bytes.
"""

import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.image.metadata import create_summary_metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.util import tensor_util

from trainer.appended_file import AppendedFile, Position
from trainer.disk import blaming_disk

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class EventFile:
    """One folder's event file.

    Args:
        folder: made if it is not there; the event file in it is appended to.
        position: where the file stood when it is taken up; None begins anew.
    """

    def __init__(self, folder: Path, position: Position | None = None) -> None:
        with blaming_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        existing = sorted(folder.glob("events.out.tfevents.*.tapeloop"))
        name = f"events.out.tfevents.{int(time.time())}.tapeloop"
        path = existing[0] if existing else folder / name
        self._file = AppendedFile(path, position, _num_bytes_of_whole_records)
        self._templates: dict[tuple[str, ...], _Template] = {}
        if self._file.position()["length"] == 0:
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalars(
        self, steps: np.ndarray, columns: Mapping[str, np.ndarray], wall_time: float
    ) -> None:
        """Append a point of each of several curves for each of several steps.

        Args:
            steps: int [N], 0 or more.
            columns: tag to values [N].
            wall_time: of all the points, seconds since the epoch.
        """
        tags = tuple(columns)
        if tags not in self._templates:
            self._templates[tags] = _Template(tags)
        values = np.stack(list(columns.values()), axis=1)
        self._file.write(self._templates[tags].records(steps, values, wall_time))

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Append a text in Markdown."""
        self.summary(step, text_pb(tag, markdown))

    def images(self, tag: str, step: int, images: np.ndarray) -> None:
        """Append pictures: uint8 [N, H, W, C], C in {1, 3}."""
        height, width = images.shape[1:3]
        encoded = [tf.io.encode_png(image).numpy() for image in images]
        content = np.array([str(width).encode(), str(height).encode(), *encoded], dtype=object)
        summary = Summary()
        summary.value.add(
            tag=tag,
            metadata=image_metadata(display_name=tag, description=""),
            tensor=tensor_util.make_tensor_proto(content),
        )
        self.summary(step, summary)

    def figure(self, tag: str, step: int, figure: "Figure") -> None:
        """Append a figure of matplotlib as a picture."""
        from trainer.report.figures import pixels  # with matplotlib

        self.images(tag, step, pixels(figure)[np.newaxis])

    def summary(self, step: int, summary: Summary) -> None:
        """Append what one of TensorBoard's `summary` modules has made."""
        self._write(Event(wall_time=time.time(), step=step, summary=_own(summary)))

    def graph(self, graph_def: bytes) -> None:
        """Append a graph for the graph page: a serialized `GraphDef`."""
        self._write(Event(wall_time=time.time(), graph_def=graph_def))

    def position(self) -> Position:
        """Hand everything to the operating system; return where the file stands."""
        return self._file.position()

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        self._file.sync()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()

    def _write(self, event: Event) -> None:
        content = event.SerializeToString()
        header = _header(len(content))
        self._file.write(header + content + struct.pack("<I", _masked(_checksum(content))))


class _Template:
    """The record of one step with a value for each of some tags.

    Every record has the same length: the step is written as a number of 9 bytes, which readers of
    protocol buffers take as they take the shortest form.
    """

    def __init__(self, tags: tuple[str, ...]) -> None:
        event, self._places = b"", []
        for tag in tags:
            # Where two values give different bytes is where the value stands.
            zero, other = (_scalar_event(tag, value) for value in (0.0, _ALL_BYTES_SET))
            place = next(k for k, (a, b) in enumerate(zip(zero, other, strict=True)) if a != b)
            self._places.append(len(event) + place)
            event += zero
        self._wall_time = len(event) + 1
        event += Event(wall_time=1.0).SerializeToString()
        self._step = len(event) + 1
        event += _STEP_FIELD + bytes(_STEP_BYTES)
        self._header = _header(len(event))
        self._record = np.frombuffer(self._header + event + bytes(4), np.uint8)

    def records(self, steps: np.ndarray, values: np.ndarray, wall_time: float) -> bytes:
        """Return the records of steps [N] with values [N, number of tags]."""
        rows = np.tile(self._record, (len(steps), 1))
        events = rows[:, len(self._header) : -4]
        events[:, self._wall_time : self._wall_time + 8] = _bytes_of(np.float64(wall_time))
        groups_of_7_bits = steps[:, None] >> (7 * np.arange(_STEP_BYTES)) & 0x7F
        groups_of_7_bits[:, :-1] |= 0x80
        events[:, self._step : self._step + _STEP_BYTES] = groups_of_7_bits
        for k, place in enumerate(self._places):
            events[:, place : place + 4] = _bytes_of(values[:, k : k + 1].astype("<f4"))
        checksums = np.array([_checksum(event.tobytes()) for event in events], np.uint32)
        rows[:, -4:] = _bytes_of(_masked(checksums)[:, None])
        return rows.tobytes()


_STEP_FIELD, _STEP_BYTES = b"\x10", 9
_ALL_BYTES_SET = struct.unpack("<f", b"\1\1\1\1")[0]


def _scalar_event(tag: str, value: float) -> bytes:
    # Messages one after another are merged when read, their repeated fields joined: one event
    # with a value for each tag.
    return Event(summary=_own(scalar_pb(tag, value))).SerializeToString()


def _bytes_of(numbers: Any) -> np.ndarray:
    numbers = np.asarray(numbers)
    little_endian = numbers.astype(numbers.dtype.newbyteorder("<"))
    return np.frombuffer(little_endian.tobytes(), np.uint8).reshape(*numbers.shape[:-1], -1)


def _own(summary: Summary) -> Summary:
    # Through bytes, since TensorBoard makes these of TensorFlow's message class where there is one.
    return Summary.FromString(summary.SerializeToString())


def _num_bytes_of_whole_records(content: bytes) -> int:
    length = 0
    while len(header := content[length : length + 12]) == 12:
        (size,) = struct.unpack("<Q", header[:8])
        record = content[length + 12 : length + 12 + size + 4]
        checksum = struct.pack("<I", _masked(_checksum(record[:-4])))
        if header != _header(size) or len(record) != size + 4 or record[-4:] != checksum:
            break
        length += 12 + size + 4
    return length


def _header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", _masked(_checksum(packed)))


def _checksum(content: bytes) -> int:
    return google_crc32c.value(content)


def _masked(checksum: Any) -> Any:
    # Masked, as TFRecord has it, since a checksum of something that holds checksums is a weak one.
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF
