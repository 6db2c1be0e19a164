"""A convolution that leaves out the part of its kernel that never meets the image."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class CroppedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, faster where the image is smaller than the kernel.

    On a map of n pixels no two are more than n - 1 apart, so that of an odd kernel with padding
    "same" and stride 1 only the middle 2n - 1 weights ever meet a pixel: 9 of the 49 of a 7x7
    kernel on a 2x2 map. The others multiply zeros, and their gradients are zero. All weights are
    there, and outputs and gradients are those of Keras' layer; only the multiplications by zero
    are left out.

    Args:
        See `keras.layers.Conv2D`.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve `inputs` [B, H, W, C] with the part of `kernel` that meets them."""
        if self.padding == "same" and set(self.strides + self.dilation_rate) == {1}:
            rows, columns = (
                middle(size, length)
                for size, length in zip(self.kernel_size, inputs.shape[1:3], strict=True)
            )
            kernel = kernel[rows, columns]
        return super().convolution_op(inputs, kernel)


def middle(size: int, length: int | None) -> slice:
    """Return the part of `size` kernel weights that meets an image of `length` pixels.

    Even sizes, whose padding is uneven, and images of unknown length (None) get all weights.
    """
    margin = 0 if length is None or size % 2 == 0 else max(0, size // 2 - (length - 1))
    return slice(margin, size - margin)
