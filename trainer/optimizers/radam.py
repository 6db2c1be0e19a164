"""Rectified Adam."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class RAdam(keras.optimizers.Optimizer):
    """Adam that takes smaller steps while its second moments are of few gradients yet.

    Rectified Adam (Liu et al. 2019, arXiv 1908.03265, algorithm 2). Its first steps, four with the
    default `beta_2`, are those of momentum alone; then Adam's, times a factor that rises to 1. It
    stands in for a warm-up.

    `epsilon`, which the paper has not, is added to the root as in Adam: to `sqrt(v)`, before the
    correction of `v`. The authors' later code and PyTorch's are stricter by one step: they rectify
    where the length of the average is 5 and more, or above 5; here it is above 4, as in the paper.

    Args:
        learning_rate: a number above 0, or a schedule.
        beta_1: the share of the past in the first moment, in [0, 1).
        beta_2: the same of the second moment; up to 0.6 all steps are those of momentum.
        epsilon: above 0, against division by zero.
        weight_decay: decoupled: this times the learning rate is taken off each weight before its
            step; None for none.
        **kwargs: as for `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if a value is out of range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> None:
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= beta < 1:
                raise ValueError(f"optimizer.{name}={beta}: from 0 to below 1, such as 0.9")
        if not epsilon > 0:
            raise ValueError(f"optimizer.epsilon={epsilon}: above 0, such as 1e-7")
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        """Make two moments for each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, rates: tf.Tensor) -> None:
        """Update one variable and its two moments; traced.

        Args:
            gradient: of the variable's shape; `tf.IndexedSlices` are made dense.
            variable: to be updated.
            rates: what `_rates` returns.
        """
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value, self._velocities[index].value
        m.assign_add((gradient - m) * (1 - self.beta_1))
        v.assign_add((tf.square(gradient) - v) * (1 - self.beta_2))
        adaptive, plain = tf.unstack(tf.cast(rates, variable.dtype))
        variable.assign_sub(m * (adaptive / (tf.sqrt(v) + self.epsilon) + plain))

    def _backend_update_step(self, grads: Any, variables: Any, learning_rate: Any) -> None:
        super()._backend_update_step(grads, variables, self._rates(learning_rate))

    def _rates(self, learning_rate: Any) -> tf.Tensor:
        """Return the factors of `m / sqrt(v)` and of `m`, one of which is 0: float64 [2].

        They are the same for all variables. In float32 the difference below would lose the digits
        that decide when to rectify.
        """
        step = tf.cast(self.iterations + 1, tf.float64)
        rate = tf.cast(learning_rate, tf.float64)
        beta_1, beta_2 = tf.cast(self.beta_1, tf.float64), tf.cast(self.beta_2, tf.float64)
        missing_1, missing_2 = 1 - beta_1**step, 1 - beta_2**step
        longest = 2 / (1 - beta_2) - 1  # rho_inf
        length = longest - 2 * step * (1 - missing_2) / missing_2  # rho_t
        rectified = tf.sqrt(
            ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
        )
        rate = rate / missing_1
        adaptive = rate * rectified * tf.sqrt(missing_2)
        nothing = tf.zeros_like(rate)
        return tf.where(length > 4, tf.stack([adaptive, nothing]), tf.stack([nothing, rate]))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return super().get_config() | own
