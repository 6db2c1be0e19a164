"""DCGAN: a generator and a discriminator for small images."""

from typing import Any

import keras
import tensorflow as tf

from models.layers import FusedBatchNormalization

KERNEL_SIZE = 4


@keras.saving.register_keras_serializable(package="tapeloop")
class DCGAN(keras.Model):
    """The two networks of Radford et al. 2015 (arXiv 1511.06434), for images of any small size.

    The generator makes a map of the smallest size from noise, and doubles it stage by stage by
    transposed convolutions with batch normalization and ReLU, up to a tanh. The discriminator
    mirrors it: strided convolutions with leaky ReLU, batch normalized after the first. Weights
    begin as N(0, 0.02). The size is halved as long as it is even, but not below 2 pixels, so that
    32x32 images begin as 4x4, 28x28 as 7x7 and 8x8 as 2x2.

    Differs from the paper: three stages, not four, as its images are 64x64; kernels of 4x4 pixels,
    not 5x5, which stride 2 divides, so that all pixels get as many contributions.

    Called as a model it is the discriminator, a classifier of one logit: real or not. Images are in
    [0, 1] on both sides; the networks see [-1, 1].

    Args:
        latent_size: length of the noise vector, at least 1; the paper's 100.
        width: channels of the largest map, at least 1; each halving of the size doubles it.
            64 in the published code.
        max_stages: how often the size is halved at most, at least 1.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If an argument is out of range.
    """

    preprocesses_images = True

    def __init__(
        self, latent_size: int = 100, width: int = 64, max_stages: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        arguments = {"latent_size": latent_size, "width": width, "max_stages": max_stages}
        for name, value in arguments.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1. Received: {value}.")
        self.latent_size = latent_size
        self.width = width
        self.max_stages = max_stages

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create both networks for images of `input_shape` [B, H, W, C].

        Raises:
            ValueError: If `input_shape` has not four entries, or H or W is odd.
        """
        _, height, width, channels = input_shape if len(input_shape) == 4 else (None,) * 4
        if not (height and width and channels) or height % 2 or width % 2 or min(height, width) < 4:
            raise ValueError(
                f"{self.name} makes images [B, H, W, C] whose height and width are even and at "
                f"least 4. Received: input_shape={input_shape}. Resize the images."
            )
        sizes = [(height, width)]
        while len(sizes) <= self.max_stages and all(n % 2 == 0 and n >= 4 for n in sizes[-1]):
            sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
        depths = [self.width * 2**k for k in range(len(sizes) - 1)]

        first = (*sizes[-1], depths[-1])
        up: list[keras.layers.Layer] = [
            keras.Input((self.latent_size,)),
            keras.layers.Dense(
                first[0] * first[1] * first[2], use_bias=False, name="dense", **_normal()
            ),
            keras.layers.Reshape(first, name="reshape"),
            *_norm_and_relu(0),
        ]
        for k, depth in enumerate(reversed(depths[:-1]), start=1):
            up += [_up(depth, f"conv_{k}", use_bias=False), *_norm_and_relu(k)]
        # float32 whatever the policy: images and logits.
        up += [_up(channels, "image", activation="tanh", dtype="float32")]
        self.generator = keras.Sequential(up, name="generator")

        down: list[keras.layers.Layer] = [keras.Input((height, width, channels))]
        for k, depth in enumerate(depths):
            down += [
                keras.layers.Conv2D(
                    depth, KERNEL_SIZE, 2, "same", use_bias=k == 0, name=f"conv_{k}", **_normal()
                ),
                *([_batch_norm(k)] if k else []),
                keras.layers.LeakyReLU(0.2, name=f"relu_{k}"),
            ]
        down += [
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(1, name="logits", dtype="float32", **_normal()),
        ]
        self.discriminator = keras.Sequential(down, name="discriminator")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images to the logit of being real.

        Args:
            inputs: float32 [B, H, W, C] in [0, 1].
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            logits: float32 [B, 1].
        """
        return self.discriminator(2.0 * inputs - 1.0, training=training)

    def generate(self, noise: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map noise to images.

        Args:
            noise: float32 [B, latent_size], standard normal.
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            images: float32 [B, H, W, C] in [0, 1].
        """
        return 0.5 * (self.generator(noise, training=training) + 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "latent_size": self.latent_size,
            "width": self.width,
            "max_stages": self.max_stages,
        }


def _normal() -> dict[str, keras.initializers.Initializer]:
    # One for each layer: an initializer that is used twice gives the same values twice.
    return {"kernel_initializer": keras.initializers.RandomNormal(0.0, 0.02)}


def _batch_norm(k: int) -> keras.layers.Layer:
    gamma = keras.initializers.RandomNormal(1.0, 0.02)
    return FusedBatchNormalization(momentum=0.9, gamma_initializer=gamma, name=f"batch_norm_{k}")


def _norm_and_relu(k: int) -> list[keras.layers.Layer]:
    return [_batch_norm(k), keras.layers.ReLU(name=f"relu_{k}")]


def _up(filters: int, name: str, **arguments: Any) -> keras.layers.Layer:
    return keras.layers.Conv2DTranspose(
        filters, KERNEL_SIZE, 2, "same", name=name, **_normal(), **arguments
    )
