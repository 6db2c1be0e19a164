"""BranchedMLP: two towers of dense layers side by side."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from models.image_classifier import ImageClassifier


@keras.saving.register_keras_serializable(package="tapeloop")
class BranchedMLP(ImageClassifier):
    r"""A wide and a narrow tower over the same inputs, concatenated, and a layer on both.

        inputs -> 10 -> 10 -> 10 \
                                 concatenated -> 5 -> logits
        inputs ->  3 ->  3 ->  3 /

    All layers but the last have a ReLU. Inputs of any shape are flattened.

    Args:
        num_classes: Number of logits.
        branch_units: Width of the layers of each tower, at least 1.
        branch_depth: Layers in each tower, at least 1.
        joint_units: Width of the layer on both, at least 1.
        **kwargs: As for `keras.Model`, such as `name`.

    Raises:
        ValueError: If an argument is out of range.
    """

    takes_any_rank = True

    def __init__(
        self,
        num_classes: int,
        branch_units: Sequence[int] = (10, 3),
        branch_depth: int = 3,
        joint_units: int = 5,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, **kwargs)
        numbers = (*branch_units, branch_depth, joint_units)
        if not branch_units or any(not isinstance(n, int) or n < 1 for n in numbers):
            raise ValueError(
                "branch_units, branch_depth and joint_units must be whole numbers of at least 1. "
                f"Received: {list(branch_units)!r}, {branch_depth!r}, {joint_units!r}."
            )
        self.branch_units = list(branch_units)
        self.branch_depth = branch_depth
        self.joint_units = joint_units
        self.flatten = keras.layers.Flatten(name="flatten")
        self.branches = [
            [
                keras.layers.Dense(units, activation="relu", name=f"branch_{k}_{depth}")
                for depth in range(1, branch_depth + 1)
            ]
            for k, units in enumerate(branch_units, start=1)
        ]
        self.concatenate = keras.layers.Concatenate(name="concatenate")
        self.joint = keras.layers.Dense(joint_units, activation="relu", name="joint")
        # float32 whatever the policy: the logits feed a softmax.
        self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Map features or images to logits.

        Args:
            inputs: float32 [B, ...].
            training: Makes no difference.

        Returns:
            logits: float32 [B, num_classes].
        """
        flat = self.flatten(inputs)
        outputs = []
        for branch in self.branches:
            x = flat
            for layer in branch:
                x = layer(x)
            outputs.append(x)
        return self.logits(self.joint(self.concatenate(outputs)))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "branch_units": self.branch_units,
            "branch_depth": self.branch_depth,
            "joint_units": self.joint_units,
        }
