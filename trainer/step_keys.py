"""Keys for random numbers in a step, which a run that is taken up again draws anew."""

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import keras
import tensorflow as tf

from trainer.data.data import Data


class StepKeys:
    """Keys that are functions of seed, step, replica and name, there while a step is traced.

    Args:
        model: its layers that draw without a state get a key as `stateless_key` in training.
        data: whose seed it is. Read when it is needed, since seeds trained together take turns.
    """

    def __init__(self, model: keras.Model, data: Data) -> None:
        self._model = model
        self._data = data
        self._of_step: tuple[str, tf.Tensor] | None = None

    def named(self, name: str) -> tf.Tensor:
        """Return a key for `tf.random.stateless_*`, int64 [2]; traced, in a step.

        Args:
            name: of what is drawn, such as `noise`; each gets random numbers of its own.

        Raises:
            ValueError: outside a step.
        """
        if self._of_step is None:
            raise ValueError(f"random_key({name!r}): there is no step to draw for")
        kind, step = self._of_step
        stream = (zlib.crc32(f"{kind}/{name}".encode()) << 31) | self._data.seed
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Steps lie far below 2**48.
        return tf.stack(
            [tf.convert_to_tensor(stream, tf.int64), step + tf.cast(replica, tf.int64) * 2**48]
        )

    def of_training(self, step: tf.Tensor) -> AbstractContextManager[None]:
        """Have the keys of a training step from here on, until `forget`."""
        for position, layer in enumerate(self._drawing_layers()):
            layer.stateless_key = tf.stack([(position << 31) | self._data.seed, step])
        return self._of("train_step", step)

    def of_evaluation(self, step: tf.Tensor) -> AbstractContextManager[None]:
        """Have the keys of an evaluation's step from here on, until `forget`."""
        return self._of("test_step", step)

    def forget(self) -> None:
        """Have none from here on.

        To be called once all replicas are traced: they are in turn, and the first ends before the
        last.
        """
        self._of_step = None
        for layer in self._drawing_layers():
            layer.stateless_key = None

    @contextmanager
    def _of(self, kind: str, step: tf.Tensor) -> Iterator[None]:
        self._of_step = kind, step
        try:
            yield
        except Exception:
            self.forget()
            raise

    def _drawing_layers(self) -> list[keras.layers.Layer]:
        return [x for x in self._model._flatten_layers() if hasattr(x, "stateless_key")]
