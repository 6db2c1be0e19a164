"""MiniInception: a small inception network for small images."""

import math
from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import ConvModule, DownsampleModule, InceptionModule

MIN_IMAGE_SIZE = 7  # pixels; the two downsample modules make it 3, then 1


@keras.saving.register_keras_serializable(package="tapeloop")
class MiniInception(ImageClassifier):
    """The "Inception (small)" of Zhang et al. 2017 (arXiv 1611.03530, figure 3).

    A 3x3 stem, eight inception modules in three stages with a downsample module between them,
    and a linear layer on the average over the image. With 10 classes and 32x32x3 images it has
    1,656,250 parameters, 1,652,826 of them trainable.

    Differs from the paper: the 7x7 average pool is a global one. On 32x32 images, whose last map
    is 7x7, that is the same; other sizes work too.

    Args:
        num_classes: Number of logits, at least 1.
        width: Factor on every channel count, above 0; counts are rounded, and at least 4.
            1.0 is the paper's network.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `num_classes` or `width` is out of range.
    """

    def __init__(self, num_classes: int, width: float = 1.0, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(width, int | float) or not 0 < width < math.inf:
            raise ValueError(f"width must be a number above 0, such as 0.5. Received: {width!r}.")
        self.width = float(width)

        def scaled(channels: int) -> int:
            return max(4, round(channels * width))

        def inception(filters_1x1: int, filters_3x3: int, name: str) -> InceptionModule:
            return InceptionModule(scaled(filters_1x1), scaled(filters_3x3), name=name)

        self.blocks: list[keras.layers.Layer] = [  # shapes: 32x32x3 images, width 1
            ConvModule(scaled(96), 3, name="stem"),  # [B, 32, 32, 96]
            inception(32, 32, name="inception_1a"),
            inception(32, 48, name="inception_1b"),  # [B, 32, 32, 80]
            DownsampleModule(scaled(80), name="downsample_1"),  # [B, 15, 15, 160]
            inception(112, 48, name="inception_2a"),
            inception(96, 64, name="inception_2b"),
            inception(80, 80, name="inception_2c"),
            inception(48, 96, name="inception_2d"),  # [B, 15, 15, 144]
            DownsampleModule(scaled(96), name="downsample_2"),  # [B, 7, 7, 240]
            inception(176, 160, name="inception_3a"),
            inception(176, 160, name="inception_3b"),  # [B, 7, 7, 336]
        ]
        # float32 whatever the policy: the average and the logits feed a softmax.
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables of all layers for images of `input_shape` [B, H, W, C].

        Raises:
            ValueError: If `input_shape` has not four entries, or the images are below 7x7.
        """
        if any(size is not None and size < MIN_IMAGE_SIZE for size in input_shape[1:3]):
            raise ValueError(
                f"{self.name} needs images of at least {MIN_IMAGE_SIZE}x{MIN_IMAGE_SIZE} pixels: "
                f"it halves them twice. Received: input_shape={input_shape}. Resize the images."
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C], H and W at least 7.
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = inputs
        for block in self.blocks:
            x = block(x, training=training)
        return self.logits(self.pool(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width}
