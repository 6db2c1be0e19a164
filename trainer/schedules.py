"""Learning-rate schedules: functions of the number of updates done, with durations as arguments.

A schedule in `conf/schedule` names a function `(learning_rate, length, ...)` that returns what a
Keras optimizer takes as its `learning_rate`: a number or a `LearningRateSchedule`.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from trainer.durations import Duration, RunLength


def constant(learning_rate: float, length: RunLength) -> float:
    """Return the optimizer's own learning rate, which callbacks may still change."""
    del length
    return learning_rate


def warmup_linear(
    learning_rate: float,
    length: RunLength,
    warmup: str | Duration = "25%",
    final_fraction: float = 0.0,
) -> "WarmupLinear":
    """Return a linear warm-up to `learning_rate` and a linear decay over the rest of the run.

    Args:
        learning_rate: the peak, reached at the last step of the warm-up.
        length: the run's length, by which durations become steps.
        warmup: how long the learning rate rises. A quarter of the run suits the short runs with
            large learning rates that this schedule is for.
        final_fraction: the share of the peak at the end, in [0, 1].
    """
    return WarmupLinear(learning_rate, *_warmup_and_total(length, warmup), final_fraction)


def warmup_cosine(
    learning_rate: float,
    length: RunLength,
    warmup: str | Duration = "5%",
    final_fraction: float = 0.0,
) -> "WarmupCosine":
    """Return a linear warm-up to `learning_rate` and half a cosine down (arXiv 1608.03983).

    Differs from the paper: one period, no restarts. Arguments as in `warmup_linear`.
    """
    return WarmupCosine(learning_rate, *_warmup_and_total(length, warmup), final_fraction)


class WarmupLinear(keras.optimizers.schedules.LearningRateSchedule):
    """The rate at update t (from 0): `peak * (t + 1) / warmup`, then down to `final` at the end.

    The last update still has a rate above `final`, so that no step is spent on a rate of zero.

    Args:
        learning_rate: the peak, above 0.
        warmup_steps: updates up to and including the one at the peak; 0 starts at the peak.
        total_steps: updates of the whole run.
        final_fraction: the share of the peak that is approached at the end, in [0, 1].

    Raises:
        ValueError: if `final_fraction` is outside [0, 1] or the warm-up is longer than the run.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        total_steps: int,
        final_fraction: float = 0.0,
    ) -> None:
        if not 0 <= final_fraction <= 1:
            raise ValueError(
                f"schedule.final_fraction={final_fraction}: "
                "a share of the peak learning rate, from 0 to 1"
            )
        if not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                f"schedule.warmup is {warmup_steps} steps, but the run has {total_steps}; "
                "shorten it, or give it as a share of the run (25%)"
            )
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.final_fraction = final_fraction

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate (float32 scalar) for the update after `step` updates."""
        step = tf.cast(step, tf.float32)
        num_decay_steps = max(1, self.total_steps - self.warmup_steps)
        progress = tf.clip_by_value(
            (step + 1.0 - self.warmup_steps) / (num_decay_steps + 1.0), 0.0, 1.0
        )
        decayed = self.final_fraction + (1.0 - self.final_fraction) * self.decay(progress)
        rising = (step + 1.0) / max(1, self.warmup_steps)
        return self.learning_rate * tf.where(step < self.warmup_steps, rising, decayed)

    def decay(self, progress: tf.Tensor) -> tf.Tensor:
        """Return the height (1 to 0) at `progress` (0 to 1) through the decay."""
        return 1.0 - progress

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "final_fraction": self.final_fraction,
        }


class WarmupCosine(WarmupLinear):
    """As `WarmupLinear`, with half a cosine in place of the straight way down."""

    def decay(self, progress: tf.Tensor) -> tf.Tensor:
        """Return `(1 + cos(pi * progress)) / 2`."""
        return 0.5 * (1.0 + tf.cos(math.pi * progress))


def _warmup_and_total(length: RunLength, warmup: str | Duration) -> tuple[int, int]:
    if length.total_steps is None:
        raise ValueError(
            "schedule: a run measured in minutes has no known end to decay to; "
            "choose schedule=constant, or a duration in epochs or steps"
        )
    return length.steps(warmup), length.total_steps
