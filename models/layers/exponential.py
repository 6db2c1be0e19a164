"""The exponential function as a layer: what a `Lambda` would be used for, done safely."""

import math
from typing import Any

import keras
import tensorflow as tf

MAX_EXPONENT = 11.0  # e**11 = 59,874: the largest whole exponent whose power float16 holds


@keras.saving.register_keras_serializable(package="tapeloop")
class Exponential(keras.layers.Layer):
    """`y = exp(min(x, max_exponent))`, element by element.

    `keras.layers.Lambda(tf.exp)` has two traps. It is saved as Python code, which must not be
    loaded from somebody else's file; a registered class is saved by its name. And its values
    overflow: where the exponent is cut off here, y stays finite and the gradient is 0.

    Args:
        max_exponent: Where the exponent is cut off. 11 keeps y finite under every precision.
        **kwargs: As for `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `max_exponent` is not a finite number.
    """

    def __init__(self, max_exponent: float = MAX_EXPONENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(max_exponent, int | float) or not math.isfinite(max_exponent):
            raise ValueError(
                f"max_exponent must be a finite number, such as 11. Received: {max_exponent!r}."
            )
        self.max_exponent = max_exponent

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the powers of e, in the shape of the inputs."""
        return keras.ops.exp(keras.ops.minimum(inputs, self.max_exponent))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "max_exponent": self.max_exponent}
