"""When things are due during a run."""

import time

from trainer.durations import Duration, RunLength


class Every:
    """Something that is due again and again, by steps or by wall time.

    Args:
        duration: how often, such as `1ep`; None for never.
        length: the run's length, by which the duration becomes steps (at least one).
    """

    def __init__(self, duration: str | Duration | None, length: RunLength) -> None:
        self._period_steps: int | None = None
        self._period_seconds: float | None = None
        if duration is None:
            return
        duration = Duration.parse(duration)
        if duration.is_wall_time:
            self._period_seconds = 60 * duration.amount
            self._last = time.monotonic()
        else:
            self._period_steps = max(1, length.steps(duration))

    def next_after(self, step: int) -> int | None:
        """Return the next step at which it is due; None where steps do not tell."""
        if self._period_steps is None:
            return None
        return (step // self._period_steps + 1) * self._period_steps

    def is_due(self, step: int) -> bool:
        """Return whether it is due now; asking restarts the clock of what is due by time."""
        if self._period_steps is not None:
            return step % self._period_steps == 0
        if self._period_seconds is None or time.monotonic() - self._last < self._period_seconds:
            return False
        self._last = time.monotonic()
        return True
