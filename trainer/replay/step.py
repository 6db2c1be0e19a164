"""One step of a past run, run again: compiled to compare it, eagerly to look into it."""

import bdb
import pdb
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.feeds import Batch
from trainer.replay.logged import differing
from trainer.replay.numeric_checks import BadOperation, non_finite_rows
from trainer.replay.observe import Observed, observe
from trainer.replay.rebuild import Rebuilding
from trainer.replay.summary import Summary, summarise
from trainer.replay.way import Way


@dataclass(frozen=True)
class InputArray:
    """One key of a batch.

    Args:
        summary: of the values that the step sees.
        non_finite: positions in the batch whose values are not finite.
        non_finite_raw: the same before augmentation and standardisation.
    """

    summary: Summary
    non_finite: list[int]
    non_finite_raw: list[int]


@dataclass(frozen=True)
class Replayed:
    """A step and all that was seen of it.

    Args:
        step: its number, from 1.
        epoch: from 1.
        position: in the epoch, from 1.
        steps_per_epoch: of the run.
        way: how the state before it came about.
        compiled: the scalars of the compiled step.
        logged: those that the run wrote, if it did.
        num_equal: steps on the way that are the run's.
        first_differing: the first step on the way that is not, and the scalars that differ.
        batch: as the step saw it.
        inputs: of the batch, by key.
        examples: which of the training split they are, if that is known.
        broken_variables: those of the model that were not finite before the step.
        observed: the eager step.
        tolerance: how far its scalars may lie, relatively, from those of the compiled step.
        notes: what a reader must know.
    """

    step: int
    epoch: int
    position: int
    steps_per_epoch: int
    way: Way
    compiled: dict[str, float]
    logged: dict[str, float] | None
    num_equal: int
    first_differing: tuple[int, list[str]] | None
    batch: Batch
    inputs: dict[str, InputArray]
    examples: np.ndarray | None
    broken_variables: list[str]
    observed: Observed
    tolerance: float
    notes: list[str]

    @property
    def differing(self) -> list[str]:
        """The scalars of the step that are not those of the run."""
        return differing(self.logged, self.compiled) if self.logged is not None else []

    @property
    def first_bad_operation(self) -> BadOperation | None:
        """The operation at fault, if any yielded a value that is not finite."""
        is_broken = any(x.non_finite for x in self.inputs.values()) or bool(self.broken_variables)
        return self.observed.checks.first(is_broken)


def replay_step(rebuilding: Rebuilding, with_pdb: bool = False) -> Replayed:
    """Run the step that comes next.

    Args:
        rebuilding: has gone its way, so that its Trainer is in the state before the step.
        with_pdb: whether to stop in Python's debugger at the beginning of `train_step`, before
            the step is observed.

    Raises:
        bdb.BdbQuit: if the debugger is left by `quit`.
    """
    trainer, way, logged = rebuilding.trainer, rebuilding.way, rebuilding.logged
    step = way.last_step
    rebuilding.begin_step(step)
    variables = trainer.variables
    # By reference: TensorFlow copies a variable when it is written to while its value is held.
    before = {name: tf.convert_to_tensor(variable) for name, variable in variables.items()}

    def go_back() -> None:
        for name, value in before.items():
            variables[name].assign(value)

    columns = trainer.train_chunk(step, 1)
    compiled = {name: float(column[0]) for name, column in columns.items()}
    go_back()
    raw, batch = trainer.chunk.look_up(step)
    if with_pdb:
        _debug(trainer, batch, step)
        go_back()
    broken = [v.path for v in trainer.model.variables if non_finite_rows(v.numpy().reshape(1, -1))]
    observed = observe(trainer, batch, step)
    feed = trainer.data.feed("train")
    epoch, position = divmod(step, feed.steps_per_epoch)
    return Replayed(
        step=step + 1,
        epoch=epoch + 1,
        position=position + 1,
        steps_per_epoch=feed.steps_per_epoch,
        way=way,
        compiled=compiled,
        logged=logged.scalars(step + 1, compiled),
        num_equal=rebuilding.num_equal,
        first_differing=rebuilding.first_differing,
        batch=batch,
        inputs=_inputs(raw, batch),
        examples=feed.examples(step),
        broken_variables=broken,
        observed=observed,
        # bfloat16 has 8 bits, and a compiled step keeps more of them in between.
        tolerance=0.01 if trainer.model.compute_dtype == "float32" else 0.1,
        notes=rebuilding.notes,
    )


def _debug(trainer: Any, batch: Batch, step: int) -> None:
    """Run a step in Python's debugger, from the first line of `train_step` on."""
    train_step = trainer.train_step

    def debugged(batch: Batch) -> dict[str, tf.Tensor]:
        scalars = pdb.runcall(train_step, batch)
        if scalars is None:  # so `quit` ends it
            raise bdb.BdbQuit
        return scalars

    trainer.train_step = debugged
    try:
        trainer.chunk.run_eagerly(batch, step)
    finally:
        del trainer.train_step


def _inputs(raw: Batch, batch: Batch) -> dict[str, InputArray]:
    arrays = {key: tensor.numpy() for key, tensor in batch.items()}
    numbers = {key: array for key, array in arrays.items() if array.dtype.kind not in "SUO"}
    return {
        key: InputArray(
            summarise(array),
            non_finite_rows(array),
            non_finite_rows(raw[key].numpy()) if key in raw else [],
        )
        for key, array in numbers.items()
    }
