"""The base of callbacks that show something of an evaluation, now and then."""

from collections.abc import Mapping
from typing import Any

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.data.data import labels_of
from trainer.durations import Duration


class AtEvaluations(TrainerCallback):
    """Shows something of evaluations; which ones is a function of the step alone.

    The first and the last one of a run are always among them.

    Args:
        at_most_every: the least distance between two that are shown, in `ep`, `st`, `ex` or `%`;
            0st: all are. Where wall time ends a run and so no share of it is known, each comes
            a quarter later than the one before. TensorBoard's pages keep ten pictures of a kind.

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
        self._evaluated_at_step = -1

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Show this evaluation, if the last one shown is far enough."""
        self._evaluated_at_step = self.trainer.step
        if self.shown_at_step < 0 or self._is_due(self.trainer.step):
            self._show()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Show the last evaluation, if it was not."""
        if self._evaluated_at_step == self.trainer.step != self.shown_at_step:
            self._show()

    def show(self) -> None:
        """Write to `self.trainer.writer` what the evaluation at `self.trainer.step` found."""
        raise NotImplementedError

    def class_outputs(self) -> list[str | None]:
        """Return the outputs whose labels are the data's classes: [None] of a single output."""
        if not self.trainer.labels_are_classes or not self.trainer.data.class_names:
            return []
        labels = labels_of(self.trainer.data.evaluated_batch())
        if not isinstance(labels, Mapping):
            return [None]
        return [name for name, label in labels.items() if label.dtype.is_integer]

    def _show(self) -> None:
        if self.trainer.writer is not None:
            self.shown_at_step = self.trainer.step
            self.show()

    def _is_due(self, step: int) -> bool:
        if self._at_most_every.unit == "%" and self.length.total_steps is None:
            return step >= 1.25 * self.shown_at_step
        period_steps = max(1, self.length.steps(self._at_most_every))
        return step // period_steps > self.shown_at_step // period_steps
