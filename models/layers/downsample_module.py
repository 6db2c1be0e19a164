"""Halve the image, keeping what was there and adding what a convolution finds."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.conv_module import ConvModule


@keras.saving.register_keras_serializable(package="tapeloop")
class DownsampleModule(keras.layers.Layer):
    """A 3x3 `ConvModule` and a 3x3 max pool, both of stride 2, concatenated over the channels.

    The downsample module of Zhang et al. 2017 (arXiv 1611.03530, figure 3). Neither branch pads:
    a side of `n >= 3` pixels becomes `(n - 1) // 2`.

    Args:
        filters: Number of channels of the convolution; the pool adds those of the input.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.conv_3x3 = ConvModule(filters, 3, strides=2, padding="valid", name="conv_3x3")
        self.max_pool = keras.layers.MaxPooling2D(3, strides=2, name="max_pool")
        self.concat = keras.layers.Concatenate(name="concat")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.conv_3x3.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, (H - 1) // 2, (W - 1) // 2, filters + C]."""
        return self.concat([self.conv_3x3(inputs, training=training), self.max_pool(inputs)])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters}
