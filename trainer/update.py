"""From one replica's gradients to new weights, in one fixed order.

    average over the replicas → accumulate → unscale → clip → weight decay and step → average (EMA)

Keras' optimizers have arguments for most of this. They clip before the replicas' gradients are
added, count micro-steps as updates and average at every micro-step, so they are refused here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import keras
import tensorflow as tf

from trainer import distribution
from trainer.loss_scale import LossScale
from trainer.optimizers import (
    Optimizer,
    check_arguments,
    exclude_from_weight_decay,
    pad_rows,
    sum_rows,
    takes_rows,
)

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


@dataclass(frozen=True)
class Update:
    """What happens between the gradients and the weights.

    Args:
        accumulate_steps: micro-steps whose mean gradient makes one update, at least 1. The last
            window of a run may be shorter: it is the mean of the micro-steps that it has.
        clip_global_norm: largest norm of all gradients together (arXiv 1211.5063), above 0.
        clip_norm: largest norm of each variable's gradient, above 0.
        clip_value: largest absolute value in a gradient, above 0.
        ema_decay: d of the moving average `shadow = d * shadow + (1 - d) * weights` after each
            update, in [0, 1), from the initial weights on. Batch statistics are averaged too. What
            is evaluated and kept as best is the average; training never sees it.
        weight_decay_exclude: names of variables, or patterns of their paths such as
            `*/embedding/*`, that the optimizer's weight decay leaves alone. Biases and the scales
            and offsets of normalization layers by default.

    Raises:
        ValueError: if a value is out of range, or several kinds of clipping are asked for.
    """

    accumulate_steps: int = 1
    clip_global_norm: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    ema_decay: float | None = None
    weight_decay_exclude: Sequence[str] = ("bias", "gamma", "beta")

    def __post_init__(self) -> None:
        if self.accumulate_steps < 1:
            raise ValueError(f"update.accumulate_steps={self.accumulate_steps}: at least 1")
        clips = {n: getattr(self, n) for n in ("clip_global_norm", "clip_norm", "clip_value")}
        given = {name: value for name, value in clips.items() if value is not None}
        for name, value in given.items():
            if not value > 0:
                raise ValueError(f"update.{name}={value}: above 0, or null for no clipping")
        if len(given) > 1:
            names = " and ".join(f"update.{name}" for name in given)
            raise ValueError(f"{names} are both given; choose one kind of clipping")
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise ValueError(
                f"update.ema_decay={self.ema_decay}: 0 <= d < 1 such as 0.999, or null for none"
            )

    def clipped(self, gradients: list[Gradient]) -> list[Gradient]:
        """Return the gradients within bounds; traced. In those of rows each row is there once."""
        if self.clip_global_norm is not None:
            return tf.clip_by_global_norm(gradients, self.clip_global_norm)[0]
        if self.clip_norm is not None:
            return [tf.clip_by_norm(g, self.clip_norm) for g in gradients]
        if self.clip_value is not None:
            return [tf.clip_by_value(g, -self.clip_value, self.clip_value) for g in gradients]
        return gradients


class Updater:
    """Applies an `Update` to a model; made under the strategy's scope, on a built model.

    An update that depends on a condition (the end of a window, finite gradients) is made by
    `commit`, outside the replicas, since an optimizer cannot run inside a condition on a replica.

    Args:
        update: the settings.
        optimizer: not yet built.
        model: built.

    Raises:
        ValueError: if the optimizer has one of Keras' own arguments for what is done here.
    """

    def __init__(self, update: Update, optimizer: Optimizer, model: keras.Model) -> None:
        check_arguments(optimizer)
        self._update = update
        self._optimizer = optimizer
        self._weights = list(model.trainable_variables)
        exclude_from_weight_decay(optimizer, self._weights, update.weight_decay_exclude)
        optimizer.build(self._weights)

        self._loss_scale = LossScale() if model.dtype_policy.name == "mixed_float16" else None
        self.is_deferred = update.accumulate_steps > 1 or self._loss_scale is not None
        """Whether `commit` makes the updates, and not `take`."""
        self._num_taken = keras.Variable(0, dtype="int32", trainable=False, name="num_taken")
        self._sums = [_zeros_like(w, "gradient_sum") for w in self._weights if self.is_deferred]
        self._position = {id(weight): k for k, weight in enumerate(self._weights)}
        self._has_gradient: set[int] = set()
        self._averaged = list(model.variables) if update.ema_decay is not None else []
        self._averaged = [v for v in self._averaged if v.dtype.startswith(("float", "bfloat"))]
        self._shadows = [
            keras.Variable(v.numpy(), dtype=v.dtype, trainable=False, name=f"ema_{v.name}")
            for v in self._averaged
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """What evolves here, beside optimizer and averages, in a fixed order."""
        scale = self._loss_scale.variables if self._loss_scale else []
        window = [self._num_taken, *self._sums] if self.is_deferred else []
        return [*window, *scale]

    @property
    def scales_loss(self) -> bool:
        """Whether gradients may overflow now and then: such an update is left out by itself."""
        return self._loss_scale is not None

    @property
    def averages(self) -> dict[int, keras.Variable]:
        """The id of a model variable to its moving average; empty without `ema_decay`."""
        return {id(v): s for v, s in zip(self._averaged, self._shadows, strict=True)}

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Return the loss to differentiate: multiplied by the loss scale in float16; traced."""
        return loss * self._loss_scale.value if self._loss_scale else loss

    def take(
        self, gradients: Sequence[Gradient | None], weights: Sequence[keras.Variable]
    ) -> tf.Tensor:
        """Take one replica's gradients, and update the weights if nothing stands against it.

        Traced, in replica context.

        Args:
            gradients: of the scaled mean loss over the replica's share of the batch; None where
                the loss does not depend on the variable, which is then left alone. Those of a few
                rows (`tf.IndexedSlices`) stay such for an optimizer that takes them, unless they
                are to be added up; else they are made dense.
            weights: what the gradients are of, among the model's trainable variables.

        Returns:
            The global norm of the gradients over all replicas, before clipping, float32 scalar.

        Raises:
            ValueError: when traced, if no variable has a gradient.
        """
        pairs = [(g, w) for g, w in zip(gradients, weights, strict=True) if g is not None]
        if not pairs:
            raise ValueError(
                "no variable has a gradient: the loss does not depend on the model's weights; "
                "check that the loss is computed from the model's output inside the tape"
            )
        means = distribution.mean_over_replicas([self._whole_or_rows(g, w) for g, w in pairs])
        summed = [sum_rows(m) if isinstance(m, tf.IndexedSlices) else m for m in means]
        taken = [w for _, w in pairs]
        norm = tf.linalg.global_norm(summed)
        if self.is_deferred:
            for mean, weight in zip(means, taken, strict=True):
                position = self._position[id(weight)]
                self._has_gradient.add(position)
                self._sums[position].assign_add(mean)
            return norm / self._loss_scale.value if self._loss_scale else norm
        shares = self._update.clipped(summed)
        # Keras adds up the gradients of the replicas, and these are equal on all of them.
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if num_replicas > 1:
            whole = zip(shares, means, strict=True)
            shares = [_share(clipped, mean, num_replicas) for clipped, mean in whole]
        self._optimizer.apply(shares, taken)
        return norm

    def commit(self) -> None:
        """Finish a step: end the window if it is full, average the weights; traced, outside."""
        if not self.is_deferred:
            self._average()
            return
        self._num_taken.assign_add(1)
        is_full = self._num_taken >= self._update.accumulate_steps
        tf.cond(is_full, self._end_window, lambda: None)

    def flush(self) -> None:
        """Update by what a last, partial window holds; traced, outside, where `is_deferred`."""
        tf.cond(self._num_taken > 0, self._end_window, lambda: None)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Exchange weights and averages within the context; both come back to the bit; eager."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def restart_averages(self) -> None:
        """Let the averages begin anew from the present weights; eager."""
        for shadow, variable in zip(self._shadows, self._averaged, strict=True):
            shadow.assign(variable.numpy())

    def _whole_or_rows(self, gradient: Gradient, weight: keras.Variable) -> Gradient:
        keeps_rows = not self.is_deferred and takes_rows(self._optimizer, weight)
        return gradient if keeps_rows else tf.convert_to_tensor(gradient)

    def _end_window(self) -> None:
        if self._loss_scale is None:
            self._step(tf.cast(self._num_taken, tf.float32))
        else:
            is_finite = tf.reduce_all(
                [tf.reduce_all(tf.math.is_finite(total)) for total in self._sums]
            )
            divisor = tf.cast(self._num_taken, tf.float32) * self._loss_scale.value
            tf.cond(is_finite, lambda: self._step(divisor), lambda: None)
            self._loss_scale.note(is_finite)
        for total in self._sums:
            total.assign(tf.zeros_like(total))
        self._num_taken.assign(0)

    def _step(self, divisor: tf.Tensor) -> None:
        positions = sorted(self._has_gradient)
        means = [tf.convert_to_tensor(self._sums[k]) / divisor for k in positions]
        self._optimizer.apply(self._update.clipped(means), [self._weights[k] for k in positions])
        self._average()

    def _average(self) -> None:
        decay = self._update.ema_decay or 0.0
        for shadow, variable in zip(self._shadows, self._averaged, strict=True):
            # In this form the average of what does not change is that, to the bit.
            shadow.assign_add((1.0 - decay) * (tf.convert_to_tensor(variable) - shadow))

    def _exchange(self) -> None:
        for shadow, variable in zip(self._shadows, self._averaged, strict=True):
            weights = variable.numpy()
            variable.assign(shadow.numpy())
            shadow.assign(weights)


def _zeros_like(variable: keras.Variable, name: str) -> keras.Variable:
    return keras.Variable(tf.zeros(variable.shape), dtype="float32", trainable=False, name=name)


def _share(clipped: Gradient, mean: Gradient, num_replicas: int) -> Gradient:
    if not isinstance(clipped, tf.IndexedSlices):
        return clipped / num_replicas
    # As many rows as there were before those of one row were added up: replicas exchange gradients
    # of one shape alone, at all steps.
    values = clipped.values / num_replicas
    shared = tf.IndexedSlices(values, clipped.indices, clipped.dense_shape)
    return pad_rows(shared, tf.size(mean.indices))
