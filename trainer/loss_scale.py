"""Dynamic loss scaling for float16, whose gradients would otherwise underflow."""

import keras
import tensorflow as tf


class LossScale:
    """The factor on the loss (Micikevicius et al. 2017, arXiv 1710.03740, section 3.2).

    It is halved when a gradient is not finite (the update is left out), and doubled after
    `growth_steps` updates without such.

    Args:
        initial: the first factor; 2**15 is the largest power of two that float16 holds.
        growth_steps: finite updates before it is doubled, at least 1.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000) -> None:
        self._growth_steps = growth_steps
        self._scale = keras.Variable(initial, dtype="float32", trainable=False, name="loss_scale")
        self._num_finite = keras.Variable(0, dtype="int32", trainable=False, name="num_finite")

    @property
    def value(self) -> tf.Tensor:
        """The factor, float32 scalar."""
        return tf.convert_to_tensor(self._scale)

    @property
    def variables(self) -> list[keras.Variable]:
        """What evolves."""
        return [self._scale, self._num_finite]

    def note(self, is_finite: tf.Tensor) -> None:
        """Adjust the factor after an update; traced, outside the replicas.

        Args:
            is_finite: bool scalar, whether all gradients were.
        """
        num_finite = tf.where(is_finite, self._num_finite + 1, 0)
        grows = num_finite >= self._growth_steps
        factor = tf.where(is_finite, tf.where(grows, 2.0, 1.0), 0.5)
        self._scale.assign(tf.maximum(self._scale * factor, 1.0))
        self._num_finite.assign(tf.where(grows, 0, num_finite))
