"""ResNet18: the residual network for small images that most CIFAR papers compare with."""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import BasicResidual, ConvBatchNorm

STAGES = 4  # each halves the image, but for the first, and doubles the channels
BLOCKS = 2  # residual blocks in a stage: 1 + 4 * 2 * 2 convolutions and the logits are 18 layers


@keras.saving.register_keras_serializable(package="tapeloop")
class ResNet18(ImageClassifier):
    """ResNet-18 of He et al. 2015 (arXiv 1512.03385, table 1), for 32x32 images.

    Differs from the paper, whose network is for 224x224 images: the stem is a 3x3 convolution of
    stride 1 without a max pool, and shortcuts that change the shape are 1x1 convolutions. That is
    the network the CIFAR literature calls ResNet-18. With 10 classes and colour images it has
    11,173,962 trainable parameters.

    Args:
        num_classes: Number of logits, at least 1.
        width: Channels of the stem and the first stage; 64 is the paper's.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `num_classes` or `width` is out of range.
    """

    def __init__(self, num_classes: int, width: int = 64, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a whole number of at least 1. Received: {width!r}.")
        self.width = width
        self.stem = ConvBatchNorm(width, 3, name="stem")
        self.blocks = [
            BasicResidual(
                width * 2**stage,
                strides=2 if stage > 0 and block == 0 else 1,
                name=f"stage_{stage + 1}_block_{block + 1}",
            )
            for stage in range(STAGES)
            for block in range(BLOCKS)
        ]
        # float32 whatever the policy: the average and the logits feed a softmax.
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C].
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.stem(inputs, training=training)  # 32x32 images, width 64: [B, 32, 32, 64]
        for block in self.blocks:
            x = block(x, training=training)  # ... to [B, 4, 4, 512]
        return self.logits(self.pool(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width}
