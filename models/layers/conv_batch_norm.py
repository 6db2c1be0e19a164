"""Convolution, batch normalization and, if wanted, ReLU: the unit of the residual networks."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.cropped_conv import CroppedConv2D
from models.layers.fused_batch_normalization import FusedBatchNormalization


@keras.saving.register_keras_serializable(package="tapeloop")
class ConvBatchNorm(keras.layers.Layer):
    """A convolution with padding "same", then batch normalization, then ReLU or nothing.

    Differs from `ConvModule` in that a residual branch can end before its ReLU, in the bias, and
    in that kernels start as He et al. 2015 (arXiv 1502.01852) have it for ReLU networks.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the square window, in pixels.
        strides: Step of the window, in pixels.
        relu: End in a ReLU.
        use_bias: Give the convolution a bias, which the batch normalization then undoes.
        zero_gamma: Start the batch normalization's scale at 0 rather than 1, so that a residual
            branch that ends here adds nothing at first (Goyal et al. 2017, arXiv 1706.02677).
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        relu: bool = True,
        use_bias: bool = False,
        zero_gamma: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.relu = relu
        self.use_bias = use_bias
        self.zero_gamma = zero_gamma
        self.conv = CroppedConv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=use_bias,
            kernel_initializer="he_normal",
            name="conv",
        )
        # Keras' 0.99 averages over hundreds of steps, and lags behind in short runs.
        self.batch_norm = FusedBatchNormalization(
            momentum=0.9, gamma_initializer="zeros" if zero_gamma else "ones", name="batch_norm"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.conv.build(input_shape)
        self.batch_norm.build(self.conv.compute_output_shape(input_shape))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), filters]."""
        x = self.batch_norm(self.conv(inputs), training=training)
        return keras.ops.relu(x) if self.relu else x

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "relu": self.relu,
            "use_bias": self.use_bias,
            "zero_gamma": self.zero_gamma,
        }
