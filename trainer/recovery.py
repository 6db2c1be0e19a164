"""Goes back to before a step whose loss or gradient is not finite, and past it if told so."""

import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.nonfinite import MAX_IN_A_ROW, NonFiniteError, all_finite, describe, first_bad_step
from trainer.run_state import RunState
from trainer.state import model_variables, snapshot

if TYPE_CHECKING:
    from trainer.trainer import Trainer

logger = logging.getLogger(__name__)

Scalars = dict[str, np.ndarray]

HELD_SECONDS = 10.0
"""How long a state is held: the time that a bad step costs at most, as the steps since are redone.
To take hold of 1,000 variables takes 35 ms, and TensorFlow then copies each of them once."""

_HOOKS_ON_STEPS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Recovery:
    """Watches the scalars of each chunk, as the trainer's `on_nonfinite` says.

    The scalars are on the host anyway, so watching costs nothing. The state before a chunk, or
    before several in a row, is kept by reference: TensorFlow copies a variable when it is first
    written to while someone holds its value. From there the good steps are run again, to the bit,
    up to the bad one.

    Args:
        trainer: whose steps are watched.
        state: of its run.
        callbacks: of its run. Where one of them may change variables between two chunks, the state
            is held anew before each.
    """

    def __init__(
        self,
        trainer: "Trainer",
        state: RunState,
        callbacks: Iterable[keras.callbacks.Callback],
    ) -> None:
        self._trainer = trainer
        self._state = state
        self._variables = trainer.variables  # named once: that takes longer than to hold them
        self._seconds = 0.0 if any(map(_may_change_steps, callbacks)) else HELD_SECONDS
        self._before: dict[str, tf.Tensor] = {}
        self._held_step = 0
        self._held_until = -math.inf

    def remember(self, step: int) -> None:
        """Take hold of the state before a chunk, unless steps alone led to it from a held one.

        Args:
            step: the first of the chunk.
        """
        if self._trainer.on_nonfinite == "ignore" or time.monotonic() < self._held_until:
            return
        self._before = {n: tf.convert_to_tensor(v.value) for n, v in self._variables.items()}
        self._held_step = step
        self._held_until = time.monotonic() + self._seconds

    def forget(self) -> None:
        """Let go of the state, since something else than a step may change the variables."""
        self._before = {}
        self._held_until = -math.inf

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
        """Redo the steps from the held state to a chunk's bad one; then stop, or pass over it.

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
        trainer.step = self._held_step
        num_good = first_step + position - self._held_step
        if num_good:
            trainer.train_chunk(self._held_step, num_good)
        trainer.step += num_good
        self.forget()
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


def _may_change_steps(callback: keras.callbacks.Callback) -> bool:
    """Return whether a callback does something between two chunks that more than watches."""
    if isinstance(callback, TrainerCallback):
        if callback.only_watches:
            return False
        if type(callback).on_chunk_end is not TrainerCallback.on_chunk_end:
            return True
    # A LambdaCallback has functions in the place of methods.
    hooks = {name: getattr(callback, name) for name in _HOOKS_ON_STEPS}
    return any(
        getattr(hook, "__func__", None) is not getattr(keras.callbacks.Callback, name)
        for name, hook in hooks.items()
    )
