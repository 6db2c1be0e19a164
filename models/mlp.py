"""MLP: dense layers over flattened images or features."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier
from models.layers import StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")
class MLP(ImageClassifier):
    """A multilayer perceptron with ReLU, and dropout if wanted, after each hidden layer.

    Args:
        num_classes: Number of classes, at least 2.
        hidden_units: Width of each hidden layer, at least 1; an empty list is a linear classifier.
        dropout: Share of the hidden units dropped in training, 0 <= dropout < 1.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If an argument is out of range.
    """

    takes_any_rank = True

    def __init__(
        self,
        num_classes: int,
        hidden_units: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, **kwargs)
        if any(not isinstance(units, int) or units < 1 for units in hidden_units):
            raise ValueError(
                f"hidden_units must be whole numbers of at least 1. Received: {hidden_units!r}."
            )
        self.hidden_units = list(hidden_units)
        self.dropout = dropout
        self.flatten = keras.layers.Flatten(name="flatten")
        self.hidden = [
            keras.layers.Dense(units, activation="relu", name=f"hidden_{k}")
            for k, units in enumerate(hidden_units, start=1)
        ]
        self.dropouts = [
            StatelessDropout(dropout, name=f"dropout_{k}")
            for k, _ in enumerate(hidden_units, start=1)
        ]
        # float32 whatever the policy: the logits feed a softmax.
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map images or features to logits.

        Args:
            inputs: float32 [B, ...].
            training: Drop hidden units.

        Returns:
            logits: float32 [B, num_classes].
        """
        x = self.flatten(inputs)
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            x = dropout(layer(x), training=training)
        return self.logits(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "hidden_units": self.hidden_units, "dropout": self.dropout}
