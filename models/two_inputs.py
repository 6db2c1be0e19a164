"""TwoInputs: an image and a feature vector in, a class and a value out."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import ConvModule


@keras.saving.register_keras_serializable(package="tapeloop")
class TwoInputs(ImageClassifier):
    """A small CNN over the image and a dense layer over the features, joined for two answers.

    The example of a model with several inputs and outputs, each a dict by name. The inputs are
    named as in the data; the output `class` is compared with `label/class`, `value` with
    `label/value`.

    Attributes:
        input_ranks: The name of each input to its number of axes, the batch's included.

    Args:
        num_classes: Number of classes of the output `class`.
        width: Channels of the first convolution and half the features of each input, at least 1.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If `width` is not a whole number of at least 1.
    """

    input_ranks: ClassVar = {"image": 4, "features": 2}

    def __init__(self, num_classes: int, width: int = 16, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a whole number of at least 1. Received: {width!r}.")
        self.width = width
        self.conv_1 = ConvModule(width, 3, strides=2, name="conv_1")
        self.conv_2 = ConvModule(2 * width, 3, strides=2, name="conv_2")
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.dense = keras.layers.Dense(2 * width, activation="relu", name="dense")
        self.concatenate = keras.layers.Concatenate(name="concatenate")
        self.joint = keras.layers.Dense(2 * width, activation="relu", name="joint")
        # float32 whatever the policy: a softmax and squared errors follow.
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")
        self.value = keras.layers.Dense(1, name="value", dtype="float32")

    def build(  # type: ignore[override]  # several inputs have several shapes
        self, input_shape: Mapping[str, tuple[int | None, ...]]
    ) -> None:
        """Create the variables of all layers.

        Args:
            input_shape: Of `image` [B, H, W, C] and of `features` [B, F].

        Raises:
            ValueError: If the inputs are not these two, of these ranks.
        """
        shapes = dict(input_shape) if isinstance(input_shape, Mapping) else {}
        if {name: len(shape) for name, shape in shapes.items()} != self.input_ranks:
            raise ValueError(
                f"{self.name} takes a dict of `image` [B, H, W, C] and `features` [B, F]. "
                f"Received: input_shape={input_shape}. Use data that has both."
            )
        self.call({n: keras.KerasTensor((None, *shape[1:])) for n, shape in shapes.items()})

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Map images and features to a class and a value.

        Args:
            inputs: `image` float32 [B, H, W, C] and `features` float32 [B, F].
            training: Normalize with the moments of the batch, and update the moving ones.

        Returns:
            `class`, logits float32 [B, num_classes], and `value` float32 [B, 1].
        """
        x = self.conv_1(inputs["image"], training=training)
        x = self.pool(self.conv_2(x, training=training))
        x = self.joint(self.concatenate([x, self.dense(inputs["features"])]))
        return {"class": self.logits(x), "value": self.value(x)}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width}
