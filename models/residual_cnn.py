"""ResidualCNN: one residual block between two convolutions, for first tries on small images."""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import CroppedConv2D, FusedBatchNormalization


@keras.saving.register_keras_serializable(package="tapeloop")
class ResidualCNN(ImageClassifier):
    """The small residual network of Keras tutorials, with ReLU before the batch normalization.

    Batch normalization of the image; a 3x3 convolution; a residual block, whose first 3x3
    convolution and whose 1x1 shortcut have stride 2; a 4x4 average pool; a linear layer. With 10
    classes and 32x32x3 images it has 25,974 parameters, 25,776 of them trainable.

    Differs from its source in how kernels start: as He et al. 2015 (arXiv 1502.01852) have it.

    Args:
        num_classes: Number of logits, at least 1.
        filters: Channels of all convolutions.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `num_classes` or `filters` is out of range.
    """

    min_fixed_size = 7  # pixels; the block makes it 4, of which the pool makes 1

    def __init__(self, num_classes: int, filters: int = 32, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(
                f"filters must be a whole number of at least 1. Received: {filters!r}."
            )
        self.filters = filters
        self.image_norm = FusedBatchNormalization(momentum=0.9, name="image_norm")
        self.conv = conv(filters, 3, name="conv")
        self.batch_norm = FusedBatchNormalization(momentum=0.9, name="batch_norm")
        self.residual_conv_1 = conv(filters, 3, strides=2, name="residual_conv_1")
        self.residual_norm = FusedBatchNormalization(momentum=0.9, name="residual_norm")
        self.residual_conv_2 = conv(filters, 3, name="residual_conv_2")
        self.shortcut = conv(filters, 1, strides=2, name="shortcut")
        self.output_norm = FusedBatchNormalization(momentum=0.9, name="output_norm")
        self.pool = keras.layers.AveragePooling2D(4, name="pool")
        self.flatten = keras.layers.Flatten(name="flatten")
        # float32 whatever the policy: the logits feed a softmax.
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C], all of the size that the model was built for.
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.conv(self.image_norm(inputs, training=training))  # 32x32 images: [B, 32, 32, 32]
        x = self.batch_norm(keras.ops.relu(x), training=training)
        residual = self.residual_conv_1(x)  # [B, 16, 16, 32]
        residual = self.residual_norm(keras.ops.relu(residual), training=training)
        x = self.residual_conv_2(residual) + self.shortcut(x)
        x = self.output_norm(keras.ops.relu(x), training=training)
        return self.logits(self.flatten(self.pool(x)))  # of [B, 512]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters}


def conv(filters: int, kernel_size: int, strides: int = 1, **kwargs: Any) -> CroppedConv2D:
    """Return a convolution with bias and padding, which starts as ReLU networks need it."""
    return CroppedConv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        kernel_initializer="he_normal",
        **kwargs,
    )
