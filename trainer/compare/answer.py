"""The answer of many runs: what is shown of them, and the files that are written."""

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.compare import csv_rows, picture, tables, wording
from trainer.compare.best_command import best_command
from trainer.compare.best_experiment import best_experiment
from trainer.compare.comparison import Comparison, compared, read_runs
from trainer.compare.failures import Unranked, lost_jobs, unranked
from trainer.compare.folder_lock import folder_lock
from trainer.compare.found_runs import run_folders
from trainer.compare.importance import draw_importance
from trainer.compare.parallel_coordinates import draw_parallel_coordinates
from trainer.config import ConfigError
from trainer.console import console, print_lines
from trainer.disk import blaming_disk, write_whole

FOLDER = "comparison"


@dataclass(frozen=True)
class Options:
    """What is compared how, and where it is written.

    Args:
        metric: what ranks the runs; None for what they monitor. A bare name is of `val`.
        mode: `max` or `min`; None for what the metric is known as.
        split: whose kept predictions are compared; None for `test` where it is kept, else `val`.
        baseline: run folder of the group that differences are to; None for the best group.
        output: gets pictures, `best.yaml`, `runs.csv` and `table.md`; None for the folder
            `comparison` beside the runs.
        csv: instead of `runs.csv`.
        markdown: instead of `table.md`.
    """

    metric: str | None = None
    mode: str | None = None
    split: str | None = None
    baseline: Path | None = None
    output: Path | None = None
    csv: Path | None = None
    markdown: Path | None = None


def show(
    places: Sequence[str], options: Options | None = None, told: Collection[Path] = ()
) -> Comparison | None:
    """Print a table of runs, the best first, what failed and why; write pictures and files.

    Args:
        places: run folders, folders of them such as a sweep's, and patterns of either.
        options: what else is wanted; None for nothing.
        told: folders of which the caller says itself why they are not ranked.

    Returns:
        The comparison; None if no job of a sweep has left a run.

    Raises:
        ConfigError: if no run is found, or there is no such metric.
        RunFolderError: if a file cannot be written.
    """
    options = options or Options()
    folders, foreign = run_folders(places)
    runs, damaged = read_runs(folders)
    lost = lost_jobs(places, folders)
    print_lines(*foreign, *damaged, style="yellow")
    if not runs:
        if not lost:
            raise ConfigError(f"compare: no runs in {', '.join(places)}; give folders of runs")
        _print_unranked(lost, told)
        return None
    comparison = compared(runs, options.metric, options.mode, options.split, options.baseline)
    print_lines(wording.heading(comparison), soft_wrap=False)
    if comparison.groups:
        console.print("", tables.terminal_table(comparison, console), "", sep="\n")
    print_lines(*wording.explanation(comparison), soft_wrap=False)
    print_lines(*comparison.notes, style="yellow")
    others = [*unranked(comparison.others), *lost]
    _print_unranked(others, told)
    output = options.output or _common_parent(folders) / FOLDER
    with folder_lock(output) if comparison.groups else contextlib.nullcontext():
        _write(comparison, others, options, output)
    return comparison


def _write(comparison: Comparison, others: Unranked, options: Options, output: Path) -> None:
    has_groups = bool(comparison.groups)
    for path, name, content in (
        (options.csv, "runs.csv", csv_rows.as_csv(comparison)),
        (options.markdown, "table.md", tables.markdown(comparison, others)),
    ):
        if path or has_groups:
            write_whole(path or output / name, content.encode())
            print_lines(f"written  {path or output / name}")
    if not has_groups:
        return
    picture.draw(comparison, output / "comparison.png")
    print_lines(f"curves   {output / 'comparison.png'}")
    for draw, name in (
        (draw_importance, "importance.png"),
        (draw_parallel_coordinates, "parallel_coordinates.png"),
    ):
        if draw(comparison, output / name):
            print_lines(f"drawn    {output / name}")
        else:
            _remove(output / name)
    if command := best_command(comparison.groups[0]):
        print_lines(f"best     {command}")
    path = output / "best.yaml"
    try:
        write_whole(path, best_experiment(comparison).encode())
        print_lines(f"as file  {path}")
    except ValueError as error:
        _remove(path)
        print_lines(f"no file  {path.name} is not written: {error}")


def _remove(path: Path) -> None:
    """Remove a file that is of other runs, of before."""
    with blaming_disk(path):
        path.unlink(missing_ok=True)


def _common_parent(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))


def _print_unranked(others: Unranked, told: Collection[Path]) -> None:
    known = {folder.resolve() for folder in told}
    shown = [f"  {folder}: {words}" for folder, words in others if folder.resolve() not in known]
    if shown:
        print_lines("not ranked:", *shown)
