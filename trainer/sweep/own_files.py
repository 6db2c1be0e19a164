"""What a sweep's folder may look like before a sweep reads it or writes into it.

Somebody else may have made it: logs and the journal are appended to, and a link among them would
have a sweep write to where it points. `trainer.run_folder` says the same of a run's folder.
"""

from pathlib import Path

from trainer.disk import RunFolderError

# With a star at the end: a pattern without one does not find a link to nowhere.
_FILES = ("sweep.json*", "journal.log*", "logs/*")


def check_own_files(folder: Path) -> None:
    """Check that what a sweep uses in its folder are files of its own, or not there.

    Args:
        folder: need not exist, and may be a link itself.

    Raises:
        RunFolderError: naming the first that is something else.
    """
    try:
        logs = folder / "logs"
        if (logs.exists() or logs.is_symlink()) and not logs.is_dir():
            raise RunFolderError(f"{logs}: not a folder; remove it, or choose another sweep.name")
        for path in (path for pattern in _FILES for path in folder.glob(pattern)):
            if path.is_symlink() or not path.is_file():
                kind = "a link" if path.is_symlink() else "not a file"
                raise RunFolderError(
                    f"{path}: {kind}, where a sweep has a file of its own; remove it, or choose "
                    "another sweep.name"
                )
    except PermissionError as error:
        raise RunFolderError(f"{error.filename}: cannot be read ({error.strerror})") from error
