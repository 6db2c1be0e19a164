"""One call of `Trainer.fit`: chunks of steps, and between them whatever is due."""

import logging
import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainer.agenda import Every
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.checkpoint import Checkpoint
from trainer.durations import Duration
from trainer.loop import Pace
from trainer.profiling import Profile
from trainer.signals import StopRequest
from trainer.state import (
    callback_state,
    restore,
    restore_callback,
    snapshot,
)
from trainer.stopwatch import Stopwatch
from trainer.writers import RunWriter

if TYPE_CHECKING:
    from trainer.trainer import Trainer

logger = logging.getLogger(__name__)


class Fit:
    """Runs a Trainer for a duration.

        while steps remain:
            run a chunk of steps, cut at the next thing that is due
            write its scalars
            evaluate, end the epoch, save: whatever is due

    Args:
        trainer: whose steps are run, and whose `step`, `best` and `writer` this sets.
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
        self._own_callbacks = [c for c in trainer.callbacks if isinstance(c, TrainerCallback)]
        self._val_values: dict[str, float] = {}
        num_profiled = length.steps(trainer.profile) if trainer.profile else 0
        self._profile = Profile(num_profiled, trainer.run_dir and trainer.run_dir / "train")
        self._num_steps_here = 0

    def run(self) -> keras.callbacks.History:
        """Train, and return Keras' history of the epochs."""
        trainer = self._trainer
        self._pace = Pace()
        trainer.stopwatch = Stopwatch()
        self._callbacks = self._prepare_callbacks()
        try:
            callback_states = self._resume()
            self._callbacks.on_train_begin()
            self._restore_callbacks(callback_states)
            with StopRequest() as stop:
                while not self._is_over() and not stop.received:
                    self._run_chunk()
                    self._do_what_is_due()
            trainer.interrupted_by = stop.received if not self._is_over() else None
            if trainer.interrupted_by is None:
                self._callbacks.on_train_end(self._train_and_val_logs())
            if self._num_steps_here:
                self._save()
        finally:
            self._profile.close()
            for callback in self._own_callbacks:
                callback.close()
            if trainer.writer:
                trainer.writer.close()
        return self._history

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
        steps_per_epoch = self._length.steps_per_epoch
        epoch, batch = divmod(first_step, steps_per_epoch)
        if batch == 0:
            trainer.train_metrics.reset()
            self._val_values = {}
            self._callbacks.on_epoch_begin(epoch)
        at_most = self._profile.at_most(self._steps_to_next_event(first_step))
        num_steps = self._pace.num_steps(at_most)
        self._callbacks.on_train_batch_begin(batch)
        scalars, seconds = self._measured_chunk(first_step, num_steps)
        trainer.step += num_steps
        self._num_steps_here += num_steps
        self._write_scalars(first_step, scalars)
        last = {name: float(values[-1]) for name, values in scalars.items()}
        self._callbacks.on_train_batch_end(batch + num_steps - 1, last)
        for callback in self._own_callbacks:
            callback.on_chunk_end(num_steps, scalars, seconds)

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
        upcoming = [event.next_after(step) for event in events] + [self._length.total_steps]
        return min(u for u in upcoming if u is not None) - step

    def _write_scalars(self, first_step: int, scalars: dict[str, np.ndarray]) -> None:
        if self._trainer.writer is None:
            return
        steps = np.arange(first_step + 1, self._trainer.step + 1)
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
        is_epoch_end = self._epoch.is_due(step)
        if self._evaluation.is_due(step) or is_over:
            self._evaluate()
        if is_epoch_end or is_over:
            epoch = math.ceil(step / self._length.steps_per_epoch) - 1
            self._callbacks.on_epoch_end(epoch, self._train_and_val_logs())
        if self._checkpoint.is_due(step):
            self._save()

    def _evaluate(self) -> None:
        trainer = self._trainer
        values = {f"train/{k}": v for k, v in trainer.train_metrics.result().items()}
        if "val" in trainer.data.feeds:
            self._callbacks.on_test_begin()
            with trainer.stopwatch.measure("evaluation"):
                self._val_values = trainer.evaluate("val")
            values |= {f"val/{k}": v for k, v in self._val_values.items()}
            self._callbacks.on_test_end(self._val_values)
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
        is_better = trainer.best is None or (
            value > trainer.best if trainer.monitor_mode == "max" else value < trainer.best
        )
        if math.isfinite(value) and is_better:
            trainer.best = value
            if trainer.checkpoints:
                best = Checkpoint(trainer.step, trainer.evaluated_weights(), {"values": values})
                with trainer.stopwatch.measure("checkpoints"):
                    trainer.checkpoints.save_best(best)

    # ---- what evolves

    def _save(self) -> None:
        trainer = self._trainer
        if trainer.checkpoints is None or trainer.writer is None:
            return
        with trainer.stopwatch.measure("writing"):
            positions = trainer.writer.flush()
        facts = {
            "best": trainer.best,
            "val_values": self._val_values,
            "seconds": trainer.stopwatch.seconds(),
            "stop_training": bool(trainer.model.stop_training),
            "positions": positions,
            "callbacks": {key: callback_state(c) for key, c in self._callbacks_by_key().items()},
        }
        with trainer.stopwatch.measure("checkpoints"):
            trainer.checkpoints.save(Checkpoint(trainer.step, snapshot(trainer.variables), facts))

    def _resume(self) -> dict[str, Any]:
        """Take up the state of the newest checkpoint, if any; return that of the callbacks."""
        trainer = self._trainer
        checkpoint = trainer.checkpoints.latest() if trainer.checkpoints else None
        facts: dict[str, Any] = dict(checkpoint.facts) if checkpoint else {}
        if checkpoint:
            restore(trainer.variables, checkpoint.arrays, source=str(checkpoint.path))
            trainer.step = checkpoint.step
            trainer.best = facts["best"]
            trainer.model.stop_training = facts["stop_training"]
            self._val_values = facts["val_values"]
            trainer.stopwatch = Stopwatch(facts["seconds"])
            logger.info("going on from step %s (%s)", f"{checkpoint.step:,}", checkpoint.path)
        if trainer.run_dir:
            trainer.writer = RunWriter(trainer.run_dir, facts.get("positions"))
        return facts.get("callbacks", {})

    def _restore_callbacks(self, states: dict[str, Any]) -> None:
        # After `on_train_begin`, in which Keras' callbacks begin anew.
        for key, callback in self._callbacks_by_key().items():
            restore_callback(callback, states.get(key, {}))

    # ---- callbacks

    def _prepare_callbacks(self) -> keras.callbacks.CallbackList:
        trainer = self._trainer
        trainer.model.stop_training = False
        for callback in self._own_callbacks:
            callback.trainer = trainer
            callback.length = self._length
        for callback in trainer.callbacks:
            metric = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and metric in trainer.test_metrics.metrics:
                callback.mode = trainer.test_metrics.direction(metric)
        total_steps = self._length.total_steps
        return keras.callbacks.CallbackList(
            self._all_callbacks,
            model=trainer.model,
            steps=self._length.steps_per_epoch,
            epochs=total_steps and math.ceil(total_steps / self._length.steps_per_epoch),
            verbose=0,
        )

    def _callbacks_by_key(self) -> dict[str, keras.callbacks.Callback]:
        return {f"{k}/{type(c).__name__}": c for k, c in enumerate(self._all_callbacks)}

    def _train_and_val_logs(self) -> dict[str, float]:
        val_logs = {f"val_{name}": value for name, value in self._val_values.items()}
        return self._trainer.train_metrics.result() | val_logs

    def _epochs(self, steps: Any) -> Any:
        return np.round(steps / self._length.steps_per_epoch, 6)
