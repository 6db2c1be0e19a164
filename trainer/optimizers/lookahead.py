"""Lookahead, around another optimizer."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from trainer.optimizers.parameter_groups import ParameterGroups


@keras.saving.register_keras_serializable(package="tapeloop")
class Lookahead(keras.optimizers.Optimizer):
    """Lets another optimizer go ahead for some updates, and then goes part of its way.

    Lookahead (Zhang et al. 2019, arXiv 1907.08610, algorithm 1). Beside the weights of the model,
    the fast ones, it keeps slow ones. After every `sync_period` updates

        slow = slow + slow_step_size * (fast - slow)
        fast = slow

    The slow weights begin as the weights are at the first update. The inner optimizer's state goes
    on as it is; the paper also tries to reset it, or to average it like the weights. What is
    evaluated and saved as the model are the fast weights: right after a synchronization they are
    the slow ones too.

    Weight decay, its exclusions and the schedule are those of the inner optimizer.

    Args:
        inner: any optimizer, or `ParameterGroups`, not built; it belongs to this one from now on.
        learning_rate: of the inner optimizer, if it is to be another than its own.
        sync_period: updates between synchronizations, at least 1 (k in the paper; 5 and 10 there).
        slow_step_size: above 0, up to 1 (alpha in the paper; 0.5 and 0.8 there). 1 changes nothing.
        name: of its variables.

    Raises:
        ValueError: if a value is out of range.
    """

    inner: keras.optimizers.Optimizer | ParameterGroups

    def __init__(
        self,
        inner: keras.optimizers.Optimizer | ParameterGroups,
        learning_rate: float | None = None,
        sync_period: int = 6,
        slow_step_size: float = 0.5,
        name: str = "lookahead",
    ) -> None:
        if sync_period < 1:
            raise ValueError(f"optimizer.sync_period={sync_period}: at least 1, such as 6")
        if not 0 < slow_step_size <= 1:
            raise ValueError(
                f"optimizer.slow_step_size={slow_step_size}: above 0 and up to 1, such as 0.5"
            )
        # By a function, Keras makes no variable for a rate of its own.
        super().__init__(learning_rate=lambda: self.inner.learning_rate, name=name)
        self.inner = inner
        self.sync_period = sync_period
        self.slow_step_size = slow_step_size
        if learning_rate is not None:
            self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's, to be read and set."""
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner.learning_rate = learning_rate

    @property
    def variables(self) -> list[keras.Variable]:
        """The number of updates, the slow weights, and all that the inner optimizer has."""
        return [*super().variables, *self.inner.variables]

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Exclude variables from the inner optimizer's weight decay."""
        self.inner.exclude_from_weight_decay(var_list, var_names)

    def build(self, variables: list[keras.Variable]) -> None:
        """Build the inner optimizer, and make the slow weights."""
        if self.built:
            return
        self.inner.build(variables)
        super().build(variables)
        self._slow_weights = self.add_optimizer_variables(variables, "slow")

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        # What `apply` of Keras does between leaving out variables without gradients and counting.
        self._update_weights(lambda: self._iterations == 0, _start)
        self.inner.apply(grads, trainable_variables)
        self._update_weights(
            lambda: (self._iterations + 1) % self.sync_period == 0, self._synchronize
        )

    def _synchronize(self, fast: tf.Variable, slow: tf.Variable) -> None:
        slow.assign_add(self.slow_step_size * (fast - slow))
        fast.assign(slow)

    def _update_weights(
        self, is_due: Callable[[], tf.Tensor], update: Callable[[tf.Variable, tf.Variable], None]
    ) -> None:
        """Call `update(fast, slow)` for each variable on each replica, where it is due; traced."""

        def on_all_replicas(strategy: tf.distribute.Strategy) -> None:
            def for_each_variable() -> None:
                for fast, slow in zip(self._trainable_variables, self._slow_weights, strict=True):
                    strategy.extended.update(fast.value, update, args=(slow.value,), group=False)

            tf.cond(is_due(), for_each_variable, lambda: None)

        # A condition on a replica could not hold what needs all replicas.
        tf.__internal__.distribute.interim.maybe_merge_call(
            on_all_replicas, self._distribution_strategy
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            "inner": keras.saving.serialize_keras_object(self.inner),
            "sync_period": self.sync_period,
            "slow_step_size": self.slow_step_size,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Lookahead":
        """Make one with an inner optimizer of its own."""
        inner = keras.saving.deserialize_keras_object(config["inner"], custom_objects)
        return cls(**config | {"inner": inner})


def _start(fast: tf.Variable, slow: tf.Variable) -> None:
    slow.assign(fast)
