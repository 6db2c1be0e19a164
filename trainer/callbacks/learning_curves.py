"""The learning curves as a picture in the run folder, while it runs and at its end."""

import time
from typing import Any

from trainer.callbacks.trainer_callback import TrainerCallback


class LearningCurves(TrainerCallback):
    """Draws `report/learning_curves.png` from `metrics.jsonl` after evaluations and at the end.

    Args:
        every_seconds: least time between two pictures, at least 0. One takes half a second, and of
            a long run more: they take a twentieth of the time at most.
    """

    def __init__(self, every_seconds: float = 60.0) -> None:
        super().__init__()
        if every_seconds < 0:
            raise ValueError(f"callbacks.learning_curves.every_seconds={every_seconds}: at least 0")
        self._every_seconds = every_seconds
        self._drawn = time.monotonic()
        self._took = 0.0

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Draw, if the last picture is old enough; what was just evaluated comes with the next."""
        if time.monotonic() - self._drawn >= max(self._every_seconds, 20 * self._took):
            self._draw()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Draw the whole run."""
        self._draw()

    def _draw(self) -> None:
        trainer = self.trainer
        if trainer.run_dir is None or trainer.writer is None:
            return
        # matplotlib takes most of a second to import, and most programs draw nothing.
        from trainer.report.learning_curves import draw, read

        started = time.monotonic()
        trainer.writer.flush()
        curves = read(trainer.run_dir / "metrics.jsonl")
        draw(curves, trainer.run_dir / "report" / "learning_curves.png", trainer.model.name)
        self._drawn = time.monotonic()
        self._took = self._drawn - started
