"""Two convolutions of different reach, side by side."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.conv_module import ConvModule


@keras.saving.register_keras_serializable(package="tapeloop")
class InceptionModule(keras.layers.Layer):
    """A 1x1 and a 3x3 `ConvModule` on the same input, concatenated over the channels.

    The reduced inception module of Zhang et al. 2017 (arXiv 1611.03530, figure 3).

    Args:
        filters_1x1: Number of channels of the 1x1 branch.
        filters_3x3: Number of channels of the 3x3 branch.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, filters_1x1: int, filters_3x3: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters_1x1 = filters_1x1
        self.filters_3x3 = filters_3x3
        self.conv_1x1 = ConvModule(filters_1x1, 1, name="conv_1x1")
        self.conv_3x3 = ConvModule(filters_3x3, 3, name="conv_3x3")
        self.concat = keras.layers.Concatenate(name="concat")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.conv_1x1.build(input_shape)
        self.conv_3x3.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, H, W, filters_1x1 + filters_3x3]."""
        return self.concat(
            [self.conv_1x1(inputs, training=training), self.conv_3x3(inputs, training=training)]
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters_1x1": self.filters_1x1,
            "filters_3x3": self.filters_3x3,
        }
