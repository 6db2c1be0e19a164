"""A linear layer written by hand: the example of a layer with variables."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class Linear(keras.layers.Layer):
    """`y = x @ kernel + bias`, as `keras.layers.Dense` without an activation.

    The three parts of every layer with variables: arguments are kept in `__init__`, variables are
    made in `build`, once the inputs' shape is known, and `get_config` returns the arguments, so
    that the layer can be saved. The kernel starts uniform in +-sqrt(6 / (inputs + units)) (Glorot
    and Bengio 2010), the bias at 0.

    Args:
        units: Number of outputs, at least 1.
        **kwargs: As for `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `units` is not a whole number of at least 1.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or isinstance(units, bool) or units < 1:
            raise ValueError(f"units must be a whole number of at least 1. Received: {units!r}.")
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [..., inputs]."""
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Map `inputs` [..., inputs] to [..., units]."""
        return keras.ops.matmul(inputs, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units}
