"""A folder of its own in a run's `report/`, for what a command writes there."""

from pathlib import Path

from trainer.disk import RunFolderError, blaming_disk


def report_folder(run_dir: Path, name: str) -> Path:
    """Return `RUN_DIR/report/NAME`, made if it is not there.

    Args:
        run_dir: a run folder, which somebody else may have made.
        name: of the folder, or of one in it.

    Raises:
        RunFolderError: if there are links, by which something elsewhere would be written over, or
            it cannot be made.
    """
    folder = run_dir / "report"
    with blaming_disk(folder / name):
        for part in (*Path(name).parts, ""):
            folder.mkdir(parents=True, exist_ok=True)
            for path in (folder, *folder.iterdir()):
                if path.is_symlink():
                    raise RunFolderError(f"{path}: a link; remove it, this folder is written to")
            folder /= part
    return folder
