"""The data and the models that all contenders of a workload share."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from models.mini_inception import MiniInception

LEARNING_RATE = 0.01
MOMENTUM = 0.9

SHUFFLE_BUFFER = 4096
"""Examples among which a peer's `tf.data` pipeline draws; ours permutes the whole epoch."""


@dataclass(frozen=True)
class Problem:
    """What is trained on what.

    Attributes:
        inputs: float32 or uint8 [N, ...], N a multiple of the batch size.
        labels: int32 [N].
        batch_size: examples in a step.
        build_model: makes the model as a Keras user would write it.
        build_our_model: makes the model of the same variables as this project has it.
    """

    inputs: np.ndarray
    labels: np.ndarray
    batch_size: int
    build_model: Callable[[], keras.Model]
    build_our_model: Callable[[], keras.Model]

    @property
    def num_examples(self) -> int:
        """Examples in an epoch."""
        return len(self.labels)

    def dataset(self) -> tf.data.Dataset:
        """Return an epoch of shuffled batches as the `tf.data` guide builds it."""
        return (
            tf.data.Dataset.from_tensor_slices((self.inputs, self.labels))
            .shuffle(min(SHUFFLE_BUFFER, len(self.labels)))
            .batch(self.batch_size, drop_remainder=True)
            .prefetch(tf.data.AUTOTUNE)
        )


def mlp(quick: bool) -> Problem:
    """Return 64 features like those of 8x8 digits, for two dense layers (64 and 10 units)."""
    inputs, labels = _random_examples(32 * (64 if quick else 1024), (64,))
    return Problem(inputs.astype(np.float32) / 255, labels, 32, _build_mlp, _build_mlp)


def inception(quick: bool) -> Problem:
    """Return images like CIFAR-10's for MiniInception.

    An epoch is eight steps, since one takes a second: `steps_per_execution=32` runs these eight at
    once.
    """
    inputs, labels = _random_examples(8 * 2 if quick else 128 * 8, (32, 32, 3))
    return Problem(
        inputs.astype(np.float32) / 255,
        labels,
        8 if quick else 128,
        lambda: keras_mini_inception(num_classes=10),
        lambda: MiniInception(num_classes=10),
    )


PROBLEMS = {"mlp": mlp, "inception": inception}


def build_optimizer() -> keras.optimizers.Optimizer:
    """Return SGD with momentum."""
    return keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)


def build_loss() -> keras.losses.Loss:
    """Return the cross-entropy on logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def keras_mini_inception(num_classes: int) -> keras.Model:
    """Return MiniInception in plain Keras layers, for 32x32x3 images.

    As `models.mini_inception` at width 1, with `keras.layers.BatchNormalization`.
    """

    def conv_module(x: tf.Tensor, filters: int, size: int, strides: int = 1) -> tf.Tensor:
        padding = "same" if strides == 1 else "valid"
        x = keras.layers.Conv2D(filters, size, strides=strides, padding=padding)(x)
        return keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))

    def inception_module(x: tf.Tensor, filters_1x1: int, filters_3x3: int) -> tf.Tensor:
        return keras.layers.Concatenate()(
            [conv_module(x, filters_1x1, 1), conv_module(x, filters_3x3, 3)]
        )

    def downsample_module(x: tf.Tensor, filters: int) -> tf.Tensor:
        pooled = keras.layers.MaxPooling2D(3, strides=2)(x)
        return keras.layers.Concatenate()([conv_module(x, filters, 3, strides=2), pooled])

    inputs = keras.Input((32, 32, 3))
    x = conv_module(inputs, 96, 3)
    for filters in ((32, 32), (32, 48)):
        x = inception_module(x, *filters)
    x = downsample_module(x, 80)
    for filters in ((112, 48), (96, 64), (80, 80), (48, 96)):
        x = inception_module(x, *filters)
    x = downsample_module(x, 96)
    for filters in ((176, 160), (176, 160)):
        x = inception_module(x, *filters)
    x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, dtype="float32")(x))


def _build_mlp() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )


def _random_examples(num_examples: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (num_examples, *shape), np.uint8)
    return inputs, rng.integers(0, 10, num_examples).astype(np.int32)
