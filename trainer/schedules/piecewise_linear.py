"""Straight lines from rate to rate, the one curve here that Keras does not have."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tapeloop")
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Passes through given rates at given updates, straight in between, constant outside.

    Args:
        steps: updates, counted from 0, each after the one before.
        rates: the learning rate at each of them, at least 0.

    Raises:
        ValueError: if there are not as many rates as steps, none at all, or the steps do not rise.
    """

    def __init__(self, steps: Sequence[int], rates: Sequence[float]) -> None:
        if not steps or len(steps) != len(rates):
            raise ValueError(
                f"steps={list(steps)}, rates={list(rates)}: must be equally many, at least one"
            )
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError(f"steps={list(steps)}: each must be after the one before")
        self.steps = list(steps)
        self.rates = list(rates)

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate (float32 scalar) for the update after `step` updates."""
        step = keras.ops.cast(step, "float32")
        rate = keras.ops.convert_to_tensor(self.rates[-1], "float32")
        points = zip(pairwise(self.steps), pairwise(self.rates), strict=True)
        for (start, end), (first, last) in reversed(list(points)):
            share = keras.ops.maximum((step - start) / (end - start), 0.0)
            # A weighted mean, not a slope: exact at both ends, however far apart the rates are.
            rate = keras.ops.where(step < end, (1.0 - share) * first + share * last, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"steps": self.steps, "rates": self.rates}
