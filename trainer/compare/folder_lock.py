"""One process at a time that writes into a folder that several share."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.disk import blaming_disk


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process holds a folder, and hold it: those of one sweep write the same.

    The operating system drops the lock when a process ends, however it ends.

    Args:
        folder: made if it is not there.

    Raises:
        RunFolderError: if it cannot be made or read.
    """
    with blaming_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every file system locks folders
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
