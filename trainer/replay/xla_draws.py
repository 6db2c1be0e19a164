"""Random numbers as XLA draws them, in eager mode."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_DRAWS = (
    (tf.random, "stateless_uniform"),
    (tf.random, "stateless_normal"),
    (tf.random, "stateless_truncated_normal"),
    (tf.random, "stateless_categorical"),
    (tf.nn.experimental, "stateless_dropout"),
)


@contextmanager
def xla_draws(is_wanted: bool) -> Iterator[None]:
    """Let the stateless random functions draw what they draw in a chunk that XLA compiles.

    For one key XLA draws other numbers than TensorFlow's own kernels; Keras' random layers and
    `StatelessDropout` are made of these functions. Inside the context each is compiled by itself.

    Args:
        is_wanted: False changes nothing.
    """
    originals = [(module, name, getattr(module, name)) for module, name in _DRAWS if is_wanted]
    for module, name, function in originals:
        setattr(module, name, tf.function(function, autograph=False, jit_compile=True))
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)
