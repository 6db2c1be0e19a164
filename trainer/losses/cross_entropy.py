"""Softmax cross-entropy, for integer or soft labels."""

from typing import Any

import keras
import tensorflow as tf

from trainer.losses.contract import COMPARES, one_output


class CrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy on logits, for integer or soft labels.

    `-sum_k q_k log softmax(logits)_k` with `q = (1 - s) * labels + s / K` for smoothing s
    (Szegedy et al. 2015, arXiv 1512.00567, section 7).

    Args:
        label_smoothing: probability mass spread evenly over all classes, in [0, 1). Default 0:
            plain cross-entropy.
        name: the loss' name in a serialized config.

    Raises:
        ValueError: if `label_smoothing` is outside [0, 1).
    """

    activation = "softmax"

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy") -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={label_smoothing}: a share of the label's mass, 0 <= s < 1"
            )
        super().__init__(name=name, reduction=None)
        self.label_smoothing = label_smoothing

    def __call__(self, labels: Any, logits: Any, sample_weight: Any = None) -> tf.Tensor:
        """Return float32 [B]; Keras' way, after a look at what it would make floats of.

        Raises:
            ValueError: if labels and logits do not fit together.
        """
        labels, logits = one_output(self, labels, logits)
        if logits.shape[-1] == 1:
            raise ValueError(f"loss {self.name} {COMPARES}")
        is_soft = labels.dtype.is_floating and labels.shape.is_compatible_with(logits.shape)
        if not is_soft and not (labels.dtype.is_integer and labels.shape.rank == 1):
            raise ValueError(
                f"loss {self.name} takes class numbers int [B] or soft labels float "
                f"{logits.shape}, not {labels.dtype.name} {labels.shape}; has the model as many "
                "outputs as there are classes?"
            )
        return super().__call__(labels, logits, sample_weight)

    def call(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return float32 [B].

        Args:
            labels: int [B], or soft labels float32 [B, K].
            logits: float32 [B, K].
        """
        if labels.shape.rank == logits.shape.rank:
            soft_labels = tf.cast(labels, logits.dtype)
            losses = tf.nn.softmax_cross_entropy_with_logits(soft_labels, logits)
        else:
            # Not via one-hot rows, which are silently all zero for a label outside [0, K).
            labels = tf.cast(labels, tf.int32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        if self.label_smoothing == 0:
            return losses
        uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
        return (1.0 - self.label_smoothing) * losses + self.label_smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"label_smoothing": self.label_smoothing, "name": self.name}
