"""Where a run stands: a bar with ETA and speed on a terminal, plain lines elsewhere."""

import logging
import time
from typing import Any

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)

from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.console import console, log_to_console

logger = logging.getLogger(__name__)


class Progress(TrainerCallback):
    """Shows the step, the speed, the time left and the current metrics.

    Args:
        every_seconds: how often a line is written where there is no terminal; each evaluation has
            its own line in any case. 15 keeps the log of an hour to a few pages.
    """

    def __init__(self, every_seconds: float = 15.0) -> None:
        super().__init__()
        if every_seconds <= 0:
            raise ValueError(f"callbacks.progress.every_seconds={every_seconds}: above 0")
        self._every_seconds = every_seconds
        self._bar: RichProgress | None = None
        self._task = TaskID(0)
        self._seconds_per_step = 0.0
        self._last_line = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Opens the bar."""
        log_to_console()
        self._last_line = time.monotonic()
        self._num_chunks = 0
        if console.is_terminal:
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task(
                "compiling", total=self.length.total_steps, figures="the first step takes longer"
            )
            self._bar.start()

    def on_chunk_end(self, scalars: dict[str, np.ndarray], seconds: float) -> None:
        """Moves the bar on, or writes a line when it is time."""
        self._num_chunks += 1
        if self._num_chunks > 1:
            # A moving average over about ten chunks; the first chunk was spent compiling.
            now = seconds / len(scalars["loss"]) if "loss" in scalars else self._seconds_per_step
            before = self._seconds_per_step or now
            self._seconds_per_step = 0.9 * before + 0.1 * now
        figures = f"loss {scalars['loss'][-1]:.4f}" if "loss" in scalars else ""
        if self._bar:
            self._bar.update(
                self._task,
                completed=self.trainer.step,
                description=self._epoch(),
                figures="  ".join(filter(None, [figures, self._speed()])),
            )
        elif time.monotonic() - self._last_line >= self._every_seconds:
            self._line(figures)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Writes the metrics of an evaluation."""
        train = self.trainer.train_metrics.result()
        values = train | {f"val_{name}": value for name, value in (logs or {}).items()}
        self._line("  ".join(f"{name} {value:.4f}" for name, value in values.items()))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes the training metrics of an epoch where no evaluation does."""
        if "val" not in self.trainer.data.feeds:
            self._line("  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items()))

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _line(self, figures: str) -> None:
        self._last_line = time.monotonic()
        total = self.length.total_steps
        step = f"step {self.trainer.step:,}" + (f"/{total:,}" if total else "")
        parts = [self._epoch(), step, figures, self._speed(), self._time_left()]
        logger.info("  ".join(filter(None, parts)))

    def _epoch(self) -> str:
        done = self.trainer.step / self.length.steps_per_epoch
        total = self.length.total_steps
        of = f"/{total / self.length.steps_per_epoch:g}" if total else ""
        return f"epoch {done:.1f}".removesuffix(".0") + of

    def _speed(self) -> str:
        if not self._seconds_per_step:
            return ""
        per_second = self.length.global_batch_size / self._seconds_per_step
        unit = "images" if self.trainer.data.has_images else "examples"
        return f"{per_second:,.0f} {unit}/s"

    def _time_left(self) -> str:
        total = self.length.total_steps
        if not total or not self._seconds_per_step or self.trainer.step >= total:
            return ""
        seconds = round((total - self.trainer.step) * self._seconds_per_step)
        return f"ETA {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
