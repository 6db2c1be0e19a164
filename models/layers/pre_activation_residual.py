"""Batch normalization and ReLU before each convolution: the unit of `WideResNet`."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.cropped_conv import CroppedConv2D
from models.layers.fused_batch_normalization import FusedBatchNormalization
from models.layers.stateless_dropout import StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")
class PreActivationResidual(keras.layers.Layer):
    """Twice batch normalization, ReLU and a 3x3 convolution, with dropout between, plus the input.

    The "B(3,3)" block of Zagoruyko and Komodakis 2016 (arXiv 1605.07146), without biases. Where it
    changes the shape, the shortcut is a 1x1 convolution of the normalized input.

    Args:
        filters: Number of output channels.
        strides: Step of the first convolution and of the shortcut, in pixels.
        dropout: Share of what goes into the second convolution that is dropped in training.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(self, filters: int, strides: int = 1, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides
        self.dropout_rate = dropout
        self.batch_norm_1 = FusedBatchNormalization(momentum=0.9, name="batch_norm_1")
        self.conv_1 = conv(filters, 3, strides, name="conv_1")
        self.batch_norm_2 = FusedBatchNormalization(momentum=0.9, name="batch_norm_2")
        self.dropout = StatelessDropout(dropout, name="dropout")
        self.conv_2 = conv(filters, 3, name="conv_2")
        self.shortcut: keras.layers.Layer | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.batch_norm_1.build(input_shape)
        self.conv_1.build(input_shape)
        self.batch_norm_2.build((*input_shape[:-1], self.filters))
        self.conv_2.build((*input_shape[:-1], self.filters))
        if self.strides != 1 or input_shape[-1] != self.filters:
            self.shortcut = conv(
                self.filters, 1, self.strides, name="shortcut", dtype=self.dtype_policy
            )
            self.shortcut.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), filters]."""
        active = keras.ops.relu(self.batch_norm_1(inputs, training=training))
        x = self.conv_1(active)
        x = keras.ops.relu(self.batch_norm_2(x, training=training))
        x = self.conv_2(self.dropout(x, training=training))
        return x + (self.shortcut(active) if self.shortcut else inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "dropout": self.dropout_rate,
        }


def conv(filters: int, kernel_size: int, strides: int = 1, **kwargs: Any) -> CroppedConv2D:
    """Return a convolution without bias, which starts as He et al. 2015 have it for ReLUs."""
    return CroppedConv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        **kwargs,
    )
