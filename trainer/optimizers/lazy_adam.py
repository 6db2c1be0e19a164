"""Adam for embeddings."""

from typing import Any

import keras
import tensorflow as tf

from trainer.optimizers.fused import Adam
from trainer.optimizers.rows import sum_rows


@keras.saving.register_keras_serializable(package="tapeloop")
class LazyAdam(Adam):
    """Adam that updates only those rows of a table that a batch has looked up.

    Where a gradient is `tf.IndexedSlices`, as that of an embedding is, the moments, the weights and
    the weight decay of all other rows stay as they are, and cost nothing; Adam lets those moments
    fade and moves the weights on. As in TensorFlow's own `LazyAdamOptimizer` moments are corrected
    by the number of all updates, not by those of a row. Dense gradients are treated as by `Adam`.

    The gradient of a table is dense, and all of its rows are updated, with
    `update.accumulate_steps` above 1 and with `precision=mixed_float16`, where gradients are added
    up, and with a regularizer on the table, which depends on all rows.

    Arguments are those of `keras.optimizers.Adam`. `weight_decay` is decoupled; a row is decayed
    when it is updated.
    """

    takes_rows = True
    """Whether the update rule may leave gradients `tf.IndexedSlices`."""

    def update_step(
        self,
        gradient: tf.Tensor | tf.IndexedSlices,
        variable: tf.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        """Update one variable and its moments, or rows of them; traced."""
        rate, decay = tf.cast(learning_rate, variable.dtype), 0.0
        if self.weight_decay is not None and self._use_weight_decay(variable):
            decay = self.weight_decay
        if isinstance(gradient, tf.IndexedSlices):
            self._update_rows(sum_rows(gradient), variable, rate, decay)
            return
        if decay:
            variable.assign_sub(variable * decay * rate)
        super().update_step(gradient, variable, learning_rate)

    def _update_rows(
        self, gradient: tf.IndexedSlices, variable: tf.Variable, rate: tf.Tensor, decay: float
    ) -> None:
        rows, g = gradient.indices, tf.cast(gradient.values, variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        rate_of_moments = rate * tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        index = self._get_variable_index(variable)

        m, v = self._momentums[index].value, self._velocities[index].value
        first, second = tf.gather(m, rows), tf.gather(v, rows)
        first += (g - first) * (1 - self.beta_1)
        second += (tf.square(g) - second) * (1 - self.beta_2)
        m.scatter_update(tf.IndexedSlices(first, rows))
        v.scatter_update(tf.IndexedSlices(second, rows))
        if self.amsgrad:
            largest = self._velocity_hats[index].value
            second = tf.maximum(tf.gather(largest, rows), second)
            largest.scatter_update(tf.IndexedSlices(second, rows))

        weights = tf.gather(variable, rows)
        weights -= weights * decay * rate
        weights -= first * rate_of_moments / (tf.sqrt(second) + self.epsilon)
        variable.scatter_update(tf.IndexedSlices(weights, rows))

    def _apply_weight_decay(self, variables: Any) -> None:
        """Leave weight decay to `update_step`, which knows the rows."""
