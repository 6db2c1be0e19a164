"""One call of `Trainer.fit`: chunks of steps, and between them whatever is due."""

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainer.agenda import Every
from trainer.checkpoint import Checkpoint
from trainer.durations import Duration
from trainer.profiling import Profile
from trainer.recovery import Recovery
from trainer.run_lock import run_lock
from trainer.run_state import RunState
from trainer.signals import StopRequest, StopRequestedError
from trainer.stopwatch import Stopwatch

if TYPE_CHECKING:
    from trainer.trainer import Trainer


class Fit:
    """Runs a Trainer for a duration.

        while steps remain:
            run a chunk of steps, cut at the next thing that is due
            write its scalars
            evaluate, end the epoch, save: whatever is due

    Args:
        trainer: whose steps are run, and whose `step`, `ranking` and `writer` this sets.
        duration: of the whole run, counted from its first step.

    Raises:
        ValueError: if a duration cannot be read.
    """

    def __init__(self, trainer: "Trainer", duration: str | Duration) -> None:
        self._trainer = trainer
        self._length = length = trainer.run_length(duration)
        duration = Duration.parse(duration)
        self._seconds_limit = 60 * duration.amount if duration.is_wall_time else math.inf
        if Duration.parse(trainer.log_every).is_wall_time:
            raise ValueError(f"log_every={trainer.log_every}: in steps, epochs or examples")
        self._log_every_steps = max(1, length.steps(trainer.log_every))
        self._evaluation = Every(trainer.eval_every, length)
        self._checkpoint = Every(trainer.checkpoint_every, length)
        self._epoch = Every("1ep", length)
        self._history = keras.callbacks.History()
        self._all_callbacks = [*trainer.callbacks, self._history]
        self._own_callbacks = trainer.own_callbacks
        self._state = RunState(trainer, self._all_callbacks)
        self._recovery = Recovery(trainer, self._state, self._all_callbacks)
        num_profiled = length.steps(trainer.profile) if trainer.profile else 0
        self._profile = Profile(num_profiled, trainer.run_dir and trainer.run_dir / "train")
        self._has_moved = False

    def run(self) -> keras.callbacks.History:
        """Train, and return Keras' history of the epochs."""
        with run_lock(self._trainer.run_dir), StopRequest() as stop:
            self._trainer.stop_request = stop
            try:
                self._train(stop)
            finally:
                self._close()
        return self._history

    def _train(self, stop: StopRequest) -> None:
        trainer = self._trainer
        self._pace = trainer.chunk.pace()
        trainer.stopwatch = Stopwatch()
        trainer.model.stop_training = False
        found = self._state.take_up()
        self._callbacks = self._prepare_callbacks(is_resumed=found is not None)
        self._callbacks.on_train_begin()
        if found:
            self._state.restore_callbacks(found)
        if self._state.is_due:
            self._has_moved = True
            self._do_what_is_due()
        while not self._is_over() and not stop.received:
            self._run_chunk()
            self._do_what_is_due()
        is_unfinished = self._state.is_due or not self._is_over()
        trainer.interrupted_by = stop.received if is_unfinished else None
        if trainer.interrupted_by is None:
            self._callbacks.on_train_end(self._train_and_val_logs())
            # A process may have died between the save at the last step and the one of now.
            self._has_moved |= not self._state.has_ended
            self._state.has_ended = True
        if self._has_moved:
            self._state.save()

    def _close(self) -> None:
        trainer = self._trainer
        trainer.stop_request = None
        self._profile.close()
        for callback in self._own_callbacks:
            callback.close()
        try:
            if trainer.checkpoints:
                trainer.checkpoints.close()
        finally:
            if trainer.writer:
                trainer.writer.close()

    # ---- steps

    def _is_over(self) -> bool:
        return (
            self._trainer.step >= (self._length.total_steps or math.inf)
            or self._trainer.stopwatch.total >= self._seconds_limit
            or self._trainer.model.stop_training
        )

    def _run_chunk(self) -> None:
        trainer = self._trainer
        first_step = trainer.step
        epoch, batch = divmod(first_step, self._length.steps_per_epoch)
        if batch == 0:
            trainer.train_metrics.reset()
            self._state.val_values = {}
            self._callbacks.on_epoch_begin(epoch)
        at_most = self._profile.at_most(self._steps_to_next_event(first_step))
        trainer.begin_chunk(first_step)
        if trainer.chunk.num_traces == 0:
            self._pace = trainer.chunk.pace()  # what is traced anew may take another time
        num_steps = self._pace.num_steps(at_most)
        self._callbacks.on_train_batch_begin(batch)
        self._recovery.remember(first_step)
        scalars, seconds = self._measured_chunk(first_step, num_steps)
        self._has_moved, self._state.has_ended = True, False
        bad_step = self._recovery.bad_step(scalars)
        if bad_step is not None:
            scalars = self._recovery.go_past(first_step, bad_step, scalars, self._write_scalars)
        else:
            trainer.step += num_steps
            self._write_scalars(first_step, scalars)
        last = {name: float(values[-1]) for name, values in scalars.items() if len(values)}
        self._callbacks.on_train_batch_end((trainer.step - 1) % self._length.steps_per_epoch, last)
        for callback in self._own_callbacks:
            callback.on_chunk_end(trainer.step - first_step, scalars, seconds)

    def _measured_chunk(
        self, first_step: int, num_steps: int
    ) -> tuple[dict[str, np.ndarray], float]:
        chunk, stopwatch = self._trainer.chunk, self._trainer.stopwatch
        part = "steps" if chunk.num_traces else "tracing"
        waited = chunk.data_seconds
        with stopwatch.measure(part):
            scalars = self._trainer.train_chunk(first_step, num_steps)
        stopwatch.move(chunk.data_seconds - waited, part, "data")
        self._profile.done(num_steps)
        return scalars, self._pace.done(num_steps)

    def _steps_to_next_event(self, step: int) -> int:
        events = [self._evaluation, self._checkpoint, self._epoch]
        upcoming = [event.next_after(step) for event in events]
        upcoming += [self._length.total_steps, self._trainer.next_change(step)]
        return min(u for u in upcoming if u is not None) - step

    def _write_scalars(self, first_step: int, scalars: dict[str, np.ndarray]) -> None:
        num_steps = len(next(iter(scalars.values()), ()))
        if self._trainer.writer is None or not num_steps:
            return
        steps = np.arange(first_step + 1, first_step + num_steps + 1)
        is_written = steps % self._log_every_steps == 0
        if is_written.any():
            heads = {"step": steps, "epoch": self._epochs(steps)}
            columns = heads | {f"train/{name}": column for name, column in scalars.items()}
            with self._trainer.stopwatch.measure("writing"):
                self._trainer.writer.rows({n: c[is_written] for n, c in columns.items()})

    # ---- what is due between chunks

    def _do_what_is_due(self) -> None:
        step = self._trainer.step
        is_over = self._is_over()
        if is_over:
            self._trainer.flush_update()
        is_evaluated = self._state.is_due or self._evaluation.is_due(step) or is_over
        ends_epoch = self._epoch.is_due(step) or is_over
        if is_evaluated or ends_epoch:
            self._recovery.forget()
        if is_evaluated:
            self._state.is_due = True
            try:
                self._evaluate()
            except StopRequestedError:
                return
            self._state.is_due = False
        if ends_epoch:
            epoch = math.ceil(step / self._length.steps_per_epoch) - 1
            self._callbacks.on_epoch_end(epoch, self._train_and_val_logs())
        if self._checkpoint.is_due(step):
            self._state.save()

    def _evaluate(self) -> None:
        trainer = self._trainer
        values = {f"train/{k}": v for k, v in trainer.train_metrics.result().items()}
        if "val" in trainer.data.feeds:
            self._callbacks.on_test_begin()
            with trainer.stopwatch.measure("evaluation"):
                val_values = trainer.evaluate("val")
            self._state.val_values = val_values
            values |= {f"val/{k}": v for k, v in val_values.items()}
            self._callbacks.on_test_end(val_values)
        self._note_best(values)
        if trainer.writer:
            # The curve of `train/loss` has a point for every step already.
            values.pop("train/loss")
            times = {f"time/{k}": v for k, v in trainer.stopwatch.seconds().items()}
            head = {"step": trainer.step, "epoch": float(self._epochs(trainer.step))}
            trainer.writer.row(head | values | times)

    def _note_best(self, values: dict[str, float]) -> None:
        trainer = self._trainer
        value = values[trainer.monitor]
        if not math.isfinite(value):
            return
        sign = -1 if trainer.monitor_mode == "max" else 1
        # Of equal values the earlier step stays ahead.
        ranking = [*trainer.ranking, (value, trainer.step)]
        ranking.sort(key=lambda entry: (sign * entry[0], entry[1]))
        trainer.ranking = ranking[: trainer.keep_best]
        if trainer.checkpoints and (value, trainer.step) in trainer.ranking:
            facts = {"values": values, "value": value, "mode": trainer.monitor_mode}
            with trainer.stopwatch.measure("checkpoints"):
                weights = Checkpoint(trainer.step, trainer.evaluated_weights(), dict(facts))
                trainer.checkpoints.save_best(weights, trainer.ranking)

    # ---- callbacks

    def _prepare_callbacks(self, is_resumed: bool) -> keras.callbacks.CallbackList:
        trainer = self._trainer
        for callback in self._own_callbacks:
            callback.length = self._length
        for callback in trainer.callbacks:
            metric = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if is_resumed and isinstance(callback, keras.callbacks.CSVLogger):
                callback.append = True
            if getattr(callback, "mode", None) == "auto" and metric in trainer.test_metrics.names:
                callback.mode = trainer.test_metrics.direction(metric)
        total_steps = self._length.total_steps
        return keras.callbacks.CallbackList(
            self._all_callbacks,
            model=trainer.model,
            steps=self._length.steps_per_epoch,
            epochs=total_steps and math.ceil(total_steps / self._length.steps_per_epoch),
            verbose=0,
        )

    def _train_and_val_logs(self) -> dict[str, float]:
        val_logs = {f"val_{name}": value for name, value in self._state.val_values.items()}
        return self._trainer.train_metrics.result() | val_logs

    def _epochs(self, steps: Any) -> Any:
        return np.round(steps / self._length.steps_per_epoch, 6)
