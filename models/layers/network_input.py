"""Images as a published network wants them."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class NetworkInput(keras.layers.Layer):
    """Resizes images, makes grey ones coloured, and prepares them for a network of Keras.

    Each family of `keras.applications` was trained on pixels prepared in its own way; this takes
    that family's `preprocess_input`. Always in float32: bfloat16 has too few digits for pixels.

    Args:
        family: Module of `keras.applications`, such as "resnet".
        image_size: Height and width to resize to (bilinear), in pixels; other images stay.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, family: str, image_size: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.family = family
        self.image_size = list(image_size)
        module = getattr(keras.applications, family)
        self._preprocess: Callable[..., tf.Tensor] = module.preprocess_input

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check the shape of the images; there are no variables.

        Raises:
            ValueError: If they are neither grey nor coloured images.
        """
        if len(input_shape) != 4 or input_shape[-1] not in (1, 3):
            raise ValueError(
                "a network of keras.applications takes images [B, H, W, 1 or 3]. "
                f"Received: input_shape={input_shape}."
            )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Map images [B, H, W, 1 or 3] in [0, 1] to float32 [B, *image_size, 3]."""
        x = inputs
        if list(x.shape[1:3]) != self.image_size:
            x = tf.image.resize(x, self.image_size)
        if x.shape[-1] == 1:
            x = tf.repeat(x, 3, axis=-1)
        return self._preprocess(255.0 * x, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [B, *image_size, 3]."""
        return (input_shape[0], *self.image_size, 3)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "family": self.family, "image_size": self.image_size}
