"""The random numbers of augmentations, and the checks of what governs them."""

import math

import tensorflow as tf

from trainer.data.feeds import Batch

# "philox" gives the values of TensorFlow's default generator, which under XLA on a CPU is some 30
# times slower. For one key XLA draws other numbers than the other modes do: `jit` is part of a
# run's identity.
ALGORITHM = "philox"


def uniform(batch: Batch, key: tf.Tensor, num_draws: int) -> list[tf.Tensor]:
    """Return independent draws for each example: `num_draws` times float32 [B] in [0, 1).

    All that an op draws comes from one call, since a second one with its key would repeat it.
    """
    num_examples = tf.shape(batch["image"])[0]
    drawn = tf.random.stateless_uniform([num_examples, num_draws], key, alg=ALGORITHM)
    return tf.unstack(drawn, axis=1)


def between(low: float, high: float, drawn: tf.Tensor) -> tf.Tensor:
    """Return a draw from [0, 1) stretched to [low, high)."""
    return low + (high - low) * drawn


def symmetric_beta(alpha: float, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return Beta(alpha, alpha) draws, made of two uniform ones.

    TensorFlow's `stateless_gamma`, of two of which a beta draw is usually made, has no XLA kernel.
    Here T is Student's t with 2 alpha degrees of freedom by Bailey's polar method (Mathematics of
    Computation 62, 1994), and (1 + T / sqrt(2 alpha + T^2)) / 2 is Beta(alpha, alpha) (Devroye,
    Random variate generation in one line of code, 1996). It is exact for every alpha above 0.

    Args:
        alpha: above 0; small: near 0 or 1; 1: uniform; large: near 0.5.
        first: float32 [B] in [0, 1).
        second: float32 [B] in [0, 1), independent of `first`.

    Returns:
        float32 [B] in [0, 1].
    """
    log_power = (1 / alpha) * tf.math.log1p(-first)  # of U^(1 / alpha), U in (0, 1]
    inverse_width = tf.exp(log_power) / -tf.math.expm1(log_power)  # infinite at U = 1: draws 0.5
    cosine = tf.cos(2 * math.pi * second)
    # Graphs rewrite powers, divisions by roots and by constants, and would then differ from eager
    # mode in the last bit: hence square, rsqrt and 1 / alpha.
    share = 0.5 + 0.5 * cosine * tf.math.rsqrt(inverse_width + tf.square(cosine))
    return tf.clip_by_value(share, 0.0, 1.0)  # the root may be rounded to less than the cosine


def check_share(op: str, **arguments: float) -> None:
    """Check that arguments lie between 0 and 1.

    Args:
        op: the name of the augmentation, for the message.
        **arguments: name to value.

    Raises:
        ValueError: naming the first that does not.
    """
    for name, value in arguments.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{op}: {name}={value} must lie between 0 and 1.")
