"""A small CNN as a subclass of `keras.Model`: layers in `__init__`, the way through in `call`."""

from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import FusedBatchNormalization, StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")
class SmallCNNSubclassed(ImageClassifier):
    """The network of `small_cnn_sequential`, for images [B, H, W, C] of at least 19x19.

    The style for everything: `call` is Python, and may do what a graph of layers cannot say.

    Args:
        num_classes: Number of classes.
        dropout: Share of the last features dropped in training, 0 <= dropout < 1.
        **kwargs: As for `keras.Model`, such as `name`.
    """

    def __init__(self, num_classes: int, dropout: float = 0.3, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        self.conv_1 = keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="conv_1")
        self.pool_1 = keras.layers.MaxPooling2D(3, name="pool_1")
        self.batch_norm_1 = FusedBatchNormalization(name="batch_norm_1")
        self.conv_2 = keras.layers.Conv2D(64, 3, activation="relu", name="conv_2")
        self.batch_norm_2 = FusedBatchNormalization(name="batch_norm_2")
        self.dropout = StatelessDropout(dropout, name="dropout")
        self.pool_2 = keras.layers.GlobalMaxPooling2D(name="pool_2")
        # float32 whatever the policy: the logits feed a softmax.
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to logits.

        Args:
            inputs: float32 [B, H, W, C], H and W at least 19.
            training: Normalize with the moments of the batch, and drop features.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.pool_1(self.conv_1(inputs))
        x = self.batch_norm_1(x, training=training)
        x = self.conv_2(x)
        x = self.batch_norm_2(x, training=training)
        x = self.dropout(x, training=training)
        return self.logits(self.pool_2(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dropout": self.dropout.rate}
