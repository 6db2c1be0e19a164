"""FunnyResNet: a wide residual network of two-path bottlenecks with growing kernels."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import FusedBatchNormalization, MultiPathResidual, ScalingMultiPathResidual

# The names of these layers in the tutorial that the network comes from.
ResidualLayer = MultiPathResidual
ResidualLayerScal = ScalingMultiPathResidual


@keras.saving.register_keras_serializable(package="tapeloop")
class FunnyResNet(ImageClassifier):
    """A stem, blocks of two-path residual layers whose kernels grow as the image shrinks, logits.

    The first layer of a block strides and has a convolution in its shortcut, the others add to
    their input. With 10 classes and 32x32x3 images the default network has 86,757,322 parameters,
    86,695,370 of them trainable.

    Differs from the tutorial it comes from: kernels start as He et al. 2015 (arXiv 1502.01852) have
    it for ReLU networks, and the moving moments average over ten steps rather than a hundred.
    On 32x32 images the 7x7 kernels of four layers lie on 2x2 maps, where 40 of 49 weights only ever
    meet padding: they have no gradient, and are left out of the sums (see `CroppedConv2D`).

    Args:
        num_classes: Number of logits, at least 1.
        stem: Channels of the 3x3 convolution of stride 2 at the start.
        top: For each block, channels of the first 1x1 convolutions of the widest paths.
        mid: For each block, channels of their square convolutions.
        bottom: For each block, channels of the outputs of its layers.
        kernel_sizes: For each block, side of the square convolutions, in pixels.
        strides: For each block, step of its first layer, in pixels.
        depth: Residual layers in a block, at least 1.
        num_paths: Paths in a residual layer, each a quarter as wide as the one before.
        zero_gamma: Start with layers that keep the size as the identity: with paths that add 0, by
            the scale of their last batch normalization (Goyal et al. 2017, arXiv 1706.02677). Not
            in the tutorial, where each of the 15 layers adds two paths of variance 1 and the first
            losses lie above 5. Differs from the paper: layers that stride keep their paths, since
            their shortcuts alone, of 1x1 convolutions, see one pixel in four.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If an argument is out of range, or the blocks are not equally many everywhere.
    """

    min_fixed_size = 3

    def __init__(
        self,
        num_classes: int,
        stem: int = 64,
        top: Sequence[int] = (128, 256, 512),
        mid: Sequence[int] = (128, 256, 512),
        bottom: Sequence[int] = (256, 512, 1024),
        kernel_sizes: Sequence[int] = (3, 5, 7),
        strides: Sequence[int] = (2, 2, 2),
        depth: int = 5,
        num_paths: int = 2,
        zero_gamma: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, **kwargs)
        blocks = {
            "top": list(top),
            "mid": list(mid),
            "bottom": list(bottom),
            "kernel_sizes": list(kernel_sizes),
            "strides": list(strides),
        }
        self.arguments = {
            "stem": stem,
            **blocks,
            "depth": depth,
            "num_paths": num_paths,
            "zero_gamma": zero_gamma,
        }
        if len({len(numbers) for numbers in blocks.values()}) != 1:
            raise ValueError(
                f"{', '.join(blocks)} must have one number for each block. Received: {blocks}."
            )
        for name, numbers in {"stem": [stem], **blocks, "depth": [depth]}.items():
            if any(not isinstance(number, int) or number < 1 for number in numbers):
                raise ValueError(
                    f"{name} must be made of whole numbers of at least 1. "
                    f"Received: {self.arguments[name]!r}."
                )
        self.stem_conv = keras.layers.Conv2D(
            stem, 3, 2, activation="relu", kernel_initializer="he_normal", name="stem_conv"
        )
        self.stem_batch_norm = FusedBatchNormalization(momentum=0.9, name="stem_batch_norm")
        self.stem_relu = keras.layers.ReLU(name="stem_relu")
        self.blocks: list[keras.layers.Layer] = []
        for block, (t, m, b, kernel_size, step) in enumerate(
            zip(*blocks.values(), strict=True), start=1
        ):
            scaling = ScalingMultiPathResidual(
                t, m, b, kernel_size, num_paths, step, name=f"block_{block}_scaling"
            )
            identities = [
                MultiPathResidual(
                    *(t, m, b, kernel_size, num_paths),
                    zero_gamma=zero_gamma,
                    name=f"block_{block}_identity_{layer}",
                )
                for layer in range(1, depth)
            ]
            self.blocks += [scaling, *identities]
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
        x = self.stem_conv(inputs)  # 32x32x3 images, default arguments: [B, 15, 15, 64]
        x = self.stem_relu(self.stem_batch_norm(x, training=training))
        for block in self.blocks:
            x = block(x, training=training)  # [B, 8, 8, 256], [B, 4, 4, 512], [B, 2, 2, 1024]
        return self.logits(self.flatten(x))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.arguments}
