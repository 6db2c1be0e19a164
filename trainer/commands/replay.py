"""Look into a past step of a run: replay RUN_DIR STEP [--pdb] [data.root=DIR ...]."""

import bdb
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from trainer import config
from trainer.config import ConfigError
from trainer.console import console, log_to_console

if TYPE_CHECKING:
    from trainer.checkpoint import Checkpoint
    from trainer.checkpoint_folder import CheckpointFolder

USAGE = "python -m trainer replay RUN_DIR STEP [--pdb] [KEY=VALUE ...]"


def main(arguments: list[str]) -> int:
    """Rebuild the state before a step, run it under observation, and show what happened in it.

    Args:
        arguments: the run folder; the step, counted from 1, as `step` in `metrics.jsonl`; `--pdb`
            to stop in Python's debugger at the beginning of `train_step`; and `key=value` words for
            any setting of the run that is different here, such as `data.root`.

    Returns:
        0.

    Raises:
        ConfigError: if there is no such run or step.
        CheckpointError: if a checkpoint is not of this configuration.
        RunFolderError: if the report cannot be written.
    """
    run_dir, step, with_pdb, overrides = _parse(arguments)
    cfg = config.load(run_dir, overrides)

    from trainer.build import build
    from trainer.checkpoint_folder import CheckpointFolder
    from trainer.data.dataset import UnreadableExamplesError
    from trainer.manifest import command_line, manifest
    from trainer.replay import notes, report, terminal
    from trainer.replay.logged import LoggedSteps
    from trainer.replay.rebuild import Rebuilding
    from trainer.replay.step import replay_step
    from trainer.replay.way import way_to

    log_to_console()
    logged = LoggedSteps(run_dir / "metrics.jsonl")
    folder = CheckpointFolder(run_dir / "checkpoints")
    newest = _newest(folder)
    last_done = max(newest.step if newest else 0, logged.last_step)
    # A run that met a NaN stopped before the step that comes next: that one too can be replayed.
    is_over = newest is not None and newest.facts.get("stop_training", False)
    last = last_done if is_over else last_done + 1
    _check_range(run_dir, step, last_done, last)
    built = build(cfg, run_dir=None)
    trainer = built.trainer
    total_steps = trainer.run_length(built.duration).total_steps or last
    _check_range(run_dir, step, last_done, max(last_done, min(last, total_steps)))

    rebuilding = Rebuilding(trainer, way_to(step - 1, folder, newest), logged)
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("forward", total=rebuilding.way.num_steps)
            rebuilding.run(lambda num_steps: progress.advance(task, num_steps))
        replayed = replay_step(rebuilding, with_pdb)
    except UnreadableExamplesError as error:
        raise ConfigError(f"{run_dir}: step {step}: {error}") from error
    except bdb.BdbQuit:
        console.print("left by the debugger; nothing was written")
        return 0
    now = manifest(command_line(), cfg.seed, built.precision, built.splits)
    replayed.notes.extend(
        [
            *notes.notes_on_history(step, rebuilding.way, newest, cfg.on_nonfinite),
            *notes.notes_on_step(trainer, any(v.update.norm for v in replayed.observed.variables)),
            *notes.notes_on_conditions(run_dir / "manifest.json", now, overrides),
        ]
    )
    terminal.show(replayed, console)
    target = run_dir / "replay" / f"step_{step:09d}"
    report.write(replayed, target, trainer.data.class_names)
    console.print(f"  report  {target}", soft_wrap=True)
    return 0


def _parse(arguments: list[str]) -> tuple[Path, int, bool, list[str]]:
    words = [word for word in arguments if word != "--pdb"]
    if len(words) < 2:
        raise ConfigError(f"replay: a run folder and a step are needed; {USAGE}")
    # The folder may have a = in its name, as those of a sweep do.
    folder, number, *overrides = words
    for word in overrides:
        if "=" not in word or word.startswith("-"):
            raise ConfigError(f"{word}: not KEY=VALUE; {USAGE}")
    if not number.isdecimal():
        raise ConfigError(f"STEP={number}: must be a whole number, at least 1; {USAGE}")
    return Path(folder), int(number), len(words) < len(arguments), overrides


def _check_range(run_dir: Path, step: int, last_done: int, last: int) -> None:
    if last_done == 0 and step > 1:
        raise ConfigError(f"STEP={step}: {run_dir} has made no step yet; only 1 can be replayed")
    if not 1 <= step <= last:
        raise ConfigError(
            f"STEP={step}: must be from 1 to {last}; the last step of {run_dir} is {last_done}"
        )


def _newest(folder: "CheckpointFolder") -> "Checkpoint | None":
    """Return the last intact checkpoint; damaged ones are named in the log as they are met."""
    from trainer.checkpoint import CheckpointError

    try:
        return folder.latest()
    except CheckpointError:
        return None
