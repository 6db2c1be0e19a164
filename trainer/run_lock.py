"""One run at a time in a run folder."""

import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from trainer.disk import RunFolderError, blaming_disk
from trainer.run_folder import check_run_folder

logger = logging.getLogger(__name__)

NAME = "lock"
"""The file stays, empty: were it removed, two processes could hold one of the same name each."""

_held: set[Path] = set()


@contextmanager
def run_lock(run_dir: Path | None) -> Iterator[None]:
    """Hold a run folder for this process; within the process it can be entered again.

    The operating system drops the lock when a process ends, however it ends, so that a file left
    by a dead one locks nothing.

    Args:
        run_dir: the run folder; made if it is not there. None locks nothing.

    Raises:
        RunFolderError: if another process holds it, naming that process and its host; if the
            folder holds links or folders where a run has files.
    """
    path = (run_dir / NAME).resolve() if run_dir else None
    if run_dir is None or path is None or path in _held:
        yield
        return
    check_run_folder(run_dir)
    with blaming_disk(path):
        run_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"{run_dir}: {_holder(path)} is training in this folder; wait for it, stop it, or "
                "choose another with hydra.run.dir=DIR"
            ) from None
        if path.stat().st_size:
            logger.info("%s, which was training in this folder, is gone", _holder(path))
        with blaming_disk(path):
            file.truncate(0)
            file.write(json.dumps(_myself()) + "\n")
            file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)
            file.truncate(0)


def remove_if_unused(run_dir: Path) -> None:
    """Remove a run folder in which nothing but the lock was written."""
    if run_dir.is_dir() and {path.name for path in run_dir.iterdir()} <= {NAME}:
        (run_dir / NAME).unlink(missing_ok=True)
        run_dir.rmdir()


def _myself() -> dict[str, str | int]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": started}


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        words = f"process {holder['process']} on {holder['host']} (since {holder['since']})"
        return words if words.isprintable() and len(words) < 200 else "another process"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
