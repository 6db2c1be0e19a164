"""A loss for each of a model's outputs."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.losses.contract import PerExampleLoss, per_example
from trainer.predictions import activation_of


class PerOutput:
    """The weighted sum of a loss for each output.

    Args:
        losses: output to loss, under the names of the model's outputs and of the targets: the
            labels of the output `value` are the batch's `label/value`.
        weights: output to the factor of its loss, 0 or more; default, and where one is left out: 1.

    Raises:
        ValueError: if there is no loss, a weight of an output without one, or a negative weight.
    """

    name = "PerOutput"

    def __init__(
        self, losses: Mapping[str, PerExampleLoss], weights: Mapping[str, float] | None = None
    ) -> None:
        if not losses:
            raise ValueError("losses={}: a loss for each of the model's outputs is needed")
        for name, weight in (weights or {}).items():
            if name not in losses:
                raise ValueError(f"weights.{name}: there are losses for {', '.join(losses)}")
            if not weight >= 0:
                raise ValueError(f"weights.{name}={weight}: a factor of at least 0")
        self.activation = {name: activation_of(loss) for name, loss in losses.items()}
        self._losses = {name: per_example(loss) for name, loss in losses.items()}
        self._weights = dict.fromkeys(losses, 1.0) | dict(weights or {})

    def __call__(
        self, labels: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Return float32 [B].

        Args:
            labels: each int [B], or float32 [B] or [B, K].
            outputs: each float32 [B, K].

        Raises:
            ValueError: if they do not have the names of the losses, or a loss refuses its own.
        """
        for what, tensors in (("the model's outputs", outputs), ("the data's targets", labels)):
            if not isinstance(tensors, Mapping):
                raise ValueError(
                    f"loss PerOutput is for {', '.join(self._losses)}, but {what} are one tensor; "
                    "use a loss of one output such as cross_entropy"
                )
            if tensors.keys() != self._losses.keys():
                raise ValueError(
                    f"loss PerOutput is for {', '.join(self._losses)}, but {what} are "
                    f"{', '.join(tensors)}; name a loss for each"
                )
        total = None
        for name, loss in self._losses.items():
            try:
                losses = self._weights[name] * loss(labels[name], outputs[name])
            except ValueError as error:
                raise ValueError(f"output {name}: {error}") from error
            total = losses if total is None else total + losses
        return total
