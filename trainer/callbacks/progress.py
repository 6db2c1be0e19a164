"""Where a run stands: a bar with ETA and speed on a terminal, plain lines elsewhere."""

import logging
import time
from collections.abc import Mapping
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


BAR_SECONDS = 0.5
"""How often the bar is redrawn: reading the metrics takes a tenth of a millisecond each."""


class Progress(TrainerCallback):
    """Shows the step, the speed, the time left and the current metrics.

    Args:
        every_seconds: how often a line is written where there is no terminal; each evaluation has
            its own line in any case. 15 keeps the log of an hour to a few pages.
    """

    only_watches = True

    def __init__(self, every_seconds: float = 15.0) -> None:
        super().__init__()
        if every_seconds <= 0:
            raise ValueError(f"callbacks.progress.every_seconds={every_seconds}: above 0")
        self._every_seconds = every_seconds
        self._bar: RichProgress | None = None
        self._task = TaskID(0)
        self._seconds_per_step = 0.0
        self._last_shown = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        log_to_console()
        self._last_shown = time.monotonic()
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

    def on_chunk_end(self, num_steps: int, scalars: dict[str, np.ndarray], seconds: float) -> None:
        """Move the bar on, or write a line, when it is time."""
        self._num_chunks += 1
        if self._num_chunks > 1:
            # A moving average over about ten chunks; the first chunk was spent compiling.
            before = self._seconds_per_step or seconds / num_steps
            self._seconds_per_step = 0.9 * before + 0.1 * seconds / num_steps
        pause = BAR_SECONDS if self._bar else self._every_seconds
        if time.monotonic() - self._last_shown < pause:
            return
        self._last_shown = time.monotonic()
        last = {name: float(values[-1]) for name, values in scalars.items() if name == "loss"}
        figures = _in_words(self.trainer.train_metrics.result() | last)
        if self._bar:
            self._bar.update(
                self._task,
                completed=self.trainer.step,
                description=self._epoch(),
                figures="  ".join(filter(None, [figures, self._speed()])),
            )
        else:
            self._line(figures)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Write the metrics of an evaluation."""
        train = self.trainer.train_metrics.result()
        self._line(_in_words(train | {f"val_{k}": v for k, v in (logs or {}).items()}))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the training metrics of an epoch where no evaluation does."""
        if "val" not in self.trainer.data.feeds:
            self._line(_in_words(logs or {}))

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _line(self, figures: str) -> None:
        self._last_shown = time.monotonic()
        total = self.length.total_steps
        step = f"step {self.trainer.step:,}" + (f"/{total:,}" if total else "")
        parts = [self._epoch(), step, figures, self._speed(), self._time_left()]
        logger.info("  ".join(filter(None, parts)))

    def _epoch(self) -> str:
        step, total = self.trainer.step, self.length.total_steps
        done = f"{10 * step // self.length.steps_per_epoch / 10:.1f}".removesuffix(".0")
        if not total:
            return f"epoch {done}"
        # Part of an epoch is rounded to whole steps: 4.5 epochs are 4.49936.
        epochs = f"{round(total / self.length.steps_per_epoch, 2):g}"
        return f"epoch {epochs if step == total else done}/{epochs}"

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


def _in_words(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())
