"""The base of our own callbacks."""

from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    from trainer.durations import RunLength
    from trainer.trainer import Trainer


class TrainerCallback(keras.callbacks.Callback):
    """A Keras callback that also sees the Trainer and every chunk of steps.

    `trainer` is there from `on_model_built` on, `length` from `on_train_begin` on.

    All of Keras' hooks are called as well: `on_train_begin`, `on_epoch_end`, `on_test_end`, ….
    """

    trainer: "Trainer"
    length: "RunLength"

    only_watches = False
    """Whether the hooks on batches and chunks leave all variables as they are. Where they may not,
    the state is held before every chunk rather than now and then (see `trainer.recovery`)."""

    def on_model_built(self) -> None:
        """Prepare `trainer.model` once it has variables, before the optimizer has; eager.

        The optimizer keeps state for all variables that are trainable after this.
        """

    def on_chunk_begin(self, step: int) -> None:
        """Prepare the model for the steps after `step`; eager.

        Called before steps and evaluations wherever they are run, also for a replay. What it does
        must be a function of `step` alone, so that a run can be taken up anywhere. If training
        becomes another computation by it, it calls `trainer.retrace()`.
        """

    def next_change(self, step: int) -> int | None:
        """Return the first step after `step` before which `on_chunk_begin` does something.

        None: there is none. No chunk of steps goes beyond it.
        """

    def on_chunk_end(self, num_steps: int, scalars: dict[str, np.ndarray], seconds: float) -> None:
        """React to a chunk of steps that has just run; eager.

        Args:
            num_steps: how many; the last one was `trainer.step`.
            scalars: what each of them returned, name to float32 [num_steps].
            seconds: wall time that the chunk took.
        """

    def close(self) -> None:
        """Let go of what is held; called last, also after an exception."""
