"""The base of callbacks that show something of an evaluation, now and then."""

from typing import Any

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.durations import Duration


class AtEvaluations(TrainerCallback):
    """Shows something of evaluations; which ones is a function of the step alone.

    Args:
        at_most_every: the least distance between two that are shown, in `ep`, `st`, `ex` or `%`;
            0st: all are. TensorBoard's pages keep ten pictures of a kind by default.

    Raises:
        ValueError: if `at_most_every` is no such duration.
    """

    def __init__(self, at_most_every: str = "10%") -> None:
        super().__init__()
        self._at_most_every = Duration.parse(at_most_every)
        if self._at_most_every.is_wall_time:
            raise ValueError(
                f"at_most_every={at_most_every}: write epochs (1ep), steps (5000st), examples or "
                "percent of the run; what is shown must not depend on how fast a run is"
            )
        self.shown_at_step = -1
        """Remembered by checkpoints, so that a run that is taken up shows the same ones."""

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Show this evaluation, if the last one shown is far enough."""
        step = self.trainer.step
        period = self._period_steps()
        is_due = self.shown_at_step < 0 or step // period > self.shown_at_step // period
        if self.trainer.writer is not None and is_due:
            self.shown_at_step = step
            self.show()

    def show(self) -> None:
        """Write to `self.trainer.writer` what the evaluation at `self.trainer.step` found."""
        raise NotImplementedError

    def _period_steps(self) -> int:
        length = self.length
        if self._at_most_every.unit == "%" and length.total_steps is None:
            return 1  # of a run that wall time ends no share is known
        return max(1, length.steps(self._at_most_every))
