"""The names that a run uses in its folder."""

from pathlib import Path

from trainer.own_files import OwnFiles

FOLDERS = ("checkpoints", "train", "val", "report", "export")
RUN_FOLDER = OwnFiles(
    owner="a run",
    folders=FOLDERS,
    files=(
        *("config.yaml*", "lock*", "train.log*", "manifest.json*", "metrics.jsonl*"),
        "events.out.tfevents*",
    ),
    either=tuple(f"{folder}/*" for folder in FOLDERS),
    otherwise="choose another run",
)


def check_run_folder(run_dir: Path) -> None:
    """Check a run's folder before it is read or written into; see `OwnFiles.check`."""
    RUN_FOLDER.check(run_dir)
