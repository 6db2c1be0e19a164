"""Compare runs: compare RUN_DIR|FOLDER|GLOB... [--metric NAME] [--split test] [--csv FILE]."""

import os
from collections.abc import Sequence
from pathlib import Path

from trainer.command_parser import CommandParser, run_folder
from trainer.config import ConfigError
from trainer.console import console

ABOUT = (
    "Rank finished runs, seeds of the same settings as one, with the settings that differ, "
    "confidence intervals and their learning curves in one picture."
)
PICTURE = "comparison.png"


def main(arguments: list[str]) -> int:
    """Print a table of runs, the best first, and draw their curves.

    Args:
        arguments: run folders, folders of them or patterns, and options.

    Returns:
        0.

    Raises:
        ConfigError: if no run is found, or there is no such metric.
        RunFolderError: if a file cannot be written.
    """
    parser = CommandParser("compare", ABOUT)
    parser.add_argument("runs", nargs="+", help="run folders, folders of runs, or patterns")
    parser.add_argument("--metric", metavar="NAME", help="ranks them; default: what they monitor")
    parser.add_argument("--mode", choices=("max", "min"), help="what of the metric is best")
    parser.add_argument("--split", choices=("test", "val", "train"), help="whose predictions")
    parser.add_argument("--baseline", type=run_folder, metavar="RUN", help="differences are to it")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row a run, full precision")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table")
    parser.add_argument("--output", type=Path, metavar="DIR", help="of the picture")
    words = parser.parse_args(arguments)

    from trainer.compare import csv_rows, picture, tables, wording
    from trainer.compare.best_command import best_command
    from trainer.compare.comparison import compared, read_runs
    from trainer.compare.found_runs import run_folders
    from trainer.disk import write_whole

    folders, foreign = run_folders(words.runs)
    runs, damaged = read_runs(folders)
    _print([*foreign, *damaged], style="yellow")
    if not runs:
        raise ConfigError(f"compare: no runs in {', '.join(words.runs)}; give folders of runs")
    comparison = compared(runs, words.metric, words.mode, words.split, words.baseline)
    _print([wording.heading(comparison)], soft_wrap=False)
    if comparison.groups:
        console.print("", tables.terminal_table(comparison, console), "", sep="\n")
    _print(wording.explanation(comparison), soft_wrap=False)
    _print(comparison.notes, style="yellow")
    if comparison.others:
        _print(["not ranked:"])
        _print([f"  {run.folder}: {wording.how_far(run)}" for run in comparison.others])
    for path, write in ((words.csv, csv_rows.as_csv), (words.markdown, tables.markdown)):
        if path:
            write_whole(path, write(comparison).encode())
            _print([f"written  {path}"])
    if comparison.groups:
        path = (words.output or _common_parent(folders) / "comparison") / PICTURE
        picture.draw(comparison, path)
        _print([f"curves   {path}"])
        if command := best_command(comparison.groups[0]):
            _print([f"best     {command}"])
    return 0


def _common_parent(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))


def _print(lines: Sequence[str], style: str | None = None, soft_wrap: bool = True) -> None:
    """Print lines; those with a path or a command are left whole, to be copied."""
    from trainer.printable import printable

    for line in lines:
        console.print(printable(line), style=style, markup=False, soft_wrap=soft_wrap)
