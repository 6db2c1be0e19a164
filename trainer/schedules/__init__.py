"""Learning-rate schedules: functions of the number of updates done, with durations as arguments.

A schedule in `conf/schedule` names a function `(learning_rate, length, ...)` of `curves.py`. It
returns what a Keras optimizer takes as its `learning_rate`: a number or a `LearningRateSchedule`.
"""

from trainer.schedules.curves import (
    constant,
    cosine,
    exponential,
    linear,
    one_cycle,
    polynomial,
    step,
)
from trainer.schedules.piecewise_linear import PiecewiseLinear
from trainer.schedules.warm_up import WarmUp

__all__ = [
    "PiecewiseLinear",
    "WarmUp",
    "constant",
    "cosine",
    "exponential",
    "linear",
    "one_cycle",
    "polynomial",
    "step",
]
