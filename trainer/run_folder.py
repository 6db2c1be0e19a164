"""What a run folder may look like before a run reads it or writes into it.

Somebody else may have made it. A link among its files would have a run write to where it points.
"""

from pathlib import Path

from trainer.disk import RunFolderError

FOLDERS = ("checkpoints", "train", "val", "report", "export")
# With a star at the end: a pattern without one does not find a link to nowhere.
FILES = (
    *("config.yaml*", "lock*", "train.log*", "manifest.json*", "metrics.jsonl*"),
    "events.out.tfevents*",
    *(f"{folder}/*" for folder in FOLDERS),
)


def check_run_folder(run_dir: Path) -> None:
    """Check that what a run uses in its folder are files and folders of its own, or not there.

    Args:
        run_dir: need not exist, and may be a link itself.

    Raises:
        RunFolderError: naming the first that is something else.
    """
    try:
        for name in FOLDERS:
            folder = run_dir / name
            if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
                raise RunFolderError(f"{folder}: not a folder; remove it, or choose another run")
        for path in (path for pattern in FILES for path in run_dir.glob(pattern)):
            is_inside = path.parent != run_dir
            if path.is_symlink() or not (path.is_file() or (is_inside and path.is_dir())):
                kind = "a link" if path.is_symlink() else "not a file"
                raise RunFolderError(
                    f"{path}: {kind}, where a run has a file of its own; put a real file in its "
                    "place, or remove it"
                )
    except PermissionError as error:
        raise RunFolderError(f"{error.filename}: cannot be read ({error.strerror})") from error
