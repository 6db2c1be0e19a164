"""One function per option of `conf/schedule`: durations in, a learning rate out.

All take `learning_rate` (the optimizer's, which is the peak), `length` (the run's, by which
durations become steps) and `warmup` (how long the rate rises linearly from near zero to the peak).
The curves are Keras' own, over the steps that the warm-up leaves.
"""

from collections.abc import Sequence
from itertools import pairwise

from keras.optimizers import schedules

from trainer.durations import Duration, RunLength
from trainer.schedules.piecewise_linear import PiecewiseLinear
from trainer.schedules.warm_up import WarmUp


def constant(
    learning_rate: float, length: RunLength, warmup: str | Duration = "0st"
) -> float | WarmUp:
    """Return the rate itself, which callbacks may change; after a warm-up, where there is one."""
    warmup_steps = _warmup_steps(length, warmup)
    return WarmUp(learning_rate, warmup_steps) if warmup_steps else learning_rate


def step(
    learning_rate: float,
    length: RunLength,
    at: Sequence[str | Duration] = ("50%", "75%"),
    factor: float = 0.1,
    warmup: str | Duration = "0st",
) -> schedules.LearningRateSchedule:
    """Return a rate that is multiplied by `factor` at each of some points.

    Args:
        learning_rate: the peak.
        length: the run's.
        at: how much of the run lies before each change, in rising order and none of them within
            the warm-up; one past the end of the run never comes. The default is that of ResNet
            (He et al., arXiv 1512.03385).
        factor: above 0, below 1.
        warmup: as for all schedules.
    """
    _check_factor(factor)
    warmup_steps = _warmup_steps(length, warmup)
    changes = [length.steps(duration) for duration in at]
    if not changes or any(later < earlier for earlier, later in pairwise(changes)):
        raise ValueError(f"schedule.at={_shown(at)}: durations in rising order, at least one")
    if changes[0] < warmup_steps:
        raise ValueError(
            f"schedule.at={_shown(at)}: the first change is at step {changes[0]}, within the "
            f"warm-up of {warmup_steps}; move it, or shorten schedule.warmup"
        )
    # Keras counts a boundary as before the change.
    boundaries = [change - _skipped(warmup_steps) - 1 for change in changes]
    rates = [learning_rate * factor**k for k in range(len(changes) + 1)]
    return _warmed_up(schedules.PiecewiseConstantDecay(boundaries, rates), warmup_steps)


def exponential(
    learning_rate: float,
    length: RunLength,
    every: str | Duration = "10%",
    factor: float = 0.5,
    staircase: bool = False,
    warmup: str | Duration = "0st",
) -> schedules.LearningRateSchedule:
    """Return a rate that falls by `factor` in every period: `peak * factor ** (t / period)`.

    Args:
        learning_rate: the peak.
        length: the run's.
        every: the period, at least one step.
        factor: above 0, below 1. By the default the rate halves ten times, to a thousandth.
        staircase: whether it falls at once at the end of each period.
        warmup: as for all schedules.
    """
    _check_factor(factor)
    warmup_steps = _warmup_steps(length, warmup)
    period = max(1, length.steps(every))
    return _warmed_up(
        schedules.ExponentialDecay(learning_rate, period, factor, staircase), warmup_steps
    )


def linear(
    learning_rate: float,
    length: RunLength,
    warmup: str | Duration = "0st",
    final_fraction: float = 0.0,
) -> schedules.LearningRateSchedule:
    """Return a straight way down over the rest of the run; arguments as for `polynomial`."""
    return polynomial(learning_rate, length, 1.0, warmup, final_fraction)


def polynomial(
    learning_rate: float,
    length: RunLength,
    power: float = 2.0,
    warmup: str | Duration = "0st",
    final_fraction: float = 0.0,
) -> schedules.LearningRateSchedule:
    """Return `final + (peak - final) * (1 - progress) ** power`.

    The rate approaches `final` and would be there one update after the last, so that no update is
    spent on a rate of zero.

    Args:
        learning_rate: the peak.
        length: the run's.
        power: above 0.
        warmup: as for all schedules.
        final_fraction: the share of the peak at the end, from 0 to 1.
    """
    if power <= 0:
        raise ValueError(f"schedule.power={power}: must be above 0")
    _check_share("final_fraction", final_fraction)
    warmup_steps, decay_steps = _warmup_and_decay_steps(length, warmup)
    final = final_fraction * learning_rate
    return _warmed_up(
        schedules.PolynomialDecay(learning_rate, decay_steps, final, power), warmup_steps
    )


