"""A convolution that leaves out what its kernel would do with padding."""

import math

import keras
import tensorflow as tf

# Below this share of products with pixels, a sum over weights is faster than TensorFlow's
# convolution: measured on two cores with AVX512-BF16, 128 to 512 channels, batches of 64 and 128.
LEAST_MET_SHARE = 0.45


@keras.saving.register_keras_serializable(package="tapeloop")
class CroppedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, right and fast where the kernel reaches far beyond a small image.

    With padding "same" some weights may only ever meet padding: on a 2x2 map 40 of the 49 of a 7x7
    kernel, on a 1x1 map 24 of 25. Their gradients are zero, but in bfloat16 on CPUs TensorFlow 2.21
    with oneDNN gives them others, as large as the true ones, in both these cases. This layer
    convolves with the remaining weights only.

    Where most products would still be with padding, two in three for a 7x7 kernel on a 4x4 map, it
    leaves these out too: it sums over the weights, each a matrix that takes the pixels it meets to
    the outputs they count for. On CPUs a training step's share of such a layer takes a third of
    the time. On GPUs the convolution is left as it is.

    Variables and outputs are those of Keras' layer.

    Args:
        See `keras.layers.Conv2D`.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve `inputs` [B, H, W, C] with the part of `kernel` that meets them."""
        sizes = inputs.shape[1:3]
        if (
            self.padding != "same"
            or self.data_format != "channels_last"
            or set(self.dilation_rate) != {1}
            or self.groups != 1
            or None in sizes
            or isinstance(inputs, keras.KerasTensor)
        ):
            return super().convolution_op(inputs, kernel)
        (rows, vertical), (columns, horizontal) = map(
            meeting, self.kernel_size, sizes, self.strides
        )
        kernel_size = rows.stop - rows.start, columns.stop - columns.start
        before = vertical[0], horizontal[0]
        by_weight = (
            self.strides == (1, 1)
            and math.prod(map(met_share, kernel_size, before, sizes)) < LEAST_MET_SHARE
            and not tf.config.list_logical_devices("GPU")
        )
        if not by_weight and kernel_size == self.kernel_size:
            return super().convolution_op(inputs, kernel)
        # Not by indexing, here and below: the gradient of a slice is a padding, which is faster.
        kernel = tf.slice(kernel, (rows.start, columns.start, 0, 0), (*kernel_size, -1, -1))
        if by_weight:
            return sum_over_weights(inputs, kernel, before)
        # Padded by hand: gradients of explicit paddings made bfloat16 steps thirty times as long.
        inputs = tf.pad(inputs, [(0, 0), vertical, horizontal, (0, 0)])
        return tf.nn.conv2d(inputs, kernel, self.strides, "VALID")


def meeting(size: int, length: int, stride: int) -> tuple[slice, tuple[int, int]]:
    """Return the weights along one axis that meet a pixel, and the padding that is left.

    Args:
        size: Weights of the kernel.
        length: Pixels of the image.
        stride: Step of the window, in pixels.

    Returns:
        The weights, and how many zeros they need before and after the image.
    """
    last = (-(-length // stride) - 1) * stride  # where the window of the last output starts
    padding = max(last + size - length, 0)
    before = padding // 2
    start, stop = max(0, before - last), min(size, before + length)
    return slice(start, stop), (before - start, padding - before - (size - stop))


def met_share(size: int, before: int, length: int) -> float:
    """Return the share of products along one axis that are with pixels rather than padding.

    Args:
        size: Weights of a kernel of stride 1, all of which meet a pixel.
        before: Padding before the image.
        length: Pixels of the image, and of the output.
    """
    met = sum(length - abs(weight - before) for weight in range(size))
    return met / (size * length)


def sum_over_weights(inputs: tf.Tensor, kernel: tf.Tensor, before: tuple[int, int]) -> tf.Tensor:
    """Convolve with stride 1 and padding "same" as a sum of products of matrices.

    Args:
        inputs: [B, H, W, C].
        kernel: [h, w, C, F], each of whose weights meets a pixel.
        before: Rows and columns of padding before the image.

    Returns:
        [B, H, W, F], summed in float32 whatever the type of the inputs.
    """
    height, width, channels = inputs.shape[1:]
    kernel_width, filters = kernel.shape[1], kernel.shape[3]
    # Pixels first: those that a weight meets then lie in few pieces. In float32, because the
    # gradient of taking them is a sum too.
    pixels = tf.transpose(tf.cast(inputs, tf.float32), (1, 2, 0, 3))
    # Unstacked, because the gradient of indexing one weight is as large as the kernel.
    weights = tf.unstack(tf.reshape(kernel, (-1, channels, filters)))
    terms = []
    for index, weight in enumerate(weights):
        row, column = divmod(index, kernel_width)
        top, num_rows, above = overlap(row - before[0], height)
        left, num_columns, beside = overlap(column - before[1], width)
        met = tf.slice(pixels, (top, left, 0, 0), (num_rows, num_columns, -1, -1))
        term = tf.reshape(tf.cast(met, inputs.dtype), (-1, channels)) @ weight
        term = tf.reshape(tf.cast(term, tf.float32), (num_rows, num_columns, -1, filters))
        terms.append(tf.pad(term, [above, beside, (0, 0), (0, 0)]))
    return tf.cast(tf.transpose(tf.add_n(terms), (2, 0, 1, 3)), inputs.dtype)


def overlap(shift: int, length: int) -> tuple[int, int, tuple[int, int]]:
    """Return which pixels of an axis count for another pixel of it, and where that one is.

    Args:
        shift: From an output to the pixel that counts for it.
        length: Pixels of the axis.

    Returns:
        The first of the pixels, their number, and how many outputs lie before and after theirs.
    """
    return max(0, shift), length - abs(shift), (max(0, -shift), max(0, shift))
