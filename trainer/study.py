"""A study: one training under several variants, and what they came to, side by side.

A file in `experiments/` has a `main` that calls `study` with its variants and with a function that
writes its table and figure; `experiments/random_labels.py` is the example. Each variant is a
`python -m trainer` of its own, so it can also be trained, evaluated and replayed by itself.
"""

import csv
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from trainer import config, run_lock
from trainer.checkpoint import CheckpointError
from trainer.compose import compose
from trainer.config import ConfigError
from trainer.console import console
from trainer.disk import RunFolderError, write_whole
from trainer.quoting import quoted
from trainer.run_folder import check_run_folder
from trainer.signals import EXIT_CODE_INTERRUPTED, StopRequest

FAILED, BAD_USAGE = 1, 2
OUTCOME = "outcome.json"
GRACE_SECS = 3.0
"""After a signal. A terminal sends it to the training too, and a second one would stop that at
once; one that was sent to the study alone is passed on after this."""


@dataclass(frozen=True)
class Outcome:
    """What a variant came to.

    Args:
        variant: its name.
        run_dir: its run folder.
        train: metrics of the last weights on the training split.
        test: and on the test split; on the validation split where the data has no test split.
    """

    variant: str
    run_dir: Path
    train: Mapping[str, float]
    test: Mapping[str, float]

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Return the steps at which `metrics.jsonl` has a value of that name, and the values."""
        lines = (self.run_dir / "metrics.jsonl").read_bytes().splitlines()
        rows = [row for row in map(orjson.loads, lines) if row.get(name) is not None]
        return [row["step"] for row in rows], [row[name] for row in rows]


Report = Callable[[Sequence[Outcome], Path], None]


def study(
    name: str,
    variants: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    report: Report,
    arguments: Sequence[str],
    about: str,
) -> int:
    """Train all variants in turn, then report; given again, go on where it was stopped.

    Args:
        name: of the experiment, `conf/experiment/NAME.yaml`; the default folder is `outputs/NAME`.
        variants: name to the words of the command line that make it.
        metrics: names of those that the report needs.
        report: is given the outcomes, in order, and the study's folder.
        arguments: words for all variants, as for training; `hydra.run.dir` is the study's folder.
        about: what `--help` shows.

    Returns:
        0 done, 1 a variant failed, 2 wrong usage or configuration, 75 stopped and resumable.
    """
    if {"-h", "--help"} & set(arguments):
        print(about, end="" if about.endswith("\n") else "\n")
        return 0
    try:
        folder, words = _checked(name, variants, metrics, arguments)
        return _study(name, variants, report, folder, words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (CheckpointError, RunFolderError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return EXIT_CODE_INTERRUPTED


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]], folder: Path) -> None:
    """Print a table, and write it as `table.md` and `table.csv`.

    Args:
        header: names of the columns; the first is that of the rows.
        rows: cells as they are to be read.
        folder: exists.
    """
    table = Table(*header)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console.print(table)
    align = ["---", *(["---:"] * (len(header) - 1))]
    lines = [f"| {' | '.join(cells)} |\n" for cells in (header, align, *rows)]
    write_whole(folder / "table.md", "".join(lines).encode())
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _checked(
    name: str,
    variants: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    arguments: Sequence[str],
) -> tuple[Path, list[str]]:
    """Return the study's folder and the words for all variants, checked but for the data."""
    taken = {word.partition("=")[0] for words in variants.values() for word in words}
    for word in arguments:
        if word.partition("=")[0].lstrip("+~") in {"experiment", *taken}:
            raise ConfigError(f"{word}: the study sets this itself; leave it out")
    cfg, folder = compose([f"experiment={name}", f"hydra.run.dir=outputs/{name}", *arguments])
    for metric in metrics:
        if metric not in cfg.metrics:
            raise ConfigError(f"metrics.{metric}: the report of the study needs it; leave it in")
    return folder, [word for word in arguments if word.partition("=")[0] != "hydra.run.dir"]


def _study(
    name: str,
    variants: Mapping[str, Sequence[str]],
    report: Report,
    folder: Path,
    words: Sequence[str],
) -> int:
    outcomes, failed = [], []
    for number, (variant, own_words) in enumerate(variants.items(), start=1):
        run_dir, all_words = folder / variant, [f"experiment={name}", *own_words, *words]
        outcome = _finished(variant, run_dir, all_words)
        state = ": finished before" if outcome else ""
        console.print(f"[{number}/{len(variants)}] {variant}{state}", markup=False)
        if outcome is None:
            exit_code = _train(all_words, run_dir)
            if exit_code == EXIT_CODE_INTERRUPTED:
                console.print("stopped; the same command goes on with the study")
            if exit_code in (BAD_USAGE, EXIT_CODE_INTERRUPTED):
                return exit_code
            if exit_code:
                failed.append(variant)
                continue
            outcome = _score(variant, run_dir, all_words)
        outcomes.append(outcome)
    if outcomes:
        report(outcomes, folder)
    if failed:
        print(f"failed: {', '.join(failed)}; the same command tries again", file=sys.stderr)
    return FAILED if failed else 0


def _finished(variant: str, run_dir: Path, words: Sequence[str]) -> Outcome | None:
    """Return the outcome of a variant that the same words have trained before."""
    try:
        facts: dict[str, Any] = json.loads((run_dir / OUTCOME).read_text())
        if facts["words"] == list(words):
            return Outcome(variant, run_dir, facts["train"], facts["test"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or somebody else's
        pass
    return None


def _train(words: Sequence[str], run_dir: Path) -> int:
    """Train in a process of its own; return its exit code, or 75 if a signal stops the study."""
    _wait_for_another(run_dir)
    command = [sys.executable, "-m", "trainer", *words, f"hydra.run.dir={quoted(run_dir)}"]
    with StopRequest() as stop:
        process = subprocess.Popen(command)
        try:
            seconds_since_stop = 0.0
            while process.poll() is None:
                time.sleep(0.1)
                seconds_since_stop += 0.1 if stop.received else 0
                if GRACE_SECS <= seconds_since_stop < GRACE_SECS + 0.1:
                    process.terminate()
        finally:
            process.kill()
            process.wait()
    return EXIT_CODE_INTERRUPTED if stop.received else process.returncode


def _wait_for_another(run_dir: Path) -> None:
    """Wait for the end of a training that outlived a killed study."""
    check_run_folder(run_dir)
    path = run_dir / run_lock.NAME
    if not path.exists():
        return
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"waiting for a process that trains in {run_dir}", markup=False)
            fcntl.flock(file, fcntl.LOCK_EX)


def _score(variant: str, run_dir: Path, words: Sequence[str]) -> Outcome:
    """Evaluate the last weights, and note that the variant is finished."""
    from trainer.build import build
    from trainer.checkpoint_folder import CheckpointFolder

    trainer = build(config.load(run_dir), run_dir=None).trainer
    checkpoint = CheckpointFolder(run_dir / "checkpoints").latest()
    if checkpoint is None:
        raise CheckpointError(f"{run_dir}: there is no checkpoint to score; remove that folder")
    trainer.load_weights(checkpoint)
    test_split = "test" if "test" in trainer.data.feeds else "val"
    facts = {split: trainer.evaluate(s) for split, s in (("train", "train"), ("test", test_split))}
    text = json.dumps({"words": list(words), **facts}, indent=2)
    write_whole(run_dir / OUTCOME, text.encode() + b"\n")
    return Outcome(variant, run_dir, facts["train"], facts["test"])
