"""Any loss of predictions, made one of a model's outputs and of class numbers."""

from typing import Any

import tensorflow as tf

from trainer.losses.contract import (
    PerExampleLoss,
    check_num_outputs,
    name_of,
    one_output,
    per_example,
    takes_class_numbers,
)
from trainer.predictions import activated, activation_of, check_activation, labels_like


class OfPredictions:
    """A loss of probabilities or values, such as most of Keras', given a model's outputs.

        loss(labels as rows of zeros and a one, activation(outputs))

    Values to regress and soft labels stay as they are, with the axis of the outputs.

    Args:
        loss: of labels and predictions, both float32 [B, K]; any in `keras.losses`.
        activation: what makes predictions of the outputs: `softmax` over them, `sigmoid` of each,
            `linear` for none, or `auto`: see `trainer.predictions.link`.

    Raises:
        ValueError: if there is no such activation, or the loss has one of its own besides.
    """

    def __init__(self, loss: PerExampleLoss, activation: str = "auto") -> None:
        self._applied = check_activation(activation)
        link = getattr(loss, "activation", "linear")
        if (getattr(loss, "from_logits", False) or link != "linear") and activation != "linear":
            raise ValueError(
                f"activation={activation}: {name_of(loss)} takes logits; use activation=linear, or "
                "from_logits=false where it has that argument"
            )
        # A loss that is given the outputs as they are knows best what they are.
        self.activation = activation if activation != "linear" else activation_of(loss)
        self.name = name_of(loss)
        self._loss = loss
        self._per_example = per_example(loss)

    def __call__(self, labels: Any, outputs: Any) -> tf.Tensor:
        """Return float32 [B].

        Args:
            labels: int [B], or soft labels, yes and no or values, float32 [B] or [B, K].
            outputs: float [B, K].

        Raises:
            ValueError: if they do not fit together.
        """
        labels, outputs = one_output(self, labels, outputs)
        check_num_outputs(self._loss, outputs)
        predictions = activated(outputs, self._applied, labels)
        if not takes_class_numbers(self._loss):
            labels = labels_like(labels, predictions)
        return self._per_example(labels, predictions)
