"""The state before a step of a past run: forward from a checkpoint, to the bit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from trainer.loop import Pace
from trainer.nonfinite import first_bad_step
from trainer.optimizers import members
from trainer.replay.logged import LoggedSteps, differing
from trainer.replay.way import Way
from trainer.run_state import RunState
from trainer.trainer import Trainer

_SETS_THE_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
_KNOWN = ("keras", "trainer")


@dataclass
class Rebuilding:
    """Takes a freshly built Trainer along a way.

    Args:
        trainer: as built from the run's configuration, at its seed.
        way: where to.
        logged: what the run wrote.
    """

    trainer: Trainer
    way: Way
    logged: LoggedSteps
    num_equal: int = 0
    """Steps on the way whose scalars are those that the run wrote."""
    first_differing: tuple[int, list[str]] | None = None
    """The first step on the way that is another than the run's, and its differing scalars."""
    notes: list[str] = field(default_factory=list)
    """What may make the state another than the run's."""

    def run(self, on_progress: Callable[[int], None] = lambda num_steps: None) -> None:
        """Go the way.

        Args:
            on_progress: is told the number of steps of each chunk.

        Raises:
            CheckpointError: if the checkpoint is of another model.
        """
        if self.way.start:
            RunState(self.trainer, []).back_to(self.way.start)
        self._note_callbacks()
        pace = Pace()
        for first, last in self.way.stretches:
            for first_step, end in self._between_events(first, last):
                self.begin_step(first_step, end)
                step = first_step
                while step < end:
                    num_steps = pace.num_steps(end - step)
                    scalars = self.trainer.train_chunk(step, num_steps)
                    pace.done(num_steps)
                    self._compare(step, scalars)
                    step += num_steps
                    on_progress(num_steps)

    def begin_step(self, first_step: int, end: int | None = None) -> None:
        """Do what the run did before step `first_step + 1`.

        Args:
            first_step: steps done.
            end: the last step before something else is done; default: the next one.
        """
        if first_step % self._steps_per_epoch == 0:
            self.trainer.train_metrics.reset()
        if self._rate_setters:
            self._take_logged_rate(first_step, end or first_step + 1)

    def _between_events(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield (first, last) of the steps in turn that nothing interrupts."""
        step = first
        while step < last:
            if step + 1 in self.way.skipped:
                # The run had begun that step, and with it perhaps an epoch.
                self.begin_step(step)
                step += 1
                continue
            next_epoch = (step // self._steps_per_epoch + 1) * self._steps_per_epoch
            next_skipped = min((s for s in self.way.skipped if s > step), default=last + 1)
            end = min(last, next_epoch, next_skipped - 1)
            yield step, end
            step = end

    def _compare(self, first_step: int, scalars: Mapping[str, np.ndarray]) -> None:
        num_steps = len(next(iter(scalars.values()), ()))
        for k in range(num_steps):
            step = first_step + k + 1
            there = self.logged.scalars(step, scalars)
            if there is None or self.first_differing:
                continue
            names = differing(there, {name: column[k] for name, column in scalars.items()})
            if names:
                self.first_differing = step, names
            else:
                self.num_equal += 1
        is_watched = self.trainer.on_nonfinite != "ignore"
        exempt = {"gradient_norm"} if self.trainer.updater.scales_loss else set()
        bad = first_bad_step(scalars, exempt) if is_watched else None
        if bad is not None:
            self.notes.append(
                f"step {first_step + bad + 1:,} on the way is not finite, and no intact checkpoint "
                "says how the run went past it"
            )

    # ---- callbacks, which are not called here

    @property
    def _steps_per_epoch(self) -> int:
        return self.trainer.data.feed("train").steps_per_epoch

    @property
    def _rate_setters(self) -> list[str]:
        return [type(c).__name__ for c in self.trainer.callbacks if isinstance(c, _SETS_THE_RATE)]

    def _note_callbacks(self) -> None:
        last = self.way.last_step
        crossed = self.way.first_step // self._steps_per_epoch < last // self._steps_per_epoch
        others = [
            type(c).__name__
            for c in self.trainer.callbacks
            if type(c).__module__.partition(".")[0] not in _KNOWN
        ]
        if crossed and others:
            self.notes.append(
                f"{', '.join(others)}: callbacks are not called on the way, so what they changed "
                f"at the ends of epochs between steps {self.way.first_step:,} and {last:,} is "
                "missing here"
            )

    def _take_logged_rate(self, first_step: int, end: int) -> None:
        """Set the learning rate to what the run wrote: a callback set it at an epoch's end."""
        optimizer = members(self.trainer.optimizer)[0]
        if not isinstance(optimizer.learning_rate, keras.Variable):
            return
        for step in range(first_step + 1, end + 1):
            scalars = self.logged.scalars(step, ["learning_rate"])
            if scalars:
                optimizer.learning_rate = scalars["learning_rate"]
                return
        if first_step // self._steps_per_epoch > self.way.first_step // self._steps_per_epoch:
            self.notes.append(
                f"{', '.join(self._rate_setters)} may have set the learning rate before step "
                f"{first_step + 1:,}, and metrics.jsonl does not say to what: it is "
                f"{float(optimizer.learning_rate):g} here"
            )
