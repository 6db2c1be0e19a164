"""Files that are whole or absent, and what the disk refuses in one line that says what to do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunFolderError(OSError):
    """A run folder cannot be written to or read; the message is one line for the user."""


@contextmanager
def blaming_disk(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names the file.

    Args:
        path: what is being written.

    Raises:
        RunFolderError: instead of any other OSError.
    """
    try:
        yield
    except RunFolderError:
        raise
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written ({error.strerror or error}); make room or give access, "
            "then the same command goes on from the last checkpoint"
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside, sync it and rename it: a reader sees the one before or the new one.

    What stands beside under that name, left by a killed run or put there by somebody, is removed.

    Args:
        path: the file; its folder is made if it is not there.
        content: all of it.

    Raises:
        RunFolderError: if it cannot be written; what was there is untouched.
    """
    beside = path.with_name(f"{path.name}.partial")
    with blaming_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        try:
            # Made anew (O_EXCL), so that no link is followed: not even one put there just now.
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
