"""A file that a run appends to, and that a resumed run takes up where its checkpoint left it."""

import itertools
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import google_crc32c

from trainer.disk import blaming_disk

logger = logging.getLogger(__name__)

Position = Mapping[str, int]
"""Where a file stood: its `length` in bytes, and the `checksum` (CRC-32C) of that much of it."""

_BLOCK = 1 << 20


class AppendedFile:
    """A file that only grows; what was appended past a position is cut off.

    A file that is not what the position says was damaged by someone. It is kept beside as
    `NAME.damaged`, said aloud, and taken up as far as it can be read.

    Args:
        path: the file; its folder exists.
        position: to go on from; None begins anew.
        whole: `content -> how many of its leading bytes can be read`.
    """

    def __init__(
        self, path: Path, position: Position | None, whole: Callable[[bytes], int]
    ) -> None:
        self.path = path
        with blaming_disk(path):
            self._file = path.open("ab+")
            self._checksum, self._length = 0, 0
            if position is not None:
                self._take_up(position, whole)
            self._file.truncate(self._length)
            self._file.seek(0, os.SEEK_END)

    def write(self, content: bytes) -> None:
        """Append, and hand it to the operating system, so that the file can be followed."""
        with blaming_disk(self.path):
            self._file.write(content)
            self._file.flush()
        self._checksum = google_crc32c.extend(self._checksum, content)
        self._length += len(content)

    def position(self) -> Position:
        """Return where the file stands."""
        return {"length": self._length, "checksum": self._checksum}

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        with blaming_disk(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close the file."""
        with blaming_disk(self.path):
            self._file.close()

    def _take_up(self, position: Position, whole: Callable[[bytes], int]) -> None:
        is_as_left = self._read(position["length"]) == position["length"]
        if is_as_left and self._checksum == position["checksum"]:
            return
        content = self.path.read_bytes()[: position["length"]]
        # TensorBoard reads every file with `tfevents` in its name.
        name = self.path.name.replace("tfevents", "events")
        damaged = _free(self.path.with_name(f"{name}.damaged"))
        shutil.copyfile(self.path, damaged)
        length = self._read(whole(content))
        logger.warning(
            "%s is not as the checkpoint left it (%s bytes of %s can be read): kept as %s, and "
            "gone on with what can be read",
            self.path, f"{length:,}", f"{position['length']:,}", damaged.name,
        )  # fmt: skip

    def _read(self, length: int) -> int:
        """Take up the first bytes of the file; return how many there were."""
        self._file.seek(0)
        self._checksum, self._length = 0, 0
        while block := self._file.read(min(_BLOCK, length - self._length)):
            self._checksum = google_crc32c.extend(self._checksum, block)
            self._length += len(block)
        return self._length


def _free(path: Path) -> Path:
    """Return a path at which there is nothing: `path`, or one with a number after it."""
    numbers = itertools.count(2)
    free = path
    while free.exists():
        free = path.with_name(f"{path.name}{next(numbers)}")
    return free