def cosine(
    learning_rate: float,
    length: RunLength,
    warmup: str | Duration = "0st",
    final_fraction: float = 0.0,
) -> schedules.LearningRateSchedule:
    """Return half a cosine down (Loshchilov and Hutter, arXiv 1608.03983), without restarts.

    Arguments as for `polynomial`, and as there the last update is still above the final rate.
    """
    _check_share("final_fraction", final_fraction)
    warmup_steps, decay_steps = _warmup_and_decay_steps(length, warmup)
    return _warmed_up(
        schedules.CosineDecay(learning_rate, decay_steps, alpha=final_fraction), warmup_steps
    )


def one_cycle(
    learning_rate: float,
    length: RunLength,
    warmup: str | Duration = "45%",
    initial_fraction: float = 0.04,
    final_fraction: float = 1e-5,
) -> PiecewiseLinear:
    """Return a cycle of equal rise and fall, then a fall to far below (arXiv 1708.07120).

    The first update has the initial rate, the last of the rise the peak, the last of the run the
    final rate. Differs from the paper: the momentum stays as it is.

    Args:
        learning_rate: the peak.
        length: the run's.
        warmup: the rise, which is this schedule's warm-up; the fall lasts as long, so at most 50%.
        initial_fraction: the share of the peak at the start and at the end of the cycle.
        final_fraction: the share of the peak at the end of the run: orders of magnitude less.
    """
    _check_share("initial_fraction", initial_fraction)
    _check_share("final_fraction", final_fraction)
    total_steps, rise = _total_steps(length), _skipped(_warmup_steps(length, warmup))
    if 2 * rise >= max(2, total_steps):
        raise ValueError(
            f"schedule.warmup={warmup}: a cycle falls for as long as it rises; at most 50% each"
        )
    initial, final = initial_fraction * learning_rate, final_fraction * learning_rate
    # A dict, so that in a run of a few steps, where points coincide, the later one counts.
    points = {0: initial, rise: learning_rate, 2 * rise: initial, total_steps - 1: final}
    return PiecewiseLinear(list(points), list(points.values()))


def _warmed_up(
    schedule: schedules.LearningRateSchedule, warmup_steps: int
) -> schedules.LearningRateSchedule:
    return WarmUp(schedule, warmup_steps) if warmup_steps else schedule


def _skipped(warmup_steps: int) -> int:
    """Return the updates before the peak: the last of the warm-up is the first of the curve."""
    return max(0, warmup_steps - 1)


def _warmup_steps(length: RunLength, warmup: str | Duration) -> int:
    warmup_steps = length.steps(warmup)
    if length.total_steps is not None and warmup_steps > length.total_steps:
        raise ValueError(
            f"schedule.warmup is {warmup_steps} steps, but the run has {length.total_steps}; "
            "shorten it, or give it as a share of the run (25%)"
        )
    return warmup_steps


def _warmup_and_decay_steps(length: RunLength, warmup: str | Duration) -> tuple[int, int]:
    total_steps, warmup_steps = _total_steps(length), _warmup_steps(length, warmup)
    return warmup_steps, total_steps - _skipped(warmup_steps)


def _total_steps(length: RunLength) -> int:
    if length.total_steps is None:
        raise ValueError(
            "schedule: a run measured in minutes has no known end to decay to; "
            "choose schedule=constant, or a duration in epochs or steps"
        )
    return length.total_steps


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"schedule.{name}={value}: a share of the peak learning rate, from 0 to 1")


def _check_factor(factor: float) -> None:
    if not 0 < factor < 1:
        raise ValueError(f"schedule.factor={factor}: must be above 0 and below 1")


def _shown(durations: Sequence[str | Duration]) -> str:
    return f"[{', '.join(map(str, durations))}]"
