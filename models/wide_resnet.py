"""WideResNet: few, wide residual blocks with the activation first."""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import CroppedConv2D, FusedBatchNormalization, PreActivationResidual

STEM = (
    16  # channels of the first convolution; the three stages have 1, 2 and 4 times `width` as many
)


@keras.saving.register_keras_serializable(package="tapeloop")
class WideResNet(ImageClassifier):
    """WRN-depth-width of Zagoruyko and Komodakis 2016 (arXiv 1605.07146, table 1).

    A 3x3 convolution, three stages of (depth - 4) / 6 blocks, of which the second and third halve
    the image, batch normalization, ReLU, and a linear layer on the average over the image. With 10
    classes and colour images WRN-16-4 has 2.75 million parameters and WRN-28-10 36.5 million.

    Args:
        num_classes: Number of logits, at least 1.
        depth: Number of convolutions, the stem and the three shortcuts included: 6 n + 4, such as
            10, 16, 22, 28 or 40.
        width: Factor on the channels of the three stages, at least 1.
        dropout: Share of the input of each block's second convolution that is dropped in training,
            0 <= dropout < 1. The paper takes 0.3 for CIFAR where it has any.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, num_classes: int, depth: int = 16, width: int = 4, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(depth, int) or depth < 10 or depth % 6 != 4:
            raise ValueError(
                f"depth must be 6 n + 4, such as 10, 16, 22, 28 or 40. Received: {depth!r}."
            )
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a whole number of at least 1. Received: {width!r}.")
        self.depth = depth
        self.width = width
        self.dropout = dropout
        self.stem = CroppedConv2D(
            STEM,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name="stem",
        )
        self.blocks = [
            PreActivationResidual(
                STEM * width * 2**stage,
                strides=2 if stage > 0 and block == 0 else 1,
                dropout=dropout,
                name=f"stage_{stage + 1}_block_{block + 1}",
            )
            for stage in range(3)
            for block in range((depth - 4) // 6)
        ]
        self.batch_norm = FusedBatchNormalization(momentum=0.9, name="batch_norm")
        self.relu = keras.layers.ReLU(name="relu")
        # float32 whatever the policy: the average and the logits feed a softmax.
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C].
            training: Drop inputs, normalize with the moments of the batch, and update the moving
                ones.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.stem(inputs)  # 32x32 images, width 4: [B, 32, 32, 16]
        for block in self.blocks:
            x = block(x, training=training)  # [B, 32, 32, 64], [B, 16, 16, 128], [B, 8, 8, 256]
        x = self.relu(self.batch_norm(x, training=training))
        return self.logits(self.pool(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "width": self.width,
            "dropout": self.dropout,
        }
