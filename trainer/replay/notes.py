"""What a reader of a replayed step must know beside its numbers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.checkpoint import Checkpoint
from trainer.replay.way import PassedOver, Way, passed_over_by
from trainer.same_run import MACHINE, data_differences, differences
from trainer.trainer import Trainer


def notes_on_conditions(
    manifest_file: Path, now: dict[str, Any], overrides: Sequence[str]
) -> list[str]:
    """Return what is different here from the run: settings, data, machine.

    Args:
        manifest_file: of the run.
        now: the manifest of this process.
        overrides: settings given for the replay.
    """
    notes = [f"not as in the run: {', '.join(overrides)}"] if overrides else []
    try:
        there = json.loads(manifest_file.read_text())
        pairs = [{key: facts.get(key) for key in MACHINE} for facts in (there, now)]
        notes += data_differences(there, now)
    except (OSError, ValueError, AttributeError, TypeError):
        return [*notes, f"{manifest_file.name} cannot be read: data and machine are not compared"]
    differing = differences(*pairs)
    if differing:
        notes.append(f"other conditions, so last bits may differ: {'; '.join(differing)}")
    return notes


def notes_on_history(
    step: int, way: Way, newest: Checkpoint | None, on_nonfinite: str
) -> list[str]:
    """Return what happened in the run beside its updates.

    Args:
        step: the replayed one, from 1.
        way: to the state before it.
        newest: the run's last intact checkpoint.
        on_nonfinite: as the run was told.
    """
    notes = []
    passed_over = passed_over_by(newest)
    itself = [entry for entry in passed_over if entry["step"] == step]
    if itself:
        notes.append(f"the run did not keep this step's update: {_in_words(itself)}")
    before = [e for e in passed_over if way.first_step < e["step"] < step]
    if before:
        notes.append(f"passed over on the way, as in the run: {_in_words(before)}")
    known_until = newest.step if newest else 0
    if on_nonfinite in ("skip", "rollback") and known_until < step - 1:
        notes.append(
            f"no intact checkpoint says which steps after step {known_until:,} the run passed "
            f"over (on_nonfinite={on_nonfinite}): taken as none"
        )
    return notes


def notes_on_step(trainer: Trainer, has_update: bool) -> list[str]:
    """Return how to read the tables.

    Args:
        trainer: whose step it is.
        has_update: whether any variable changed.
    """
    notes = []
    num_replicas = trainer.strategy.num_replicas_in_sync
    if num_replicas > 1:
        notes.append(f"layers and operations are those of the first of {num_replicas} replicas")
    if trainer.updater.is_deferred and not has_update:
        notes.append("this step made no update: its gradients were only added to those before")
    return notes


def _in_words(entries: PassedOver) -> str:
    words = {"skip": "skipped", "rollback": "rolled back"}
    return ", ".join(
        f"step {entry['step']:,} {words[entry['action']]}"
        + (f" to step {entry['to']:,}" if entry["action"] == "rollback" else "")
        for entry in entries
    )
