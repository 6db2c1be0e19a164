"""All that evolves in a run, to a checkpoint and back."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainer.checkpoint import Checkpoint
from trainer.checkpoint_facts import STATE
from trainer.state import (
    callback_arrays,
    callback_state,
    restore,
    restore_callback,
    snapshot,
)
from trainer.stopwatch import Stopwatch
from trainer.writers import RunWriter

if TYPE_CHECKING:
    from trainer.trainer import Trainer

logger = logging.getLogger(__name__)

_CALLBACKS = "callbacks/"


class RunState:
    """Saves a run's state and takes it up: variables, position, curves, callbacks, clocks.

    Args:
        trainer: whose state it is.
        callbacks: all of them, in the order in which they are called.
    """

    def __init__(self, trainer: "Trainer", callbacks: list[keras.callbacks.Callback]) -> None:
        self._trainer = trainer
        self._callbacks = {f"{k}/{type(c).__name__}": c for k, c in enumerate(callbacks)}
        # As the Trainer got them, and not as another `fit` has left them; what is beyond is new.
        self._as_made = dict(zip(self._callbacks, trainer.callbacks_as_made, strict=False))
        self.val_values: dict[str, float] = {}
        """What the last evaluation of this epoch gave."""
        self.is_due: bool = False
        """Whether what was due at this step is still to be done: a signal came in between."""
        self.has_ended: bool = False
        """Whether the callbacks have done what they do at the end of a run."""
        self.passed_over: list[dict[str, Any]] = []
        """Steps whose update was not made or was taken back: `step`, `action`, `to`."""

    def save(self) -> None:
        """Hand a checkpoint of now to the thread that writes it."""
        trainer = self._trainer
        if trainer.checkpoints is None or trainer.writer is None:
            return
        writer = trainer.writer
        with trainer.stopwatch.measure("writing"):
            positions = writer.flush()
        facts = {
            "monitor": _monitor_of(trainer),
            "ranking": trainer.ranking,
            "val_values": self.val_values,
            "is_due": self.is_due,
            "has_ended": self.has_ended,
            "passed_over": self.passed_over,
            "seconds": trainer.stopwatch.seconds(),
            "stop_training": bool(trainer.model.stop_training),
            "positions": positions,
            "callbacks": {key: self._changed(key, c) for key, c in self._callbacks.items()},
        }
        with trainer.stopwatch.measure("checkpoints"):
            arrays = snapshot(trainer.variables)
            for key, callback in self._callbacks.items():
                arrays |= callback_arrays(callback, f"{_CALLBACKS}{key}/")
            trainer.checkpoints.save(Checkpoint(trainer.step, arrays, facts), before=writer.sync)

    def take_up(self) -> Checkpoint | None:
        """Go back to the newest checkpoint, if there is one; open the curves."""
        trainer = self._trainer
        found = trainer.checkpoints.latest(wanted=STATE) if trainer.checkpoints else None
        facts: Mapping[str, Any] = found.facts if found else {}
        if found and trainer.checkpoints:
            restore(trainer.variables, _variables(found), source=str(found.path))
            trainer.step = found.step
            if facts["monitor"] == _monitor_of(trainer):
                ranking = [(value, step) for value, step in facts["ranking"]]
                trainer.ranking = trainer.checkpoints.intact(ranking)
            else:
                logger.warning("the best weights so far, by %s, count no more", facts["monitor"])
            trainer.model.stop_training = facts["stop_training"]
            trainer.stopwatch = Stopwatch(facts["seconds"])
            trainer.checkpoints.resume_at(found.step, trainer.ranking)
            self.val_values, self.is_due = facts["val_values"], facts["is_due"]
            self.has_ended, self.passed_over = facts["has_ended"], facts["passed_over"]
            logger.info("going on from step %s (%s)", f"{found.step:,}", found.path)
        elif trainer.run_dir and _has_rows(trainer.run_dir / "metrics.jsonl"):
            logger.warning(
                "%s holds no checkpoint: begun anew, the curves there are replaced", trainer.run_dir
            )
        if trainer.run_dir:
            trainer.writer = RunWriter(trainer.run_dir, facts.get("positions"))
        return found

    def _changed(self, key: str, callback: keras.callbacks.Callback) -> dict[str, Any]:
        # Not what a callback was made with: on a resume, its arguments are those of the command.
        as_made = self._as_made.get(key, {})
        state = callback_state(callback)
        return {n: v for n, v in state.items() if n not in as_made or as_made[n] != v}

    def restore_callbacks(self, found: Checkpoint) -> None:
        """Give the callbacks what they remembered; after `on_train_begin`, which resets them."""
        for key, callback in self._callbacks.items():
            prefix = f"{_CALLBACKS}{key}/"
            arrays = {
                name.removeprefix(prefix): array
                for name, array in found.arrays.items()
                if name.startswith(prefix)
            }
            restore_callback(callback, found.facts["callbacks"].get(key, {}), arrays)

    def back_to(self, found: Checkpoint) -> None:
        """Take the variables of a checkpoint, and nothing else."""
        restore(self._trainer.variables, _variables(found), source=str(found.path))


def _monitor_of(trainer: "Trainer") -> str:
    return f"{trainer.monitor} ({trainer.monitor_mode})"


def _has_rows(curves: Path) -> bool:
    return curves.exists() and curves.stat().st_size > 0


def _variables(found: Checkpoint) -> dict[str, np.ndarray]:
    return {n: array for n, array in found.arrays.items() if not n.startswith(_CALLBACKS)}
