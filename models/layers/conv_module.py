"""Convolution, batch normalization and ReLU: the unit the other layers are made of."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.fused_batch_normalization import FusedBatchNormalization


@keras.saving.register_keras_serializable(package="tapeloop")
class ConvModule(keras.layers.Layer):
    """A convolution with bias, then batch normalization, then ReLU.

    The bias changes nothing that the batch normalization does not undo; it is there because the
    published parameter counts include it.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the square window, in pixels.
        strides: Step of the window, in pixels.
        padding: "same" (zeros around the image) or "valid" (none).
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.conv = keras.layers.Conv2D(filters, kernel_size, strides, padding, name="conv")
        # Keras' 0.99 averages over hundreds of steps, and lags behind in short runs.
        self.batch_norm = FusedBatchNormalization(momentum=0.9, name="batch_norm")
        self.relu = keras.layers.ReLU(name="relu")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.conv.build(input_shape)
        self.batch_norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, H', W', filters]."""
        x = self.conv(inputs)
        x = self.batch_norm(x, training=training)
        return self.relu(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }
