"""Several bottlenecks of different width beside a shortcut: the unit of `FunnyResNet`."""

from typing import Any

import keras
import tensorflow as tf

from models.layers.conv_batch_norm import ConvBatchNorm

PATH_REDUCTION = 4  # each path is this many times narrower than the one before


@keras.saving.register_keras_serializable(package="tapeloop")
class BottleneckPath(keras.layers.Layer):
    """A 1x1, a square and a 1x1 convolution, each batch-normalized, with ReLU between them.

    The bottleneck of He et al. 2015 (arXiv 1512.03385, figure 5). Differs from it in the stride,
    which is the last convolution's, and in that the convolutions have biases.

    Args:
        top: Channels of the first 1x1 convolution.
        mid: Channels of the square convolution.
        bottom: Channels of the last 1x1 convolution.
        kernel_size: Side of the square convolution, in pixels.
        strides: Step of the last convolution, in pixels.
        zero_gamma: Start with an output of 0 (see `ConvBatchNorm`).
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self,
        top: int,
        mid: int,
        bottom: int,
        kernel_size: int,
        strides: int = 1,
        zero_gamma: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = {
            "top": top,
            "mid": mid,
            "bottom": bottom,
            "kernel_size": kernel_size,
            "strides": strides,
            "zero_gamma": zero_gamma,
        }
        self.top = ConvBatchNorm(top, 1, use_bias=True, name="top")
        self.mid = ConvBatchNorm(mid, kernel_size, use_bias=True, name="mid")
        self.bottom = ConvBatchNorm(
            bottom,
            1,
            strides,
            relu=False,
            use_bias=True,
            zero_gamma=zero_gamma,
            name="bottom",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        self.top.build(input_shape)
        self.mid.build((*input_shape[:-1], self.top.filters))
        self.bottom.build((*input_shape[:-1], self.mid.filters))

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), bottom]."""
        x = self.top(inputs, training=training)
        x = self.mid(x, training=training)
        return self.bottom(x, training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable(package="tapeloop")
class MultiPathResidual(keras.layers.Layer):
    """Adds the outputs of several `BottleneckPath`s and of a shortcut, then ReLU.

    The first path has `top` and `mid` channels inside, the second a quarter of them, and so on;
    all end in `bottom` channels.

    Args:
        top: Channels of the first 1x1 convolution of the widest path.
        mid: Channels of its square convolution.
        bottom: Channels of the output.
        kernel_size: Side of the square convolutions, in pixels.
        num_paths: Number of paths, at least 1.
        strides: None: the shortcut is the input, which has `bottom` channels. A number of pixels:
            it is a 1x1 convolution with batch normalization, of that step as the paths.
        zero_gamma: Start with paths that add 0 (see `ConvBatchNorm`).
        **kwargs: As for `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If there is no path, or the narrowest would have no channels.
    """

    def __init__(
        self,
        top: int,
        mid: int,
        bottom: int,
        kernel_size: int,
        num_paths: int = 2,
        strides: int | None = None,
        zero_gamma: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_paths < 1 or min(top, mid) < PATH_REDUCTION ** (num_paths - 1):
            raise ValueError(
                f"num_paths must be at least 1, and each path is {PATH_REDUCTION} times narrower "
                f"than the one before. Received: num_paths={num_paths}, top={top}, mid={mid}. "
                "Take fewer paths or more channels."
            )
        self.arguments = {
            "top": top,
            "mid": mid,
            "bottom": bottom,
            "kernel_size": kernel_size,
            "num_paths": num_paths,
            "strides": strides,
            "zero_gamma": zero_gamma,
        }
        self.paths = [
            BottleneckPath(
                top // PATH_REDUCTION**path,
                mid // PATH_REDUCTION**path,
                bottom,
                kernel_size,
                strides or 1,
                zero_gamma,
                name=f"path_{path + 1}",
            )
            for path in range(num_paths)
        ]
        self.shortcut: ConvBatchNorm | None = None
        if strides:
            self.shortcut = ConvBatchNorm(
                bottom, 1, strides, relu=False, use_bias=True, name="shortcut"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the variables for inputs of `input_shape` [B, H, W, C]."""
        for path in self.paths:
            path.build(input_shape)
        if self.shortcut:
            self.shortcut.build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map `inputs` [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), bottom]."""
        x = self.shortcut(inputs, training=training) if self.shortcut else inputs
        for path in self.paths:
            x = x + path(inputs, training=training)
        return keras.ops.relu(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.arguments}


@keras.saving.register_keras_serializable(package="tapeloop")
class ScalingMultiPathResidual(MultiPathResidual):
    """`MultiPathResidual` that halves the image, unless told otherwise, with a shortcut to match.

    Args:
        top: As for `MultiPathResidual`, as are the others.
        mid: Channels.
        bottom: Channels.
        kernel_size: Pixels.
        num_paths: Number of paths.
        strides: Step of the paths and the shortcut, in pixels.
        zero_gamma: Whether paths start at 0.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self,
        top: int,
        mid: int,
        bottom: int,
        kernel_size: int,
        num_paths: int = 2,
        strides: int = 2,
        zero_gamma: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(top, mid, bottom, kernel_size, num_paths, strides, zero_gamma, **kwargs)
