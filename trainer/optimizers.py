"""From one replica's gradients to one update of the weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from trainer import distribution


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[keras.Variable],
) -> tf.Tensor:
    """Average gradients over the replicas and apply them once; traced, in replica context.

    Args:
        optimizer: built on all trainable variables of the model.
        gradients: one replica's, of the mean loss over its share of the batch; None where the
            loss does not depend on the variable, which is then left alone.
        variables: what the gradients are of.

    Returns:
        The global norm of the averaged gradients, float32 scalar.

    Raises:
        ValueError: when traced, if no variable has a gradient.
    """
    pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
    if not pairs:
        raise ValueError(
            "no variable has a gradient: the loss does not depend on the model's weights; "
            "check that the loss is computed from the model's output inside the tape"
        )
    averaged = distribution.mean_over_replicas([tf.convert_to_tensor(g) for g, _ in pairs])
    # Keras sums the gradients of the replicas itself, and these are equal on all of them.
    num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
    shares = averaged if num_replicas == 1 else [g / num_replicas for g in averaged]
    optimizer.apply(shares, [v for _, v in pairs])
    return tf.linalg.global_norm([tf.cast(g, tf.float32) for g in averaged])
