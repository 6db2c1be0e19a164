"""The learning-rate range test (Smith, arXiv 1506.01186): at which rates does a model learn?

The rate grows from step to step, and the loss shows where learning begins and where it breaks down.
"""

import logging
import math
import time
from dataclasses import dataclass

import keras
import numpy as np

from trainer.durations import RunLength
from trainer.loop import Pace
from trainer.optimizers import set_schedule
from trainer.trainer import Trainer

logger = logging.getLogger(__name__)

DIVERGED = 4.0
"""The smoothed loss over its best at which the test stops, as in fastai."""

_REPORT_SECONDS = 15.0


@dataclass(frozen=True)
class RangeTest:
    """What a range test found, up to where the loss diverged.

    Args:
        learning_rates: float64 [N], rising.
        losses: float64 [N], finite; of the batch that was learned from at each rate.
        half_width: of the window that smooths, in steps to either side.
        has_diverged: whether the test stopped before the highest rate.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    half_width: int
    has_diverged: bool

    @property
    def smoothed(self) -> np.ndarray:
        """The mean loss around each step, float64 [N]: not late, as a trailing mean would be."""
        sums = np.concatenate([[0.0], np.cumsum(self.losses)])
        steps = np.arange(len(self.losses))
        first = np.maximum(steps - self.half_width, 0)
        end = np.minimum(steps + self.half_width + 1, len(steps))
        return (sums[end] - sums[first]) / (end - first)

    @property
    def has_fallen(self) -> bool:
        """Whether the loss fell by more than four standard errors of its smoothed start."""
        if self._lowest < 2:
            return False
        # From step to step, so that the fall itself does not count as noise.
        noise = np.std(np.diff(self.losses[: self._lowest + 1])) / np.sqrt(2)
        fall = self.smoothed[0] - self.smoothed[self._lowest]
        return bool(fall > 4 * noise / np.sqrt(self.half_width + 1))

    @property
    def is_cut_off(self) -> bool:
        """Whether the loss was at its lowest at the highest rate: a higher one may be better."""
        return not self.has_diverged and self._lowest >= len(self.losses) - 1 - self.half_width

    @property
    def steepest(self) -> float | None:
        """The rate at which the loss falls fastest; None where it does not fall."""
        if not self.has_fallen:
            return None
        slopes = np.gradient(self.smoothed, np.log(self.learning_rates))
        return float(self.learning_rates[np.argmin(slopes[: self._lowest + 1])])

    @property
    def tenth_of_lowest(self) -> float | None:
        """A tenth of the rate at which the loss is lowest; None where it does not fall."""
        return float(self.learning_rates[self._lowest] / 10) if self.has_fallen else None

    @property
    def _lowest(self) -> int:
        return int(np.argmin(self.smoothed))


def default_num_steps(length: RunLength) -> int:
    """Return an epoch's steps, but from 100 (fewer show nothing) to 200 (more say no more)."""
    return round(min(max(length.steps_per_epoch, 100), 200))


def range_test(trainer: Trainer, minimum: float, maximum: float, num_steps: int) -> RangeTest:
    """Train a fresh Trainer at a rate that grows exponentially, until the loss diverges.

    Writes nothing, evaluates nothing and calls no callbacks; the weights are of no use afterwards.

    Args:
        trainer: not trained yet; its schedule is replaced.
        minimum: the rate of the first step, above 0.
        maximum: the rate of the last step, above `minimum`.
        num_steps: at least 2.

    Raises:
        ValueError: if the training rule returns no `loss` or no `learning_rate`.
    """
    num_updates = math.ceil(num_steps / trainer.update.accumulate_steps)
    rising = keras.optimizers.schedules.ExponentialDecay(
        minimum, max(1, num_updates - 1), maximum / minimum
    )
    with trainer.strategy.scope():
        set_schedule(trainer.optimizer, lambda peak: rising)
    half_width = max(1, num_steps // 20)
    learning_rates, losses = np.zeros(0), np.zeros(0)
    pace, last_report = Pace(), time.monotonic()
    while len(losses) < num_steps:
        first_step = len(losses)
        num_steps_now = pace.num_steps(at_most=num_steps - first_step)
        scalars = trainer.train_chunk(first_step, num_steps_now)
        pace.done(num_steps_now)
        for name in ("loss", "learning_rate"):
            if name not in scalars:
                raise ValueError(f"this training rule returns no {name!r}, only {sorted(scalars)}")
        losses = np.append(losses, scalars["loss"])
        learning_rates = np.append(learning_rates, scalars["learning_rate"])
        num_kept = steps_before_divergence(losses, half_width)
        if num_kept < len(losses):
            return RangeTest(learning_rates[:num_kept], losses[:num_kept], half_width, True)
        if time.monotonic() - last_report > _REPORT_SECONDS:
            last_report = time.monotonic()
            logger.info(
                "step %d/%d  learning rate %.2g  loss %.4f",
                len(losses), num_steps, learning_rates[-1], losses[-1],
            )  # fmt: skip
    return RangeTest(learning_rates, losses, half_width, False)


def steps_before_divergence(losses: np.ndarray, half_width: int) -> int:
    """Return how many losses come before the first that is not finite or too high.

    Too high is a mean of the last `2 * half_width + 1` losses over `DIVERGED` times the lowest such
    mean. It looks back alone, so that the answer does not depend on how far the chunk went on.

    Args:
        losses: float64 [N], one a step.
        half_width: in steps.
    """
    finite = np.isfinite(losses)
    losses = losses[: len(losses) if finite.all() else int(np.argmin(finite))]
    lowest = np.inf
    for step in range(len(losses)):
        trailing = losses[max(0, step - 2 * half_width) : step + 1].mean()
        lowest = min(lowest, trailing)
        if trailing > lowest + (DIVERGED - 1) * abs(lowest):
            return step
    return len(losses)
