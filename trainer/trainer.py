"""The Trainer: one step of training, one of evaluation, and the run around them.

Reading order: `train_step` and `test_step` are the maths, `fit` is the run. Research code overrides
the first two (see `experiments/`).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from trainer import distribution
from trainer.callbacks.trainer_callback import TrainerCallback
from trainer.checkpoint import Checkpoint
from trainer.checkpoint_folder import CheckpointFolder, Ranking
from trainer.data.data import Data, labels_of, model_inputs
from trainer.data.feeds import Batch
from trainer.durations import Duration, RunLength
from trainer.fit import Fit
from trainer.loop import CAPACITY, Chunk
from trainer.losses import PerExampleLoss, per_example
from trainer.metrics import Metrics, MetricSet
from trainer.nonfinite import ACTIONS
from trainer.optimizers import Optimizer, members
from trainer.predictions import activation_of
from trainer.signals import StopRequest, StopRequestedError
from trainer.state import (
    Variables,
    callback_state,
    evaluated_weights,
    model_variables,
    restore,
    training_variables,
    weights_in,
)
from trainer.step_keys import StepKeys
from trainer.stopwatch import Stopwatch
from trainer.update import Update, Updater
from trainer.writers import RunWriter


class Trainer:
    """Trains a Keras model with a custom loop, compiled many steps at a time.

    Args:
        model: any `keras.Model`, `call(inputs, training=False) -> logits float32 [B, K]`.
        loss: `(labels, logits) -> float32 [B]`, or any `keras.losses` object.
        optimizer: any `keras.optimizers` object, or `ParameterGroups` of them.
        data: what to train and evaluate on.
        metrics: name to Keras metric; a mean `loss` is always there.
        callbacks: any Keras callbacks; their batch hooks are called once a chunk.
        strategy: a `tf.distribute.Strategy`, under whose scope model and optimizer were built;
            default: one device.
        update: what happens between the gradients and the weights: accumulation, clipping, moving
            averages; default: nothing.
        jit: whether XLA compiles the chunk: True, False, or `auto` (see `trainer.loop`).
        run_dir: where curves and checkpoints go, and where a run is picked up again; default:
            nowhere.
        log_every: how often a step's scalars are written; every step costs little.
        eval_every: how often `val` is evaluated; None: only at the end.
        checkpoint_every: how often the state is saved; it is also saved at the end.
        keep: how many of the last checkpoints stay.
        keep_best: how many of the best weights by `monitor` stay.
        keep_every: checkpoints at multiples of it stay for good, such as `10ep`; None: none.
        monitor: the metric that says which weights are the best, `val/…` or `train/…`; default:
            `val/loss`, or `train/loss` without a validation split.
        profile: how many steps are recorded for TensorBoard's profile page, such as `10st`; None:
            none. Needs a run folder.
        monitor_mode: `min`, `max` or `auto`: as Keras knows the metric.
        on_nonfinite: what is done where a scalar that a step returns, such as its loss or its
            gradient norm, is not finite. `stop`: go back to before that step, save and raise
            `NonFiniteError`. `skip`: leave out its update. `rollback`: take the last checkpoint's
            variables and go on with the batch after it (as in PaLM, arXiv 2204.02311, section
            5.1). `ignore`: nothing. All but the last hold a copy of the variables.

    Raises:
        ValueError: if the parts do not fit together.
    """

    scores: Mapping[str, str] = {}
    """What `test_step` returns beside the metrics: name to whether its `max` or `min` is best."""

    labels_are_classes = True
    """Whether loss and metrics compare with the data's own labels: pictures of evaluations do."""

    def __init__(
        self,
        model: keras.Model,
        loss: PerExampleLoss,
        optimizer: Optimizer,
        data: Data,
        metrics: Metrics | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        strategy: tf.distribute.Strategy | None = None,
        *,
        update: Update | None = None,
        jit: bool | str = False,
        run_dir: str | Path | None = None,
        log_every: str | Duration = "1st",
        eval_every: str | Duration | None = "1ep",
        checkpoint_every: str | Duration = "1ep",
        keep: int = 1,
        keep_best: int = 1,
        keep_every: str | Duration | None = None,
        monitor: str | None = None,
        monitor_mode: str = "auto",
        profile: str | Duration | None = None,
        on_nonfinite: str = "stop",
    ) -> None:
        if on_nonfinite not in ACTIONS:
            raise ValueError(f"on_nonfinite={on_nonfinite}: choose {', '.join(ACTIONS)}")
        self.model = model
        self.loss = per_example(loss)
        self.activation = activation_of(loss)
        self.optimizer = optimizer
        self.data = data
        self.callbacks = list(callbacks)
        self.own_callbacks = [c for c in self.callbacks if isinstance(c, TrainerCallback)]
        for callback in self.own_callbacks:
            callback.trainer = self
        self.callbacks_as_made = [callback_state(callback) for callback in self.callbacks]
        self.strategy = strategy or tf.distribute.get_strategy()
        self.run_dir = Path(run_dir) if run_dir else None
        self.log_every, self.eval_every = log_every, eval_every
        self.checkpoint_every = checkpoint_every
        self.profile = profile
        self.update = update or Update()
        self.stopwatch = Stopwatch()
        self.on_nonfinite = on_nonfinite
        self.keep_best = keep_best
        self.checkpoints: CheckpointFolder | None = None
        if self.run_dir:
            every = self.run_length("1ep").steps(keep_every) if keep_every else None
            folder = self.run_dir / "checkpoints"
            self.checkpoints = CheckpointFolder(folder, keep, keep_best, every)

        self.step = 0
        self._keys = StepKeys(model, data)
        self.ranking: Ranking = []
        self.interrupted_by: str | None = None
        self.stop_request: StopRequest | None = None
        self.writer: RunWriter | None = None

        with self.strategy.scope():
            self.train_metrics = MetricSet(metrics or {}, "train", self.activation)
            self.test_metrics = MetricSet(metrics or {}, "test", self.activation, self.scores)
            self._build()
        self.monitor = monitor or ("val/loss" if "val" in data.feeds else "train/loss")
        known = [f"train/{name}" for name in self.train_metrics.names]
        if "val" in data.feeds:
            known += [f"val/{name}" for name in self.test_metrics.names]
        if self.monitor not in known:
            raise ValueError(
                f"monitor={self.monitor}: no such metric; there are {', '.join(known)}"
            )
        self.monitor_mode = monitor_mode
        if monitor_mode == "auto":
            self.monitor_mode = self.test_metrics.direction(self.monitor.partition("/")[2])
        self._jit = jit
        self.run_chunks_by(Chunk)

    # ---- the maths: what research code overrides

    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Learn from one replica's share of a batch; traced.

        Averages over the share alone: `updater.take` averages gradients over the replicas, and the
        loop averages the scalars, so nothing here depends on how many there are.

        Args:
            batch: `label` int32 [B], `weight` float32 [B], and the model's inputs.

        Returns:
            Scalars that become curves, one point a step.
        """
        labels, weight = labels_of(batch), batch["weight"]
        with tf.GradientTape() as tape:
            logits = self.model(model_inputs(batch), training=True)
            losses = self.loss(labels, logits)  # [B]
            penalty = self.penalty()
            loss = tf.reduce_mean(losses * weight) + penalty
            scaled_loss = self.updater.scaled(loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        gradient_norm = self.updater.take(gradients, variables)
        self.train_metrics.update(labels, logits, weight, losses + penalty)
        return {"loss": loss, "learning_rate": learning_rate, "gradient_norm": gradient_norm}

    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Score one replica's share of a batch, with `weight` 0 on padding; traced.

        Returns:
            Further values an example, name to float32 [B], whose means over the split are reported
            beside the metrics; their names are declared in `scores`.
        """
        labels, weight = labels_of(batch), batch["weight"]
        logits = self.model(model_inputs(batch), training=False)
        losses = self.loss(labels, logits) + self.penalty()  # [B]
        self.test_metrics.update(labels, logits, weight, losses)
        return {}

    def penalty(self) -> tf.Tensor | float:
        """Return the sum of the model's own losses (regularizers, `add_loss`) of its last call."""
        return sum(self.model.losses, start=0.0)

    def random_key(self, name: str) -> tf.Tensor:
        """Return a key for `tf.random.stateless_*`, int64 [2]; traced, in a step.

        It is a function of the seed, the step (in an evaluation: the number of its batch), the
        replica and the name, so that what is drawn is the same when a run is taken up again.

        Args:
            name: of what is drawn, such as `noise`; each gets random numbers of its own.

        Raises:
            ValueError: outside a step.
        """
        return self._keys.named(name)

    # ---- the run

    def fit(self, duration: str | Duration) -> keras.callbacks.History:
        """Train until `duration` has passed, counted from the first step of the run.

        In a run folder that holds a checkpoint, goes on from it.

        Args:
            duration: `20ep`, `5000st`, `2e6ex` or `30min`.

        Returns:
            Keras' history: `history.history["val_accuracy"]` has one value an epoch.

        Raises:
            ValueError: if the duration cannot be read, or the checkpoint is of another model.
            NonFiniteError: if a step is not finite, as `on_nonfinite` says.
            RunFolderError: if the run folder cannot be written to, or another process trains in it.
        """
        return Fit(self, duration).run()

    def evaluate(self, split: str = "val") -> dict[str, float]:
        """Return the mean loss and the metrics over a split, every example counted once.

        Raises:
            ValueError: if the data has no such split.
            StopRequestedError: in a run, if a signal asks it to stop.
        """
        feed = self.data.evaluation_feed(split)
        self.begin_chunk(self.step)
        if split not in self._test_chunks:
            self._test_chunks[split] = self._make_chunk(
                self._keyed_test_step,
                feed,
                lambda batch, _: self.data.transform.evaluation(batch),
                self.strategy,
                commit=self._keys.forget,
                jit=self._jit,
                part=f"evaluation of {split}",
            )
        self.test_metrics.reset()
        pace, step = self._test_chunks[split].pace(), 0
        with self.updater.averaged_weights():
            while step < feed.steps_per_epoch:
                num_steps = pace.num_steps(at_most=feed.steps_per_epoch - step)
                self._test_chunks[split].run(step, num_steps)
                pace.done(num_steps)
                step += num_steps
                if self.stop_request and self.stop_request.received and step < feed.steps_per_epoch:
                    raise StopRequestedError(self.stop_request.received)
        return self.test_metrics.result()

    def is_jit_compiled(self, split: str) -> bool:
        """Return whether XLA compiles the evaluation of a split; False before the first one."""
        return split in self._test_chunks and self._test_chunks[split].is_jit_compiled

    def run_length(self, duration: str | Duration) -> RunLength:
        """Return how many steps `duration` is for this data."""
        return self.data.run_length(duration)

    @property
    def best(self) -> float | None:
        """The best value of the monitored metric so far."""
        return self.ranking[0][0] if self.ranking else None

    @property
    def chunk(self) -> Chunk:
        """The compiled steps of training."""
        return self._train_chunk

    @property
    def graph(self) -> tf.Graph | None:
        """The graph of a step: of an evaluation, or else of training; None before the first."""
        chunks = [*self._test_chunks.values(), self._train_chunk]
        return next((chunk.graph for chunk in chunks if chunk.graph is not None), None)

    def train_chunk(self, first_step: int, num_steps: int) -> dict[str, np.ndarray]:
        """Run training steps in one graph call; return their scalars, float32 [num_steps].

        It takes several calls if a callback changes what is trained in between, or there are more
        steps than fit into one.
        """
        parts, step, end = [], first_step, first_step + num_steps
        while step < end:
            self.begin_chunk(step)
            next_step = min(end, step + CAPACITY, self.next_change(step) or end)
            parts.append(self._train_chunk.run(step, next_step - step))
            step = next_step
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def begin_chunk(self, step: int) -> None:
        """Let callbacks prepare the model for the steps after `step`."""
        for callback in self.own_callbacks:
            callback.on_chunk_begin(step)

    def next_change(self, step: int) -> int | None:
        """Return the first step after `step` before which a callback changes what is trained."""
        changes = [callback.next_change(step) for callback in self.own_callbacks]
        return min((change for change in changes if change is not None), default=None)

    def run_chunks_by(self, make_chunk: Callable[..., Chunk]) -> None:
        """Make the chunks of training and evaluation anew.

        Args:
            make_chunk: `Chunk`, or what returns one that runs the steps in another way.
        """
        self._make_chunk = make_chunk
        self._train_chunk = make_chunk(
            self._keyed_train_step,
            self.data.feed("train"),
            self.data.transform.training,
            self.strategy,
            commit=self._end_step,
            jit=self._jit,
        )
        self._test_chunks: dict[str, Chunk] = {}

    def retrace(self) -> None:
        """Compile training and evaluation anew, after a change to what they compute."""
        self._train_chunk.retrace()
        self._test_chunks.clear()

    def flush_update(self) -> None:
        """Make an update of the gradients that a last, partial window holds."""
        if self.updater.is_deferred:
            tf.function(self.updater.flush)()

    # ---- what evolves

    @property
    def variables(self) -> Variables:
        """All variables that training changes, by name."""
        return training_variables(
            self.model,
            self.optimizer,
            self.updater.variables,
            self.updater.averages,
            self.train_metrics.variables,
        )

    @property
    def ingredients(self) -> dict[str, str]:
        """What a training rule depends on beside settings and data: name to fingerprint.

        A run is not gone on with where it has changed.
        """
        return {}

    def evaluated_weights(self) -> dict[str, np.ndarray]:
        """Return copies of the model's variables as `evaluate` sees them, by name."""
        return evaluated_weights(self.model, self.updater.averages)

    def load_weights(self, checkpoint: Checkpoint) -> None:
        """Take the model's variables from a checkpoint, as for an evaluation.

        Raises:
            ValueError: if it is of another model.
        """
        weights = weights_in(checkpoint.arrays)
        restore(model_variables(self.model), weights, str(checkpoint.path))
        # The averages too are these weights from here on, so that an evaluation sees them.
        self.updater.restart_averages()
        self.step = checkpoint.step

    def _keyed_train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._keys.of_training(step):
            return self.train_step(batch)

    def _keyed_test_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        with self._keys.of_evaluation(step):
            values = self.test_step(batch)
        self.test_metrics.add_scores(values or {}, batch["weight"])
        return {}

    def _end_step(self) -> None:
        self._keys.forget()
        self.updater.commit()

    def _build(self) -> None:
        # All variables must exist before tracing and restoring. A real batch makes them, eagerly,
        # so that an error in the model is shown with the model's own line.
        for feed in self.data.feeds.values():
            distribution.check_batch_size(feed.batch_size, self.strategy)
        self.model(model_inputs(self._two_examples("train")), training=False)
        for callback in self.own_callbacks:
            callback.on_model_built()
        self.updater = Updater(self.update, self.optimizer, self.model)
        distribution.check_variables(self.model.variables, self.strategy, "model")
        distribution.check_variables(self.optimizer.variables, self.strategy, "optimizer")
        # Keras' callbacks look for one optimizer on the model, where `compile` would have put it.
        self.model.optimizer = members(self.optimizer)[0]
        # Labels may be soft in training and whole numbers in evaluation: both are tried.
        self.try_out(self._two_examples("train"), self.train_metrics)
        evaluated = {key: tensor[:2] for key, tensor in self.data.evaluated_batch().items()}
        self.try_out(evaluated, self.test_metrics)

    def try_out(self, batch: Batch, metrics: MetricSet) -> None:
        """Run model, loss and metrics on a batch, eagerly, so that misfits show before training.

        A rule whose steps put the parts together otherwise overrides this as well.

        Args:
            batch: two examples.
            metrics: those of training or of evaluation; they are reset afterwards.
        """
        labels, weight = labels_of(batch), batch["weight"]
        logits = self.model(model_inputs(batch), training=False)
        losses = self.loss(labels, logits)
        metrics.try_out(labels, logits, weight, losses)

    def _two_examples(self, split: str) -> Batch:
        return {key: tensor[:2] for key, tensor in self.data.example_batch(split).items()}
