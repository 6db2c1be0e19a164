"""Two 3x3 convolutions beside a shortcut: the unit of `ResNet18`."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.conv_batch_norm import ConvBatchNorm


@keras.saving.register_keras_serializable(package="tapeloop")
class BasicResidual(keras.layers.Layer):
    """Two 3x3 convolutions with batch normalization, added to the input, then ReLU.

    The basic block of He et al. 2015 (arXiv 1512.03385, figure 5), without biases. Where it changes
    the shape, the shortcut is a 1x1 convolution with batch normalization (their option B).

    Args:
        filters: Number of output channels.
        strides: Step of the first convolution and of the shortcut, in pixels.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides
        self.conv_1 = ConvBatchNorm(filters, 3, strides, name="conv_1")
        self.conv_2 = ConvBatchNorm(filters, 3, relu=False, name="conv_2")
        self.shortcut: ConvBatchNorm | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.conv_1.build(input_shape)
        self.conv_2.build((*input_shape[:-1], self.filters))
        if self.strides != 1 or input_shape[-1] != self.filters:
            self.shortcut = ConvBatchNorm(
                self.filters, 1, self.strides, relu=False, name="shortcut", dtype=self.dtype_policy
            )
            self.shortcut.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), filters]."""
        x = self.conv_2(self.conv_1(inputs, training=training), training=training)
        if self.shortcut:
            inputs = self.shortcut(inputs, training=training)
        return keras.ops.relu(x + inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}
