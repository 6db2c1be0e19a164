"""One call of `Trainer.fit`: chunks of steps, and between them whatever is due."""

import logging
import math
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainer.agenda import Every
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.checkpoint import Checkpoint
from trainer.durations import Duration
from trainer.loop import Pace
from trainer.signals import StopRequest
from trainer.state import (
    callback_state,
    restore,
    restore_callback,
    snapshot,
)
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
        self._logging = Every(trainer.log_every, length)
        self._evaluation = Every(trainer.eval_every, length)
        self._checkpoint = Every(trainer.checkpoint_every, length)
        self._epoch = Every("1ep", length)
        self._history = keras.callbacks.History()
        self._all_callbacks = [*trainer.callbacks, self._history]
        self._own_callbacks = [c for c in trainer.callbacks if isinstance(c, TrainerCallback)]
        self._val_values: dict[str, float] = {}
        self._seconds_before = 0.0
        self._num_steps_here = 0

    def run(self) -> keras.callbacks.History:
        """Train, and return Keras' history of the epochs."""
        trainer = self._trainer
        self._pace = Pace()
        self._started = time.monotonic()
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
            for callback in self._own_callbacks:
                callback.close()
            if trainer.writer:
                trainer.writer.close()
        return self._history

    # ---- steps

    def _is_over(self) -> bool:
        return (
            self._trainer.step >= (self._length.total_steps or math.inf)
            or self._elapsed_seconds() >= self._seconds_limit
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
        num_steps = self._pace.num_steps(at_most=self._steps_to_next_event(first_step))
        self._callbacks.on_train_batch_begin(batch)
        scalars = trainer.train_chunk(first_step, num_steps)
        seconds = self._pace.done(num_steps)
        trainer.step += num_steps
        self._num_steps_here += num_steps
        self._write_scalars(first_step, scalars)
        last = {name: float(values[-1]) for name, values in scalars.items()}
        self._callbacks.on_train_batch_end(batch + num_steps - 1, last)
        for callback in self._own_callbacks:
            callback.on_chunk_end(num_steps, scalars, seconds)

    def _steps_to_next_event(self, step: int) -> int:
        events = [self._evaluation, self._checkpoint, self._epoch]
        upcoming = [event.next_after(step) for event in events] + [self._length.total_steps]
        return min(u for u in upcoming if u is not None) - step

    def _write_scalars(self, first_step: int, scalars: dict[str, np.ndarray]) -> None:
        if self._trainer.writer is None:
            return
        for k in range(self._trainer.step - first_step):
            step = first_step + k + 1
            if self._logging.is_due(step):
                values = {f"train/{name}": float(column[k]) for name, column in scalars.items()}
                self._trainer.writer.scalars(self._row(step) | values)

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
            self._val_values = trainer.evaluate("val")
            values |= {f"val/{k}": v for k, v in self._val_values.items()}
            self._callbacks.on_test_end(self._val_values)
        self._note_best(values)
        if trainer.writer:
            # The curve of `train/loss` has a point for every step already.
            values.pop("train/loss")
            seconds = max(self._elapsed_seconds(), 1e-9)
            trainer.writer.scalars(self._row(trainer.step) | values | {"time/seconds": seconds})

    def _note_best(self, values: dict[str, float]) -> None:
        trainer = self._trainer
        value = values[trainer.monitor]
        is_better = trainer.best is None or (
            value > trainer.best if trainer.monitor_mode == "max" else value < trainer.best
        )
        if math.isfinite(value) and is_better:
            trainer.best = value
            if trainer.checkpoints:
                weights = trainer.evaluated_weights()
                trainer.checkpoints.save_best(Checkpoint(trainer.step, weights, {"values": values}))

    # ---- what evolves

    def _save(self) -> None:
        trainer = self._trainer
        if trainer.checkpoints is None or trainer.writer is None:
            return
        facts = {
            "best": trainer.best,
            "val_values": self._val_values,
            "seconds": self._elapsed_seconds(),
            "stop_training": bool(trainer.model.stop_training),
            "positions": trainer.writer.flush(),
            "callbacks": {key: callback_state(c) for key, c in self._callbacks_by_key().items()},
        }
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
            self._seconds_before = facts["seconds"]
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

    def _row(self, step: int) -> dict[str, float]:
        return {"step": step, "epoch": round(step / self._length.steps_per_epoch, 6)}

    def _elapsed_seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started
