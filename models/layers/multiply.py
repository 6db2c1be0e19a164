"""The product of two inputs: a layer that takes more than one."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class MultiplyLayer(keras.layers.Layer):
    """Multiplies two inputs element by element, such as features by a gate.

    It has no arguments and no variables, and so needs no more than a `call`. Unlike
    `keras.layers.Multiply` it takes exactly two inputs, and says so.
    """

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return `first * second`.

        Args:
            inputs: `(first, second)` of one shape, or of shapes that broadcast.

        Raises:
            ValueError: If there are not two of them.
        """
        if not isinstance(inputs, list | tuple) or len(inputs) != 2:
            given = len(inputs) if isinstance(inputs, list | tuple) else 1
            raise ValueError(f"{self.name} takes two inputs, [first, second]. Received: {given}.")
        first, second = inputs
        return first * second
