"""The base of our own callbacks."""

from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    from trainer.durations import RunLength
    from trainer.trainer import Trainer


class TrainerCallback(keras.callbacks.Callback):
    """A Keras callback that also sees the Trainer and every chunk of steps.

    All of Keras' hooks are called as well: `on_train_begin`, `on_epoch_end`, `on_test_end`, ….
    """

    trainer: "Trainer"
    length: "RunLength"

    def on_chunk_end(self, num_steps: int, scalars: dict[str, np.ndarray], seconds: float) -> None:
        """React to a chunk of steps that has just run; eager.

        Args:
            num_steps: how many; the last one was `trainer.step`.
            scalars: what each of them returned, name to float32 [num_steps].
            seconds: wall time that the chunk took.
        """

    def close(self) -> None:
        """Let go of what is held; called last, also after an exception."""
