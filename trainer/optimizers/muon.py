"""Muon for networks with convolutions."""

import math
import re

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class Muon(keras.optimizers.Muon):
    """Orthogonalized momentum for matrices and convolution kernels, Adam for the rest.

    Keras' Muon (Liu et al., arXiv 2502.16982) takes 2-D weights alone, which leaves a convolutional
    network to Adam. Here a kernel `[height, width, in, out]` is a matrix `[height * width * in,
    out]` to it, as in the original implementation (https://github.com/KellerJordan/Muon).

    Adam gets biases, norm scales and embeddings, and whatever `exclude_layers` names: the layer
    that makes the logits belongs there. Arguments as for `keras.optimizers.Muon`.
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        excluded = any(re.search(pattern, variable.path) for pattern in self.exclude_layers)
        is_embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        return len(variable.shape) < 2 or is_embedding or excluded

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        """Return the nearest orthogonal matrix, roughly; kernels by the matrix that they are."""
        return tf.reshape(super().zeropower_via_newtonschulz5(_matrix(x), steps), x.shape)

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        """Scale an update to the size that Adam's has, so that one learning rate suits both."""
        if self.rms_rate is None:
            return x
        num_rows = math.prod(x.shape[:-1])
        return x * math.sqrt(max(num_rows, x.shape[-1])) * self.rms_rate


def _matrix(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, (-1, x.shape[-1]))  # [..., out] -> [rows, out]
