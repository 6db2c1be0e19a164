"""A linear warm-up in front of any schedule."""

from typing import Any

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule


@keras.saving.register_keras_serializable(package="tapeloop")
class WarmUp(LearningRateSchedule):
    """Rises to a schedule's first rate (Goyal et al., arXiv 1706.02677), then follows it.

    At update t, counted from 0, with W = `warmup_steps`, at least 1:

        min((t + 1) / W, 1) * schedule(max(t - (W - 1), 0))

    The last update of the warm-up is thus the schedule's first, and no update has a rate of zero.
    Differs from the paper: it rises from zero, not from the rate for one device.

    Args:
        schedule: what follows: any Keras schedule, or a number for a constant rate.
        warmup_steps: updates up to and including the first at the full rate; 0 is as 1.

    Raises:
        ValueError: if `warmup_steps` is negative.
    """

    def __init__(self, schedule: LearningRateSchedule | float, warmup_steps: int) -> None:
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps={warmup_steps}: must be at least 0")
        self.schedule = schedule
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate (float32 scalar) for the update after `step` updates."""
        step = keras.ops.cast(step, "float32")
        warmup_steps = max(1, self.warmup_steps)
        share = keras.ops.minimum((step + 1.0) / warmup_steps, 1.0)
        if not isinstance(self.schedule, LearningRateSchedule):
            return share * self.schedule
        return share * self.schedule(keras.ops.maximum(step - (warmup_steps - 1.0), 0.0))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedule serialized."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "warmup_steps": self.warmup_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        """Build from what `get_config` returned."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["warmup_steps"])
