"""Goes back to before a step whose loss or gradient is not finite, and past it if told so."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from trainer.nonfinite import MAX_IN_A_ROW, NonFiniteError, all_finite, describe, first_bad_step
from trainer.run_state import RunState
from trainer.state import model_variables, snapshot

if TYPE_CHECKING:
    from trainer.trainer import Trainer

logger = logging.getLogger(__name__)

Scalars = dict[str, np.ndarray]


class Recovery:
    """Watches the scalars of each chunk, as the trainer's `on_nonfinite` says.

    The scalars are on the host anyway, so watching costs nothing. The state before a chunk is kept
    by reference: TensorFlow copies a variable when it is first written to while someone holds its
    value. From there the good steps are run again, to the bit, up to the bad one.

    Args:
        trainer: whose steps are watched.
        state: of its run.
    """

    def __init__(self, trainer: "Trainer", state: RunState) -> None:
        self._trainer = trainer
        self._state = state
        self._variables = trainer.variables  # named once: that takes longer than to hold them
        self._before: dict[str, tf.Tensor] = {}

    def remember(self) -> None:
        """Take hold of the state before a chunk."""
        if self._trainer.on_nonfinite != "ignore":
            variables = self._variables.items()
            self._before = {name: tf.convert_to_tensor(v.value) for name, v in variables}

    def bad_step(self, scalars: Scalars) -> int | None:
        """Return the position in a chunk of the first step that is not finite, if there is one."""
        if self._trainer.on_nonfinite == "ignore":
            return None
        # With loss scaling such gradients are expected, and left out.
        exempt = {"gradient_norm"} if self._trainer.updater.scales_loss else set()
        return first_bad_step(scalars, exempt)

    def go_past(
        self,
        first_step: int,
        position: int,
        scalars: Scalars,
        write: Callable[[int, Scalars], None],
    ) -> Scalars:
        """Redo a chunk up to its bad step, then stop the run or pass over the step.

        Args:
            first_step: of the chunk.
            position: of the bad step in it.
            scalars: of the chunk.
            write: `(first_step, scalars)`: writes the curves of good steps.

        Returns:
            The scalars of the good steps.

        Raises:
            NonFiniteError: if the run is to stop, or passing over does not help.
        """
        trainer = self._trainer
        for name, value in self._before.items():
            self._variables[name].assign(value)
        good = {name: column[:position] for name, column in scalars.items()}
        if position:
            trainer.train_chunk(first_step, position)
        trainer.step = first_step + position
        write(first_step, good)

        bad = {name: float(column[position]) for name, column in scalars.items()}
        weights = snapshot(model_variables(trainer.model))
        broken = [name for name, array in weights.items() if not all_finite(array)]
        what = describe(trainer.step + 1, bad, broken)
        action = trainer.on_nonfinite
        if action == "stop":
            self._stop(what, "pass over such steps with on_nonfinite=skip or rollback")
        if self._num_in_a_row() >= MAX_IN_A_ROW:
            self._stop(what, f"{MAX_IN_A_ROW} steps in a row were like it; lower the learning rate")
        entry = {"step": trainer.step + 1, "action": action, "to": trainer.step}
        if action == "rollback":
            entry["to"] = self._roll_back(what)
        elif broken:
            self._stop(what, "no step can mend that; on_nonfinite=rollback goes back")
        self._state.passed_over.append(entry)
        trainer.step += 1
        logger.warning("%s; its update was left out (on_nonfinite=%s)", what, action)
        if action == "rollback":
            self._state.save()
        return good

    def _num_in_a_row(self) -> int:
        steps = {entry["step"] for entry in self._state.passed_over}
        count, step = 0, self._trainer.step
        while step in steps:
            count, step = count + 1, step - 1
        return count

    def _roll_back(self, what: str) -> int:
        """Take the last checkpoint's variables; return its step."""
        trainer = self._trainer
        if trainer.checkpoints:
            trainer.checkpoints.wait()
            found = trainer.checkpoints.latest()
            if found:
                self._state.back_to(found)
                return found.step
        raise NonFiniteError(f"{what}; there is no checkpoint yet to roll back to")

    def _stop(self, what: str, remedy: str) -> None:
        trainer = self._trainer
        self._state.save()
        where = ""
        if trainer.run_dir:
            where = (
                f"; the state before it is saved; look at it with "
                f"python -m trainer replay {trainer.run_dir} {trainer.step + 1}"
            )
        raise NonFiniteError(f"{what}{where}; {remedy}")
