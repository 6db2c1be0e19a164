"""Losses: `(labels, logits) -> per-example float32 [B]`. The Trainer alone averages them."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

PerExampleLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


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

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy") -> None:
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={label_smoothing}: a share of the label's mass, 0 <= s < 1"
            )
        super().__init__(name=name, reduction=None)
        self.label_smoothing = label_smoothing

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


def per_example(loss: PerExampleLoss) -> PerExampleLoss:
    """Return the loss without a reduction of its own, checked to give one value an example.

    Args:
        loss: a `keras.losses.Loss` with any reduction, or a function
            `(labels, logits) -> [B]`.

    Raises:
        ValueError: when called, if the loss does not return shape [B], or is one of Keras' sparse
            ones and labels are soft.
    """
    if isinstance(loss, keras.losses.Loss):
        loss = _without_reduction(loss)
    takes_integers = type(loss).__name__.startswith("Sparse")  # as Keras names them

    def checked(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if takes_integers and len(labels.shape) == 2 and tf.as_dtype(labels.dtype).is_floating:
            raise ValueError(
                f"loss {type(loss).__name__} takes integer labels, but mixup or CutMix has made "
                "them soft; use trainer.losses.CrossEntropy"
            )
        try:
            values = tf.cast(loss(labels, logits), tf.float32)
        except ValueError as error:
            if not is_integer(labels):
                raise
            raise ValueError(
                f"loss {_name(loss)} does not take the integer labels {labels.shape} that an "
                f"evaluation has; use trainer.losses.CrossEntropy ({str(error).splitlines()[0]})"
            ) from error
        if values.shape.rank != 1:
            raise ValueError(
                f"loss {_name(loss)!r} returned shape {values.shape} for labels {labels.shape} and "
                f"logits {logits.shape}; it must return one value per example, shape [B]: "
                "average over the other axes, and leave the batch to the Trainer"
            )
        return values

    return checked


def is_integer(labels: tf.Tensor) -> bool:
    """Return whether labels are class numbers, and not soft ones or values to regress."""
    return len(labels.shape) == 1 and tf.as_dtype(labels.dtype).is_integer


def _name(loss: PerExampleLoss) -> str:
    return getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__))


def _without_reduction(loss: keras.losses.Loss) -> keras.losses.Loss:
    # An averaging loss would divide by the wrong count: padding, replicas, accumulation.
    # `copy.copy` would go through Keras' saving, which knows registered classes alone.
    same = object.__new__(type(loss))
    same.__dict__.update(loss.__dict__)
    same.reduction = None
    return same
