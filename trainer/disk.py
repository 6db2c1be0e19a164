"""What the disk refuses, in one line that says what is lost and what to do."""

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
