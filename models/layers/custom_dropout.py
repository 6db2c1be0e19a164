"""Dropout in one line: the example of a layer that acts differently in training."""

import keras
import tensorflow as tf

from models.layers.stateless_dropout import StatelessDropout


@keras.saving.register_keras_serializable(package="tapeloop")
class CustomDropout(StatelessDropout):
    """Drops a share of the inputs where `training` is true, and nothing elsewhere.

    The example to copy for a random layer of one's own. All it writes is `call`; the key, one for
    a seed, a step and a layer, comes from `StatelessDropout`, so a run that is taken up again draws
    the same numbers. Models use `StatelessDropout` itself, whose masks are those of this layer.

    Args:
        rate: Share of the inputs that is dropped, 0 <= rate < 1.
        **kwargs: As for `keras.layers.Layer`, such as `name`.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop inputs of any shape in training, and return them as they are otherwise."""
        if not training:
            return inputs
        return tf.nn.experimental.stateless_dropout(
            inputs, self.rate, seed=self._seed(), rng_alg="philox"
        )
