"""What happens inside one eager step: layers, operations, gradients and updates."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.data.feeds import Batch
from trainer.layer_calls import around_layer_calls
from trainer.replay.gradients import Gradients
from trainer.replay.numeric_checks import NumericChecks
from trainer.replay.summary import Summary, summarise
from trainer.replay.xla_draws import xla_draws
from trainer.trainer import Trainer


@dataclass(frozen=True)
class ObservedVariable:
    """A trainable variable in a step.

    Args:
        name: its path, without the model's own name.
        weight: before the step.
        gradient: as the updater took it, over all replicas, unscaled; None: it had none.
        update: what the step added to the weight.
    """

    name: str
    weight: Summary
    gradient: Summary | None
    update: Summary

    @property
    def ratio(self) -> float:
        """How large the update is beside the weight, NaN where that is 0."""
        return self.update.norm / self.weight.norm if self.weight.norm else float("nan")


@dataclass(frozen=True)
class Observed:
    """What was seen in a step.

    Args:
        scalars: what the step returned.
        layers: (name, output) of the layers without inner ones, in the order of the calls.
        variables: the trainable ones.
        checks: the operations that yielded values that are not finite.
    """

    scalars: dict[str, float]
    layers: list[tuple[str, Summary]]
    variables: list[ObservedVariable]
    checks: NumericChecks


def observe(trainer: Trainer, batch: Batch, step: int) -> Observed:
    """Run a step eagerly and look at everything; the Trainer's variables move on.

    With several replicas layers and operations are those of the first one's share.

    Args:
        trainer: its state is that before the step, and its chunk has run once.
        batch: as `Chunk.look_up` returns it.
        step: steps done.
    """
    layers = _Layers(trainer.model)
    checks = NumericChecks(layers.current)
    gradients = Gradients(trainer)
    weights = trainer.model.trainable_variables
    before = [weight.numpy() for weight in weights]
    with (
        layers.watching(),
        gradients.watching(),
        _first_replica(trainer, layers, checks),
        xla_draws(trainer.chunk.is_jit_compiled),
    ):
        scalars = trainer.chunk.run_eagerly(batch, step)
    variables = []
    for weight, old in zip(weights, before, strict=True):
        gradient = gradients.of(weight)
        variables.append(
            ObservedVariable(
                name=weight.path.removeprefix(f"{trainer.model.name}/"),
                weight=summarise(old),
                gradient=None if gradient is None else summarise(gradient),
                update=summarise(_difference(weight.numpy(), old)),
            )
        )
    return Observed(scalars, layers.outputs, variables, checks)


class _Layers:
    """Takes note of what layers return.

    Args:
        model: whose own name is left out of its layers'.
    """

    def __init__(self, model: keras.Model) -> None:
        self.outputs: list[tuple[str, Summary]] = []
        self.thread: int | None = None
        """The thread whose calls count; None: of none."""
        self._model = model
        self._names: list[str] = []
        self._has_inner: list[bool] = []
        self._num_calls: dict[str, int] = {}

    def current(self) -> str:
        """Return the name of the layer being called, with those around it."""
        return "/".join(name for name in self._names if name)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def observed(call: Any, layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
            if self.thread != threading.get_ident():
                return call(layer, *args, **kwargs)
            if self._has_inner and layer is not self._model:
                self._has_inner[-1] = True
            self._names.append("" if layer is self._model else layer.name)
            self._has_inner.append(False)
            try:
                outputs = call(layer, *args, **kwargs)
                if not self._has_inner[-1]:
                    self._note(self.current(), outputs)
                return outputs
            finally:
                self._names.pop()
                self._has_inner.pop()

        with around_layer_calls(observed):
            yield

    def _note(self, name: str, outputs: Any) -> None:
        self._num_calls[name] = self._num_calls.get(name, 0) + 1
        if self._num_calls[name] > 1:
            name = f"{name} (call {self._num_calls[name]})"
        tensors = [x for x in tf.nest.flatten(outputs) if tf.is_tensor(x)]
        for k, tensor in enumerate(tensors):
            label = name if len(tensors) == 1 else f"{name} [{k}]"
            self.outputs.append((label, summarise(tensor.numpy())))


@contextmanager
def _first_replica(trainer: Any, layers: _Layers, checks: NumericChecks) -> Iterator[None]:
    """Look at what one replica's `train_step` does; others have threads of their own."""
    train_step = trainer.train_step

    def observed(batch: Batch) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        with ExitStack() as stack:
            if int(context.replica_id_in_sync_group) == 0:
                layers.thread = threading.get_ident()
                stack.enter_context(checks.watching())
            return train_step(batch)

    trainer.train_step = observed
    try:
        yield
    finally:
        del trainer.train_step


def _difference(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return new.astype(np.float32) - old.astype(np.float32)
