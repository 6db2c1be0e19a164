"""Keras' SGD, Adam and AdamW, each variable updated by one kernel of TensorFlow's.

Keras composes an update of eight or more operations a variable; in a small network these are the
larger part of a step. State, arguments and formulas are Keras' own, so that results differ by
rounding alone.
"""

from typing import Any

import keras
import tensorflow as tf


class _OneRate:
    """Reads the learning rate once a step, and not once a variable."""

    def _backend_update_step(self, grads: Any, variables: Any, learning_rate: Any) -> None:
        rate = tf.convert_to_tensor(learning_rate)
        super()._backend_update_step(grads, variables, rate)  # type: ignore[misc]


@keras.saving.register_keras_serializable(package="tapeloop")
class SGD(_OneRate, keras.optimizers.SGD):
    """`keras.optimizers.SGD` by `ResourceApplyKerasMomentum`; see there for the arguments."""

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update one variable, and its velocity if there is a momentum; traced."""
        if self.momentum == 0 or not _is_dense_float(gradient, variable):
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self.momentums[self._get_variable_index(variable)].value
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=velocity.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class _FusedAdam(_OneRate):
    """The update of Adam by `ResourceApplyAdam`, for the classes of Keras that have its state."""

    def update_step(
        self: Any, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update one variable and its two moments; traced."""
        if self.amsgrad or not _is_dense_float(gradient, variable):
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
            return
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )


@keras.saving.register_keras_serializable(package="tapeloop")
class Adam(_FusedAdam, keras.optimizers.Adam):
    """`keras.optimizers.Adam` by `ResourceApplyAdam`; see there for the arguments."""


@keras.saving.register_keras_serializable(package="tapeloop")
class AdamW(_FusedAdam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` by `ResourceApplyAdam`; see there for the arguments."""


def _is_dense_float(gradient: tf.Tensor, variable: tf.Variable) -> bool:
    # What the kernels take; the rest (an embedding's gradient of rows, what stands for a variable
    # where several seeds are trained at once) is left to Keras.
    is_dense = isinstance(gradient, tf.Tensor) and isinstance(variable, tf.Variable)
    return is_dense and gradient.dtype == variable.dtype
