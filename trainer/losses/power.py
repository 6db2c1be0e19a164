"""A power of the error, beyond a threshold along its tangent."""

from typing import Any

import keras
import tensorflow as tf


class Power(keras.losses.Loss):
    """The mean of `|label - prediction| ** exponent` over the outputs.

    Errors beyond the threshold t count as the tangent there, `t**p + p t**(p-1) (|error| - t)`, so
    that the slope is continuous and far outliers do not rule the gradient: Huber's idea (1964),
    whose loss this is, times two, with exponent 2.

    Args:
        exponent: p, at least 1. The default of 4 punishes large errors far more than small ones.
        threshold: t, above 0, in the units of the label; None: no errors are too large.
        name: the loss' name in messages.

    Raises:
        ValueError: if either is out of range.
    """

    activation = "linear"
    labels_like_outputs = True

    def __init__(
        self, exponent: float = 4.0, threshold: float | None = None, name: str = "power"
    ) -> None:
        if not exponent >= 1:
            raise ValueError(f"exponent={exponent}: at least 1, or the slope at 0 is infinite")
        if threshold is not None and not threshold > 0:
            raise ValueError(f"threshold={threshold}: above 0, or null for none")
        super().__init__(name=name, reduction=None)
        self.exponent = exponent
        self.threshold = threshold

    def call(self, labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        """Return float32 [B].

        Args:
            labels: float32 [B, K].
            predictions: float32 [B, K].
        """
        error = tf.abs(labels - predictions)
        if self.threshold is None:
            return tf.reduce_mean(error**self.exponent, axis=-1)
        # Clipped before it is raised: an overflow in the branch not taken would give NaN gradients.
        within = tf.minimum(error, self.threshold)
        slope = self.exponent * self.threshold ** (self.exponent - 1)
        return tf.reduce_mean(within**self.exponent + slope * (error - within), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"exponent": self.exponent, "threshold": self.threshold, "name": self.name}
