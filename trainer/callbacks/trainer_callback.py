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

    def on_chunk_end(self, scalars: dict[str, np.ndarray], seconds: float) -> None:
        """Called after each chunk, outside the graph.

        Args:
            scalars: what each of its steps returned, name to float32 [K]; the last one is
                `trainer.step`.
            seconds: wall time that the chunk took.
        """

    def close(self) -> None:
        """Called last, also after an exception or an interruption."""
